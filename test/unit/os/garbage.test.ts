import { expect, test } from 'vitest';
import { passedBytes } from '../../../src/os/garbage.ts';

test('buffers that have been used up do not pile up', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const megabyte = 1 << 20;
  let most = 0;
  for (let n = 0; n < 200; n++) {
    for (let part = 0; part < 4; part++) Buffer.alloc(megabyte / 4);
    passedBytes(megabyte);
    await new Promise(setImmediate);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(most).toBeLessThan(12 * megabyte);
});
