import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// A VM under emulation is up to 40 times slower than a machine that has nothing else to do.
const slow = process.env['RKT_TEST_HOST'] === 'vm' ? 4 : 1;
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
    // Patience costs nothing where all is well. A command or a poll ends first, and says what it was.
    testTimeout: 180_000 * slow,
    hookTimeout: 300_000 * slow,
    expect: { poll: { timeout: 60_000 * slow } },
    // Every file of the integration tests boots a machine; one more than there are cores, as each
    // waits now and then.
    maxWorkers: Math.min(4, cores + 1),
    projects: [project('unit'), project('integration')],
  },
});
