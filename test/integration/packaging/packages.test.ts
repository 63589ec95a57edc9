import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import {
  BUILDING,
  buildPackages,
  checkoutVersion,
  copySources,
  run,
  scratchFolder,
} from './build.ts';

const scratch = scratchFolder();
const inMemory = scratchFolder('/dev/shm');
const here = join(scratch, 'sources');
const installed = join(scratch, 'installed');
let built: { deb: string; rpm: string };

beforeAll(async () => {
  await copySources(here);
  built = await buildPackages(here, join(scratch, 'packages'), ['deb', 'rpm']);
  await run('dpkg-deb', ['--extract', built.deb, installed]);
}, BUILDING);

interface Entry {
  readonly mode: string;
  readonly path: string;
}

async function inDeb(): Promise<Entry[]> {
  const { stdout } = await run('dpkg-deb', ['--contents', built.deb]);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/\s+/))
    .map(([mode = '', , , , , path = '']) => ({ mode, path: path.slice(1) }));
}

test(
  'another checkout, with another umask, time zone, language and disk, makes the same bytes',
  async () => {
    const there = join(scratch, 'some/where/else');
    await copySources(there, here);
    const again = await buildPackages(there, join(scratch, 'again'), ['deb', 'rpm'], {
      umask: '077',
      env: { TZ: 'Pacific/Chatham', LC_ALL: 'C', TMPDIR: inMemory },
    });
    for (const kind of ['deb', 'rpm'] as const)
      expect(readFileSync(again[kind]).equals(readFileSync(built[kind])), kind).toBe(true);
  },
  BUILDING,
);

test(
  'lintian has nothing to say of the deb',
  async () => {
    const args = ['--allow-root', '--fail-on=error,warning', '--tag-display-limit=0', built.deb];
    const { stdout } = await run('lintian', args).catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  },
  BUILDING,
);

test('nobody but root may write to anything in it', async () => {
  const open = (await inDeb()).filter(({ mode }) => !/^([d-]rw.r-.r-.|l.{9})$/.test(mode));
  expect(open).toEqual([]);
});

test('all belongs to root', async () => {
  const { stdout } = await run('dpkg-deb', ['--contents', built.deb]);
  expect(stdout.split('\n').filter((line) => line && !line.includes(' root/root '))).toEqual([]);
  const owners = await run('rpm', [
    '-qp',
    '--queryformat=[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]',
    built.rpm,
  ]);
  expect(new Set(owners.stdout.trim().split('\n'))).toEqual(new Set(['root:root']));
});

test('it has no source maps, tests, sources or compiled code', async () => {
  const stray = /\.map$|\.ts$|\.js\.v|\btest|\.git|package-lock|esbuild|vitest/;
  expect((await inDeb()).filter(({ path }) => stray.test(path))).toEqual([]);
});

test('the rpm has the files of the deb, but for where Debian wants them', async () => {
  const debian = new Set([
    '/usr/share/doc/rkt/copyright',
    '/usr/share/doc/rkt/changelog.Debian.gz',
    '/usr/share/doc/rkt/changelog.gz',
    '/usr/share/zsh/vendor-completions/_rkt',
  ]);
  const fedora = new Set([
    '/usr/share/licenses/rkt/LICENSE',
    '/usr/share/doc/rkt/CHANGELOG.md',
    '/usr/share/zsh/site-functions/_rkt',
  ]);
  const deb = (await inDeb())
    .filter(({ mode }) => !mode.startsWith('d'))
    .map(({ path }) => path.replace(/ ->.*/, ''));
  const { stdout } = await run('rpm', [
    '-qp',
    '--queryformat=[%{FILEMODES:perms} %{FILENAMES}\n]',
    built.rpm,
  ]);
  const rpm = stdout
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('d'))
    .map((line) => line.split(' ')[1] ?? '');
  expect(rpm.filter((path) => !fedora.has(path)).sort()).toEqual(
    deb.filter((path) => !debian.has(path)).sort(),
  );
  expect(rpm).toEqual(expect.arrayContaining([...fedora]));
  expect(deb).toEqual(expect.arrayContaining([...debian]));
});

test('both need the node and the container tools of the distribution', async () => {
  const { stdout: deb } = await run('dpkg-deb', ['--field', built.deb, 'Depends']);
  expect(deb).toContain('nodejs (>= 20), systemd-container');
  const { stdout: rpm } = await run('rpm', ['-qp', '--requires', built.rpm]);
  expect(rpm).toMatch(/^nodejs >= 20$/m);
  expect(rpm).toMatch(/^systemd-container$/m);
});

test('both name the libraries of the native module', async () => {
  const { stdout: dynamic } = await run('objdump', [
    '--private-headers',
    join(installed, 'usr/lib/rkt/node_modules/koffi/koffi.node'),
  ]);
  const needed = [...dynamic.matchAll(/NEEDED +(lib(?!m\.)\S+)/g)].map(([, name]) => name ?? '');
  const { stdout: rpm } = await run('rpm', ['-qp', '--requires', built.rpm]);
  expect(rpm.match(/^lib.*\.so\S*(?=\(\)\(64bit\)$)/gm)?.sort()).toEqual(needed.sort());
  const debian: Record<string, string> = {
    'libc.so.6': 'libc6',
    'libgcc_s.so.1': 'libgcc-s1',
    'libstdc++.so.6': 'libstdc++6',
  };
  const { stdout: deb } = await run('dpkg-deb', ['--field', built.deb, 'Depends']);
  for (const name of needed) expect(deb.split(/[ ,\n]+/)).toContain(debian[name]);
});

test('an alpha comes before the release, for both package managers', async () => {
  const { stdout: deb } = await run('dpkg-deb', ['--field', built.deb, 'Version']);
  const { stdout: rpm } = await run('rpm', ['-qp', '--queryformat=%{VERSION}', built.rpm]);
  const release = checkoutVersion.replace(/-.*/, '');
  const next = release.replace(/\d+$/, (patch) => `${Number(patch) + 1}`);
  for (const [version, order] of [
    [release, checkoutVersion === release ? 'eq' : 'lt'],
    [next, 'lt'],
  ] as const) {
    await run('dpkg', ['--compare-versions', deb.trim(), order, version]);
    const compare = `%{lua: print(rpm.vercmp('${rpm}', '${version}'))}`;
    const { stdout } = await run('rpm', ['--eval', compare]);
    expect(stdout.trim()).toBe(order === 'lt' ? '-1' : '0');
  }
});

test('an older node is told in a line what rkt needs, in words that it understands', async () => {
  const rkt = join(installed, 'usr/lib/rkt/rkt');
  const pretend = join(scratch, 'older.cjs');
  writeFileSync(
    pretend,
    `Object.defineProperty(process, 'version', { value: 'v18.20.4' });
     Object.defineProperty(process, 'versions', { value: { node: '18.20.4' } });`,
  );
  await expect(run(process.execPath, ['--require', pretend, rkt, 'version'])).rejects.toMatchObject(
    {
      code: 254,
      stderr: `rkt: Node 20 or newer is needed, and ${process.execPath} is v18.20.4: install a newer package nodejs\n`,
    },
  );
  const text = readFileSync(rkt, 'utf8');
  const { code: now } = await transform(text);
  expect((await transform(text, { target: 'es2019' })).code).toBe(now);
});

test('both say which licences there are', async () => {
  const texts = readFileSync(join(installed, 'usr/share/doc/rkt/third-party.txt'), 'utf8');
  const found = new Set(
    [...texts.matchAll(/^-+\n\S+ \d\S* \((.*)\)$/gm)].map(([, name]) => name ?? ''),
  );
  expect(found.size).toBeGreaterThan(3);
  const { stdout: rpm } = await run('rpm', ['-qp', '--queryformat=%{LICENSE}', built.rpm]);
  const names = new Set([...found].map((name) => name.replace('LGPL-3.0+', 'LGPL-3.0-or-later')));
  expect(new Set(rpm.split(' AND '))).toEqual(names.add('Apache-2.0'));
  const debian = readFileSync(join(installed, 'usr/share/doc/rkt/copyright'), 'utf8');
  for (const name of found) expect(debian).toContain(name.replace('LGPL-3.0+', 'LGPL-3+'));
});

test('every package whose code is built in is named with its licence', async () => {
  const { stdout } = await run('node', ['packaging/third-party.mjs'], { cwd: here });
  for (const name of ['dbus-next', 'htmlparser2', 'tar', 'zod', 'koffi', 'openpgp', 'undici'])
    expect(stdout).toMatch(new RegExp(`^${name} \\d.*\\n\\n[^-]{200}`, 'm'));
});
