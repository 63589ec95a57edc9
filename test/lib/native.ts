import { createRequire } from 'node:module';
import { build } from 'esbuild';
import type { TestContext } from 'vitest';
import { skip } from './host.ts';

/** Skips the test where the optional packages are not compiled for this Node: packaging/native. */
export function needsNativePackages(context: TestContext): void {
  try {
    const require = createRequire(import.meta.url);
    for (const name of ['sd-notify', 'systemd-journald']) require(name);
  } catch {
    skip(context, 'sd-notify and systemd-journald are not compiled for this Node');
  }
}

/** Makes a program of a source text whose imports start at the checkout. */
export async function bundleProbe(contents: string, outfile: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    logLevel: 'warning',
  });
}
