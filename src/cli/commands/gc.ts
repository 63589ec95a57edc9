import { clearLeftovers } from '../../image/remove.ts';
import { openStore } from '../../image/store.ts';
import { collectPods } from '../../pod/gc.ts';
import { collectPodNetworks } from '../../pod/networks.ts';
import type { Context } from '../context.ts';
import { durationFlag } from '../duration.ts';

const DAY = 24 * 3600 * 1000;

/** Collects pods that have ended, prepared ones that nobody ran, and what was left half made. */
export async function run({ globals, flags, note, report }: Context): Promise<number> {
  const options = {
    gracePeriod: durationFlag(flags, 'grace-period'),
    expirePrepared: durationFlag(flags, 'expire-prepared'),
    markOnly: flags.bool('mark-only'),
  };
  await collectPods(globals, options, { note, failed: report });
  if (!options.markOnly) await collectPodNetworks(globals, report);
  // A download that was cut off may still be gone on with.
  if (!options.markOnly) clearLeftovers(openStore(globals.dataDir), Date.now() - DAY);
  return 0;
}
