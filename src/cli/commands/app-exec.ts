import { enterPod } from '../../pod/enter.ts';
import { holdPod } from '../../pod/hold.ts';
import { findPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';
import { usageError } from '../error.ts';

/** Runs a command in an app, as the app's own user and in its folder. */
export async function run({ args, flags, globals }: Context): Promise<number> {
  const [uuid = '', ...rest] = args;
  const argv = rest[0] === '--' ? rest.slice(1) : rest;
  if (argv.length === 0) throw usageError('too few arguments');
  const term = process.env['TERM'] ?? 'vt100';
  const pod = holdPod(globals.dataDir, findPod(globals.dataDir, uuid));
  return enterPod(globals.dataDir, pod, flags.value('app'), { argv, as: 'app', term });
}
