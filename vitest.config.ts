import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// A VM under emulation is up to 40 times slower.
const slow = process.env['RKT_TEST_HOST'] === 'vm' ? 10 : 1;
const cores = availableParallelism();

function project(name: string): object {
  return {
    extends: true,
    test: { name, include: [`test/${name}/**/*.test.ts`] },
  };
}

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 60_000 * slow,
    hookTimeout: 120_000 * slow,
    // Every file of the integration tests boots a machine.
    maxWorkers: Math.min(4, cores),
    projects: [project('unit'), project('integration')],
  },
});
