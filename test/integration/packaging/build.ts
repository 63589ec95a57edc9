import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll } from 'vitest';

export const run = promisify(execFile);

/** How long a build may take on a machine that has other work, in milliseconds. */
export const BUILDING = 300_000;

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
const notCopied = new Set(['.git', 'dist', 'node_modules', 'packages']);

/** A folder that is removed after the file's last test. */
export function scratchFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'rkt-packaging-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of the sources, with what npm has installed. */
export async function copySources(target: string, from = checkout): Promise<void> {
  await run('mkdir', ['-p', target]);
  const parts = readdirSync(from).filter((name) => !notCopied.has(name));
  await run('cp', ['-r', '-t', target, ...parts.map((name) => join(from, name))]);
  // Hard links where that is possible: esbuild would follow a symbolic link, and name where it leads.
  const modules = [join(checkout, 'node_modules'), target];
  await run('cp', ['-rl', ...modules]).catch(() => run('cp', ['-r', ...modules]));
}

/** The version of the checkout. */
export const checkoutVersion = versionIn(checkout);

function versionIn(folder: string): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  );
  return version;
}

/** Makes a checkout's packages think that it is of another version. */
export function setVersion(folder: string, wanted: string): void {
  const file = join(folder, 'package.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(`"version": "${versionIn(folder)}"`, `"version": "${wanted}"`));
}

/** Builds packages from a copy of the sources; gives their paths by kind. */
export async function buildPackages(
  sources: string,
  target: string,
  kinds: readonly ('deb' | 'rpm')[],
  { umask = '022', env = {} }: { umask?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<{ deb: string; rpm: string }> {
  const script = 'umask "$1"; shift; exec packaging/package "$@"';
  const { stdout } = await run('sh', ['-c', script, 'sh', umask, ...kinds], {
    cwd: sources,
    env: { ...process.env, PACKAGES: target, SOURCE_DATE_EPOCH: '1700000000', ...env },
  });
  const made = stdout.split('\n');
  const of = (kind: string): string => made.find((path) => path.endsWith(`.${kind}`)) ?? '';
  return { deb: of('deb'), rpm: of('rpm') };
}
