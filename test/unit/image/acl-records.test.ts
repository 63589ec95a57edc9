import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { importAci } from '../../../src/image/import-aci.ts';
import { importLayer } from '../../../src/image/layer.ts';
import { scratch, scratchFolder } from './scratch.ts';
import { archive, MANIFEST, type Member, pax } from './tar-maker.ts';

const file: Member = { name: 'f', mode: 0o640, content: 'x' };

/** Unpacks a file with that record for its ACL; gives its ACL, and what was warned of. */
async function unpacked(acl: string): Promise<{ acl: string; warnings: string[] }> {
  const { store } = scratch();
  const warnings: string[] = [];
  const id = await importLayer(store, {
    name: 'a layer',
    open: () => Readable.from([archive([pax({ 'SCHILY.acl.access': acl }), file])]),
    warn: (line) => warnings.push(line),
  });
  return { acl: aclOf(join(store.treeRoot(id), 'f')), warnings };
}

function aclOf(path: string): string {
  const argv = ['-nc', '--absolute-names', path];
  return execFileSync('getfacl', argv, { encoding: 'utf8' }).trim().split('\n').join(',');
}

test.each([
  ['numbers', 'user::rw-,user:77:r--,group::---,mask::r--,other::---'],
  ['nobody but the owners', 'user::rw-,group::r--,other::r--'],
])('an ACL with %s is kept', async (_what, acl) => {
  expect(await unpacked(acl)).toEqual({ acl, warnings: [] });
});

test('a name with its number behind is that number, and root is 0', async () => {
  const given = 'user::rw-,user:lisa:r--:502,group::---,group:root:r-x,mask::r-x,other::---';
  expect(await unpacked(given)).toEqual({
    acl: 'user::rw-,user:502:r--,group::---,group:0:r-x,mask::r-x,other::---',
    warnings: [],
  });
});

test('other names are left out with a warning, and nobody else gets more for it', async () => {
  const given =
    'user::rw-\nuser:sync:r--\ngroup::---\ngroup:adm:r-x\nnonsense\nmask::r-x\nother::---';
  expect(await unpacked(given)).toEqual({
    acl: 'user::rw-,group::---,mask::r-x,other::---',
    warnings: [
      'a layer: ACL entries are left out, since the archive gives no numbers for "user:sync", "group:adm", "nonsense"',
    ],
  });
});

test('GNU tar writes names, and the image of it is stored with one warning', async () => {
  const { store, file: put } = scratch();
  const folder = scratchFolder();
  mkdirSync(join(folder, 'rootfs'));
  for (const name of ['a', 'b']) {
    writeFileSync(join(folder, 'rootfs', name), 'x', { mode: 0o640 });
    execFileSync('setfacl', ['-m', 'u:sync:r,u:4321:r,g::-', join(folder, 'rootfs', name)]);
  }
  writeFileSync(join(folder, 'manifest'), MANIFEST);
  const tar = join(folder, 'tar');
  execFileSync('tar', ['--acls', '-cf', tar, '-C', folder, 'manifest', 'rootfs']);
  const warnings: string[] = [];
  const path = put('a.aci', readFileSync(tar));
  const { key } = await importAci(store, path, { warn: (line) => warnings.push(line) });
  expect(aclOf(join(store.treeRoot(key), 'a'))).toBe(
    'user::rw-,user:4321:r--,group::---,mask::r--,other::---',
  );
  expect(warnings).toEqual([expect.stringMatching(/a\.aci: ACL entries .* for "user:sync"$/)]);
});
