import { spawn } from 'node:child_process';
import { text as readAll } from 'node:stream/consumers';
import * as z from 'zod/mini';
import { parseJson } from '../../appc/json.ts';
import { object, text, validate } from '../../appc/schema.ts';
import { ConfigError } from '../../config/index.ts';
import { errnoOf } from '../../os/error.ts';
import { exitOf } from '../decompress.ts';
import { ImageError } from '../error.ts';
import type { RegistryCredentials } from './credentials.ts';

/** A helper may ask its user for the key of a keyring. */
const patience = 60_000;

const answer = object({ Username: z._default(text, ''), Secret: text });

/**
 * Asks `docker-credential-NAME` (docker-credential-helpers, "get"): the server on stdin, JSON on
 * stdout. Undefined when it has nothing for the server.
 *
 * @throws ConfigError when it fails, ImageError `missing-program`
 */
export async function askCredentialHelper(
  name: string,
  server: string,
): Promise<RegistryCredentials | undefined> {
  const program = `docker-credential-${name}`;
  const fail = (why: string, cause?: unknown) =>
    new ConfigError('unreadable', `cannot get credentials for ${server}: ${program} ${why}`, cause);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw fail('is no name of a program');

  const { status, output } = await run(program, server).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw fail('cannot be run', error);
    throw new ImageError(
      'missing-program',
      `cannot get credentials for ${server}: ${program} is not installed`,
      error,
    );
  });
  if (status !== 0 && /credentials not found/i.test(output)) return undefined;
  if (status === undefined) throw fail(`was ended, or gave no answer in ${patience / 1000} s`);
  if (status !== 0) throw fail(`failed: ${firstLine(output) || `status ${status}`}`);
  try {
    const { Username: user, Secret: secret } = validate(
      answer,
      parseJson(output, 'answer'),
      'answer',
    );
    const origin = program;
    return user === '<token>'
      ? { identityToken: secret, origin }
      : { user, password: secret, origin };
  } catch (error) {
    throw fail('gave an answer that is not in the form of the protocol', error);
  }
}

async function run(program: string, input: string): Promise<{ status?: number; output: string }> {
  const child = spawn(program, ['get'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: patience,
    killSignal: 'SIGKILL',
  });
  const ended = exitOf(child);
  // A helper that ends without reading breaks the pipe; its status tells what happened.
  child.stdin.on('error', () => {}).end(input);
  const [output, status] = await Promise.all([readAll(child.stdout), ended]);
  return { output, ...(status !== undefined && { status }) };
}

function firstLine(output: string): string {
  return output.trim().split('\n', 1)[0]?.slice(0, 200) ?? '';
}
