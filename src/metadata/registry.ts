import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageManifest, PodManifest } from '../appc/index.ts';
import { ensureFolder, writeFileAtomic } from '../os/files.ts';

/** What the service knows of a pod. */
export interface Registration {
  readonly uuid: string;
  readonly token: string;
  readonly manifest: PodManifest;
  /** The manifest of each app's image, by the app's name. */
  readonly images: Readonly<Record<string, ImageManifest>>;
}

const KEY_BYTES = 64;

/**
 * The registered pods and the key that signatures are made with, in files of their own, so that
 * the service can end when nobody needs it and a signature still verifies tomorrow.
 */
export class Registry {
  readonly #folder: string;
  readonly #key: Buffer;
  readonly #byToken = new Map<string, Registration>();

  constructor(folder: string) {
    this.#folder = folder;
    ensureFolder(join(folder, 'pods'), 0o700);
    this.#key = this.#readKey();
    for (const name of readdirSync(join(folder, 'pods'))) {
      if (!name.endsWith('.json')) continue;
      const registration: Registration = JSON.parse(
        readFileSync(join(folder, 'pods', name), 'utf8'),
      );
      this.#byToken.set(registration.token, registration);
    }
  }

  byToken(token: string): Registration | undefined {
    return this.#byToken.get(token);
  }

  byUuid(uuid: string): Registration | undefined {
    return [...this.#byToken.values()].find((registration) => registration.uuid === uuid);
  }

  /** Remembers a pod, in place of what was known of it. */
  put(registration: Registration): void {
    this.#forget(registration.uuid);
    writeFileAtomic(this.#file(registration.uuid), JSON.stringify(registration), 0o600);
    this.#byToken.set(registration.token, registration);
  }

  /** False when there is no such pod. */
  remove(uuid: string): boolean {
    if (!this.byUuid(uuid)) return false;
    rmSync(this.#file(uuid), { force: true });
    this.#forget(uuid);
    return true;
  }

  /** HMAC-SHA512 over the pod's UUID and the content, in base64. */
  sign(uuid: string, content: string): string {
    return this.#hmac(uuid, content).toString('base64');
  }

  verify(uuid: string, content: string, signature: string): boolean {
    const expected = this.#hmac(uuid, content);
    const given = Buffer.from(signature, 'base64');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #hmac(uuid: string, content: string): Buffer {
    const hmac = createHmac('sha512', this.#key);
    return hmac
      .update(Buffer.from(uuid.replaceAll('-', ''), 'hex'))
      .update(content)
      .digest();
  }

  #readKey(): Buffer {
    const file = join(this.#folder, 'key');
    if (!existsSync(file)) writeFileAtomic(file, randomBytes(KEY_BYTES), 0o600);
    return readFileSync(file);
  }

  #forget(uuid: string): void {
    const known = this.byUuid(uuid);
    if (known) this.#byToken.delete(known.token);
  }

  #file(uuid: string): string {
    return join(this.#folder, 'pods', `${uuid}.json`);
  }
}
