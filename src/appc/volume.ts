import { AppcError } from './error.ts';
import { bytes, parseQuantity } from './quantity.ts';
import type { EmptyVolume, HostVolume, TmpfsVolume, Volume } from './types.ts';

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
  size?: string;
}

const octal = /^0*[0-7]{1,4}$/;

const notOf = {
  host: ['mode', 'uid', 'gid', 'size'],
  empty: ['source', 'size'],
  tmpfs: ['source'],
} as const;

/**
 * The volume that the fields describe, defaults filled in (spec: pods.md, "volumes").
 *
 * @throws AppcError `schema` when a field does not fit the kind or has a wrong form
 */
export function makeVolume(fields: VolumeFields): Volume {
  const { name, kind, source, readOnly, recursive, size, uid = 0, gid = 0 } = fields;
  const wrong = (why: string) => new AppcError('schema', `volume ${name}: ${why}`);
  for (const field of notOf[kind])
    if (fields[field] !== undefined)
      throw wrong(`${field} is not allowed for ${kind === 'empty' ? 'an' : 'a'} ${kind} volume`);
  if (kind !== 'host') {
    const { mode = kind === 'tmpfs' ? '1777' : '0755' } = fields;
    if (!octal.test(mode)) throw wrong(`mode "${mode}" is not an octal mode`);
    for (const id of [uid, gid])
      if (!Number.isInteger(id) || id < 0 || id > 0xfffffffe)
        throw wrong(`${id} is not a user or group id`);
    const volume: EmptyVolume | TmpfsVolume = { name, kind, mode, uid, gid };
    if (readOnly !== undefined) volume.readOnly = readOnly;
    if (volume.kind === 'tmpfs' && size !== undefined) volume.size = positive(size, wrong);
    return volume;
  }
  if (source === undefined) throw wrong('source is required for a host volume');
  if (!source.startsWith('/')) throw wrong(`source "${source}" must be an absolute path`);
  const volume: HostVolume = { name, kind, source };
  if (readOnly !== undefined) volume.readOnly = readOnly;
  if (recursive !== undefined) volume.recursive = recursive;
  return volume;
}

function positive(size: string, wrong: (why: string) => AppcError): string {
  if (bytes(parseQuantity(size)) > 0n) return size;
  throw wrong(`size "${size}" is not more than 0`);
}
