import { connect, type Socket } from 'node:net';
import * as z from 'zod/mini';
import { receive, send } from '../service/varlink-protocol.ts';
import type { CommandSpec } from './command.ts';
import { CliError, EXIT_FAILURE } from './error.ts';
import type { Writer } from './writer.ts';

const SOCKET = '/run/rkt/io.rkt.Rkt1';

const replySchema = z.object({
  parameters: z.optional(
    z.object({
      stdout: z.optional(z.string()),
      stderr: z.optional(z.string()),
      status: z.optional(z.number()),
      message: z.optional(z.string()),
    }),
  ),
  error: z.optional(z.string()),
});

/**
 * Has the helper run a command line, and prints what it prints.
 *
 * @returns the exit status; undefined when there is no helper, or it is not for this user
 */
export async function throughHelper(
  command: CommandSpec,
  argv: readonly string[],
  stdout: Writer,
  stderr: Writer,
): Promise<number | undefined> {
  const socket = await connected();
  if (!socket) return undefined;
  let status: number | undefined;
  const done = receive(socket, async (message) => {
    const { error, parameters = {} } = replySchema.parse(message);
    if (error !== undefined)
      throw new CliError('unprivileged', parameters.message ?? `the helper says ${error}`);
    if (parameters.stderr) stderr.write(parameters.stderr);
    if (parameters.stdout) stdout.write(parameters.stdout);
    status = parameters.status;
    if (status !== undefined) socket.destroy();
  });
  await send(socket, {
    method: 'io.rkt.Rkt1.Command',
    parameters: {
      arguments: [...argv],
      // Nobody is there to be asked for a password otherwise.
      ...(process.stdin.isTTY ? { allowInteractiveAuthentication: true } : {}),
    },
    more: true,
  });
  await done;
  if (status !== undefined) return status;
  stderr.write(`rkt: ${command.path}: the helper has ended, see "journalctl -u rkt-helper"\n`);
  return EXIT_FAILURE;
}

function connected(): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(SOCKET, () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
