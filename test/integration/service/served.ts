import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll } from 'vitest';
import type { Host } from '../../lib/host.ts';
import { LayoutMaker } from '../../unit/image/layout-maker.ts';
import { archive } from '../../unit/image/tar-maker.ts';
import { makeTree, run } from '../convert/trees.ts';
import { python, shell } from './installed.ts';

/** The image of `serveImage`. */
export const IMAGE = 'docker://127.0.0.1:8080/all';

/** Serves an image that has all that an archive may hold, from a registry of the host's. */
export function serveImage(host: Host): void {
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rkt-sandbox-'));
    makeRegistry(folder);
    run('tar', '-cf', join(folder, 'v2.tar'), '-C', folder, 'v2');
    await host.writeFile('/srv/registry/v2.tar', readFileSync(join(folder, 'v2.tar')));
    rmSync(folder, { recursive: true });
    const script = new URL('./server.mjs', import.meta.url);
    await host.writeFile('/srv/server.mjs', readFileSync(script));
    await shell(
      host,
      `tar -xf /srv/registry/v2.tar -C /srv/registry
     systemd-run --unit=registry node /srv/server.mjs /srv/registry 8080
     until curl -s http://127.0.0.1:8080/; do sleep 0.1; done`,
    );
  });
}

/** An image that has all that an archive may hold, as a registry has it. */
function makeRegistry(folder: string): void {
  const root = join(folder, 'root');
  makeTree(root);
  mkdirSync(join(root, 'opaque'));
  writeFileSync(join(root, 'opaque/hidden'), 'x');
  const flags = ['--format=pax', '--sparse', '--acls', '--xattrs', '--xattrs-include=*'];
  run('tar', ...flags, '--numeric-owner', '-cf', join(folder, 'lower'), '-C', root, '.');
  const layout = new LayoutMaker(join(folder, 'layout'));
  const upper = archive([
    { name: 'etc/.wh.noted' },
    { name: 'opaque/', type: '5' },
    { name: 'opaque/.wh..wh..opq' },
    { name: 'opaque/shown', content: 'y' },
  ]);
  const manifest = layout.image([readFileSync(join(folder, 'lower')), upper]);
  const served = join(folder, 'v2/all');
  for (const kind of ['manifests', 'blobs']) mkdirSync(join(served, kind), { recursive: true });
  writeFileSync(join(served, 'manifests/latest'), layout.read(manifest));
  const blobs = join(folder, 'layout/blobs/sha256');
  for (const name of readdirSync(blobs))
    writeFileSync(join(served, 'blobs', `sha256:${name}`), readFileSync(join(blobs, name)));
}

/**
 * Fetches in a worker: how that ends, and what is told of it.
 *
 * @param meanwhile a line of Python, for when something has come
 */
export async function fetchInWorker(host: Host, meanwhile = 'pass'): Promise<string> {
  const { stdout, stderr } = await python(
    host,
    `from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy
import subprocess
Proxy(message_bus, connection).AddMatch(MatchRule(type='signal', sender='io.rkt.Rkt1'))
has_come = False
with open_dbus_connection(bus='SYSTEM') as other:
    options = {'insecure-options': ('as', ['http', 'image'])}
    reply = other.send_and_get_reply(message('Fetch', 'sa{sv}', '${IMAGE}', options), timeout=60)
if reply.header.message_type == MessageType.error:
    print(reply.body[0])
while reply.header.message_type != MessageType.error:
    signal = connection.receive(timeout=60)
    if signal.header.fields.get(1) != reply.body[1]:
        continue
    if signal.header.fields[3] == 'PropertiesChanged' and not has_come and signal.body[1]['Progress'][1] > 0:
        has_come = True
        ${meanwhile}
    if signal.header.fields[3] == 'Finished':
        print(signal.body[0], *(value[1] for value in signal.body[1].values()))
        break`,
  );
  return stdout === '' ? stderr : stdout.trimEnd();
}
