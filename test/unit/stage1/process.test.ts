import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../../src/appc/index.ts';
import { planProcess } from '../../../src/stage1/process.ts';

const root = mkdtempSync(join(tmpdir(), 'rkt-root-'));
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(() => {
  write('/etc/passwd', 'root:x:0:0::/:/bin/sh\nweb:x:100:101::/:/bin/sh\nbad:x:abc:1\n100:x:7:7\n');
  write('/etc/group', 'root:x:0:\nstaff:x:50:\n');
  write('/bin/tool', '', 0o755);
  write('/opt/tool', '', 0o755);
  write('/opt/data', '', 0o644);
  write('/owned', '', 0o644, [7, 8]);
  symlinkSync('/opt/tool', join(root, 'bin/absolute'));
  symlinkSync('../../../../../../../bin/tool', join(root, 'bin/climbing'));
  symlinkSync('/etc/hostname', join(root, 'bin/outside'));
});

function write(path: string, text: string, mode = 0o644, owner?: readonly [number, number]): void {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  chmodSync(full, mode);
  if (owner) chownSync(full, ...owner);
}

const section: App = {
  exec: ['/bin/tool'],
  user: '0',
  group: '0',
  supplementaryGIDs: [],
  workingDirectory: '',
  environment: [],
  eventHandlers: [],
  mountPoints: [],
  ports: [],
  isolators: [],
  userAnnotations: {},
  userLabels: {},
};

const plan = (given: Partial<App>, path?: string) =>
  planProcess(
    'web',
    { ...section, ...given },
    root,
    path === undefined ? [] : [{ name: 'PATH', value: path }],
  );

describe('user and group', () => {
  test.each([
    ['web', 'staff', 100, 50],
    ['root', 'root', 0, 0],
    ['100', '4711', 100, 4711],
    ['/owned', '/owned', 7, 8],
    ['web', 'web', 100, 100],
  ])('%s:%s are %i:%i', (user, group, uid, gid) => {
    expect(plan({ user, group })).toMatchObject({ uid, gid });
  });

  test.each([
    [{ user: 'nobody' }, /user "nobody" of app "web".*\/etc\/passwd/],
    [{ group: 'nobody' }, /group "nobody" of app "web".*\/etc\/group/],
    [{ user: '/none' }, /user "\/none".*no such path/],
    [{ user: 'bad' }, /user "bad"/],
  ])('%j are refused', (given, message) => {
    expect(() => plan(given)).toThrow(message);
  });
});

describe('the program', () => {
  test.each([
    ['/any/path', '', undefined, '/any/path'],
    ['opt/tool', '', undefined, '/opt/tool'],
    ['./tool', '/opt', undefined, '/opt/tool'],
    ['tool', '', '/none:/opt:/bin', '/opt/tool'],
    ['tool', '/opt', undefined, '/opt/tool'],
    ['tool', '', undefined, '/bin/tool'],
    ['tool', '', '/opt/data:/bin', '/bin/tool'],
    ['absolute', '', '/bin', '/bin/absolute'],
    ['climbing', '', '/bin', '/bin/climbing'],
  ])('%s from "%s" with PATH %s is %s', (file, workingDirectory, path, expected) => {
    expect(plan({ exec: [file, 'x'], workingDirectory }, path).exec).toEqual([expected, 'x']);
  });

  test.each([
    ['data', '/opt'],
    ['outside', '/bin'],
    ['opt', '/'],
  ])('%s in %s is none: not executable, outside, a folder', (file, path) => {
    expect(() => plan({ exec: [file] }, path)).toThrow(`unable to find "${file}" of app "web" in`);
  });

  test('has to be named', () => {
    expect(() => plan({ exec: [] })).toThrow(/app "web" has an empty "exec".*--exec/);
  });
});

test('the working directory is / unless the app has one', () => {
  expect(plan({}).workingDirectory).toBe('/');
  expect(plan({ workingDirectory: '/srv' }).workingDirectory).toBe('/srv');
});
