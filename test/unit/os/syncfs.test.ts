import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { syncfsAsync } from '../../../src/os/syscalls.ts';

test('a file system is synced while other work goes on', async () => {
  const fd = openSync('/tmp', 'r');
  let isSynced = false;
  const syncing = syncfsAsync(fd).then(() => {
    isSynced = true;
  });
  await Promise.resolve();
  expect(isSynced).toBe(false);
  await syncing;
  closeSync(fd);
});

test('a sync that fails says why', async () => {
  await expect(syncfsAsync(-1)).rejects.toMatchObject({ code: 'EBADF' });
});
