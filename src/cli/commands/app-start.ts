import { startApp } from '../../pod/mutable.ts';
import { podAndApp } from '../app-commands.ts';
import type { Context } from '../context.ts';

/** Starts an app of a running pod. */
export async function run(context: Context): Promise<number> {
  const { pod, app } = podAndApp(context);
  await startApp(pod, app, context.globals.debug);
  return 0;
}
