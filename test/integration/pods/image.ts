import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** The name of the image that every test has: a busybox whose arguments are a shell script. */
export const BOX = 'example.org/box';

/** A file's text, a symlink, or either with mode and owner; `folder` makes a folder. */
export type Entry =
  | string
  | { readonly link: string }
  | {
      readonly text?: string;
      readonly folder?: true;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
    };

export interface ImageSpec {
  readonly name?: string;
  /** Overrides of the app section, which runs `/bin/sh -c` as root. */
  readonly app?: Readonly<Record<string, unknown>>;
  /** By absolute path in the root; they come on top of busybox in /bin. */
  readonly files?: Readonly<Record<string, Entry>>;
  readonly annotations?: readonly { name: string; value: string }[];
  readonly busybox?: false;
}

const PROGRAMS =
  'sh cat chroot date dd echo env false find grep hostname id ip kill ln ls mkdir mkfifo mount mv nc od ps pwd readlink rm sed setsid sha256sum sleep sort stat stty sync tail test touch true tty umount unshare vi wc';

/** The Debian architecture's name is not appc's. */
const ARCH = process.arch === 'arm64' ? 'aarch64' : 'amd64';

/** Packs an image as `FOLDER/FILE.aci`, by tar; gives its path. */
export function packImage(folder: string, spec: ImageSpec): string {
  const tree = mkdtempSync(join(folder, 'image-'));
  const root = join(tree, 'rootfs');
  mkdirSync(join(root, 'bin'), { recursive: true });
  if (spec.busybox !== false) {
    copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
    for (const name of PROGRAMS.split(' ')) symlinkSync('busybox', join(root, 'bin', name));
  }
  for (const [path, entry] of Object.entries(spec.files ?? {})) write(join(root, path), entry);
  writeFileSync(join(tree, 'manifest'), JSON.stringify(imageManifest(spec)));
  execFileSync('tar', ['-cf', `${tree}.aci`, '-C', tree, 'manifest', 'rootfs']);
  rmSync(tree, { recursive: true });
  return `${tree}.aci`;
}

function imageManifest({ name, app, annotations }: ImageSpec): unknown {
  return {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: name ?? BOX,
    labels: [
      { name: 'version', value: '1.0' },
      { name: 'os', value: 'linux' },
      { name: 'arch', value: ARCH },
    ],
    annotations: annotations ?? [],
    app: { exec: ['/bin/sh', '-c'], user: '0', group: '0', ...app },
  };
}

function write(path: string, entry: Entry): void {
  mkdirSync(dirname(path), { recursive: true });
  if (typeof entry === 'string') {
    writeFileSync(path, entry);
  } else if ('link' in entry) {
    symlinkSync(entry.link, path);
  } else {
    if (entry.folder) mkdirSync(path, { recursive: true });
    else writeFileSync(path, entry.text ?? '');
    chownSync(path, entry.uid ?? 0, entry.gid ?? 0);
    chmodSync(path, entry.mode ?? (entry.folder ? 0o755 : 0o644));
  }
}
