import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { importAci } from '../../../src/image/import-aci.ts';
import { cachedFile } from '../../../src/image/local-file.ts';
import { openArchive } from '../../../src/image/oci-archive.ts';
import { clearLeftovers, removeImage } from '../../../src/image/remove.ts';
import { openStore } from '../../../src/image/store.ts';
import { scratch, scratchFolder } from './scratch.ts';
import { aci, archive, MANIFEST, manifest, pax, rootfs } from './tar-maker.ts';

const sha512 = (data: Buffer): string =>
  `sha512-${createHash('sha512').update(data).digest('hex').slice(0, 64)}`;
const hello = aci([{ name: 'rootfs/hello', content: 'hello' }]);

/** Packs a folder with `manifest` and `rootfs` as GNU tar does it. */
function pack(folder: string, ...options: string[]): Buffer {
  return execFileSync('tar', ['-C', folder, ...options, '-cf', '-', 'manifest', 'rootfs'], {
    maxBuffer: 1 << 28,
  });
}

function sources(): string {
  const folder = scratchFolder();
  writeFileSync(join(folder, 'manifest'), MANIFEST);
  mkdirSync(join(folder, 'rootfs'));
  return folder;
}

/** All that tar can tell of a tree, one line per entry, in the order of names. */
function listing(root: string): string {
  const packed = execFileSync(
    'tar',
    [
      '-C',
      root,
      '--xattrs',
      '--xattrs-include=*',
      '--acls',
      '--sort=name',
      '--format=pax',
      '--sparse',
      '--pax-option=delete=atime,delete=ctime',
      '-cf',
      '-',
      '.',
    ],
    { maxBuffer: 1 << 28 },
  );
  return execFileSync(
    'tar',
    ['--xattrs', '--acls', '--numeric-owner', '--full-time', '-tvvf', '-'],
    { input: packed, encoding: 'utf8' },
  );
}

describe('what is stored', () => {
  test('the key is the hash of the tar, and manifest, blob and tree are there under it', async () => {
    const { store, file } = scratch();
    const image = await importAci(store, file('a.aci', hello));
    expect(image).toMatchObject({
      key: sha512(hello),
      name: 'example.com/test',
      version: '1.0',
      layers: [sha512(hello)],
    });
    expect(JSON.parse(store.readManifest(image.key)).name).toBe('example.com/test');
    expect(readFileSync(store.blobPath(image.key))).toEqual(hello);
    expect(readFileSync(join(store.treeRoot(image.key), 'hello'), 'utf8')).toBe('hello');
    expect(readdirSync(store.path('tree', image.key)).sort()).toEqual(['rootfs', 'size']);
    expect(image.size).toBe(hello.length + 5);
    expect(Math.abs(image.importTime / 1e6 - Date.now())).toBeLessThan(60_000);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test.each(['gzip', 'bzip2', 'xz', 'zstd'])(
    '%s gives the same key as the plain tar',
    async (program) => {
      const { store, file } = scratch();
      const packed = execFileSync(program, ['-c'], { input: hello });
      const image = await importAci(store, file('a.aci', packed));
      expect(image.key).toBe(sha512(hello));
      expect(readFileSync(store.blobPath(image.key))).toEqual(packed);
      expect(readFileSync(join(store.treeRoot(image.key), 'hello'), 'utf8')).toBe('hello');
    },
  );

  test('modes, owners, times, xattrs, capabilities, ACLs, devices, FIFOs, links and holes come out as they went in', async () => {
    const { store, file } = scratch();
    const folder = sources();
    const at = (name: string): string => join(folder, 'rootfs', name);
    writeFileSync(at('suid'), 'x');
    execFileSync('chown', ['1234:56789', at('suid')]);
    chmodSync(at('suid'), 0o6711);
    mkdirSync(at('tmp'));
    chmodSync(at('tmp'), 0o1777);
    mkdirSync(at('closed'), { mode: 0o000 });
    writeFileSync(at('closed/inside'), 'x');
    execFileSync('mknod', [at('null'), 'c', '1', '3']);
    execFileSync('mknod', [at('disk'), 'b', '8', '0']);
    execFileSync('mkfifo', [at('fifo')]);
    execFileSync('ln', [at('suid'), at('hard')]);
    symlinkSync('/etc/passwd', at('absolute'));
    symlinkSync('../../..', at('upwards'));
    execFileSync('ln', ['-P', at('absolute'), at('hard-symlink')]);
    writeFileSync(Buffer.from(`${at('')}b\xffd\xe9`, 'latin1'), 'x');
    writeFileSync(at('ü-utf8'), 'x');
    writeFileSync(at('n'.repeat(255)), 'x');
    writeFileSync(at('new\nline'), 'x');
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', at('suid')]);
    execFileSync('setfattr', [
      '-n',
      'security.capability',
      '-v',
      '0x0100000200040000000000000000000000000000',
      at('ü-utf8'),
    ]);
    execFileSync('setfacl', ['-m', 'u:1234:rwx', at('tmp')]);
    closeSync(openSync(at('holes'), 'w'));
    truncateSync(at('holes'), 1 << 30);
    appendFileSync(at('holes'), 'end');
    execFileSync('touch', ['--date=@1.123456789', at('suid')]);
    utimesSync(at('closed'), 1, 2);
    const packed = pack(
      folder,
      '--format=pax',
      '--sparse',
      '--xattrs',
      '--xattrs-include=*',
      '--acls',
    );
    const image = await importAci(store, file('a.aci', packed));
    expect(listing(store.treeRoot(image.key))).toBe(listing(join(folder, 'rootfs')));
    expect(lstatSync(join(store.treeRoot(image.key), 'holes')).blocks).toBeLessThan(100);
    const inode = (name: string): number => lstatSync(join(store.treeRoot(image.key), name)).ino;
    expect(inode('hard')).toBe(inode('suid'));
    const { mtimeNs } = lstatSync(join(store.treeRoot(image.key), 'suid'), { bigint: true });
    expect(mtimeNs).toBe(1_123_456_789n);
  });

  test.each([
    ['ustar', []],
    ['oldgnu', ['--sparse']],
    ['gnu', ['--sparse']],
    ['pax', ['--sparse', '--sparse-version=0.0']],
    ['pax', ['--sparse', '--sparse-version=0.1']],
    ['pax', ['--sparse', '--sparse-version=1.0']],
  ])('format %s %s of GNU tar is read', async (format, options) => {
    const { store, file } = scratch();
    const folder = sources();
    const deep = join(folder, 'rootfs', ...Array<string>(8).fill('folder-of-a-long-name'));
    mkdirSync(deep, { recursive: true });
    symlinkSync('t'.repeat(90), join(deep, 'link'));
    const holes = join(deep, 'holes');
    writeFileSync(holes, '');
    // More pieces than a header holds, so that the map goes on in blocks of its own.
    for (let n = 1; n <= 30; n++) {
      truncateSync(holes, n * 100_000);
      appendFileSync(holes, `piece ${n}`);
    }
    execFileSync('find', [folder, '-exec', 'touch', '-h', '-d', '@1000000', '{}', '+']);
    const image = await importAci(
      store,
      file('a.aci', pack(folder, `--format=${format}`, ...options)),
    );
    expect(listing(store.treeRoot(image.key))).toBe(listing(join(folder, 'rootfs')));
    const unpacked = join(store.treeRoot(image.key), holes.slice(join(folder, 'rootfs').length));
    expect(readFileSync(unpacked).equals(readFileSync(holes))).toBe(true);
  });

  test('names with ./ in front, the manifest last and an entry for the root are accepted', async () => {
    const { store, file } = scratch();
    const bytes = archive([
      { name: './', type: '5', mode: 0o700 },
      { name: './rootfs/', type: '5' },
      { name: './rootfs/a', content: 'a' },
      { name: './rootfs/b', type: '1', linkName: './rootfs/a' },
      { ...manifest, name: './manifest' },
    ]);
    const image = await importAci(store, file('a.aci', bytes));
    expect(readdirSync(store.treeRoot(image.key))).toEqual(['a', 'b']);
  });

  test.each([0, 1])('a stream with %i of the two end blocks is accepted', async (blocks) => {
    const { store, file } = scratch();
    const bytes = archive([manifest, rootfs, { name: 'rootfs/a', content: 'a' }], blocks);
    const image = await importAci(store, file('a.aci', bytes));
    expect(image.key).toBe(sha512(bytes));
    expect(readdirSync(store.treeRoot(image.key))).toEqual(['a']);
  });

  test('a size in base 256 is read', async () => {
    const { store, file } = scratch();
    const bytes = aci([
      {
        name: 'rootfs/a',
        content: 'abc',
        patch: (header) => {
          header.fill(0, 124, 136);
          header[124] = 0x80;
          header[135] = 3;
        },
      },
    ]);
    const image = await importAci(store, file('a.aci', bytes));
    expect(readFileSync(join(store.treeRoot(image.key), 'a'), 'utf8')).toBe('abc');
  });

  test('xattrs that steer overlayfs do not come from an image', async () => {
    const { store, file } = scratch();
    const bytes = aci([
      pax({ 'SCHILY.xattr.trusted.overlay.redirect': '/x', 'SCHILY.xattr.user.a': 'b' }),
      { name: 'rootfs/d', type: '5' },
    ]);
    const image = await importAci(store, file('a.aci', bytes));
    const names = execFileSync('getfattr', ['-m', '-', join(store.treeRoot(image.key), 'd')], {
      encoding: 'utf8',
    });
    expect(names).toContain('user.a');
    expect(names).not.toContain('trusted');
  });

  test('a sparse file of 10 GB takes no room and little time', async () => {
    const { store, file } = scratch();
    const folder = sources();
    writeFileSync(join(folder, 'rootfs/big'), '');
    truncateSync(join(folder, 'rootfs/big'), 10 * 2 ** 30);
    const started = Date.now();
    const image = await importAci(store, file('a.aci', pack(folder, '--sparse')));
    const { size, blocks } = statSync(join(store.treeRoot(image.key), 'big'));
    expect([size, blocks]).toEqual([10 * 2 ** 30, 0]);
    expect(Date.now() - started).toBeLessThan(20_000);
  });
});

describe('bytes that are no ACI', () => {
  const damaged = gzipSync(hello);
  damaged.writeUInt8((damaged[damaged.length - 6] ?? 0) ^ 0xff, damaged.length - 6);
  const many = aci(
    Array.from({ length: 50 }, (_, n) => ({
      name: `rootfs/${n}`,
      content: createHash('sha512').update(`${n}`).digest('hex').repeat(20),
    })),
  );
  const compressed = (program: string): Buffer => execFileSync(program, ['-c'], { input: many });
  const flipped = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    copy.writeUInt8((copy[copy.length >> 1] ?? 0) ^ 0x55, copy.length >> 1);
    return copy;
  };
  const cases: Record<string, [Buffer, RegExp]> = {
    'an empty file': [Buffer.alloc(0), /it is empty$/],
    'a compressed empty file': [gzipSync(Buffer.alloc(0)), /it is empty$/],
    'a web page': [Buffer.from('\n<!DOCTYPE html><html><body>404</body></html>'), /web page/],
    'other text': [Buffer.from('hello'), /unknown type/],
    zeros: [Buffer.alloc(4096), /unknown type/],
    'a gzip stream with a wrong checksum': [damaged, /gzip data is damaged/],
    'a truncated gzip stream': [gzipSync(many).subarray(0, 3000), /truncated/],
    'a truncated bzip2 stream': [compressed('bzip2').subarray(0, 3000), /truncated/],
    'a truncated xz stream': [compressed('xz').subarray(0, 3000), /truncated/],
    'a truncated zstd stream': [compressed('zstd').subarray(0, 3000), /truncated/],
    'a bit-flipped bzip2 stream': [
      flipped(compressed('bzip2')),
      /bzip2 data is damaged|unknown type/,
    ],
    // xz 5.8 hands on what it has made of a damaged block.
    'a bit-flipped xz stream': [flipped(compressed('xz')), /(xz data is|wrong checksum:) damaged/],
    'a bit-flipped zstd stream': [flipped(compressed('zstd')), /zstd data is damaged/],
  };

  test.each(Object.entries(cases))('%s: one line that says so', async (_name, [bytes, message]) => {
    const { store, file } = scratch();
    const path = file('bad.aci', bytes);
    await expect(importAci(store, path)).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringMatching(message),
    });
    for (const part of ['blob', 'image', 'tree', 'file', 'tmp'] as const)
      expect(readdirSync(store.path(part))).toEqual([]);
  });

  test('no such file, and a folder', async () => {
    const { store, folder } = scratch();
    await expect(importAci(store, join(folder, 'none'))).rejects.toThrow(/none: no such file/);
    await expect(importAci(store, folder)).rejects.toThrow(/not a regular file/);
  });

  test('a decompressor that is not installed is named', async () => {
    const { store, file } = scratch();
    const bin = scratchFolder();
    for (const name of ['setpriv', 'chroot', 'rm'])
      symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(bin, name));
    const path = file('a.aci', execFileSync('xz', ['-c'], { input: hello }));
    const before = process.env['PATH'];
    process.env['PATH'] = bin;
    try {
      await expect(importAci(store, path)).rejects.toMatchObject({
        code: 'missing-program',
        message: expect.stringContaining('xz'),
      });
    } finally {
      process.env['PATH'] = before;
    }
  });
});

describe('again and at the same time', () => {
  test('the same content again is the same image, from another file too', async () => {
    const { store, file } = scratch();
    const first = await importAci(store, file('a.aci', hello));
    expect(await importAci(store, file('b.aci', gzipSync(hello)))).toEqual(first);
    expect(store.list()).toEqual([first]);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('a key that the content does not have is refused', async () => {
    const { store, file } = scratch();
    const key = sha512(Buffer.from('other'));
    await expect(importAci(store, file('a.aci', hello), { key })).rejects.toMatchObject({
      code: 'mismatch',
    });
    expect(store.list()).toEqual([]);
  });

  test('six imports of one file at once all succeed with one image', async () => {
    const { store, file } = scratch();
    const path = file('a.aci', hello);
    const images = await Promise.all(Array.from({ length: 6 }, () => importAci(store, path)));
    expect(new Set(images.map((image) => image.key)).size).toBe(1);
    expect(store.list()).toHaveLength(1);
    expect(clearLeftovers(store)).toBe(0);
  });

  test('a file that has not changed is not read again, a changed one is', async () => {
    const { store, file } = scratch();
    const path = file('a.aci', hello);
    await new Promise((done) => setTimeout(done, 30));
    const first = await importAci(store, path);
    expect(cachedFile(store, path)).toEqual(first);
    const { atime, mtime } = statSync(path);
    const other = Buffer.from(hello);
    other.write('HELLO', hello.lastIndexOf('hello\0'));
    writeFileSync(path, other);
    utimesSync(path, atime, mtime);
    expect(cachedFile(store, path)).toBeUndefined();
    expect((await importAci(store, path)).key).not.toBe(first.key);
  });

  test('what is known of a file goes with its image', async () => {
    const { store, file } = scratch();
    const path = file('a.aci', hello);
    await new Promise((done) => setTimeout(done, 30));
    const { key } = await importAci(store, path);
    removeImage(store, key, () => false);
    expect(cachedFile(store, path)).toBeUndefined();
    expect(readdirSync(store.path('file'))).toEqual([]);
    expect((await importAci(store, path)).key).toBe(key);
  });
});

describe('a store that takes no more', () => {
  /** A file system of its own for the data folder; it goes away with the test's folder. */
  const withMount = async (
    options: string,
    use: (folder: string) => Promise<void>,
  ): Promise<void> => {
    const folder = scratchFolder();
    mkdirSync(join(folder, 'data'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', join(folder, 'data')]);
    try {
      await use(folder);
    } finally {
      execFileSync('umount', [join(folder, 'data')]);
    }
  };
  const big = aci([{ name: 'rootfs/big', content: Buffer.alloc(6 << 20, 'x') }]);

  test.each([
    ['while tar unpacks', gzipSync(big)],
    ['while its bytes are kept', big],
  ])('a full disk %s: one line, nothing left', async (_when, bytes) => {
    await withMount('size=4m', async (folder) => {
      const path = join(folder, 'a.aci');
      writeFileSync(path, bytes);
      const store = openStore(join(folder, 'data'));
      await expect(importAci(store, path)).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(/^import .*a\.aci: .*no space left/i),
      });
      for (const part of ['blob', 'image', 'tree', 'tmp'] as const)
        expect(readdirSync(store.path(part))).toEqual([]);
    });
  });

  test('a bomb is refused before the disk is full', async () => {
    await withMount('size=256m', async (folder) => {
      const path = join(folder, 'a.aci');
      const zeros = Buffer.alloc(8 << 20);
      const members = Array.from({ length: 40 }, (_, n) => ({
        name: `rootfs/${n}`,
        content: zeros,
      }));
      writeFileSync(path, gzipSync(aci(members), { level: 1 }));
      await expect(importAci(openStore(join(folder, 'data')), path)).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(
          /a\.aci: no space left on the disk for the entry "rootfs\/\d+" of 8388608 bytes: \d+ are free$/,
        ),
      });
    });
  });

  test('an archive that decompresses to more than there is room for is refused in time', async () => {
    await withMount('size=64m', async (folder) => {
      const path = join(folder, 'a.tar.gz');
      writeFileSync(path, gzipSync(Buffer.alloc(128 << 20), { level: 1 }));
      const store = openStore(join(folder, 'data'));
      await expect(openArchive(store, path)).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(
          /a\.tar\.gz: no space left on the disk for its next \d+ decompressed bytes: \d+ are free$/,
        ),
      });
      expect(readdirSync(store.path('tmp'))).toEqual([]);
    });
  });

  test('a read-only store lists and refuses', async () => {
    await withMount('size=64m', async (folder) => {
      const path = join(folder, 'a.aci');
      writeFileSync(path, hello);
      const store = openStore(join(folder, 'data'));
      const image = await importAci(store, path);
      execFileSync('mount', ['-o', 'remount,ro', join(folder, 'data')]);
      writeFileSync(path, gzipSync(big));
      await expect(importAci(store, path)).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(/read-only/),
      });
      store.touch(image.key);
      expect(store.list()).toEqual([image]);
    });
  });
});

test('the working folder, root and mounts are the same after an import', async () => {
  const { store, file } = scratch();
  const state = (): string =>
    `${process.cwd()} ${readFileSync('/proc/self/mounts', 'utf8')} ${spawnSync('readlink', ['/proc/self/ns/mnt']).stdout}`;
  const before = state();
  await importAci(store, file('a.aci', hello));
  expect(state()).toBe(before);
});
