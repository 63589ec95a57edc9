// Writes the man pages into a folder: node packaging/man.mjs dist/man
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = resolve(process.argv[2] ?? join(root, 'dist/man'));

// The pages come from the command table, which names its commands' code but does not need it here.
const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['packaging/man-pages.mjs'],
  bundle: true,
  format: 'esm',
  platform: 'node',
  external: ['./commands/*'],
  write: false,
  logLevel: 'warning',
});
const code = Buffer.from(outputFiles[0].contents).toString('base64');
const { allPages } = await import(`data:text/javascript;base64,${code}`);

mkdirSync(folder, { recursive: true });
for (const { file, text } of allPages(version)) writeFileSync(join(folder, file), text);
