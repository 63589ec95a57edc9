import { type ByteRange, readDocument, sha256, streamRange } from './byte-range.ts';
import { parseDockerReference } from './docker-reference.ts';
import { ImageError } from './error.ts';
import type { FoundImage } from './local-image.ts';
import { type DockerArchiveManifest, parseDockerArchive } from './oci-schema.ts';

/**
 * Finds an image in what `docker save` writes (moby image spec v1.2, "Combined Image JSON"), also in
 * its later form, where the blobs of an OCI layout are named.
 *
 * A layer is checked against the config's diff id, the config against the digest in its name.
 *
 * @param find the bytes of a file of the archive, by its path there
 * @throws ImageError `bad-image`, `bad-manifest`, `not-found`, `ambiguous`, `mismatch`
 */
export function findInDockerArchive(
  where: string,
  find: (name: string) => ByteRange | undefined,
  tag?: string,
): FoundImage {
  const required = (name: string): ByteRange => {
    const range = find(name);
    if (!range) throw new ImageError('bad-image', `${where} has no ${name}, which it should hold`);
    return range;
  };
  const list = find('manifest.json');
  if (!list)
    throw new ImageError(
      'bad-image',
      `${where} is no archive of docker save: no manifest.json in it (Docker before 1.10 wrote none)`,
    );
  const what = `manifest.json of ${where}`;
  const entry = choose(parseDockerArchive(readDocument(list, what), what), where, tag);
  const found = entry.RepoTags.find((each) => tag === undefined || sameImage(each, tag));

  const config = readDocument(required(entry.Config), `${entry.Config} of ${where}`);
  const configDigest = sha256(config);
  const promised = digestIn(entry.Config);
  if (promised !== undefined && promised !== configDigest)
    throw new ImageError(
      'mismatch',
      `image config ${entry.Config} of ${where} has digest ${configDigest}, not ${promised}`,
    );

  return {
    where,
    transport: 'docker-archive',
    manifests: [],
    signatures: () => [],
    reference: `docker-archive:${where}${found === undefined ? '' : `:${found}`}`,
    ...(found !== undefined && { tag: found }),
    config,
    configDigest,
    layers: entry.Layers.map((name, n) => {
      const range = required(name);
      return { name: `layer ${n + 1} (${name}) of ${where}`, open: () => streamRange(range) };
    }),
  };
}

/** The digest that a config's name promises: `HEX.json`, or `blobs/sha256/HEX`. */
function digestIn(name: string): string | undefined {
  const hex = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1];
  return hex === undefined ? undefined : `sha256:${hex}`;
}

function choose(
  entries: DockerArchiveManifest,
  where: string,
  tag: string | undefined,
): DockerArchiveManifest[number] {
  const wanted =
    tag === undefined
      ? entries
      : entries.filter(({ RepoTags }) => RepoTags.some((each) => sameImage(each, tag)));
  const [first, ...others] = wanted;
  if (first && others.length === 0) return first;
  const choices = entries.map(({ RepoTags, Config }) => RepoTags.join(' = ') || Config).join(', ');
  if (!first) throw new ImageError('not-found', `no image "${tag}" in ${where}: it has ${choices}`);
  throw new ImageError(
    'ambiguous',
    `several images in ${where}, add ":" and one of them: ${choices}`,
  );
}

/** Whether two names mean the same image once Docker's defaults are filled in. */
function sameImage(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    const [x, y] = [parseDockerReference(a), parseDockerReference(b)];
    return x.registry === y.registry && x.repository === y.repository && x.tag === y.tag;
  } catch {
    return false;
  }
}
