// code-cache.mjs DIST: compiles every pack in DIST/lib for the Node that runs this, and keeps what V8
// makes of it beside the pack, so that a start does not have to. Without it, or with another Node,
// rkt works as well and starts more slowly; a package runs this where it is installed.
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const lib = join(process.argv[2] ?? 'dist', 'lib');
for (const name of readdirSync(lib).filter((name) => name.endsWith('.js'))) {
  const cache = join(lib, `${name}.${process.version}-${process.arch}`);
  writeFileSync(`${cache}.tmp`, compile(join(lib, name)));
  renameSync(`${cache}.tmp`, cache);
}

/** With every function: what a start does not find there it compiles. */
function compile(filename) {
  setFlagsFromString('--no-lazy');
  const script = new Script(readFileSync(filename, 'latin1'), { filename });
  // A cache is for the flags that are set when it is made.
  setFlagsFromString('--lazy');
  return script.createCachedData();
}
