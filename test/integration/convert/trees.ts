import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Gives every path below a folder, and the folder, a time with nanoseconds. */
export function date(root: string, time = '2020-02-02T02:02:02.123456789Z'): void {
  run('find', root, '-depth', '-exec', 'touch', '-h', '-d', time, '{}', '+');
}

/** A root file system with everything that is easily lost. */
export function makeTree(root: string): void {
  const path = (name: string) => join(root, name);
  for (const name of ['bin', 'etc', 'dev', 'tmp', 'empty'])
    mkdirSync(path(name), { recursive: true });
  writeFileSync(path('bin/tool'), '#!/bin/sh\n'.repeat(1000));
  run('ln', path('bin/tool'), path('bin/hard'));
  run('ln', path('bin/tool'), path('hard link'));
  run('ln', '-s', '../bin/tool', path('etc/relative'));
  run('ln', '-s', '/nowhere/./at all', path('etc/dangling'));
  run('chown', '1234:70000', path('bin/tool'));
  run('chmod', '6755', path('bin/tool'));
  run('chmod', '1777', path('tmp'));
  run('mknod', path('dev/null'), 'c', '1', '3');
  run('mknod', path('dev/disk'), 'b', '8', '17');
  run('mkfifo', '-m', '620', path('dev/fifo'));
  writeFileSync(path('etc/noted'), 'x', { mode: 0o600 });
  run('setfattr', '-n', 'user.note', '-v', 'a\nb', path('etc/noted'));
  run('setfattr', '-n', 'user.folder', '-v', 'kept', path('empty'));
  writeFileSync(path('bin/able'), 'binary');
  run('setcap', 'cap_net_raw+ep', path('bin/able'));
  run('setfacl', '-m', 'u:77:r', path('etc/noted'));
  run('setfacl', '-d', '-m', 'g:78:rx', path('empty'));
  writeFileSync(path(`etc/${'n'.repeat(255)}`), 'long');
  writeFileSync(path('etc/.wh-like'), '');
  writeFileSync(path('etc/ünïcode "quoted" \\ back'), 'names');
  run('truncate', '-s', '1M', path('etc/sparse'));
  date(root);
}

/** A line for each path below a folder: all that an image should keep of it. */
export function look(root: string): string[] {
  const inodes = new Map<bigint, number>();
  const lines: string[] = [];
  const visit = (path: string, name: string): void => {
    const stats = lstatSync(path, { bigint: true });
    const first = inodes.get(stats.ino) ?? inodes.size;
    inodes.set(stats.ino, first);
    const target = stats.isSymbolicLink() ? readlinkSync(path) : '';
    const content = stats.isFile()
      ? createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12)
      : '';
    const links = stats.isDirectory() ? '' : `${first}/${stats.nlink}`;
    lines.push(
      [name, stats.mode.toString(8), `${stats.uid}:${stats.gid}`, stats.mtimeNs, stats.rdev]
        .concat(links, target, content, attributes(path))
        .join(' '),
    );
    if (stats.isDirectory())
      for (const each of readdirSync(path).sort()) visit(join(path, each), `${name}/${each}`);
  };
  visit(root, '');
  return lines;
}

function attributes(path: string): string {
  return run('getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', path)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('security.selinux'))
    .sort()
    .join(' ');
}
