import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { BUILDING, buildPackages, copySources, run, scratchFolder } from './build.ts';

const scratch = scratchFolder();
const here = join(scratch, 'sources');
let built: { deb: string; rpm: string };

beforeAll(async () => {
  await copySources(here);
  built = await buildPackages(here, join(scratch, 'packages'), ['deb', 'rpm']);
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
  'another checkout, with another umask, makes the same bytes',
  async () => {
    const there = join(scratch, 'some/where/else');
    await copySources(there, here);
    const again = await buildPackages(there, join(scratch, 'again'), ['deb', 'rpm'], '077');
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

test('every package whose code is built in is named with its licence', async () => {
  const { stdout } = await run('node', ['packaging/third-party.mjs'], { cwd: here });
  for (const name of ['dbus-next', 'htmlparser2', 'tar', 'zod', 'koffi', 'openpgp', 'undici'])
    expect(stdout).toMatch(new RegExp(`^${name} \\d.*\\n\\n[^-]{200}`, 'm'));
});
