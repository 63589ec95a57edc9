import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { importAci } from '../../../src/image/import-aci.ts';
import { scratch } from './scratch.ts';
import {
  aci,
  archive,
  gnuLong,
  MANIFEST,
  type Member,
  manifest,
  member,
  pax,
  rootfs,
} from './tar-maker.ts';

const link = (name: string, linkName: string, type = '2'): Member => ({ name, linkName, type });
const file = (name: string): Member => ({ name, content: 'x' });
const long = (length: number): string =>
  `rootfs/${'d/'.repeat(length / 2)}`.slice(0, length - 1).concat('f');

const cases: Record<string, [Buffer, RegExp]> = {
  'an entry beside rootfs': [aci([file('etc/passwd')]), /"etc\/passwd" is neither/],
  'an absolute name': [aci([file('/rootfs/x')]), /"\/rootfs\/x" is absolute/],
  'a name with ..': [aci([file('rootfs/../../x')]), /"rootfs\/..\/..\/x" leads outside/],
  'a name that ends in ..': [aci([{ name: 'rootfs/a/..', type: '5' }]), /leads outside/],
  'an empty name': [aci([file('')]), /leads outside or nowhere/],
  'a pax path that leads outside': [aci([pax({ path: '../x' }), file('rootfs/x')]), /"\.\.\/x"/],
  'a GNU long name that leads outside': [
    aci([gnuLong('L', 'rootfs/../../x'), file('rootfs/x')]),
    /leads outside/,
  ],
  'a prefix that leads outside': [aci([{ ...file('x'), prefix: 'rootfs/../..' }]), /leads outside/],
  'pax and GNU names that disagree': [
    aci([gnuLong('L', 'rootfs/a'), pax({ path: 'rootfs/b' }), file('rootfs/c')]),
    /names "rootfs\/b" and "rootfs\/a"/,
  ],
  'a NUL in a pax path': [aci([pax({ path: 'rootfs/a\0b' }), file('rootfs/c')]), /NUL/],
  'an entry below a symlink': [
    aci([link('rootfs/a', '/etc'), file('rootfs/a/passwd')]),
    /"rootfs\/a\/passwd" lies below the symlink "rootfs\/a"/,
  ],
  'an entry deep below a symlink': [
    aci([link('rootfs/a', '..'), file('rootfs/a/b/c')]),
    /"rootfs\/a\/b" lies below|"rootfs\/a\/b\/c" lies below|below the symlink "rootfs\/a"/,
  ],
  'an entry below a hard link to a symlink': [
    aci([link('rootfs/a', '/etc'), link('rootfs/b', 'rootfs/a', '1'), file('rootfs/b/x')]),
    /below the symlink "rootfs\/b"/,
  ],
  'an entry below a file': [
    aci([file('rootfs/a'), file('rootfs/a/b')]),
    /"rootfs\/a", which is no folder/,
  ],
  'a symlink in place of a filled folder': [
    aci([file('rootfs/a/b'), link('rootfs/a', '/')]),
    /"rootfs\/a" comes twice/,
  ],
  'rootfs as a symlink': [archive([manifest, link('rootfs', '/')]), /"rootfs" is no folder/],
  'a hard link to an absolute path': [
    aci([link('rootfs/a', '/etc/shadow', '1')]),
    /points outside/,
  ],
  'a hard link with ..': [aci([link('rootfs/a', 'rootfs/../../x', '1')]), /points outside/],
  'a hard link to the manifest': [
    aci([link('rootfs/a', 'manifest', '1')]),
    /points outside "rootfs"/,
  ],
  'a hard link to nothing': [aci([link('rootfs/a', 'rootfs/b', '1')]), /no earlier entry/],
  'a hard link through a symlink': [
    aci([link('rootfs/s', '/etc'), link('rootfs/a', 'rootfs/s/shadow', '1')]),
    /no earlier entry/,
  ],
  'a hard link to a folder': [
    aci([{ name: 'rootfs/d', type: '5' }, link('rootfs/a', 'rootfs/d', '1')]),
    /to a folder/,
  ],
  'a device outside': [aci([{ name: 'dev/sda', type: '4' }]), /"dev\/sda" is neither/],
  'the same path twice': [aci([file('rootfs/a'), file('rootfs/./a')]), /"rootfs\/a" comes twice/],
  'two manifests': [aci([manifest]), /"manifest" comes twice/],
  'no manifest': [archive([rootfs, file('rootfs/a')]), /it has no "manifest"/],
  'a manifest that is a symlink': [
    archive([link('manifest', 'rootfs/m'), rootfs]),
    /"manifest" is no regular file/,
  ],
  'a manifest that is too long': [archive([{ ...manifest, size: 1 << 30 }]), /too many/],
  'a manifest that is no JSON': [
    archive([{ name: 'manifest', content: '{' }, rootfs]),
    /not JSON at line 1/,
  ],
  'a manifest with a wrong field': [
    archive([
      { name: 'manifest', content: MANIFEST.replace('example.com/test', 'Bad Name') },
      rootfs,
    ]),
    /name/,
  ],
  'no rootfs': [archive([manifest]), /it has no "rootfs"/],
  'a name of 4,096 bytes': [
    aci([gnuLong('L', long(4096)), file('rootfs/x')]),
    /4096 bytes, more than 4095/,
  ],
  'a part of 256 bytes': [
    aci([gnuLong('L', `rootfs/${'n'.repeat(256)}`), file('rootfs/x')]),
    /more than 255/,
  ],
  'a wrong checksum': [aci([{ ...file('rootfs/a'), badChecksum: true }]), /wrong checksum/],
  'an unknown type': [
    aci([{ ...file('rootfs/a'), type: 'Z' }]),
    /"rootfs\/a" has the unknown type "Z"/,
  ],
  'a folder with content': [
    aci([{ name: 'rootfs/a', type: '5', content: 'x' }]),
    /directory with 1 bytes/,
  ],
  'a negative size': [
    aci([{ ...file('rootfs/a'), patch: (h) => h.fill(0xff, 124, 136) }]),
    /negative or too large/,
  ],
  'a size that is no number': [
    aci([{ ...file('rootfs/a'), patch: (h) => h.write('9z', 124) }]),
    /no number/,
  ],
  'a pax size that is no number': [aci([pax({ size: '1e3' }), file('rootfs/a')]), /bad size "1e3"/],
  'a damaged pax header': [
    aci([member({ name: 'x', type: 'x', content: '99 path=a\n' }), file('rootfs/a')]),
    /damaged extended/,
  ],
  'a pax header of many megabytes': [
    aci([member({ name: 'x', type: 'x', size: 1 << 28 })]),
    /extended header of/,
  ],
  'two pax headers in a row': [
    aci([pax({ mtime: '1' }), pax({ mtime: '2' }), file('rootfs/a')]),
    /two extended/,
  ],
  'a global header that renames': [
    aci([pax({ path: 'rootfs/b' }, 'g'), file('rootfs/a')]),
    /global extended header/,
  ],
  'an extended header with no entry': [
    aci([pax({ path: 'rootfs/b' })]),
    /ends after an extended header/,
  ],
  'an entry after an empty block': [
    Buffer.concat([archive([manifest], 1), archive([rootfs])]),
    /goes on after an empty block/,
  ],
  'a stream cut inside a header': [
    aci([file('rootfs/a')]).subarray(0, 2600),
    /truncated: it ends inside/,
  ],
  'a stream cut inside content': [
    aci([{ name: 'rootfs/a', content: 'x'.repeat(9000) }]).subarray(0, 4096),
    /truncated: it ends inside "rootfs\/a"/,
  ],
  'an entry below a device': [
    aci([{ name: 'rootfs/a', type: '3' }, file('rootfs/a/b')]),
    /"rootfs\/a", which is no folder/,
  ],
  'an entry below a FIFO': [
    aci([{ name: 'rootfs/a', type: '6' }, file('rootfs/a/b')]),
    /"rootfs\/a", which is no folder/,
  ],
  'a folder in place of a symlink': [
    aci([link('rootfs/a', '/etc'), { name: 'rootfs/a', type: '5' }]),
    /"rootfs\/a" comes twice/,
  ],
  'a file in place of a symlink, which would be written through': [
    aci([link('rootfs/a', '/etc/passwd'), file('rootfs/a')]),
    /"rootfs\/a" comes twice/,
  ],
  'a hard link in place of a file': [
    aci([file('rootfs/a'), file('rootfs/b'), link('rootfs/b', 'rootfs/a', '1')]),
    /"rootfs\/b" comes twice/,
  ],
  'a hard link to itself': [aci([link('rootfs/a', 'rootfs/a', '1')]), /no earlier entry/],
  'a hard link to what comes later': [
    aci([link('rootfs/a', 'rootfs/b', '1'), file('rootfs/b')]),
    /no earlier entry/,
  ],
  'a hard link with an empty target': [
    aci([link('rootfs/a', '', '1')]),
    /points outside|no earlier/,
  ],
  'a hard link whose GNU target leads outside': [
    aci([gnuLong('K', 'rootfs/../../etc/shadow'), link('rootfs/a', 'rootfs/b', '1')]),
    /points outside/,
  ],
  'a hard link whose pax target leads outside': [
    aci([pax({ linkpath: '/etc/shadow' }), link('rootfs/a', 'rootfs/b', '1')]),
    /points outside/,
  ],
  'pax and GNU link targets that disagree': [
    aci([gnuLong('K', '/etc/passwd'), pax({ linkpath: '/etc/shadow' }), link('rootfs/a', 'b')]),
    /link targets "\/etc\/shadow" and "\/etc\/passwd"/,
  ],
  'a symlink with an empty target': [aci([link('rootfs/a', '')]), /target of 0 bytes/],
  'a symlink with a target of 4,096 bytes': [
    aci([gnuLong('K', 'x'.repeat(4096)), link('rootfs/a', 'b')]),
    /target of 4096 bytes/,
  ],
  'a symlink with content': [
    aci([{ ...link('rootfs/a', 'b'), content: 'x' }]),
    /symlink with 1 bytes/,
  ],
  'a hard link with content': [
    aci([file('rootfs/a'), { ...link('rootfs/b', 'rootfs/a', '1'), content: 'x' }]),
    /truncated|checksum|hardlink with|bytes of content/,
  ],
  'a pax size on a symlink': [
    aci([pax({ size: '512' }), link('rootfs/a', 'b')]),
    /symlink with 512 bytes/,
  ],
  'a pax size that hides the next header': [
    aci([pax({ size: '1024' }), file('rootfs/a'), file('rootfs/b')]),
    /truncated|checksum/,
  ],
  "a pax size below the header's": [
    aci([pax({ size: '0' }), { name: 'rootfs/a', content: 'x'.repeat(512) }]),
    /wrong checksum/,
  ],
  'a size beyond the end': [
    aci([{ ...file('rootfs/a'), size: 1 << 20 }]),
    /truncated: it ends inside "rootfs\/a"/,
  ],
  'a size that no disk has room for': [
    aci([{ name: 'rootfs/a', size: 0o77777777777 - 1 }]),
    /truncated|no space left on the disk for the entry "rootfs\/a"/,
  ],
  'a base-256 size of exabytes, at once': [
    aci([
      {
        ...file('rootfs/a'),
        patch: (h) => {
          h.fill(0, 124, 136);
          h[124] = 0x80;
          h.writeUIntBE(2 ** 43, 130, 6);
        },
      },
    ]),
    /no space left on the disk for the entry "rootfs\/a" of 8796093022208 bytes/,
  ],
  'a global header that resizes': [
    aci([pax({ size: '0' }, 'g'), file('rootfs/a')]),
    /global extended header/,
  ],
  'a global header that makes sparse': [
    aci([pax({ 'GNU.sparse.name': '../x' }, 'g'), file('rootfs/a')]),
    /global extended header/,
  ],
  'a sparse name that leads outside': [
    aci([pax({ 'GNU.sparse.name': '../../x', 'GNU.sparse.major': '1' }), file('rootfs/a')]),
    /leads outside/,
  ],
  'a pax record that is given twice': [
    aci([
      member({
        name: 'x',
        type: 'x',
        content: '17 path=rootfs/a\n18 path=rootfs/bc\n',
      }),
      file('rootfs/c'),
    ]),
    /gives "path" twice|damaged extended/,
  ],
  'two GNU long names in a row': [
    aci([gnuLong('L', 'rootfs/a'), gnuLong('L', 'rootfs/b'), file('rootfs/c')]),
    /two long names/,
  ],
  'an extended header that the stream ends in': [
    aci([pax({ path: `rootfs/${'x'.repeat(200)}` })]).subarray(0, 512 * 4 + 100),
    /truncated: it ends inside a header/,
  ],
  'a whiteout-like device of overlayfs for an attribute': [
    aci([pax({ 'SCHILY.xattr.trusted.overlay.opaque': 'y' }), file('../x')]),
    /leads outside/,
  ],
  'a rootfs that is a hard link': [
    archive([manifest, link('rootfs', 'manifest', '1')]),
    /"rootfs" is no folder/,
  ],
  'a manifest in a folder of that name': [
    archive([{ name: 'manifest', type: '5' }, rootfs]),
    /"manifest" is no regular file/,
  ],
  'a manifest after a thousand slashes': [
    archive([{ name: `${'/'.repeat(50)}manifest`, content: MANIFEST }, rootfs]),
    /is absolute/,
  ],
  'a control character in a name': [aci([file('x\u001b[31m\n')]), /"x\\u001b\[31m\\n" is neither/],
};

describe('a hostile ACI is refused in one line, with nothing left behind', () => {
  test.each(Object.entries(cases))('%s', async (_name, [bytes, message]) => {
    const { store, file: write, folder } = scratch();
    const path = write('hostile.aci', bytes);
    const error = await importAci(store, path).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error?.message).toMatch(message);
    expect(error?.message.startsWith(`import ${path}: `)).toBe(true);
    expect(error?.message).not.toMatch(/\p{Cc}/u);
    expect(readdirSync(folder).sort()).toEqual(['data', 'hostile.aci']);
    for (const part of ['blob', 'image', 'tree', 'file', 'tmp'] as const)
      expect(readdirSync(store.path(part))).toEqual([]);
  });
});
