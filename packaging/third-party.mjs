// Prints the licences of the packages that are in the build: node packaging/third-party.mjs
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** Beside the bundle, each with its licence; here they are named as well. */
const beside = ['koffi', 'openpgp', 'undici'];

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/main.ts'],
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  outdir: 'dist',
  external: [...beside, 'usocket', 'x11'],
  write: false,
  metafile: true,
  logLevel: 'warning',
});
const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) =>
  Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
);
const bundled = inputs.flatMap(([path]) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []);
const folders = [...bundled, ...beside.map((name) => `node_modules/${name}`)];
const texts = [...new Set(folders)].sort().map((folder) => licence(join(root, folder)));
console.log(`rkt has parts of these packages in it.\n\n${texts.join('\n')}`);

function licence(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((file) => /^(licen[cs]e|copying)/i.test(file));
  // A few have it at the end of their README.
  const readme = join(folder, 'README.md');
  const text = file
    ? readFileSync(join(folder, file), 'utf8')
    : /#+ *licen[cs]e[\s\S]*/i.exec(existsSync(readme) ? readFileSync(readme, 'utf8') : '')?.[0];
  const stated = typeof license === 'string' ? license : undefined;
  if (!text && !stated) throw new Error(`${name} does not say what its licence is`);
  return `${'-'.repeat(80)}\n${name} ${version}${stated ? ` (${stated})` : ''}\n\n${(text ?? '').trim()}\n`;
}
