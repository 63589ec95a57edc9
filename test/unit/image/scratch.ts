import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openStore, type Store } from '../../../src/image/store.ts';

/** A folder that goes away with the test. */
export function scratchFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'rkt-image-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** An empty store, and a way to write files beside it. */
export function scratch(): {
  store: Store;
  folder: string;
  file(name: string, data: Buffer): string;
} {
  const folder = scratchFolder();
  return {
    folder,
    store: openStore(join(folder, 'data')),
    file(name, data) {
      const path = join(folder, name);
      writeFileSync(path, data);
      return path;
    },
  };
}
