// Builds dist/: the executable dist/rkt, what it loads on demand in dist/lib, and beside them the one
// native module. dist works from anywhere; it needs Node only.
import {
  chmodSync,
  copyFileSync,
  cpSync,
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
 * Stays out of the bundle: native (koffi), LGPL (openpgp), made of modules that name each other in
 * ways that do not survive bundling (undici), or never used and not installed (what dbus-next asks
 * for in vain: usocket, x11).
 */
const external = ['koffi', 'openpgp', 'undici', 'usocket', 'x11'];

const minify = { minifySyntax: true, minifyWhitespace: true };
const target = 'node20';
const dist = join(root, 'dist');

/** The modules of one bundle, split where the code imports dynamically. Names are paths in dist. */
async function bundle() {
  const { metafile, outputFiles } = await build({
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
    outdir: dist,
    write: false,
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
    ...minify,
  });
  const modules = outputFiles.map(async ({ path, text }) => {
    const { imports } = metafile.outputs[relative(root, path)];
    const targets = (kind) =>
      imports
        .filter((one) => one.kind === kind && !one.external)
        .map((one) => relative('dist', one.path));
    return {
      name: relative(dist, path),
      code: await toCommonJs(text),
      eager: targets('import-statement'),
      lazy: targets('dynamic-import'),
    };
  });
  return new Map((await Promise.all(modules)).map((module) => [module.name, module]));
}

/** Node starts its loader for ES modules, which takes long, only for such; esbuild splits only such. */
async function toCommonJs(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    define: { 'import.meta': '__meta' },
    supported: { 'dynamic-import': false },
    ...minify,
  });
  return code;
}

/**
 * A module and all that it needs at once, as functions by name. Each require() of a file costs about
 * half a millisecond, so that a start reads two files: the executable and the pack of its command.
 * What several packs hold runs once: the pack that is loaded first has defined it.
 */
function pack(modules, name) {
  const needed = new Set([name]);
  for (const one of needed) for (const other of modules.get(one).eager) needed.add(other);
  const functions = [...needed].map(
    // In parentheses V8 compiles a function at once, instead of reading it twice.
    (one) =>
      `${JSON.stringify(one)}:(function(module,exports,require,__meta){${modules.get(one).code}})`,
  );
  return `{${functions.join(',\n')}}`;
}

/** Defines the modules of packs, runs each when it is first required, and loads lazy packs. */
function runtime(modules, entry) {
  const start = (first, packs) => {
    const path = require('node:path');
    const defined = { ...first };
    const loaded = new Map();
    // Some of Node's own modules take many milliseconds to load, and most starts use few of them.
    // Those that are a function or class themselves cannot be stood in for.
    const onFirstUse = (wanted) => {
      return new Proxy({}, { get: (_, member) => require(wanted)[member] });
    };
    const load = (name) => {
      const known = loaded.get(name);
      if (known) return known.exports;
      if (!defined[name]) {
        const more = require(path.join(__dirname, packs[name]));
        for (const one in more) defined[one] ??= more[one];
      }
      const module = { exports: {} };
      loaded.set(name, module);
      const meta = {
        get url() {
          return require('node:url').pathToFileURL(path.join(__dirname, name)).href;
        },
      };
      const requireFrom = (wanted) => {
        if (wanted.startsWith('.')) return load(path.join(path.dirname(name), wanted));
        return /^node:(?!assert|events|stream)/.test(wanted) ? onFirstUse(wanted) : require(wanted);
      };
      defined[name](module, module.exports, requireFrom, meta);
      return module.exports;
    };
    return load;
  };
  const lazy = new Set([...modules.values()].flatMap((module) => module.lazy));
  const up = '../'.repeat(entry.split('/').length - 1);
  const packs = Object.fromEntries([...lazy].map((name) => [name, `${up}${name}`]));
  return `#!/usr/bin/env node
(${start})(${pack(modules, entry)},${JSON.stringify(packs)})(${JSON.stringify(entry)});
`;
}

function writeModules(folder, modules) {
  const write = (path, text) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (const entry of Object.keys(entries)) {
    write(entry, runtime(modules, `${entry}.js`));
    chmodSync(join(folder, entry), 0o755);
  }
  for (const name of new Set([...modules.values()].flatMap((module) => module.lazy)))
    write(name, `module.exports=${pack(modules, name)};\n`);
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
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target,
    external,
    define: { RKT_VERSION: JSON.stringify(version), 'import.meta.url': '__filename' },
    write: false,
    logLevel: 'warning',
    ...minify,
  };
  const built = (entry, format) =>
    build({ ...common, format, entryPoints: [`stage1/${flavour}/${entry}`] });
  const [main] = (await built('main.ts', 'cjs')).outputFiles;
  mkdirSync(rootfs, { recursive: true });
  for (const name of [run, 'stop', 'gc'])
    writeFileSync(join(rootfs, name), `#!/usr/bin/env node\n${main.text}`, { mode: 0o755 });
  copyKoffi(rootfs);
  const [source] = (await built('manifest.ts', 'cjs')).outputFiles;
  const module = { exports: {} };
  new Function('module', 'exports', 'require', '__filename', source.text)(
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

const fresh = join(root, `dist.${process.pid}`);
try {
  writeModules(fresh, await bundle());
  writeFileSync(join(fresh, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
  copyKoffi(fresh);
  copyOpenPgp(fresh);
  copyUndici(fresh);
  await Promise.all([writeStage1(fresh, 'nspawn', 'init'), writeStage1(fresh, 'fly', 'run')]);
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
