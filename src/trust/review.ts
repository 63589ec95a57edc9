import type { Key } from 'openpgp';
import { identities } from './openpgp.ts';

/** What a user is shown of a key before trusting it: fingerprints in groups, and who it claims to be. */
export function reviewText(key: Key): string {
  return [
    `gpg key fingerprint is: ${grouped(key.getFingerprint())}`,
    ...key.getSubkeys().map((sub) => `    Subkey fingerprint: ${grouped(sub.getFingerprint())}`),
    ...identities(key).map((identity) => `\t${identity}`),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

/** A fingerprint as gpg prints it: groups of four digits, two blanks in the middle. */
function grouped(fingerprint: string): string {
  const groups = fingerprint.toUpperCase().match(/.{1,4}/g) ?? [];
  const half = groups.length / 2;
  return `${groups.slice(0, half).join(' ')}  ${groups.slice(half).join(' ')}`;
}
