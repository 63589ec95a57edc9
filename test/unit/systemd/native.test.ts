// A bundle in a folder of its own, so that each test decides which packages are beside it.
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { check, native } from '../../../src/os/syscalls.ts';
import { bundleProbe, needsNativePackages } from '../../lib/native.ts';

const PROBE = `
import { readFileSync } from 'node:fs';
import { useNativePackages } from './src/systemd/native.ts';
import { notify } from './src/systemd/notify.ts';
useNativePackages();
notify('READY=1', 'STATUS=\u00e9');
process.stdout.write(String(readFileSync('/proc/self/maps', 'utf8').includes('/notify.node')));
`;

let folder: string;
let socket: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-native-'));
  socket = listen(join(folder, 'socket'));
  await bundleProbe(PROBE, join(folder, 'probe.mjs'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(resolve('node_modules/koffi'), join(folder, 'node_modules/koffi'));
});

afterEach(() => {
  closeSync(socket);
  rmSync(folder, { recursive: true });
});

/** Runs the probe; what came to the socket, and whether sd-notify's native part was loaded. */
async function probe(env: Readonly<Record<string, string>> = {}) {
  const { stdout } = await execa(process.execPath, [join(folder, 'probe.mjs')], {
    env: { NOTIFY_SOCKET: join(folder, 'socket'), ...env },
  });
  return { received: receive(socket), isNative: stdout === 'true' };
}

function putPackage(name: string, code: string, below = join(folder, 'node_modules')): void {
  mkdirSync(join(below, name), { recursive: true });
  writeFileSync(join(below, name, 'index.js'), code);
}

const STATE = 'READY=1\nSTATUS=é';

test('sd-notify notifies where it is compiled', async (context) => {
  needsNativePackages(context);
  symlinkSync(resolve('node_modules/sd-notify'), join(folder, 'node_modules/sd-notify'));
  expect(await probe()).toEqual({ received: STATE, isNative: true });
});

test('a datagram of our own notifies where there is no sd-notify', async () => {
  expect(await probe()).toEqual({ received: STATE, isNative: false });
});

test.each([
  ['does not load', 'throw new Error("compiled for another Node")'],
  ['is another thing', 'module.exports = { notify() {} }'],
  ['is nothing', 'module.exports = null'],
])('a datagram of our own notifies where sd-notify %s', async (_, code) => {
  putPackage('sd-notify', code);
  expect((await probe()).received).toBe(STATE);
});

test('no package is taken from the folders of the environment', async () => {
  const marker = join(folder, 'loaded');
  const code = `require('fs').writeFileSync(${JSON.stringify(marker)}, ''); exports.sendState = () => {}`;
  putPackage('sd-notify', code, join(folder, '.node_modules'));
  const { received } = await probe({ HOME: folder, NODE_PATH: join(folder, '.node_modules') });
  expect(received).toBe(STATE);
  expect(existsSync(marker)).toBe(false);
});

/** unix(7): a socket for datagrams, which Node has none of. */
function listen(path: string): number {
  const [AF_UNIX, SOCK_DGRAM] = [1, 2];
  const create = native('int socket(int domain, int type, int protocol)');
  const fd = check(create(AF_UNIX, SOCK_DGRAM, 0), 'socket', path);
  const bind = native('int bind(int fd, const void *address, unsigned int length)');
  const address = Buffer.from(`${String.fromCharCode(AF_UNIX)}\0${path}\0`);
  check(bind(fd, address, address.length), 'bind', path);
  return fd;
}

/** The datagrams that are there. */
function receive(fd: number): string {
  const MSG_DONTWAIT = 0x40;
  const data = Buffer.alloc(4096);
  const recv = native('long recv(int fd, void *data, size_t size, int flags)');
  const size = check(recv(fd, data, data.length, MSG_DONTWAIT), 'recv', 'a datagram');
  return data.toString('utf8', 0, size);
}
