import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteRange } from './byte-range.ts';
import { findInDockerArchive } from './docker-archive.ts';
import { ImageError } from './error.ts';
import { importAci } from './import-aci.ts';
import { rememberFile, snapshotFile } from './local-file.ts';
import { type FoundImage, storeLocalImage, type VerifyLocal } from './local-image.ts';
import { firstMember, openArchive } from './oci-archive.ts';
import { findInLayout, findInLayoutFolder } from './oci-layout.ts';
import type { LocalReference } from './reference.ts';
import type { Store, StoredImage } from './store.ts';

/** What becomes of an image that was found. */
type Take = (store: Store, image: FoundImage) => Promise<StoredImage>;
type Find = (name: string) => ByteRange | undefined;

/**
 * Brings an image on this machine into the store; what a plain path holds is told by its content.
 * The path must exist. What was imported is remembered for `cachedFile`, of a layout folder by its
 * `index.json`, with the tag as part.
 *
 * @param warn gets a line for whatever of an image cannot be kept or expressed in appc
 * @param verify decides on Docker and OCI images, before any layer is read
 * @throws ImageError that names the path, and the digest or field that is wrong; what `verify` throws
 */
export async function importLocal(
  store: Store,
  reference: LocalReference,
  warn: (line: string) => void,
  verify?: VerifyLocal,
): Promise<StoredImage> {
  const { path } = reference;
  const tag = reference.kind === 'file' ? undefined : reference.tag;
  const take: Take = async (into, image) => {
    await verify?.(image);
    return storeLocalImage(into, image, warn);
  };
  switch (reference.kind) {
    case 'file':
      return importPath(store, path, take, warn);
    case 'oci':
      return importLayoutFolder(store, path, tag, take);
    case 'oci-archive':
      return importArchive(store, path, tag, take, (find) =>
        findInLayout('oci-archive', path, find, tag),
      );
    case 'docker-archive':
      return importArchive(store, path, tag, take, (find) => findInDockerArchive(path, find, tag));
  }
}

/** Whether a path is that of an ACI, and not of a layout or archive of other images. */
export async function holdsAci(path: string): Promise<boolean> {
  return !statSync(path).isDirectory() && isAciStart(await startOf(path));
}

/** The first member of an archive that may be something else than an ACI. */
async function startOf(path: string): Promise<string | undefined> {
  return path.endsWith('.aci') ? undefined : firstMember(path);
}

function isAciStart(first: string | undefined): boolean {
  return first === undefined || first === 'manifest' || first.split('/')[0] === 'rootfs';
}

async function importPath(
  store: Store,
  path: string,
  take: Take,
  warn: (line: string) => void,
): Promise<StoredImage> {
  if (statSync(path).isDirectory()) return importLayoutFolder(store, path, undefined, take);
  const first = await startOf(path);
  if (isAciStart(first)) return importAci(store, path, { warn });
  return importArchive(store, path, undefined, take, (find) => {
    if (find('oci-layout')) return findInLayout('oci-archive', path, find);
    if (find('manifest.json')) return findInDockerArchive(path, find);
    throw new ImageError(
      'bad-image',
      `import ${path}: it is a tar, but neither an ACI nor an archive of OCI or Docker images: it starts with ${JSON.stringify(first)}`,
    );
  });
}

async function importLayoutFolder(
  store: Store,
  path: string,
  tag: string | undefined,
  take: Take,
): Promise<StoredImage> {
  if (!statSync(join(path, 'oci-layout'), { throwIfNoEntry: false }))
    throw new ImageError(
      'bad-image',
      `import ${path}: it is no OCI layout, which has a file oci-layout; of an ACI layout make an ACI first with rkt image build`,
    );
  const index = join(path, 'index.json');
  return remembering(store, index, tag, () => take(store, findInLayoutFolder(path, tag)));
}

function importArchive(
  store: Store,
  path: string,
  tag: string | undefined,
  take: Take,
  choose: (find: Find) => FoundImage,
): Promise<StoredImage> {
  return remembering(store, path, tag, async () => {
    const archive = await openArchive(store, path);
    try {
      return await take(store, choose(archive.find));
    } finally {
      archive.close();
    }
  });
}

async function remembering(
  store: Store,
  path: string,
  tag: string | undefined,
  importIt: () => Promise<StoredImage>,
): Promise<StoredImage> {
  const before = statSync(path, { throwIfNoEntry: false }) && snapshotFile(path);
  const image = await importIt();
  if (before) rememberFile(store, path, before, image.key, tag);
  return image;
}
