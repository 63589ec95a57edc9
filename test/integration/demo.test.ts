import { expect, test } from 'vitest';
import { startHost } from '../lib/host.ts';

const host = await startHost();
const demo = (): Promise<string> => host.ok(['/src/packaging/demo'], { timeout: 120_000 });
/** With the alias that the demo shows. */
const typed = (command: string): Promise<string> => {
  const rkt = `rkt() { /src/dist/rkt --dir=/var/lib/rkt-demo "$@"; }`;
  return host.ok(['bash', '-ec', `${rkt.replaceAll('$', '$$')}; ${command}`]);
};

test('the demo runs two images as one pod and shows what became of it', async () => {
  const stdout = await demo();
  expect(stdout).toMatch(/reader: it says: Greetings from rkt-[0-9a-f-]+!/);
  expect(stdout).toMatch(/app-reader=0\n\s*app-writer=0/);
});

test('run again, it makes the same images, and leaves one pod', async () => {
  const keys = (text: string): string[] => text.match(/sha512-[0-9a-f]{64}/g) ?? [];
  const first = keys(await demo());
  expect(first).toHaveLength(2);
  expect(keys(await demo())).toEqual(first);
  expect(JSON.parse(await typed('rkt list --format=json'))).toHaveLength(1);
});

test('what it says clears all of it does', async () => {
  const [, command = ''] = /to clear all this: +(.*)$/m.exec(await demo()) ?? [];
  await typed(command);
  expect(await host.ok(['find', '/var/lib', '-path', '*rkt-demo*'])).toBe('');
});
