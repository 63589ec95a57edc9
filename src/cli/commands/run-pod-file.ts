import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { notify } from '../../systemd/notify.ts';
import type { Context } from '../context.ts';
import { CliError } from '../error.ts';
import { Flags } from '../flags.ts';
import { podFileError, readPodFile } from '../pod-file/read.ts';
import { inputText } from '../pod-setup.ts';
import { commands } from '../table.ts';

/** Becomes the pod that a file describes: what a unit of a pod runs. */
export async function run(context: Context): Promise<number> {
  try {
    const path = podFile(context);
    return await (path.endsWith('.json') ? runManifest : runPodFile)(path, context);
  } catch (error) {
    notify(`STATUS=${error instanceof Error ? error.message.replaceAll('\n', ' ') : ''}`);
    throw error;
  }
}

/** A path, or the NAME of one in the folder `pods` of the configuration, where NAME.pod comes first. */
function podFile({ args, globals }: Context): string {
  const [word = ''] = args;
  if (word.includes('/') || /\.(pod|json)$/.test(word)) return resolve(word);
  const folder = join(globals.localConfig, 'pods');
  const paths = ['pod', 'json'].map((ending) => join(folder, `${word}.${ending}`));
  const found = paths.find((path) => existsSync(path));
  if (found) return found;
  throw new CliError('input', `there is no pod "${word}": neither ${paths.join(' nor ')} is there`);
}

async function runPodFile(path: string, context: Context): Promise<number> {
  const text = inputText(path, 'pod file');
  const inner = readPodFile(path, text, runCommand(), context);
  try {
    return await runInner(inner, context);
  } catch (error) {
    throw podFileError(path, text, error);
  }
}

async function runManifest(path: string, context: Context): Promise<number> {
  const command = runCommand();
  const flags = new Flags(command.flags.filter(({ scope }) => scope !== 'image'));
  const inner = { ...context, command, args: [], images: [], flags };
  give(inner, 'pod-manifest', path);
  return runInner(inner, context);
}

async function runInner(inner: Context, { flags }: Context): Promise<number> {
  const file = flags.value('uuid-file-save');
  if (file !== undefined) give(inner, 'uuid-file-save', file);
  return (await import('./run.ts')).run(inner);
}

function give({ flags }: Context, name: string, value: string): void {
  const spec = flags.find(name);
  if (spec) flags.add(spec, value);
}

function runCommand() {
  const command = commands.find(({ path }) => path === 'run');
  if (!command) throw new Error('the command table has no run');
  return command;
}
