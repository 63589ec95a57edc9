import { closeSync, constants, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setXattr } from '../os/syscalls.ts';
import { ImageError } from './error.ts';
import { type FolderMarks, writeMarks } from './folder-layer.ts';
import { installTree, openWorkspace } from './publish.ts';
import { reason, type Store } from './store.ts';
import { badTar, folderHeader, quoteName, whiteoutHeader } from './tar-headers.ts';
import type { TarEntry, Verdict } from './tar-walker.ts';
import type { Workspace } from './temp.ts';
import { PathSet, TreeRules } from './tree-rules.ts';
import { type Content, type Unpacked, type UnpackOptions, unpack } from './unpack.ts';

/** One layer of an OCI or Docker image, and what is promised about it. */
export interface LayerInput {
  /** What errors call it, such as `layer 2 of /a/b.tar`. */
  readonly name: string;
  /** Its bytes as they are distributed, compressed or not; called at most once. */
  readonly open: () => Readable;
  /** `sha256:HEX` of the uncompressed tar: checked, and gives the tree its id. */
  readonly diffId?: string;
  /** `sha256:HEX` and length of the bytes as distributed: checked when given. */
  readonly digest?: string;
  readonly size?: number;
  /** A file with those bytes that is the caller's to give: it becomes the blob, which is else a copy. */
  readonly file?: string;
  /** Gets a line for what of it could not be kept. */
  readonly warn?: (line: string) => void;
}

/**
 * Unpacks a layer into the store, its whiteouts as overlayfs knows them; returns the tree's id,
 * `sha256-HEX` of its diff id. A layer whose tree is there is not read.
 *
 * @throws ImageError whose message names the layer and the reason; nothing is left behind
 */
export async function importLayer(store: Store, layer: LayerInput): Promise<string> {
  try {
    const wanted = layer.diffId && treeId(layer.diffId);
    if (wanted && store.hasTree(wanted)) return wanted;
    return await storeLayer(store, layer);
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(code, `import ${layer.name}: ${reason(error)}`, error);
  }
}

async function storeLayer(store: Store, layer: LayerInput): Promise<string> {
  const work = openWorkspace(store);
  try {
    const unpacked = await unpackLayer(layer.open(), work, {
      hashBlob: layer.digest !== undefined,
      keep: layer.file === undefined,
    });
    const { blobDigest, blobSize, tarDigest } = unpacked;
    if (layer.size !== undefined && layer.size !== blobSize)
      throw new ImageError('mismatch', `it has ${blobSize} bytes, not ${layer.size}`);
    if (layer.digest !== undefined && layer.digest !== `sha256:${blobDigest}`)
      throw new ImageError('mismatch', `its digest is sha256:${blobDigest}, not ${layer.digest}`);
    if (layer.diffId !== undefined && layer.diffId !== `sha256:${tarDigest}`)
      throw new ImageError('mismatch', `its diff id is sha256:${tarDigest}, not ${layer.diffId}`);
    const id = `sha256-${tarDigest}`;
    if (layer.file !== undefined) renameSync(layer.file, join(work.path, 'blob'));
    await installTree(store, work, id, unpacked.treeSize);
    for (const warning of unpacked.warnings) layer.warn?.(`${layer.name}: ${warning}`);
    return id;
  } finally {
    work.discard();
  }
}

/** Unpacks a layer as `tree/rootfs` of a workspace. Throws ImageError with the bare reason. */
export async function unpackLayer(
  bytes: Readable,
  work: Workspace,
  options: Pick<UnpackOptions, 'hashBlob' | 'keep'>,
): Promise<Unpacked> {
  const content = new LayerContent();
  const into = 'tree/rootfs';
  const unpacked = await unpack(bytes, work, content, {
    ...options,
    hash: 'sha256',
    into,
    refuse: () => undefined,
  });
  content.markOpaque(join(work.path, into));
  writeMarks(work, content.marks());
  return unpacked;
}

function treeId(diffId: string): string {
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(diffId) ?? [];
  if (hex === undefined)
    throw new ImageError('unsupported', `its diff id ${quoteName(diffId)} is no sha256 digest`);
  return `sha256-${hex}`;
}

const WHITEOUT = '.wh.';
/** A whiteout of all that the lower layers have in its folder. */
const OPAQUE = '.wh..wh..opq';
/** Other names that start like this are aufs's own, and mean nothing elsewhere. */
const RESERVED = '.wh..wh.';

/**
 * What an OCI layer may hold (image-spec, layer.md). Whiteouts are kept back until the whole layer is
 * known: they concern lower layers only, so what the layer itself has at their path wins.
 */
export class LayerContent implements Content {
  readonly #rules = new TreeRules(true);
  readonly #whiteouts = new PathSet();
  readonly #opaque = new PathSet();

  judge(entry: TarEntry): Verdict {
    const path = this.#rules.normalise(entry.name);
    const slash = path.lastIndexOf('/') + 1;
    const [folder, base] = [path.slice(0, Math.max(0, slash - 1)), path.slice(slash)];
    if (base === OPAQUE) this.#opaque.add(folder, 'opaque whiteouts');
    else if (path.startsWith(RESERVED) || path.includes(`/${RESERVED}`)) return 'drop';
    else if (base.startsWith(WHITEOUT)) this.#addWhiteout(folder, base);
    else {
      this.#rules.add(path, entry);
      return 'pass';
    }
    return 'drop';
  }

  #addWhiteout(folder: string, base: string): void {
    const name = base.slice(WHITEOUT.length);
    if (name === '' || name === '.' || name === '..')
      throw badTar(`the whiteout ${quoteName(base)} names no file`);
    this.#whiteouts.add(folder === '' ? name : `${folder}/${name}`, 'whiteouts');
  }

  finish(): Buffer[] {
    for (const folder of this.#opaque) this.#rules.checkParents(`${folder}/.`);
    for (const path of [...this.#whiteouts])
      if (this.#isBelowFile(path)) this.#whiteouts.delete(path);
      else this.#rules.checkParents(path);
    const headers: Buffer[] = [];
    for (const path of this.#whiteouts) {
      const kind = this.#rules.kind(path);
      if (kind === undefined) headers.push(whiteoutHeader(path));
      else if (kind === 'folder' || kind === 'implied') this.#opaque.add(path, 'opaque whiteouts');
    }
    for (const path of this.#rules.implied()) headers.push(folderHeader(path));
    return headers;
  }

  /** A folder that has become a file takes all below it along: some tools say so all the same. */
  #isBelowFile(path: string): boolean {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const kind = this.#rules.kind(path.slice(0, at));
      if (kind !== undefined) return kind === 'file';
    }
    return false;
  }

  /** What else has to be known of the folders, once the layer has ended. */
  marks(): FolderMarks {
    const whitedOut = [...this.#whiteouts]
      .filter((path) => this.#rules.kind(path) === undefined)
      .map((path) => path.slice(0, Math.max(0, path.lastIndexOf('/'))));
    return {
      implied: [...this.#rules.implied()],
      whitedOut: [...new Set(whitedOut)],
      opaque: [...this.#opaque],
    };
  }

  /** Marks the folders of opaque whiteouts in the unpacked tree at `root`. */
  markOpaque(root: string): void {
    for (const folder of this.#opaque) {
      const fd = openFolder(root, folder);
      try {
        setXattr(fd, 'trusted.overlay.opaque', 'y');
      } finally {
        closeSync(fd);
      }
    }
  }
}

/** Opens a folder below `root` step by step, following no link. */
function openFolder(root: string, path: string): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  let fd = openSync(root, flags);
  for (const name of path === '' ? [] : path.split('/')) {
    try {
      const next = openSync(Buffer.from(`/proc/self/fd/${fd}/${name}`, 'latin1'), flags);
      closeSync(fd);
      fd = next;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
  return fd;
}
