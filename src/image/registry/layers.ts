import { createReadStream } from 'node:fs';
import type { ProgressDisplay } from '../../http/download.ts';
import { HttpError } from '../../http/error.ts';
import { takeSlot } from '../../http/slot.ts';
import { importLayer } from '../layer.ts';
import type { Descriptor } from '../oci-schema.ts';
import type { Store } from '../store.ts';
import { GrowingFile } from './growing-file.ts';
import type { Registry } from './registry.ts';

/** How many layers are fetched at once. */
const width = 6;

export interface RemoteLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

export interface LayerOptions {
  /** What messages call the image. */
  readonly where: string;
  readonly progress?: ProgressDisplay;
  readonly info?: (line: string) => void;
  readonly warn?: (line: string) => void;
}

/**
 * Brings the layers that are missing into the store, several at once, each unpacked while it comes.
 * What was downloaded of a layer when the connection ended is kept, and the next attempt goes on.
 *
 * @throws HttpError, ImageError: the first failure, which ends the other downloads
 */
export async function fetchLayers(
  store: Store,
  registry: Registry,
  layers: readonly RemoteLayer[],
  options: LayerOptions,
): Promise<void> {
  const queue = [...new Map(layers.map((layer) => [layer.diffId, layer])).values()];
  const abort = new AbortController();
  const work = async (): Promise<void> => {
    for (let layer = queue.shift(); layer && !abort.signal.aborted; layer = queue.shift())
      await fetchLayer(store, registry, layer, options, abort.signal).catch((error: unknown) => {
        abort.abort(error);
      });
  };
  await Promise.all(Array.from({ length: width }, work));
  if (abort.signal.aborted) throw abort.signal.reason;
}

async function fetchLayer(
  store: Store,
  registry: Registry,
  { descriptor, diffId }: RemoteLayer,
  { where, progress, info, warn }: LayerOptions,
  signal: AbortSignal,
): Promise<void> {
  const tree = diffId.replace(':', '-');
  if (store.hasTree(tree)) return;
  store.create();
  const { digest } = descriptor;
  const slot = await takeSlot(store.path('tmp'), digest, () =>
    info?.(`another process downloads layer ${digest}, waiting for it`),
  );
  try {
    if (!store.hasTree(tree)) {
      const file = new GrowingFile(slot.file);
      const name = `layer ${digest} of ${where}`;
      const layer = { name, diffId, file: slot.file, ...(warn && { warn }) };
      const importing = importLayer(store, { ...layer, open: () => file.read() });
      importing.catch(() => {});
      const bar = progress?.start(`layer ${digest.slice(0, 'sha256:'.length + 12)}`);
      try {
        await registry.download(slot, descriptor, {
          signal,
          progress(received, total) {
            file.grown(received);
            bar?.update(received, total ?? descriptor.size);
          },
        });
        file.complete();
      } catch (error) {
        file.fail();
        await importing.catch(() => {});
        throw error;
      } finally {
        bar?.end();
      }
      await importing.catch((error: unknown) => {
        if (!file.shrank) throw error;
        const open = () => createReadStream(slot.file);
        return importLayer(store, { ...layer, open });
      });
    }
    slot.remove();
  } catch (error) {
    if (canContinue(signal.aborted ? signal.reason : error)) slot.release();
    else slot.remove();
    throw error;
  }
}

/** Whether what is there of a download is of use to the next attempt. */
function canContinue(error: unknown): boolean {
  if (!(error instanceof HttpError)) return false;
  return ['unreachable', 'interrupted'].includes(error.code) || (error.status ?? 0) >= 429;
}
