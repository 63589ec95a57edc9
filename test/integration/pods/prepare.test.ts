import { existsSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A pod manifest whose one app has no section of its own, in an unusual form. */
const given = () =>
  `{ "acKind":"PodManifest",\n "acVersion":"0.8.11", "unknown": [1 ],\n "apps":[{"name":"box","image":{"name":"${BOX}","id":"${box.keys.get(BOX)}"},"app":{"exec":["/bin/echo","given"],"user":"0","group":"0"}}]}\n`;

describe('rkt prepare', () => {
  test('records the protections that were turned off', async () => {
    const flags = ['--insecure-options=image,paths', 'prepare', BOX];
    const { stdout } = await box.local.rkt(flags);
    const manifest = await box.local.rkt(['cat-manifest', stdout.trim()]);
    expect(JSON.parse(manifest.stdout).annotations).toContainEqual({
      name: 'coreos.com/rkt/insecure-options',
      value: 'image,paths',
    });
  });

  test.each([[['--quiet']], [[]]])(
    'with %j prints exactly the UUID and a newline',
    async (flags) => {
      const { code, stdout } = await box.local.rkt(['prepare', ...flags, BOX]);
      expect(code).toBe(0);
      expect(stdout.endsWith('\n')).toBe(true);
      expect(stdout.slice(0, -1)).toMatch(UUID);
    },
  );

  test('leaves a prepared pod, with its files and their modes', async () => {
    const uuid = await box.prepare();
    expect(await box.state(uuid)).toBe('prepared');
    const folder = box.podFolder(uuid);
    const mode = (path: string) => statSync(join(folder, path)).mode & 0o7777;
    expect(mode('.')).toBe(0o750);
    expect(mode('pod')).toBe(0o640);
    expect(mode('pod.lck')).toBe(0o600);
    expect(mode('..')).toBe(0o750);
    expect(readFileSync(join(folder, 'pod-created'), 'utf8')).toBe('');
    expect(existsSync(join(folder, 'appsinfo/box/manifest'))).toBe(true);
  });

  test.each([
    '--net=none',
    '--interactive',
    '--hostname=x',
    '--uuid-file-save=/tmp/x',
    '--dns=none',
  ])('refuses %s, which belongs to the start', async (flag) => {
    expect((await box.local.rkt(['prepare', flag, BOX])).code).toBe(254);
  });

  test('keeps an image that it has found from a collection while it looks for the next one', async () => {
    const info = join(box.local.dir, 'cas/image', box.keys.get(BOX) ?? '', 'info');
    utimesSync(info, 0, 0);
    expect((await box.local.rkt(['prepare', BOX, '/no-such.aci'])).code).toBe(254);
    expect(statSync(info).mtimeMs).toBeGreaterThan(0);
  });

  test('that fails leaves no pod', async () => {
    const count = () => ['embryo', 'prepare', 'prepared'].flatMap((name) => box.group(name)).length;
    const before = count();
    const { code } = await box.local.rkt(['prepare', BOX, '--mount=volume=x,target=/x']);
    expect(code).toBe(254);
    expect(count()).toBe(before);
  });
});

describe('rkt run-prepared', () => {
  const start = (uuid: string, ...flags: string[]) =>
    box.local.rkt(['run-prepared', '--net=none', ...flags, uuid]);

  test('runs the pod, with the flags of the start', async () => {
    const uuid = await box.prepare('hostname; exit 4');
    expect(await start(uuid, '--hostname=later')).toMatchObject({ code: 4, stdout: 'later\n' });
    expect(await box.state(uuid)).toBe('exited');
  });

  test('takes a prefix of the UUID, in either case', async () => {
    const uuid = await box.prepare('echo done');
    expect(await start(uuid.slice(0, 13).toUpperCase())).toMatchObject({ stdout: 'done\n' });
  });

  test('runs a pod once', async () => {
    const uuid = await box.prepare();
    await start(uuid);
    const { code, stderr } = await start(uuid);
    expect(code).toBe(254);
    expect(stderr).toBe(`rkt: run-prepared: pod "${uuid}" is not prepared\n`);
  });

  test('called twice at once runs the pod once', async () => {
    const uuid = await box.prepare('echo ran');
    const both = await Promise.all([start(uuid), start(uuid)]);
    expect(both.map(({ code }) => code).sort()).toEqual([0, 254]);
    expect(both.map(({ stdout }) => stdout).join('')).toBe('ran\n');
  });

  test('with --interactive is for one app only', async () => {
    const uuid = (await box.ok(['prepare', BOX, BOX, '--name=b'])).trim();
    const { code, stderr } = await start(uuid, '--interactive');
    expect(code).toBe(254);
    expect(stderr).toContain('--interactive');
    expect(await box.state(uuid)).toBe('prepared');
  });

  test('takes exactly one pod', async () => {
    expect((await box.local.rkt(['run-prepared'])).code).toBe(254);
    expect((await box.local.rkt(['run-prepared', 'a', 'b'])).code).toBe(254);
  });
});

describe("a pod manifest of the user's", () => {
  test('is run as it stands', async () => {
    const { stdout } = await box.runPod([], { pod: [`--pod-manifest=${box.file(given())}`] });
    expect(stdout).toBe('given\n');
  });

  test('is kept byte for byte, and cat-manifest shows it', async () => {
    const uuid = (await box.ok(['prepare', `--pod-manifest=${box.file(given())}`])).trim();
    expect(readFileSync(join(box.podFolder(uuid), 'pod'), 'utf8')).toBe(given());
    const shown = await box.ok(['cat-manifest', uuid]);
    expect(JSON.parse(shown)).toEqual(JSON.parse(given()));
    expect(shown).toContain('\n\t"');
  });

  test("gets the image's app section where it has none", async () => {
    const text = JSON.stringify({
      acKind: 'PodManifest',
      acVersion: '0.8.11',
      apps: [{ name: 'box', image: { id: box.keys.get(BOX) } }],
    });
    const { code } = await box.runPod([], { pod: [`--pod-manifest=${box.file(text)}`] });
    // The image's program is a shell that lacks its script.
    expect(code).toBe(2);
  });

  test.each([
    ['JSON that ends early', '{"acKind":"PodManifest"', /file/],
    ['a wrong kind', '{"acKind":"ImageManifest","acVersion":"0.8.11","apps":[]}', /acKind/],
    [
      'an image that is not stored',
      `{"acKind":"PodManifest","acVersion":"0.8.11","apps":[{"name":"a","image":{"id":"sha512-${'0'.repeat(64)}"}}]}`,
      /sha512-0000/,
    ],
  ])('with %s is refused in one line', async (_, text, message) => {
    const { code, stderr } = await box.runPod([], { pod: [`--pod-manifest=${box.file(text)}`] });
    expect(code).toBe(254);
    expect(stderr).toMatch(/^rkt: run: .*\n$/);
    expect(stderr).toMatch(message);
  });

  test.each(['--volume=v,kind=empty', '--set-env=A=1', '--inherit-env', '--port=a:80'])(
    'does not go with %s',
    async (flag) => {
      const pod = [`--pod-manifest=${box.file(given())}`, flag];
      const { code, stderr } = await box.runPod([], { pod });
      expect(code).toBe(254);
      expect(stderr).toContain('--pod-manifest');
    },
  );
});

describe('--uuid-file-save', () => {
  test('has the UUID without a newline, for everybody to read', async () => {
    const { pod } = await box.run('true');
    expect(pod.uuid).toMatch(UUID);
    const path = box.file('');
    await box.runPod([BOX, '--', 'true'], { pod: [`--uuid-file-save=${path}`] });
    expect(readFileSync(path, 'utf8')).toMatch(UUID);
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });

  test('that cannot be written ends the command, and no pod is left', async () => {
    const before = box.group('run').length;
    const pod = ['--uuid-file-save=/tmp/rkt-no-such-folder/uuid'];
    const { code, stderr } = await box.runPod([BOX, '--', 'true'], { pod });
    expect(code).toBe(254);
    expect(stderr).toContain('/tmp/rkt-no-such-folder/uuid');
    expect([box.group('run').length, box.group('prepare').length]).toEqual([before, 0]);
  });
});
