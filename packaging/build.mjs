// Builds dist/: the executable dist/rkt, what it loads on demand in dist/lib, and beside them the one
// native module. dist works from anywhere; it needs Node only.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What becomes an executable of its own: path in dist, source. */
const entries = {
  rkt: 'src/cli/main.ts',
};

/**
 * Stays out of the bundle: native (koffi), LGPL (openpgp), big and rarely needed (undici), or never
 * used and not installed (what dbus-next asks for in vain: usocket, x11).
 */
const external = ['koffi', 'openpgp', 'undici', 'usocket', 'x11'];

const minify = { minifySyntax: true, minifyWhitespace: true };
const target = 'node20';

/** One bundle in ES modules, split so that a command loads its own code alone. */
async function bundle() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(entries).map(([out, source]) => ({ in: source, out })),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target,
    external,
    define: { RKT_VERSION: JSON.stringify(version) },
    chunkNames: 'lib/[name]-[hash]',
    outdir: 'dist',
    write: false,
    legalComments: 'none',
    logLevel: 'warning',
    ...minify,
  });
  return outputFiles.map(({ path, text }) => ({ path: relative(join(root, 'dist'), path), text }));
}

/**
 * The same file as a CommonJS module: esbuild splits ES modules only, and Node starts its ES module
 * loader, which takes several milliseconds, only for these.
 */
async function toCommonJs({ path, text }) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    define: { 'import.meta.url': '__fileUrl' },
    supported: { 'dynamic-import': false },
    ...minify,
  });
  const url = code.includes('__fileUrl')
    ? 'const __fileUrl=require("node:url").pathToFileURL(__filename).href;'
    : '';
  return { path, text: `${url}${code}` };
}

function write(folder, { path, text }) {
  const isEntry = Object.hasOwn(entries, path.replace(/\.js$/, ''));
  const file = join(folder, isEntry ? path.replace(/\.js$/, '') : path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, isEntry ? `#!/usr/bin/env node\n${text}` : text);
  if (isEntry) chmodSync(file, 0o755);
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

const fresh = join(root, `dist.${process.pid}`);
try {
  for (const file of await bundle()) write(fresh, await toCommonJs(file));
  writeFileSync(join(fresh, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
  copyKoffi(fresh);
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  renameSync(fresh, join(root, 'dist'));
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
