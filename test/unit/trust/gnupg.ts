import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A real gpg with a home of its own. */
export class Gnupg {
  // Short: the agent's socket lies in it.
  readonly home: string = mkdtempSync(join(tmpdir(), 'gpg-'));

  gpg(args: readonly string[], input?: string | Uint8Array): Buffer {
    return execFileSync('gpg', ['--batch', '--quiet', '--no-tty', '--yes', ...args], {
      env: { ...process.env, GNUPGHOME: this.home },
      stdio: 'pipe',
      ...(input !== undefined && { input }),
    });
  }

  /** Makes a key without passphrase; gives its fingerprint as files are named by it. */
  makeKey(name: string, algorithm = 'ed25519', expires = 'never', options: string[] = []): string {
    const identity = `${name} <${name}@example.com>`;
    const kind = [algorithm, 'sign', expires];
    this.gpg([...options, '--passphrase', '', '--quick-gen-key', identity, ...kind]);
    const [, fingerprint = ''] =
      /^fpr:+([0-9A-F]{40}):/m.exec(
        this.gpg(['--with-colons', '--list-keys', `=${identity}`]).toString(),
      ) ?? [];
    return fingerprint.toLowerCase();
  }

  /** Gives a key a subkey, with which gpg signs from then on. */
  addSigningSubkey(fingerprint: string): void {
    this.gpg(['--passphrase', '', '--quick-add-key', fingerprint, 'ed25519', 'sign', 'never']);
  }

  exportKeys(...keys: string[]): string {
    return this.gpg(['--armor', '--export', ...keys]).toString();
  }

  exportBinary(...keys: string[]): Buffer {
    return this.gpg(['--export', ...keys]);
  }

  sign(data: Uint8Array, key: string, options: readonly string[] = ['--armor']): Buffer {
    return this.gpg([...options, '--local-user', key, '--detach-sign'], data);
  }

  /** The key with its own revocation. */
  exportRevoked(fingerprint: string): string {
    const file = join(this.home, 'openpgp-revocs.d', `${fingerprint.toUpperCase()}.rev`);
    const revocation = join(this.home, 'revocation');
    writeFileSync(revocation, readFileSync(file, 'utf8').replace(/^:-----/m, '-----'));
    this.gpg(['--import', revocation]);
    return this.exportKeys(fingerprint);
  }

  clear(): void {
    execFileSync('gpgconf', ['--homedir', this.home, '--kill', 'all'], { stdio: 'pipe' });
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A gpg that goes away after the file's last test. */
export function startGnupg(): Gnupg {
  const gnupg = new Gnupg();
  afterAll(() => gnupg.clear());
  return gnupg;
}
