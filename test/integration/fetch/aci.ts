import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hostArch } from '../../../src/appc/platform.ts';

export interface AciSpec {
  readonly name: string;
  /** Beside os and arch, which it can override; undefined leaves one out. */
  readonly labels?: Readonly<Record<string, string | undefined>>;
  readonly dependencies?: readonly object[];
  /** Bytes of content that does not compress. */
  readonly size?: number;
}

/** Makes an ACI (gzip) at `path`. */
export function makeAci(path: string, { name, labels, dependencies, size = 10 }: AciSpec): void {
  mkdirSync(dirname(path), { recursive: true });
  const tree = mkdtempSync(`${path}-`);
  mkdirSync(join(tree, 'rootfs'));
  writeFileSync(join(tree, 'rootfs/content'), randomBytes(size));
  const all = { os: 'linux', arch: hostArch(), ...labels };
  const manifest = {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name,
    labels: Object.entries(all).flatMap(([label, value]) =>
      value === undefined ? [] : [{ name: label, value }],
    ),
    ...(dependencies && { dependencies }),
  };
  writeFileSync(join(tree, 'manifest'), JSON.stringify(manifest));
  execFileSync('tar', ['-czf', path, '-C', tree, 'manifest', 'rootfs']);
  rmSync(tree, { recursive: true });
}

/** The key of an ACI: SHA-512 of the uncompressed tar, cut to 64 digits. */
export function keyOf(path: string): string {
  const digest = execFileSync('sh', ['-c', 'gzip -dc | sha512sum'], { input: readFileSync(path) });
  return `sha512-${digest.toString().slice(0, 64)}`;
}
