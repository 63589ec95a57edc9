import { afterEach, expect, test, vi } from 'vitest';
import { signFile } from '../../../src/trust/sign.ts';
import { TrustScratch } from './scratch.ts';

afterEach(() => vi.unstubAllEnvs());

test('a host without gpg is told that gpg is missing', async () => {
  const file = new TrustScratch().file('box.aci', 'an image');
  vi.stubEnv('PATH', '/nowhere');
  await expect(signFile(file, `${file}.asc`, undefined)).rejects.toThrow(
    /^gpg, which makes the signature, is not installed$/,
  );
});
