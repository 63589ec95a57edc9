/** Operating systems and architectures that the spec names (spec: aci.md, "Image Manifest Schema"). */
import { endianness } from 'node:os';
import { AppcError } from './error.ts';
import type { NameValue } from './types.ts';

const architectures: Readonly<Record<string, readonly string[]>> = {
  linux: [
    'amd64',
    'i386',
    'aarch64',
    'aarch64_be',
    'armv6l',
    'armv7l',
    'armv7b',
    'ppc64',
    'ppc64le',
    's390x',
  ],
  freebsd: ['amd64', 'i386', 'arm'],
  darwin: ['x86_64', 'i386'],
};

/** What a kernel and CPU of the first kind run beside their own code. */
const alsoRuns: Readonly<Record<string, readonly string[]>> = {
  amd64: ['i386'],
  aarch64: ['armv7l', 'armv6l'],
  aarch64_be: ['armv7b'],
  armv7l: ['armv6l'],
};

/** The value of a label, of the first where there are several; undefined without it. */
export function labelValue(labels: readonly NameValue[], name: string): string | undefined {
  return labels.find((label) => label.name === name)?.value;
}

/** Why the labels `os` and `arch` do not go together, or undefined. Without `os` all is right. */
export function platformProblem(labels: readonly NameValue[]): string | undefined {
  const os = labelValue(labels, 'os');
  const arch = labelValue(labels, 'arch');
  if (os === undefined) return undefined;
  const valid = Object.hasOwn(architectures, os) ? architectures[os] : undefined;
  if (valid === undefined)
    return `bad os "${os}", must be one of ${Object.keys(architectures).join(', ')}`;
  if (arch !== undefined && !valid.includes(arch))
    return `bad arch "${arch}" for ${os}, must be one of ${valid.join(', ')}`;
  return undefined;
}

/** The spec's name of the architecture that this process runs on; Node's name if it has none. */
export function hostArch(): string {
  switch (process.arch) {
    case 'x64':
      return 'amd64';
    case 'ia32':
      return 'i386';
    case 'arm64':
      return endianness() === 'LE' ? 'aarch64' : 'aarch64_be';
    case 'arm':
      return endianness() === 'LE' ? 'armv7l' : 'armv7b';
    case 'ppc64':
      return endianness() === 'LE' ? 'ppc64le' : 'ppc64';
    default:
      return process.arch;
  }
}

/**
 * Checks that an image can run on this host.
 *
 * @throws AppcError `platform` when the label os or arch is missing or names another platform
 */
export function checkRunnable(labels: readonly NameValue[], host = hostArch()): void {
  const os = labelValue(labels, 'os');
  const arch = labelValue(labels, 'arch');
  if (os === undefined)
    throw new AppcError('platform', 'missing os label in the image manifest, must be linux');
  if (arch === undefined)
    throw new AppcError(
      'platform',
      `missing arch label in the image manifest, must be one of ${runnable(host).join(', ')}`,
    );
  if (os !== 'linux')
    throw new AppcError('platform', `image is for os "${os}", this host runs linux only`);
  if (!runnable(host).includes(arch))
    throw new AppcError(
      'platform',
      `image is for arch "${arch}", this host runs ${runnable(host).join(', ')}`,
    );
}

/** The architectures that a host runs, its own first. */
export function runnable(host: string): string[] {
  return [host, ...(alsoRuns[host] ?? [])];
}
