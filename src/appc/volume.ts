import { AppcError } from './error.ts';
import type { EmptyVolume, HostVolume, Volume } from './types.ts';

/** The fields of a volume as given, before it is known that they fit its kind. */
export interface VolumeFields {
  name: string;
  kind: Volume['kind'];
  source?: string;
  readOnly?: boolean;
  recursive?: boolean;
  mode?: string;
  uid?: number;
  gid?: number;
}

/**
 * The volume that the fields describe, defaults filled in (spec: pods.md, "volumes").
 *
 * @throws AppcError `schema` when a field does not fit the kind or has a wrong form
 */
export function makeVolume(fields: VolumeFields): Volume {
  const { name, kind, source, readOnly, recursive, mode = '0755', uid = 0, gid = 0 } = fields;
  const wrong = (why: string) => new AppcError('schema', `volume ${name}: ${why}`);
  if (kind === 'empty') {
    if (source !== undefined) throw wrong('source is not allowed for an empty volume');
    if (!/^0*[0-7]{1,4}$/.test(mode)) throw wrong(`mode "${mode}" is not an octal mode`);
    for (const id of [uid, gid])
      if (!Number.isInteger(id) || id < 0 || id > 0xfffffffe)
        throw wrong(`${id} is not a user or group id`);
    const volume: EmptyVolume = { name, kind, mode, uid, gid };
    if (readOnly !== undefined) volume.readOnly = readOnly;
    return volume;
  }
  for (const field of ['mode', 'uid', 'gid'] as const)
    if (fields[field] !== undefined) throw wrong(`${field} is not allowed for a host volume`);
  if (source === undefined) throw wrong('source is required for a host volume');
  if (!source.startsWith('/')) throw wrong(`source "${source}" must be an absolute path`);
  const volume: HostVolume = { name, kind, source };
  if (readOnly !== undefined) volume.readOnly = readOnly;
  if (recursive !== undefined) volume.recursive = recursive;
  return volume;
}
