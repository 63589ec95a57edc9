// build.mjs [FOLDER]: builds dist/: the executable dist/rkt, the code that it loads in dist/lib, and
// beside them the one native module. dist works from anywhere; it needs Node only.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { makePacks } from './packs.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/**
 * Stays out of the bundle: native (koffi), LGPL (openpgp), made of modules that name each other in
 * ways that do not survive bundling (undici), or never used and not installed (what dbus-next asks
 * for in vain: usocket, x11).
 */
const external = ['koffi', 'openpgp', 'undici', 'usocket', 'x11'];

const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const common = {
  absWorkingDir: root,
  platform: 'node',
  target: 'node20',
  external,
  define: { RKT_VERSION: JSON.stringify(version) },
  legalComments: 'none',
  logLevel: 'warning',
  minifySyntax: true,
  minifyWhitespace: true,
};

async function writeProgram(folder) {
  const { executable, packs } = await makePacks('src/cli/main.ts', common);
  mkdirSync(join(folder, 'lib'), { recursive: true });
  for (const [name, text] of packs) writeFileSync(join(folder, 'lib', name), text);
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
  writeFileSync(join(folder, 'rkt'), executable, { mode: 0o755 });
  const compiler = join(root, 'packaging/code-cache.mjs');
  execFileSync(process.execPath, [compiler, folder], { stdio: 'inherit' });
}

/** koffi's JavaScript only finds and wraps its native module, so that module alone is taken along. */
function copyKoffi(folder) {
  const libc = process.report.getReport().header.glibcVersionRuntime ? 'linux' : 'musl';
  const from = createRequire(createRequire(import.meta.url).resolve('koffi'));
  const prebuilt = from.resolve(`@koromix/koffi-${process.platform}-${process.arch}/package.json`);
  const { version, license } = JSON.parse(readFileSync(prebuilt, 'utf8'));
  const into = join(folder, 'node_modules/koffi');
  mkdirSync(into, { recursive: true });
  copyFileSync(
    join(dirname(prebuilt), `${libc}_${process.arch}/koffi.node`),
    join(into, 'koffi.node'),
  );
  copyFileSync(join(root, 'node_modules/koffi/LICENSE.txt'), join(into, 'LICENSE.txt'));
  writeFileSync(
    join(into, 'package.json'),
    `${JSON.stringify({ name: 'koffi', version, license, main: 'koffi.node' }, undefined, 2)}\n`,
  );
}

/** openpgp stays a file of its own, as its licence (LGPL) asks. */
function copyOpenPgp(folder) {
  const from = join(root, 'node_modules/openpgp');
  const into = join(folder, 'node_modules/openpgp');
  const { version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  mkdirSync(into, { recursive: true });
  copyFileSync(join(from, 'dist/node/openpgp.min.cjs'), join(into, 'openpgp.min.cjs'));
  copyFileSync(join(from, 'LICENSE'), join(into, 'LICENSE'));
  writeFileSync(
    join(into, 'package.json'),
    `${JSON.stringify({ name: 'openpgp', version, license, main: 'openpgp.min.cjs' }, undefined, 2)}\n`,
  );
}

function copyUndici(folder) {
  const from = join(root, 'node_modules/undici');
  const into = join(folder, 'node_modules/undici');
  mkdirSync(into, { recursive: true });
  for (const name of ['index.js', 'lib', 'package.json', 'LICENSE'])
    cpSync(join(from, name), join(into, name), { recursive: true });
}

/**
 * A stage1 image as a folder that `rkt image build` packs: for other callers than rkt itself, which
 * has the same code inside. One program is all its entry points, told apart by name.
 */
async function writeStage1(folder, flavour, run) {
  const rootfs = join(folder, 'stage1', flavour, 'rootfs');
  const built = async (entry) => {
    const { outputFiles } = await build({
      ...common,
      define: { ...common.define, 'import.meta.url': '__filename' },
      entryPoints: [`stage1/${flavour}/${entry}`],
      bundle: true,
      format: 'cjs',
      write: false,
    });
    return outputFiles[0].text;
  };
  const main = await built('main.ts');
  mkdirSync(rootfs, { recursive: true });
  for (const name of [run, 'enter', 'stop', 'gc'])
    writeFileSync(join(rootfs, name), `#!/usr/bin/env node\n${main}`, { mode: 0o755 });
  copyKoffi(rootfs);
  const source = await built('manifest.ts');
  const module = { exports: {} };
  new Function('module', 'exports', 'require', '__filename', source)(
    module,
    module.exports,
    createRequire(import.meta.url),
    import.meta.url,
  );
  writeFileSync(
    join(folder, 'stage1', flavour, 'manifest'),
    `${JSON.stringify(module.exports.manifest, undefined, 2)}\n`,
  );
}

const fresh = `${dist}.${process.pid}`;
try {
  await writeProgram(fresh);
  copyKoffi(fresh);
  copyOpenPgp(fresh);
  copyUndici(fresh);
  await Promise.all([writeStage1(fresh, 'nspawn', 'init'), writeStage1(fresh, 'fly', 'run')]);
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
