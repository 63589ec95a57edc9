import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { CosignSignature } from '../../../src/trust/types.ts';

export const annotation = 'dev.cosignproject.cosign/signature';

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A key pair as `cosign generate-key-pair` makes it, with the public half as in cosign.pub. */
export class CosignKeyPair {
  readonly pem: string;
  readonly #key: KeyObject;

  constructor(namedCurve = 'P-256') {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
    this.pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    this.#key = privateKey;
  }

  /** What `cosign sign --key` stores: its payload, byte for byte, and the signature's annotation. */
  sign(
    manifest: Uint8Array,
    reference: string,
    type = 'cosign container image signature',
  ): CosignSignature {
    const payload = Buffer.from(
      `{"critical":{"identity":{"docker-reference":"${reference}"},"image":{"docker-manifest-digest":"${digestOf(manifest)}"},"type":"${type}"},"optional":null}`,
    );
    return {
      payload,
      annotations: { [annotation]: sign('sha256', payload, this.#key).toString('base64') },
    };
  }
}
