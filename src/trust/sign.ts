import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, linkSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { syncFolder } from '../os/files.ts';
import { TrustError } from './error.ts';

/**
 * Writes the armored detached signature of a file by the user's own gpg, who may ask for a
 * passphrase.
 *
 * @param key what gpg shall take for `--local-user`; its default key without
 * @throws TrustError `exists` when `output` is there, `gpg`, `io`
 */
export async function signFile(
  file: string,
  output: string,
  key: string | undefined,
): Promise<void> {
  readable(file);
  if (existsSync(output)) throw exists(output);
  const temporary = `${output}.${process.pid}.tmp`;
  try {
    await gpg([
      ...(key === undefined ? [] : ['--local-user', key]),
      ...['--armor', '--detach-sign', '--output', temporary, '--', file],
    ]);
    place(temporary, output);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function readable(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new TrustError('io', `cannot sign ${file}`, error);
  }
}

async function gpg(args: readonly string[]): Promise<void> {
  // Its prompts and complaints go to the user; stdout is for our own result.
  const child = spawn('gpg', args, { stdio: ['inherit', 2, 'inherit'] });
  const code = await new Promise<number | undefined>((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        errnoOf(error) === 'ENOENT'
          ? new TrustError('gpg', 'gpg, which makes the signature, is not installed')
          : new TrustError('gpg', 'cannot run gpg, which makes the signature', error),
      ),
    );
    child.on('close', (exit) => resolve(exit ?? undefined));
  });
  if (code !== 0)
    throw new TrustError('gpg', `gpg made no signature (exit status ${code ?? 'none'}), see above`);
}

/** Gives the signature its name, unless something has that name by now. */
function place(temporary: string, output: string): void {
  try {
    linkSync(temporary, output);
    syncFolder(dirname(output));
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw exists(output);
    throw new TrustError('io', `cannot write ${output}`, error);
  }
}

function exists(output: string): TrustError {
  return new TrustError('exists', `cannot write ${output}: it exists already`);
}
