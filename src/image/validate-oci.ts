import { createHash } from 'node:crypto';
import { type ByteRange, readDocument, sha256, streamRange } from './byte-range.ts';
import { compressionOf, decompress } from './decompress.ts';
import { LayerContent } from './layer.ts';
import { configTypes, manifestTypes } from './oci-layout.ts';
import {
  type Descriptor,
  type OciConfig,
  type OciManifest,
  parseConfig,
  parseIndex,
  parseLayout,
  parseManifest,
} from './oci-schema.ts';
import { indexTypes } from './oci-select.ts';
import { collect, problemsOf, type Report, walkTar } from './validate-problems.ts';

type Find = (name: string) => ByteRange | undefined;

/** Where a descriptor stands: its document and the path there. */
interface Place {
  readonly document: string;
  readonly path: string;
}

/** Checks an OCI image layout: its documents, and size, digest and content of all that they name. */
export async function checkLayout(find: Find, report: Report): Promise<void> {
  document(find, 'oci-layout', parseLayout, report);
  const index = document(find, 'index.json', parseIndex, report);
  if (index) await new LayoutCheck(find, report).descriptors(index.manifests, 'index.json');
}

function document<T>(
  find: Find,
  name: string,
  parse: (json: Buffer, where: string) => T,
  report: Report,
): T | undefined {
  return collect(
    () => {
      const range = find(name);
      if (range) return parse(readDocument(range, name), name);
      report({ message: `it has no ${name}` });
      return undefined;
    },
    report,
    name,
  );
}

class LayoutCheck {
  readonly #find: Find;
  readonly #report: Report;
  readonly #seen = new Set<string>();

  constructor(find: Find, report: Report) {
    this.#find = find;
    this.#report = report;
  }

  /** Checks what the list `manifests` of an index names. */
  async descriptors(manifests: readonly Descriptor[], from: string): Promise<void> {
    for (const [n, descriptor] of manifests.entries()) {
      const place = { document: from, path: `$.manifests[${n}]` };
      const isIndex = indexTypes.has(descriptor.mediaType);
      const isManifest = manifestTypes.has(descriptor.mediaType);
      if (this.#isKnown(descriptor.digest)) continue;
      if (!isIndex && !isManifest) await this.#layer(descriptor, place, undefined);
      else if (isIndex) {
        const index = this.#read(descriptor, place, parseIndex);
        if (index) await this.descriptors(index.manifests, blobName(descriptor));
      } else {
        const manifest = this.#read(descriptor, place, parseManifest);
        if (manifest) await this.#manifest(manifest, blobName(descriptor));
      }
    }
  }

  async #manifest({ config, layers }: OciManifest, from: string): Promise<void> {
    const place = { document: from, path: '$.config' };
    let diffIds: OciConfig['rootfs']['diff_ids'] | undefined;
    if (configTypes.has(config.mediaType)) {
      diffIds = this.#read(config, place, parseConfig)?.rootfs.diff_ids;
      if (diffIds && diffIds.length !== layers.length)
        this.#report({
          document: from,
          path: '$.layers',
          message: `has ${layers.length}, but the config names ${diffIds.length}`,
        });
    } else if (!this.#isKnown(config.digest)) await this.#layer(config, place, undefined);
    for (const [n, layer] of layers.entries()) {
      const diffId = diffIds?.[n];
      if (!this.#isKnown(`${layer.digest} ${diffId}`))
        await this.#layer(layer, { document: from, path: `$.layers[${n}]` }, diffId);
    }
  }

  /** Reads a document that a descriptor names; undefined, and reported, when it is not sound. */
  #read<T>(
    descriptor: Descriptor,
    place: Place,
    parse: (json: Buffer, where: string) => T,
  ): T | undefined {
    const range = this.#sized(descriptor, place);
    if (!range) return undefined;
    const name = blobName(descriptor);
    const bytes = collect(() => readDocument(range, name), this.#report, name);
    if (!bytes || !this.#sameDigest(sha256(bytes), descriptor, place)) return undefined;
    return collect(() => parse(bytes, name), this.#report, name);
  }

  /** Checks the bytes of a blob and, with a diff id, that they are that layer. */
  async #layer(descriptor: Descriptor, place: Place, diffId: string | undefined): Promise<void> {
    const range = this.#sized(descriptor, place);
    if (!range) return;
    const hash = createHash('sha256');
    for await (const chunk of streamRange(range)) hash.update(chunk);
    if (!this.#sameDigest(`sha256:${hash.digest('hex')}`, descriptor, place)) return;
    if (diffId === undefined) return;
    const report: Report = (problem) => this.#report({ ...place, ...problem });
    try {
      const found = await walkLayer(range, report);
      if (found !== diffId)
        report({ message: `has diff id ${found}, but its config says ${diffId}` });
    } catch (error) {
      for (const problem of problemsOf(error)) report(problem);
    }
  }

  #sized(descriptor: Descriptor, place: Place): ByteRange | undefined {
    const { digest, size } = descriptor;
    const range = this.#find(blobName(descriptor));
    if (!range) this.#wrong(place, 'digest', `the blob ${digest} is missing`);
    else if (range.size !== size) {
      this.#wrong(
        place,
        'size',
        `must be ${range.size}, which the blob ${digest} has, not ${size}`,
      );
      return undefined;
    }
    return range;
  }

  #sameDigest(actual: string, { digest }: Descriptor, place: Place): boolean {
    if (actual === digest) return true;
    this.#wrong(place, 'digest', `the blob ${digest} has digest ${actual}`);
    return false;
  }

  #wrong({ document, path }: Place, member: string, message: string): void {
    this.#report({ document, path: `${path}.${member}`, message });
  }

  #isKnown(what: string): boolean {
    const known = this.#seen.has(what);
    this.#seen.add(what);
    return known;
  }
}

/** Checks what a layer holds; returns its diff id. */
async function walkLayer(range: ByteRange, report: Report): Promise<string> {
  const start = streamRange({ ...range, size: Math.min(range.size, 16) });
  let compression: ReturnType<typeof compressionOf> = 'none';
  for await (const chunk of start) compression = compressionOf(chunk);
  const hash = createHash('sha256');
  const content = new LayerContent();
  const hashed = async function* (bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const plain = hashed(decompress(streamRange(range), compression));
  await walkTar(plain, content, report, () => undefined);
  collect(() => content.finish(), report);
  return `sha256:${hash.digest('hex')}`;
}

function blobName({ digest }: Descriptor): string {
  return `blobs/${digest.replace(':', '/')}`;
}
