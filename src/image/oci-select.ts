import { hostArch, runnable } from '../appc/platform.ts';
import { type ByteRange, readDocument, readVerified } from './byte-range.ts';
import { ImageError } from './error.ts';
import { archLabel } from './oci-config.ts';
import { type Descriptor, type OciIndex, type Platform, parseIndex } from './oci-schema.ts';

/** A place that holds blobs by digest: a layout folder or an archive of one. */
export interface BlobSource {
  /** Its path, for messages. */
  readonly where: string;
  readonly index: ByteRange;
  find(digest: string): ByteRange | undefined;
}

/** The manifest of one image, and the name that the index has for it. */
export interface Candidate {
  readonly descriptor: Descriptor;
  /** `TAG`, or a whole `NAME:TAG`. */
  readonly tag?: string;
  /** The entry of index.json that it was found below, when that is an index itself. */
  readonly index?: Descriptor;
}

export const indexTypes: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);

/**
 * Chooses an image: the one of this tag (or digest) if one is asked for, else the only one; and
 * where there is one per platform, that of this host. Indexes in the index are followed.
 *
 * @throws ImageError `not-found`, `ambiguous` with the choices, and as for reading the indexes
 */
export function chooseManifest(
  source: BlobSource,
  tag?: string,
  arches: readonly string[] = runnable(hostArch()),
): Candidate {
  const { where } = source;
  const all = readIndex(source, source.index);
  const wanted = all.filter((each) =>
    tag === undefined ? !isSignature(each) : namesOf(each).includes(tag),
  );
  if (countOf(wanted.filter(isIndex)) > maxIndexes)
    throw ambiguous(wanted.map(named), where, addTag);
  const candidates = leaves(source, wanted);
  const [first, ...others] = candidates;
  if (!first) {
    const has = all.length === 0 ? 'it is empty' : `it has ${choices(all.map(named))}`;
    const what = tag === undefined ? 'image' : `image "${tag}"`;
    throw new ImageError('not-found', `no ${what} in ${where}: ${has}`);
  }
  if (others.length === 0) return first;
  return chooseForHost(candidates, where, addTag, arches);
}

const addTag = 'add ":" and one of them';

/**
 * Chooses among several images that of this host.
 *
 * @param hint what a user can do where several fit
 * @throws ImageError `not-found`, `ambiguous` with the choices
 */
export function chooseForHost(
  candidates: readonly Candidate[],
  where: string,
  hint: string,
  arches: readonly string[] = runnable(hostArch()),
): Candidate {
  const fitting = forHost(candidates, arches);
  if (fitting[0] && fitting.length === 1) return fitting[0];
  if (fitting.length === 0 && candidates.every(({ descriptor }) => descriptor.platform))
    throw new ImageError(
      'not-found',
      `no image for linux on ${arches.join(' or ')} in ${where}: it has ${choices(candidates)}`,
    );
  const several = fitting.length > 0 ? fitting : candidates;
  throw ambiguous(several, where, hint);
}

function ambiguous(several: readonly Candidate[], where: string, hint: string): ImageError {
  return new ImageError('ambiguous', `several images in ${where}, ${hint}: ${choices(several)}`);
}

/** Reads the blob of a descriptor. Throws ImageError `not-found`, `mismatch`, `bad-image`, `io`. */
export function readBlob(source: BlobSource, descriptor: Descriptor, kind: string): Buffer {
  const what = `${kind} ${descriptor.digest} of ${source.where}`;
  return readVerified(findBlob(source, descriptor, kind), descriptor, what);
}

/** Where the blob of a descriptor is. Throws ImageError `not-found`. */
export function findBlob(source: BlobSource, { digest }: Descriptor, kind: string): ByteRange {
  const range = source.find(digest);
  if (!range)
    throw new ImageError('not-found', `${kind} ${digest} is missing from ${source.where}`);
  return range;
}

/** The entries of a layout's index. Throws ImageError. */
export function entriesOf(source: BlobSource): readonly Descriptor[] {
  return readIndex(source, source.index);
}

function readIndex(source: BlobSource, range: ByteRange): OciIndex['manifests'] {
  const what = `index.json of ${source.where}`;
  return parseIndex(readDocument(range, what), what).manifests;
}

/** What `cosign save` notes of the entries of a layout's index. */
const kindOf = 'kind';
const [signatureKind, ...otherKinds] = ['sigs', 'atts', 'sboms'].map(
  (kind) => `dev.cosignproject.cosign/${kind}`,
);
/** What cosign tags signatures of an image with, and whoever copies them. */
const tagForm = /^sha256-[0-9a-f]{64}\.(sig|att|sbom)$/;

/** Whether an entry of a layout's index is no image, but what cosign says of one. */
export function isSignature(entry: Descriptor): boolean {
  const kind = entry.annotations[kindOf] ?? '';
  return kind === signatureKind || otherKinds.includes(kind) || tagForm.test(refName(entry));
}

/** Whether an entry of a layout's index is what cosign has of signatures over a manifest, or may be. */
export function mayBeSignatureOf(entry: Descriptor, digest: string): boolean {
  const tag = refName(entry);
  return tagForm.test(tag)
    ? tag === `${digest.replace(':', '-')}.sig`
    : entry.annotations[kindOf] === signatureKind;
}

function refName({ annotations }: Descriptor): string {
  return annotations['org.opencontainers.image.ref.name'] ?? '';
}

/** More than these in one place are nothing that anybody can want to list. */
const [maxImages, maxIndexes, maxMebibytes] = [10_000, 100, 16];

/** Keeps indexes of indexes from filling the memory; each of its methods throws ImageError `bad-image`. */
export class IndexLimits {
  readonly #where: string;
  #indexes = 0;
  #bytes = 0;

  constructor(where: string) {
    this.#where = where;
  }

  /** One more index, of so many bytes, is about to be read. */
  addIndex(size: number): void {
    this.#bytes += size;
    this.#check(++this.#indexes <= maxIndexes, `more than ${maxIndexes} image indexes`);
    if (this.#bytes > maxMebibytes * 2 ** 20)
      throw new ImageError(
        'bad-image',
        `${this.#where}: its image indexes have more than ${maxMebibytes} MiB`,
      );
  }

  checkImages(count: number): void {
    this.#check(count <= maxImages, `more than ${maxImages} images`);
  }

  #check(isAllowed: boolean, what: string): void {
    if (!isAllowed) throw new ImageError('bad-image', `${this.#where} has ${what}`);
  }
}

/** All manifests below some descriptors, each once, however deep the indexes are nested. */
function leaves(source: BlobSource, descriptors: readonly Descriptor[]): Candidate[] {
  const queue = descriptors.map(named);
  const limits = new IndexLimits(source.where);
  const found: Candidate[] = [];
  const seen = new Set<string>();
  for (const candidate of queue) {
    const { descriptor } = candidate;
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    if (!isIndex(descriptor)) {
      found.push(candidate);
      limits.checkImages(found.length);
      continue;
    }
    limits.addIndex(descriptor.size);
    const where = `image index ${descriptor.digest} of ${source.where}`;
    const nested = parseIndex(readBlob(source, descriptor, 'image index'), where);
    const index = candidate.index ?? descriptor;
    queue.push(...nested.manifests.map((child) => ({ ...candidate, descriptor: child, index })));
  }
  return found;
}

function isIndex({ mediaType }: Descriptor): boolean {
  return indexTypes.has(mediaType);
}

function countOf(descriptors: readonly Descriptor[]): number {
  return new Set(descriptors.map(({ digest }) => digest)).size;
}

/** An entry of the index, by its fullest name. */
function named(descriptor: Descriptor): Candidate {
  const tag = namesOf(descriptor)[0];
  return { descriptor, ...(tag !== descriptor.digest && tag !== undefined && { tag }) };
}

/** What a user may call an entry of the index, the fullest first. */
function namesOf({ annotations, digest }: Descriptor): string[] {
  return [
    annotations['io.containerd.image.name'],
    annotations['org.opencontainers.image.ref.name'],
    digest,
  ].filter((name) => name !== undefined);
}

/** Those that the host runs best: of its own architecture, if there are any. */
function forHost(candidates: readonly Candidate[], arches: readonly string[]): Candidate[] {
  for (const arch of arches) {
    const fitting = candidates.filter(({ descriptor: { platform } }) => fits(platform, arch));
    if (fitting.length > 0) return fitting;
  }
  return [];
}

function fits(platform: Platform | undefined, arch: string): boolean {
  if (platform?.os !== 'linux' || archLabel(platform) !== arch) return false;
  // amd64's variants v2 and up need a newer CPU than the label promises.
  return arch !== 'amd64' || platform.variant === undefined || platform.variant === 'v1';
}

const maxChoices = 50;

/** What there is to choose from; of a long list the beginning. */
function choices(candidates: readonly Candidate[]): string {
  const more = candidates.length - maxChoices;
  const shown = candidates
    .slice(0, maxChoices)
    .map(({ tag, descriptor: { digest, platform } }) => {
      const parts = [platform?.os, platform?.architecture, platform?.variant];
      const on = platform ? ` (${parts.filter((part) => part !== undefined).join('/')})` : '';
      return `${tag ?? digest}${on}`;
    })
    .join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}
