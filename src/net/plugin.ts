import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { errnoOf } from '../os/error.ts';
import { NetError } from './error.ts';
import { pluginFailure } from './schema.ts';

/** Where plugins are looked for, in this order: rkt's own, CNI's, Debian's, Fedora's. */
export const PLUGIN_FOLDERS = [
  '/usr/lib/rkt/plugins/net',
  '/opt/cni/bin',
  '/usr/lib/cni',
  '/usr/libexec/cni',
] as const;

/** How long one call of a plugin may take, in milliseconds. */
export const PLUGIN_DEADLINE = 20_000;

/** How plugins are found and how long they may take. */
export interface PluginOptions {
  readonly folders: readonly string[];
  readonly deadline: number;
}

export type CniCommand = 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'VERSION';

/** The parameters of a call, which travel as environment: CNI specification, "Parameters". */
export interface CniParameters {
  readonly containerId?: string;
  readonly netns?: string;
  readonly interfaceName?: string;
  readonly args?: string;
}

/**
 * Calls a plugin and gives back what it prints, as JSON; undefined when it prints nothing.
 *
 * @param config the network configuration on its standard input
 * @throws NetError `no-plugin`, `plugin` when it fails or takes too long, `bad-result` for what is not JSON
 */
export function callPlugin(
  type: string,
  command: CniCommand,
  parameters: CniParameters,
  config: unknown,
  { folders, deadline }: PluginOptions,
): unknown {
  const path = findPlugin(type, folders);
  const options = {
    input: JSON.stringify(config),
    env: { ...process.env, ...environment(command, parameters, folders) },
    timeout: deadline,
    killSignal: 'SIGKILL' as const,
    // A group of its own, so that an IPAM plugin that hangs goes with it.
    detached: true,
    maxBuffer: 4 << 20,
    stdio: ['pipe' as const, 'pipe' as const, 'inherit' as const],
  };
  const result = spawnSync(path, [], options);
  const what = `CNI plugin "${type}" (${command})`;
  // A plugin need not read its configuration to the end.
  if (result.error && errnoOf(result.error) !== 'EPIPE') {
    killGroup(result.pid);
    const late = 'code' in result.error && result.error.code === 'ETIMEDOUT';
    const why = late ? `no answer within ${deadline / 1000} s` : result.error.message;
    throw new NetError('plugin', `${what} failed: ${why}`, result.error);
  }
  const text = result.stdout.toString();
  if (result.status !== 0) throw new NetError('plugin', `${what} failed: ${failure(text, result)}`);
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NetError('bad-result', `${what} printed what is not JSON: ${excerpt(text)}`, cause);
  }
}

function environment(
  command: CniCommand,
  { containerId, netns, interfaceName, args }: CniParameters,
  folders: readonly string[],
): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_PATH: folders.join(':'),
    ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId }),
    ...(netns === undefined ? {} : { CNI_NETNS: netns }),
    ...(interfaceName === undefined ? {} : { CNI_IFNAME: interfaceName }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
  };
}

/** Where a plugin is. Throws NetError `no-plugin`. */
export function findPlugin(type: string, folders: readonly string[]): string {
  const path = folders
    .map((folder) => join(folder, type))
    .find((candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile());
  if (path) return path;
  throw new NetError(
    'no-plugin',
    `could not find the CNI plugin "${type}" in ${folders.join(', ')}: install containernetworking-plugins, or put it there`,
  );
}

/** What a plugin says of its failure, or what is left to say when it says nothing. */
function failure(
  text: string,
  { status, signal }: { status: number | null; signal: NodeJS.Signals | null },
): string {
  const ended = signal ? `it was killed by ${signal}` : `it ended with ${status}`;
  try {
    const said = z.safeParse(pluginFailure, JSON.parse(text));
    if (said.success)
      return said.data.details ? `${said.data.msg}; ${said.data.details}` : said.data.msg;
  } catch {
    // Not JSON: told below.
  }
  return text.trim() === '' ? ended : `${ended} and printed ${excerpt(text)}`;
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function killGroup(pid: number): void {
  if (pid <= 0) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of it is left.
  }
}
