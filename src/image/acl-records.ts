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
 * Records in GNU tar's words for the ACLs that a member has only as bare extended attributes, the way
 * Go's tools write them: where tar restores ACLs it takes no others.
 *
 * @throws ImageError `bad-image` for what is no ACL
 */
export function aclRecords(pax: ReadonlyMap<string, string>): Buffer {
  const added = ['access', 'default'].flatMap((kind) => {
    const value = pax.get(`SCHILY.xattr.system.posix_acl_${kind}`);
    if (value === undefined || pax.has(`SCHILY.acl.${kind}`)) return [];
    const text = aclText(Buffer.from(value, 'latin1'));
    return text === '' ? [] : record(`SCHILY.acl.${kind}`, text);
  });
  return Buffer.from(added.join(''), 'latin1');
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
