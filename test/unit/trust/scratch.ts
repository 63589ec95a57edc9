import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Configuration folders in a scratch folder that goes away with the test. */
export class TrustScratch {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'rkt-trust-'));
  readonly roots = { system: join(this.folder, 'sys'), local: join(this.folder, 'local') };

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Writes a file at a path below the scratch folder; gives the whole path. */
  file(path: string, content: string | Uint8Array): string {
    const whole = join(this.folder, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, content);
    return whole;
  }

  /** Puts a key file into the keyring of `sys` or `local`. */
  key(
    root: 'sys' | 'local',
    prefix: string | undefined,
    name: string,
    content: string | Uint8Array,
  ): string {
    const folder = prefix === undefined ? 'root.d' : `prefix.d/${prefix}`;
    return this.file(`${root}/trustedkeys/${folder}/${name}`, content);
  }
}
