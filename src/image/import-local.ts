import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteRange } from './byte-range.ts';
import { findInDockerArchive } from './docker-archive.ts';
import { ImageError } from './error.ts';
import { importAci } from './import-aci.ts';
import { rememberFile, snapshotFile } from './local-file.ts';
import { type LocalImage, storeLocalImage } from './local-image.ts';
import { firstMember, openArchive } from './oci-archive.ts';
import { findInLayout, findInLayoutFolder } from './oci-layout.ts';
import type { LocalReference } from './reference.ts';
import type { Store, StoredImage } from './store.ts';

type Warn = (line: string) => void;
type Find = (name: string) => ByteRange | undefined;

/**
 * Brings an image on this machine into the store; what a plain path holds is told by its content.
 * The path must exist. What was imported is remembered for `cachedFile`, of a layout folder by its
 * `index.json`, with the tag as part.
 *
 * @param warn gets a line for whatever of a config appc cannot express
 * @throws ImageError that names the path, and the digest or field that is wrong
 */
export async function importLocal(
  store: Store,
  reference: LocalReference,
  warn: Warn,
): Promise<StoredImage> {
  const { path } = reference;
  const tag = reference.kind === 'file' ? undefined : reference.tag;
  switch (reference.kind) {
    case 'file':
      return importPath(store, path, warn);
    case 'oci':
      return importLayoutFolder(store, path, tag, warn);
    case 'oci-archive':
      return importArchive(store, path, tag, warn, (find) =>
        findInLayout('oci-archive', path, find, tag),
      );
    case 'docker-archive':
      return importArchive(store, path, tag, warn, (find) => findInDockerArchive(path, find, tag));
  }
}

async function importPath(store: Store, path: string, warn: Warn): Promise<StoredImage> {
  if (statSync(path).isDirectory()) return importLayoutFolder(store, path, undefined, warn);
  const first = path.endsWith('.aci') ? undefined : await firstMember(path);
  if (first === undefined || first === 'manifest' || first.split('/')[0] === 'rootfs')
    return importAci(store, path);
  return importArchive(store, path, undefined, warn, (find) => {
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
  warn: Warn,
): Promise<StoredImage> {
  if (!statSync(join(path, 'oci-layout'), { throwIfNoEntry: false }))
    throw new ImageError(
      'bad-image',
      `import ${path}: it is no OCI layout, which has a file oci-layout; of an ACI layout make an ACI first with rkt image build`,
    );
  const index = join(path, 'index.json');
  return remembering(store, index, tag, () =>
    storeLocalImage(store, findInLayoutFolder(path, tag), warn),
  );
}

function importArchive(
  store: Store,
  path: string,
  tag: string | undefined,
  warn: Warn,
  choose: (find: Find) => LocalImage,
): Promise<StoredImage> {
  return remembering(store, path, tag, async () => {
    const archive = await openArchive(store, path);
    try {
      return await storeLocalImage(store, choose(archive.find), warn);
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
