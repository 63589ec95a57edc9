import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { moveOwners } from '../../../src/os/move-owners.ts';
import { native } from '../../../src/os/syscalls.ts';

const scratch = mkdtempSync(join(tmpdir(), 'rkt-owners-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const THERE = { from: 0, to: 700_000, count: 65_536 };
const BACK = { from: 700_000, to: 0, count: 65_536 };

/** A folder with one file that belongs to somebody. */
function folder(): { path: string; file: string } {
  const path = mkdtempSync(join(scratch, 'x-'));
  const file = join(path, 'file');
  writeFileSync(file, '');
  chownSync(file, 5, 6);
  return { path, file };
}

const owner = (path: string) => {
  const { uid, gid, mode } = lstatSync(path);
  return `${uid}:${gid}:${(mode & 0o7777).toString(8)}`;
};

function attribute(path: string, name: string): string {
  const get = native('long getxattr(const char *path, const char *name, void *value, size_t size)');
  const value = Buffer.alloc(256);
  return value.subarray(0, get(path, name, value, value.length)).toString('hex');
}

function setAttribute(path: string, name: string, hex: string): void {
  const set = native(
    'int setxattr(const char *path, const char *name, void *value, size_t size, int flags)',
  );
  const value = Buffer.from(hex, 'hex');
  expect(set(path, name, value, value.length, 0)).toBe(0);
}

test('owners move and come back, with their modes', () => {
  const { path, file } = folder();
  chmodSync(file, 0o6751);
  moveOwners(path, THERE);
  expect([owner(path), owner(file)]).toEqual(['700000:700000:700', '700005:700006:6751']);
  moveOwners(path, BACK);
  expect([owner(path), owner(file)]).toEqual(['0:0:700', '5:6:6751']);
});

test('a file with two names moves once, and no second run moves it again', () => {
  const { path, file } = folder();
  linkSync(file, join(path, 'other'));
  moveOwners(path, THERE);
  moveOwners(path, THERE);
  expect(owner(file)).toBe('700005:700006:644');
});

test('ids out of the range stay', () => {
  const { path, file } = folder();
  chownSync(file, 65_536, 65_535);
  moveOwners(path, THERE);
  expect(owner(file)).toBe('65536:765535:644');
});

test('links move themselves, and what they lead to does not', () => {
  const { path } = folder();
  const outside = folder();
  symlinkSync(outside.file, join(path, 'to-file'));
  symlinkSync(outside.path, join(path, 'to-folder'));
  moveOwners(path, THERE);
  expect(owner(join(path, 'to-file'))).toBe('700000:700000:777');
  expect(owner(join(path, 'to-folder'))).toBe('700000:700000:777');
  expect([owner(outside.path), owner(outside.file)]).toEqual(['0:0:700', '5:6:644']);
});

test('names may be any bytes', () => {
  const { path } = folder();
  const name = Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0x0a, 0x80])]);
  mkdirSync(name);
  moveOwners(path, THERE);
  expect(lstatSync(name).uid).toBe(700_000);
});

test("a file's capabilities become those of the other root", () => {
  const { path, file } = folder();
  const [magic, sets] = ['01000002', '00040000000000000000000000000000'];
  setAttribute(file, 'security.capability', magic + sets);
  moveOwners(path, THERE);
  const root = Buffer.from(Uint32Array.of(700_000).buffer).toString('hex');
  expect(attribute(file, 'security.capability')).toBe(`01000003${sets}${root}`);
  moveOwners(path, BACK);
  expect(attribute(file, 'security.capability')).toBe(magic + sets);
});

test('those whom ACLs name move as well', () => {
  const { path, file } = folder();
  execFileSync('setfacl', ['-m', 'u:7:rw,g:9:r', file]);
  execFileSync('setfacl', ['-d', '-m', 'u:70000:rwx,u:8:r', path]);
  const acl = (at: string) =>
    execFileSync('getfacl', ['-npc', at], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => /:\d+:/.test(line));
  moveOwners(path, THERE);
  expect(acl(file)).toEqual(['user:700007:rw-', 'group:700009:r--']);
  expect(acl(path)).toEqual(['default:user:70000:rwx', 'default:user:700008:r--']);
  moveOwners(path, BACK);
  expect(acl(file)).toEqual(['user:7:rw-', 'group:9:r--']);
});
