import { removeApp } from '../../pod/mutable.ts';
import { podAndApp } from '../app-commands.ts';
import type { Context } from '../context.ts';

/** Removes an app from a pod, with all its files. */
export async function run(context: Context): Promise<number> {
  const { pod, app } = podAndApp(context);
  await removeApp(pod, app, context.globals.debug);
  return 0;
}
