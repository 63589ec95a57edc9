import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { MANAGER_FILES } from './manager.ts';
import { REAPER, SETTLER } from './reaper.ts';
import { EXIT_ALIASES } from './units.ts';

const FOLDERS = [
  'dev',
  'etc',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr',
  'var/tmp',
  'rkt/status',
  'rkt/stdio',
  'rkt/units',
  'rkt/volumes',
];

/**
 * Lays out the stage1 root: the host's /usr with its systemd is mounted into it later, so it is
 * little more than names. It is written in the pod's folder, where the statuses stay when the pod
 * is gone.
 */
export function layOutRoot(
  root: string,
  hostname: string,
  units: ReadonlyMap<string, string>,
  ids: { readonly users: ReadonlySet<number>; readonly groups: ReadonlySet<number> },
  modes: Pick<RunArguments, 'resolv' | 'hosts'>,
): void {
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'])
    symlinkSync(`usr/${name}`, join(root, name));
  const files: [string, string][] = [
    ['etc/os-release', 'ID=rkt\nNAME="rkt stage1"\n'],
    ['etc/passwd', userDatabase(ids.users)],
    ['etc/group', groupDatabase(ids.groups)],
    ['etc/hostname', `${hostname}\n`],
    ['etc/machine-id', ''],
    ['rkt/reaper', REAPER],
    ['rkt/settler', SETTLER],
    ...hostFiles(hostname, modes),
  ];
  for (const [path, text] of files) writeFileSync(join(root, path), text);
  for (const [path, text, mode] of MANAGER_FILES) {
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  }
  for (const [name, text] of units) writeFileSync(join(root, 'rkt/units', name), text);
  for (const name of EXIT_ALIASES) symlinkSync('exit.target', join(root, 'rkt/units', name));
}

/** systemd in the pod runs nobody whom it does not know, not even by number. */
function userDatabase(users: ReadonlySet<number>): string {
  const lines = [...users].map(
    (uid) => `${uid === 0 ? 'root' : `gen${uid}`}:x:${uid}:${uid}::/:/bin/sh`,
  );
  return `${lines.join('\n')}\n`;
}

function groupDatabase(groups: ReadonlySet<number>): string {
  const lines = [...groups].map((gid) => `${gid === 0 ? 'root' : `gen${gid}`}:x:${gid}:`);
  return `${lines.join('\n')}\n`;
}

/** What the apps get as resolver configuration and hosts file, unless stage0 has written them. */
function hostFiles(
  hostname: string,
  modes: Pick<RunArguments, 'resolv' | 'hosts'>,
): [string, string][] {
  const files: [string, string][] = [];
  if (modes.resolv === 'host')
    files.push(['etc/rkt-resolv.conf', readFileSync('/etc/resolv.conf', 'utf8')]);
  if (modes.hosts === 'host') files.push(['etc/rkt-hosts', readFileSync('/etc/hosts', 'utf8')]);
  if (modes.hosts === 'default')
    files.push([
      'etc/rkt-hosts',
      `127.0.0.1 localhost ${hostname}\n::1 localhost ip6-localhost ip6-loopback\n`,
    ]);
  return files;
}
