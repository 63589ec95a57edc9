import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importAci } from '../../../src/image/import-aci.ts';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { archive, MANIFEST, type Member, rootfs } from './tar-maker.ts';

/** An ACI of this name whose manifest has these fields too. */
export function aciOf(
  name: string,
  fields: Readonly<Record<string, unknown>> = {},
  members: readonly (Member | Buffer)[] = [],
): Buffer {
  const content = JSON.stringify({
    ...JSON.parse(MANIFEST),
    name: `example.com/${name}`,
    labels: [
      { name: 'version', value: '1.0' },
      { name: 'os', value: 'linux' },
      { name: 'arch', value: 'amd64' },
    ],
    ...fields,
  });
  return archive([{ name: 'manifest', content }, rootfs, ...members]);
}

export function folder(path: string, mode = 0o755): Member {
  return { name: `rootfs/${path}`, type: '5', mode };
}

export function file(path: string, content = path): Member {
  return { name: `rootfs/${path}`, content };
}

export function dependsOn(...names: string[]): { dependencies: { imageName: string }[] } {
  return { dependencies: names.map((name) => ({ imageName: `example.com/${name}` })) };
}

let count = 0;

/** Imports an ACI from bytes. */
export async function store(into: Store, bytes: Buffer): Promise<StoredImage> {
  into.create();
  const path = join(into.dataDir, `image-${count++}.aci`);
  writeFileSync(path, bytes);
  return importAci(into, path);
}
