import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Local, mountsBelow } from '../lib/local.ts';

test('what was started below the scratch folder is gone afterwards, mounts and processes', async () => {
  const local = new Local();
  const mounted = join(local.scratch, 'a folder');
  mkdirSync(mounted);
  const running = local.startProgram('sh', [
    '-ec',
    'mount -t tmpfs tmpfs "$1"; mount -t tmpfs tmpfs "$1"; unshare --mount setsid sleep 1000 & echo $!; wait $!',
    'sh',
    mounted,
  ]);
  const [pid = ''] = await running.printed(/\d+/);
  expect(mountsBelow(local.scratch)).toEqual([mounted, mounted]);
  await local.clear();
  expect(await running.done).toMatchObject({ code: 137, stderr: '' });
  expect(existsSync(local.scratch)).toBe(false);
  expect(mountsBelow(local.scratch)).toEqual([]);
  expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
});

test('a program gets input and environment, and its streams and exit code come back', async () => {
  const local = new Local();
  const script = 'cat; echo "$COLOUR" >&2; exit 9';
  const options = { input: 'in', env: { COLOUR: 'red' } };
  const result = await local.startProgram('sh', ['-c', script], options).done;
  expect(result).toMatchObject({ code: 9, stdout: 'in', stderr: 'red\n' });
  await local.clear();
});
