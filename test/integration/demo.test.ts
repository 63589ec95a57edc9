import { expect, test } from 'vitest';
import { startHost } from '../lib/host.ts';

test('the demo runs two images as one pod and shows what became of it', async () => {
  const host = await startHost();
  const { code, stdout } = await host.run(['/src/packaging/demo'], { timeout: 120_000 });
  expect(stdout).toMatch(/reader: it says: Greetings from rkt-[0-9a-f-]+!/);
  expect(stdout).toMatch(/app-reader=0\n\s*app-writer=0/);
  expect(code).toBe(0);
});
