import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('the public face does not load zod', async () => {
  const { metafile } = await build({
    entryPoints: ['src/appc/index.ts'],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs).toContain('src/appc/pod-plan.ts');
  expect(inputs.filter((path) => path.includes('node_modules'))).toEqual([]);
});
