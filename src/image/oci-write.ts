import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { sha256 } from './byte-range.ts';
import { compressionOf, decompress } from './decompress.ts';
import { ImageError } from './error.ts';
import type { Descriptor, Platform } from './oci-schema.ts';
import { type Compression, pack, spawnTar, type TarStream } from './pack.ts';

/** Compressions that the image format knows, and the media type of a layer in each. */
const layerTypes: Readonly<Partial<Record<Compression, string>>> = {
  none: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
};

const configType = 'application/vnd.oci.image.config.v1+json';
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';

type Blob = Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;

/** What a layer became: its descriptor, and the digest of its uncompressed tar. */
export interface WrittenLayer {
  readonly descriptor: Blob;
  readonly diffId: string;
}

/** An OCI image layout in the making (image-spec: image-layout.md), in a folder that is empty. */
export class LayoutWriter {
  readonly #folder: string;
  readonly #kept = new Map<string, Blob>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  }

  /** Adds a layer of what tar writes. Throws ImageError as `pack`, `unsupported`. */
  async addLayer(tar: TarStream, compression: Compression): Promise<WrittenLayer> {
    const mediaType = layerTypes[compression];
    if (mediaType === undefined)
      throw new ImageError('unsupported', `OCI knows no layers compressed with ${compression}`);
    const packed = await this.#file((fd) => pack(tar, { hash: 'sha256', compression, fd }));
    const { tarDigest, digest, size } = packed;
    return {
      descriptor: { mediaType, digest: `sha256:${digest}`, size },
      diffId: `sha256:${tarDigest}`,
    };
  }

  /**
   * Adds a layer as it was received, and checks it on the way.
   *
   * @param diffId `sha256:HEX` of its uncompressed tar
   * @throws ImageError `mismatch` for a file that is not that layer, `unsupported` for a compression
   * that OCI does not know
   */
  async keepLayer(path: string, diffId: string): Promise<Blob> {
    const known = this.#kept.get(diffId);
    if (known) return known;
    const compression = await startOf(path);
    const mediaType = compression === 'bzip2' ? undefined : layerTypes[compression];
    if (mediaType === undefined)
      throw new ImageError(
        'unsupported',
        `layer ${diffId} is compressed with ${compression}, which OCI does not know; convert the image to an ACI instead`,
      );
    const { digest, size } = await this.#file((fd) => copyLayer(path, diffId, compression, fd));
    const blob = { mediaType, digest: `sha256:${digest}`, size };
    this.#kept.set(diffId, blob);
    return blob;
  }

  /** Writes config, manifest and index, which completes the layout; returns the manifest's digest. */
  finish(config: Buffer, platform: Platform, layers: readonly Blob[], tag: string): string {
    const manifest = {
      schemaVersion: 2,
      mediaType: manifestType,
      config: this.#document(configType, config),
      layers,
    };
    const descriptor = this.#document(manifestType, Buffer.from(JSON.stringify(manifest)));
    const { os, architecture, variant } = platform;
    const index = {
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [
        {
          ...descriptor,
          annotations: { 'org.opencontainers.image.ref.name': tag },
          platform: { architecture, os, ...(variant !== undefined && { variant }) },
        },
      ],
    };
    this.#write('index.json', JSON.stringify(index));
    this.#write('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    return descriptor.digest;
  }

  #document(mediaType: string, bytes: Buffer): Blob {
    const digest = sha256(bytes);
    this.#write(`blobs/${digest.replace(':', '/')}`, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  #write(name: string, data: string | Buffer): void {
    writeFileSync(join(this.#folder, name), data, { flush: true });
  }

  /** A blob that gets its name from its digest, once that is known. */
  async #file<T extends { digest: string }>(write: (fd: number) => Promise<T>): Promise<T> {
    const partial = join(this.#folder, 'blobs/partial');
    const fd = openSync(partial, 'w', 0o644);
    try {
      const written = await write(fd);
      fsyncSync(fd);
      renameSync(partial, join(this.#folder, 'blobs/sha256', written.digest));
      return written;
    } finally {
      closeSync(fd);
    }
  }
}

/** Starts GNU tar on a finished layout: the same bytes whoever makes it, and when. */
export function startLayoutTar(folder: string): TarStream {
  return spawnTar(`packing ${folder}`, [
    '--create',
    '--format=posix',
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u=rwX,go=rX',
    '--mtime=@0',
    `--directory=${folder}`,
    'oci-layout',
    'index.json',
    'blobs',
  ]);
}

/** Copies a layer's blob to a file. Throws ImageError `mismatch` when it is not that layer. */
async function copyLayer(
  path: string,
  diffId: string,
  compression: ReturnType<typeof compressionOf>,
  fd: number,
): Promise<{ digest: string; size: number }> {
  const [tarHash, fileHash] = [createHash('sha256'), createHash('sha256')];
  let size = 0;
  const copied = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      const bytes = chunk as Buffer;
      fileHash.update(bytes);
      size += bytes.length;
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      yield bytes;
    }
  };
  const damaged = (cause?: unknown) =>
    new ImageError(
      'mismatch',
      `layer ${diffId} is damaged in the store; rkt image verify repairs it`,
      cause,
    );
  try {
    for await (const chunk of decompress(copied(), compression)) tarHash.update(chunk);
  } catch (error) {
    if (error instanceof ImageError && error.code === 'bad-image') throw damaged(error);
    throw error;
  }
  if (`sha256:${tarHash.digest('hex')}` !== diffId || size !== statSync(path).size) throw damaged();
  return { digest: fileHash.digest('hex'), size };
}

async function startOf(path: string): Promise<ReturnType<typeof compressionOf>> {
  for await (const chunk of createReadStream(path, { end: 15 })) return compressionOf(chunk);
  return 'none';
}
