import { stopApp } from '../../pod/mutable.ts';
import { podAndApp } from '../app-commands.ts';
import type { Context } from '../context.ts';

/** Stops an app of a running pod. */
export async function run(context: Context): Promise<number> {
  const { pod, app } = podAndApp(context);
  await stopApp(pod, app, context.globals.debug);
  return 0;
}
