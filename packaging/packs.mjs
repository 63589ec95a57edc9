// The program as packs: few files, since each that a start reads costs half a millisecond, and beside
// each the code that V8 has made of it (code-cache.mjs).
import { relative } from 'node:path';
import { build, transform } from 'esbuild';

/**
 * Makes packs of a program that is split where it imports dynamically.
 *
 * @param options esbuild's
 * @returns the text of the executable, and of each pack in `lib` beside it by name
 */
export async function makePacks(entry, options) {
  const modules = await bundle(entry, options);
  const main = [...modules.values()].find((module) => module.isEntry);
  const contents = [...packContents(modules, main.name)];
  return {
    executable: `#!/usr/bin/env node\n(${refuseOldNode})();\n(${start})(${JSON.stringify(main.name)},${quickJoin});\n`,
    packs: new Map(contents.map(([name, inside]) => [name, pack(modules, inside)])),
  };
}

/**
 * The modules of each pack: one that is imported dynamically and all that it needs at once, but for
 * what is there already, whichever pack asks for it.
 */
function packContents(modules, main) {
  const needs = (name) => {
    const needed = new Set([name]);
    for (const one of needed) for (const other of modules.get(one).eager) needed.add(other);
    return [...needed];
  };
  const there = new Map([[main, new Set()]]);
  const changed = [main];
  for (const loader of changed) {
    const needed = needs(loader);
    const then = new Set([...there.get(loader), ...needed]);
    for (const name of new Set(needed.flatMap((one) => modules.get(one).lazy))) {
      const before = there.get(name);
      const now = [...then].filter((one) => !before || before.has(one));
      if (before?.size === now.length) continue;
      there.set(name, new Set(now));
      changed.push(name);
    }
  }
  const contents = ([name, before]) => needs(name).filter((one) => !before.has(one));
  return new Map([...there].map((entry) => [entry[0], contents(entry)]));
}

/** The modules of one bundle, by name: CommonJS, and which they need at once and later. */
async function bundle(entry, options) {
  const { metafile, outputFiles } = await build({
    ...options,
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    format: 'esm',
    // A name stands for the content, and for that of all that is imported: caches rely on it.
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    outdir: options.absWorkingDir,
    write: false,
    metafile: true,
  });
  // Some chunks import others only to keep the order in which modules run. To ours it does not matter.
  const isOurs = (name) =>
    Object.keys(metafile.outputs[name].inputs).every((input) => !input.startsWith('node_modules/'));
  const modules = outputFiles.map(async ({ path, text }) => {
    const name = relative(options.absWorkingDir, path);
    const { entryPoint, imports } = metafile.outputs[name];
    const { linked, eager } = link(text, isOurs);
    return {
      name,
      isEntry: entryPoint === entry,
      code: await toCommonJs(linked, options),
      eager,
      lazy: imports
        .filter((one) => one.kind === 'dynamic-import' && !one.external)
        .map((one) => one.path),
    };
  });
  return new Map((await Promise.all(modules)).map((module) => [module.name, module]));
}

/**
 * Joins a chunk to others by plain objects. Chunks never import each other in a circle, and nobody
 * assigns to what they export, so the getters that stand for that in esbuild's own CommonJS, with much
 * code around them in each chunk, are not needed.
 */
function link(text, isOurs) {
  const eager = [];
  const renamed = (names, order) =>
    names.split(',').map((each) => order(...each.split(' as ')).join(':'));
  const linked = text
    .replace(/^(?:import[^;]*;)+/, (head) =>
      head.replace(/import(?:{([^}]*)}from)?"\.\/([^"]+)";/g, (_, names, name) => {
        if (names === undefined && isOurs(name)) return '';
        eager.push(name);
        const target = names ? `const{${renamed(names, (...pair) => pair)}}=` : '';
        return `${target}require("./${name}");`;
      }),
    )
    .replace(
      /export{([^}]*)};\s*$/,
      (_, names) => `__provide({${renamed(names, (local, name = local) => [name, local])}});`,
    );
  return { linked, eager };
}

/** Node starts its loader for ES modules, which takes long, only for such; esbuild splits only such. */
async function toCommonJs(text, { target, minifySyntax, minifyWhitespace }) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    define: { 'import.meta.url': '__filename' },
    supported: { 'dynamic-import': false },
    minifySyntax,
    minifyWhitespace,
  });
  return code;
}

/** Modules as functions by name, in plain ASCII, which is read without being decoded. */
function pack(modules, names) {
  const functions = names.map(
    // In parentheses V8 compiles a function at once, instead of reading it twice.
    (name) =>
      `${JSON.stringify(name)}:(function(__provide,require,__filename){${modules.get(name).code}})`,
  );
  // Left over by esbuild are those in regular expressions.
  const escaped = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `({${functions.join(',\n')}})\n`.replace(/[^\0-\x7f]/g, escaped);
}

/** An older Node would fail somewhere, with a stack. It has to understand the executable to say so: ES2019. */
function refuseOldNode() {
  if (Number.parseInt(process.versions.node, 10) >= 20) return;
  console.error(
    `rkt: Node 20 or newer is needed, and ${process.execPath} is ${process.version}: install a newer package nodejs`,
  );
  process.exit(254);
}

/**
 * The executable: defines the modules of packs and runs each when it is first required. What several
 * packs hold runs once: the pack that is loaded first has defined it.
 */
function start(entry, quickJoin) {
  const { readFileSync } = require('node:fs');
  const { Script } = require('node:vm');
  const lib = `${__dirname}/lib/`;
  const defined = {};
  const loaded = new Map();
  const cacheOf = (name) => {
    try {
      return readFileSync(`${lib}${name}.${process.version}-${process.arch}`);
    } catch {}
  };
  const define = (name) => {
    const filename = lib + name;
    // Made for another build of V8 it is not used, and the start takes longer.
    const cachedData = cacheOf(name);
    const script = new Script(readFileSync(filename, 'latin1'), { filename, cachedData });
    const pack = script.runInThisContext();
    for (const one in pack) if (!defined[one]) defined[one] = pack[one];
  };
  // Some of Node's own modules take many milliseconds to load, and most starts use few of them.
  // Those that are a function or class themselves cannot be stood in for.
  const onFirstUse = (wanted) => {
    let module;
    return new Proxy(
      {},
      {
        get: (_, member) => {
          if (!module) module = require(wanted);
          return module[member];
        },
      },
    );
  };
  /** koffi is loaded without a search for it. */
  const koffi = () => {
    const module = { exports: {} };
    process.dlopen(module, `${__dirname}/node_modules/koffi/koffi.node`);
    return module.exports;
  };
  const requireNative = (wanted) => (wanted === 'koffi' ? koffi() : require(wanted));
  const path = require('node:path');
  const ownPath = { ...path, join: quickJoin(path.join) };
  const requireFrom = (wanted) => {
    if (wanted.startsWith('./')) return load(wanted.slice(2));
    if (wanted === 'node:path') return ownPath;
    if (wanted === 'node:module') return { createRequire: () => requireNative };
    return /^node:(?!assert|events|fs|stream)/.test(wanted) ? onFirstUse(wanted) : require(wanted);
  };
  const load = (name) => {
    if (loaded.has(name)) return loaded.get(name);
    if (!defined[name]) define(name);
    let exported = {};
    const provide = (all) => {
      exported = all;
    };
    defined[name](provide, requireFrom, lib + name);
    loaded.set(name, exported);
    return exported;
  };
  load(entry);
}

/**
 * Node's path.join goes through a path character by character, and a start joins a hundred; most need
 * nothing but a slash between. The same result as that of `join`, Node's own, in less time.
 */
export function quickJoin(join) {
  const isPlain = (part) =>
    part !== '' &&
    part[0] !== '.' &&
    part[part.length - 1] !== '/' &&
    !part.includes('/.') &&
    !part.includes('//');
  return (...parts) => {
    const [first, second] = parts;
    return parts.length === 2 && isPlain(first) && isPlain(second) && second[0] !== '/'
      ? `${first}/${second}`
      : join(...parts);
  };
}
