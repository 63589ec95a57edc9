import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { HttpOptions } from '../../../src/http/client.ts';
import { parseDockerReference } from '../../../src/image/docker-reference.ts';
import { fetchDocker } from '../../../src/image/registry/fetch-docker.ts';
import type { FetchOptions } from '../../../src/image/resolve-options.ts';
import { openStore, type Store, type StoredImage } from '../../../src/image/store.ts';
import { client, withEnvironment } from '../http/server.ts';
import { member } from '../image/tar-maker.ts';

/** A layer of one file. */
export function tarOf(name: string, content: string | Buffer): Buffer {
  return Buffer.concat([member({ name, content }), Buffer.alloc(1024)]);
}

/** An empty store, and an environment without anyone's credentials; both end with the test. */
export function scratchStore(environment: Readonly<Record<string, string>> = {}): Store {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-registry-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const none = { REGISTRY_AUTH_FILE: undefined, DOCKER_CONFIG: undefined };
  withEnvironment({ ...none, HOME: folder, XDG_RUNTIME_DIR: folder, ...environment });
  return openStore(join(folder, 'data'));
}

/** Fetches `HOST/REPOSITORY[:TAG]`, unverified; over plain HTTP unless told otherwise. */
export function fetch(
  store: Store,
  name: string,
  options: Partial<FetchOptions> = {},
  insecure: HttpOptions['insecure'] = { tls: false, http: true },
): Promise<StoredImage> {
  return fetchDocker(store, parseDockerReference(name), {
    client: client({ insecure }),
    pullPolicy: 'new',
    insecure: { image: true },
    warn: () => {},
    ...options,
  });
}

/** Nothing of a refused image may be left. */
export function expectEmptyStore(store: Store): void {
  for (const part of ['image', 'tree', 'blob', 'tmp'] as const)
    expect(existsSync(store.path(part)) ? readdirSync(store.path(part)) : []).toEqual([]);
}
