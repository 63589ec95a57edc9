import { enterPod } from '../../pod/enter.ts';
import { holdPod } from '../../pod/hold.ts';
import { findPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';

/** Runs a command as root in an app, a shell if none is named. */
export async function run({ args, flags, globals, note }: Context): Promise<number> {
  const [uuid = '', ...rest] = args;
  const argv = rest[0] === '--' ? rest.slice(1) : rest;
  if (argv.length === 0) {
    note('no command specified, assuming "/bin/bash"');
    argv.push('/bin/bash');
  }
  const term = process.env['TERM'] ?? 'vt100';
  const pod = holdPod(globals.dataDir, findPod(globals.dataDir, uuid));
  return enterPod(globals.dataDir, pod, flags.value('app'), { argv, as: 'root', term });
}
