import {
  createReadStream,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJson } from '../appc/json.ts';
import { parseImageManifest, validateImageManifest, validatePodManifest } from '../appc/parse.ts';
import { wholeFile } from './byte-range.ts';
import { compressionOf, decompress } from './decompress.ts';
import { ImageError } from './error.ts';
import { AciContent, whyNoTar } from './import-aci.ts';
import { firstMember, openArchive } from './oci-archive.ts';
import { openStore } from './store.ts';
import { badTar } from './tar-headers.ts';
import { checkLayout } from './validate-oci.ts';
import {
  collect,
  type FileProblem,
  problemsOf,
  type Report,
  walkTar,
} from './validate-problems.ts';

export type ValidKind =
  | 'image manifest'
  | 'pod manifest'
  | 'ACI layout'
  | 'ACI'
  | 'OCI layout'
  | 'OCI archive';

export interface Validation {
  readonly file: string;
  /** What it is or tries to be; undefined when that can't be told. */
  readonly kind: ValidKind | undefined;
  /** Empty for a valid file. */
  readonly problems: readonly FileProblem[];
}

const PROBLEM_LIMIT = 100;
const MANIFEST_LIMIT = 16 << 20;

/**
 * Checks a manifest, an ACI or its layout, or an OCI layout or archive, as its content tells, and
 * collects all that is wrong. Nothing is unpacked; root is not needed.
 */
export async function validateFile(file: string): Promise<Validation> {
  let kind: ValidKind | undefined;
  const problems: FileProblem[] = [];
  const report = (problem: FileProblem): void => {
    if (problems.length === PROBLEM_LIMIT)
      throw new ImageError(
        'bad-image',
        `more than ${PROBLEM_LIMIT} problems, the rest is left out`,
      );
    problems.push(problem);
  };
  try {
    const found = await kindOf(file);
    if (found !== 'manifest') kind = found;
    if (found === 'manifest') kind = checkManifest(file, report);
    else if (found === 'ACI') await checkAci(file, report);
    else if (found === 'ACI layout') checkAciLayout(file, report);
    else if (found === 'OCI layout')
      await checkLayout((name) => wholeFile(join(file, name)), report);
    else await checkArchive(file, report);
  } catch (error) {
    problems.push(...problemsOf(error));
  }
  return { file, kind, problems };
}

async function kindOf(
  file: string,
): Promise<Exclude<ValidKind, `${string} manifest`> | 'manifest'> {
  const stats = statSync(file);
  if (stats.isDirectory())
    return existsSync(join(file, 'oci-layout')) ? 'OCI layout' : 'ACI layout';
  if (!stats.isFile()) throw new ImageError('bad-image', 'it is neither a file nor a folder');
  const start = await startOf(file);
  const isTar = start.toString('latin1', 257, 262) === 'ustar' || compressionOf(start) !== 'none';
  if (file.endsWith('.aci') && !/^\s*\{/.test(start.toString('latin1'))) return 'ACI';
  if (!isTar) return 'manifest';
  const first = await firstMember(file);
  if (first === undefined || first === 'manifest' || first.split('/')[0] === 'rootfs') return 'ACI';
  return 'OCI archive';
}

async function startOf(file: string): Promise<Buffer> {
  for await (const chunk of createReadStream(file, { end: 511 })) return chunk;
  return Buffer.alloc(0);
}

function checkManifest(file: string, report: Report): ValidKind | undefined {
  if (statSync(file).size > MANIFEST_LIMIT)
    throw new ImageError('bad-image', 'it is neither an image nor a manifest: too large for one');
  const value = parseJson(readFileSync(file, 'utf8'), 'manifest');
  const kind = typeof value === 'object' && value !== null && 'acKind' in value && value.acKind;
  const validate = kind === 'PodManifest' ? validatePodManifest : validateImageManifest;
  if (kind !== 'ImageManifest' && kind !== 'PodManifest') {
    const message = 'must be "ImageManifest" or "PodManifest"';
    report({ path: '$.acKind', message });
    return undefined;
  }
  collect(() => validate(value), report);
  return kind === 'PodManifest' ? 'pod manifest' : 'image manifest';
}

function checkAciLayout(folder: string, report: Report): void {
  for (const name of readdirSync(folder).sort())
    if (name !== 'manifest' && name !== 'rootfs')
      report({ message: `${JSON.stringify(name)} is neither "manifest" nor "rootfs"` });
  const [manifest, rootfs] = ['manifest', 'rootfs'].map((name) =>
    lstatSync(join(folder, name), { throwIfNoEntry: false }),
  );
  if (!manifest) report({ message: 'it has no "manifest"' });
  else if (!manifest.isFile()) report({ message: 'its "manifest" is no regular file' });
  else
    collect(
      () => parseImageManifest(readFileSync(join(folder, 'manifest'), 'utf8')),
      report,
      'manifest',
    );
  if (!rootfs) report({ message: 'it has no "rootfs"' });
  else if (!rootfs.isDirectory()) report({ message: 'its "rootfs" is no folder' });
}

async function checkAci(file: string, report: Report): Promise<void> {
  const compression = compressionOf(await startOf(file));
  const bytes = decompress(createReadStream(file, { highWaterMark: 1 << 20 }), compression);
  const content = new AciContent();
  await walkTar(bytes, content, report, whyNoTar);
  collect(() => content.finish(), report, 'manifest');
}

async function checkArchive(file: string, report: Report): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'rkt-validate-'));
  try {
    const { find, close } = await openArchive(openStore(scratch), file);
    try {
      if (find('oci-layout')) return await checkLayout(find, report);
    } finally {
      close();
    }
    throw badTar('it is a tar, but neither an ACI nor an OCI archive');
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
