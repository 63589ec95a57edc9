import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A credential that this process's unit was given: systemd.exec(5), LoadCredential=. */
export interface Credential {
  readonly name: string;
  /** Absolute path of a file that only root may read. */
  readonly path: string;
}

/** The credentials of the unit that this process is of, by name. */
export function unitCredentials(): Credential[] {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  if (!folder) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, path: join(folder, name) }));
}
