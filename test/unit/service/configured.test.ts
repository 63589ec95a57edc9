import { expect, test } from 'vitest';
import { Configured, type Opened } from '../../../src/service/configured.ts';

test('a data folder that cannot be served is told of until it can, and asked for at each call', async () => {
  let isFull = true;
  const told: (string | undefined)[] = [];
  const configured: Configured = new Configured(
    async () => '/data',
    async () => {
      if (isFull) throw new Error('no space left');
      return {} as Opened;
    },
    () => told.push(configured.problem),
  );
  const twice = () => Promise.allSettled([configured.open(), configured.open()]);
  expect((await twice()).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(told).toEqual(['no space left']);
  isFull = false;
  expect((await twice()).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  expect(told).toEqual(['no space left', undefined]);
});
