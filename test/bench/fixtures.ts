import { createCipheriv } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';

export const IMAGE = 'bench.example/idle';
export const APP = 'idle';

/** rkt with a data folder of its own. */
export function rkt(node: string, bench: string, dataDir: string): string[] {
  return [node, join(bench, 'dist/rkt'), `--dir=${dataDir}`, '--insecure-options=image'];
}

/** A folder with a root file system of Debian's static busybox alone: WORK/image/rootfs. */
export function makeRootfs(work: string): string {
  const rootfs = join(work, 'image/rootfs');
  mkdirSync(join(rootfs, 'bin'), { recursive: true });
  cpSync('/bin/busybox', join(rootfs, 'bin/busybox'), { dereference: true });
  for (const name of ['true', 'sleep']) symlinkSync('busybox', join(rootfs, 'bin', name));
  writeManifest(join(work, 'image'), ['/bin/true']);
  return rootfs;
}

function writeManifest(folder: string, exec: readonly string[]): void {
  const manifest = {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: IMAGE,
    labels: [
      { name: 'os', value: 'linux' },
      { name: 'arch', value: process.arch === 'arm64' ? 'aarch64' : 'amd64' },
    ],
    app: { exec, user: '0', group: '0' },
  };
  writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest));
}

/** An uncompressed ACI, made of a folder with `manifest` and `rootfs`. */
export function buildAci(rkt: readonly string[], folder: string, aci: string): void {
  run([...rkt, 'image', 'build', '--compression=none', folder, aci]);
}

/** Copies of a finished pod, until the data folder has `count` pods. */
export function multiplyPods(dataDir: string, count: number): void {
  const folder = join(dataDir, 'pods/run');
  const [pod = ''] = readdirSync(folder);
  for (let n = readdirSync(folder).length; n < count; n++) {
    const uuid = readFileSync('/proc/sys/kernel/random/uuid', 'utf8').trim();
    run(['cp', '-a', join(folder, pod), join(folder, uuid)]);
  }
}

/**
 * An image of 300 MB in WORK/big, the same bytes each time: 12,000 files of up to 16 KiB in 240
 * folders, and 20 files of 10 MB.
 */
export function makeBigImage(work: string): string {
  const folder = join(work, 'big');
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'rkt'), Buffer.alloc(16));
  const bytes = (count: number) => stream.update(Buffer.alloc(count));
  for (let n = 0; n < 240; n++) {
    const parent = join(folder, `rootfs/usr/share/part${n % 12}/folder${n}`);
    mkdirSync(parent, { recursive: true });
    for (let file = 0; file < 50; file++)
      writeFileSync(join(parent, `file${file}`), bytes(bytes(2).readUInt16LE() >> 2));
  }
  mkdirSync(join(folder, 'rootfs/usr/lib'));
  for (let n = 0; n < 20; n++)
    writeFileSync(join(folder, `rootfs/usr/lib/lib${n}.so`), bytes(10_000_000));
  writeManifest(folder, ['/usr/lib/lib0.so']);
  return folder;
}
