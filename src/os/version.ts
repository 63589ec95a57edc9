import { readFileSync } from 'node:fs';

declare const RKT_VERSION: string | undefined;

/** The project's version (SemVer). The build fills it in; from sources it is package.json's. */
export const version: string = typeof RKT_VERSION === 'string' ? RKT_VERSION : fromPackage();

function fromPackage(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const found = /"version": "([^"]+)"/.exec(text)?.[1];
  if (!found) throw new Error('package.json has no version');
  return found;
}
