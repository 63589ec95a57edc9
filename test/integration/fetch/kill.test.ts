import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Site } from './site.ts';

const site = new Site();
const rounds = 40;

test(`a fetch that is killed at any moment (${rounds} tried) leaves what the next one works with`, async () => {
  const spec = { name: 'example.test/app', size: 3_000_000 };
  const key = site.aci('example.test', 'a.aci', spec);
  const address = 'https://example.test/a.aci';
  const begin = performance.now();
  await site.fetch(address);
  const whole = performance.now() - begin;
  for (let round = 0; round < rounds; round++) {
    await site.rkt(['image', 'rm', key]);
    const running = site.start(['--insecure-options=image', 'fetch', address]);
    await delay(Math.random() * whole);
    await running.kill('SIGKILL');
    await running.done;
    if (round % 4 === 3) expect(await site.fetch(address)).toEqual([key]);
  }
  expect(await site.fetch(address)).toEqual([key]);
  const stored = (part: string) => readdirSync(join(site.local.dir, 'cas', part));
  expect([stored('image'), stored('tree'), stored('blob')]).toEqual([[key], [key], [key]]);
  expect(stored('tmp').filter((name) => name.startsWith('download-'))).toEqual([]);
}, 600_000);
