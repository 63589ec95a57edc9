import { stopApp } from '../../pod/mutable.ts';
import { podAndApp } from '../app-commands.ts';
import type { Context } from '../context.ts';
import { durationFlag } from '../duration.ts';

/** Stops an app of a running pod, and says on stderr how it ended. */
export async function run(context: Context): Promise<number> {
  const { flags, globals, note } = context;
  const patience = durationFlag(flags, 'timeout');
  const { pod, app } = podAndApp(context);
  const ended = await stopApp(pod, app, { debug: globals.debug, patience });
  note(`app "${app}" ${ended === 'killed' ? `killed after ${flags.value('timeout')}` : 'stopped'}`);
  return 0;
}
