import { badTar, quoteName } from './tar-headers.ts';

/** Tags of entries in the kernel's form of an ACL (acl(5), linux/posix_acl.h). */
const TAGS = new Map([
  [0x01, 'user'],
  [0x02, 'user'],
  [0x04, 'group'],
  [0x08, 'group'],
  [0x10, 'mask'],
  [0x20, 'other'],
]);
/** Those of them that name somebody. */
const NAMED = 0x02 | 0x08;

/**
 * Records to add for the ACLs of a member, which the confined tar takes in no other form: in GNU tar's
 * words, and by numbers, since it knows nobody.
 *
 * - Go's tools write bare extended attributes.
 * - GNU tar writes the names of users and groups, star their numbers behind. Entries of names without
 *   a number are left out, and `lost` gets `user:NAME`, or the whole entry if it makes no sense: the
 *   host's users are not those of the image, and without the other entries the group would get what the
 *   mask allows.
 *
 * @throws ImageError `bad-image` for an attribute that is no ACL
 */
export function aclRecords(pax: ReadonlyMap<string, string>, lost: Set<string>): Buffer {
  const added = ['access', 'default'].flatMap((kind) => {
    const given = pax.get(`SCHILY.acl.${kind}`);
    const bare = pax.get(`SCHILY.xattr.system.posix_acl_${kind}`);
    const text =
      given === undefined ? bare && aclText(Buffer.from(bare, 'latin1')) : byNumbers(given, lost);
    return !text || text === given ? [] : record(`SCHILY.acl.${kind}`, text);
  });
  return Buffer.from(added.join(''), 'latin1');
}

/** The line that tells of entries that `aclRecords` has left out, if there are any. */
export function lostEntries(lost: ReadonlySet<string>): string[] {
  if (lost.size === 0) return [];
  const shown = [...lost].slice(0, 5).map(quoteName).join(', ');
  const more = lost.size > 5 ? ` and ${lost.size - 5} more` : '';
  return [`ACL entries are left out, since the archive gives no numbers for ${shown}${more}`];
}

/** An ACL in the words of acl(5), an entry perhaps with a number behind, `user:NAME:rwx:ID`. */
function byNumbers(acl: string, lost: Set<string>): string {
  return acl
    .split(/[,\n]/)
    .map((entry) => entry.replace(/#.*/, '').trim())
    .filter((entry) => entry !== '')
    .flatMap((entry) => {
      const [, tag, who, bits, id] =
        /^(u|user|g|group|m|mask|o|other):([^:]*):([rwxX-]*)(?::(\d*))?$/.exec(entry) ?? [];
      if (tag === undefined || who === undefined) lost.add(entry);
      else if (/^\d*$/.test(who)) return `${tag}:${who}:${bits}`;
      else if (id || who === 'root') return `${tag}:${id || 0}:${bits}`;
      else lost.add(`${tag}:${who}`);
      return [];
    })
    .join(',');
}

/** An ACL in the kernel's form (version 2, entries of 8 bytes) as acl_from_text(3) reads it. */
function aclText(acl: Buffer): string {
  const entries: string[] = [];
  if (acl.length < 4 || acl.length % 8 !== 4 || acl.readUInt32LE() !== 2) throw damaged(acl);
  for (let at = 4; at < acl.length; at += 8) {
    const [tag, mode] = [acl.readUInt16LE(at), acl.readUInt16LE(at + 2)];
    const name = TAGS.get(tag);
    if (name === undefined || mode > 7) throw damaged(acl);
    const id = tag & NAMED ? acl.readUInt32LE(at + 4) : '';
    const bits = [...'rwx'].map((bit, n) => (mode & (4 >> n) ? bit : '-'));
    entries.push(`${name}:${id}:${bits.join('')}`);
  }
  return entries.join(',');
}

function damaged(acl: Buffer) {
  return badTar(`it has a damaged ACL: ${quoteName(acl.toString('latin1'))}`);
}

/** `LENGTH KEY=VALUE\n`, with the length of the whole. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return `${length}${rest}`;
}
