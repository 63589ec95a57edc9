import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { exchange } from '../os/syscalls.ts';
import { layersOf } from './closure.ts';
import { ImageError } from './error.ts';
import { copyLayers } from './merge.ts';
import { exists } from './output-file.ts';
import { openWorkspace } from './publish.ts';
import { reason, type Store, type StoredImage } from './store.ts';
import { removeTree } from './temp.ts';

export interface ExtractRequest {
  readonly image: StoredImage;
  /** Path of the folder to make. */
  readonly target: string;
  /** Take in what the image depends on, and its whitelist. */
  readonly rendered: boolean;
  /** Make the target the root file system, instead of a folder with `manifest` and `rootfs/`. */
  readonly rootfsOnly: boolean;
  /** Delete what is there before. */
  readonly overwrite: boolean;
}

/**
 * Copies a stored image's files to a folder, which appears whole or not at all.
 *
 * @throws ImageError `bad-reference` for `/` and for a folder around or in the store, `exists`, `io`,
 * and as `layersOf`
 */
export async function extractImage(store: Store, request: ExtractRequest): Promise<void> {
  const { image, target, overwrite, rootfsOnly } = request;
  const place = placeOf(target);
  checkPlace(store, place, overwrite);
  const ids = request.rendered ? await layersOf(store, image) : image.layers;
  const work = openWorkspace(store);
  let made: string | undefined;
  try {
    made = mkdtempSync(join(dirname(place), `.${basename(place)}.`));
    const root = join(made, 'out');
    mkdirSync(root, { mode: 0o755 });
    if (!rootfsOnly)
      writeFileSync(join(root, 'manifest'), store.readManifest(image.key), { mode: 0o644 });
    const layers = ids.map((id) => store.treeRoot(id));
    copyLayers(layers, rootfsOnly ? root : join(root, 'rootfs'), work.path);
    if (lstatSync(place, { throwIfNoEntry: false })) exchange(root, place);
    else renameSync(root, place);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError('io', `cannot make ${target}: ${reason(error)}`, error);
  } finally {
    if (made !== undefined) removeTree(made);
    work.discard();
  }
}

/** The real path of a folder that need not exist; only a symlink in the last place is kept. */
function placeOf(target: string): string {
  const path = resolve(target);
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch (error) {
    throw new ImageError('io', `cannot make ${target}: ${reason(error)}`, error);
  }
}

function checkPlace(store: Store, place: string, overwrite: boolean): void {
  const there = lstatSync(place, { throwIfNoEntry: false });
  const real = there ? realOf(place) : place;
  if (real === '/')
    throw new ImageError('bad-reference', `cannot write to ${place}: it is the host's root folder`);
  if (`${store.dataDir}/`.startsWith(`${real}/`) || `${real}/`.startsWith(`${store.dataDir}/`))
    throw new ImageError('bad-reference', `cannot write to ${place}: rkt's data are there`);
  if (there && !overwrite) throw exists(place);
}

/** A symlink that leads nowhere is itself. */
function realOf(place: string): string {
  try {
    return realpathSync(place);
  } catch {
    return place;
  }
}
