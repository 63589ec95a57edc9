import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { REAPER } from './reaper.ts';

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
  'rkt/env',
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
  modes: Pick<RunArguments, 'resolv' | 'hosts'>,
): void {
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'])
    symlinkSync(`usr/${name}`, join(root, name));
  const files: [string, string][] = [
    ['etc/os-release', 'ID=rkt\nNAME="rkt stage1"\n'],
    ['etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'],
    ['etc/group', 'root:x:0:\nnogroup:x:65534:\n'],
    ['etc/hostname', `${hostname}\n`],
    ['etc/machine-id', ''],
    ['rkt/reaper', REAPER],
    ...hostFiles(hostname, modes),
  ];
  for (const [path, text] of files) writeFileSync(join(root, path), text);
  for (const [name, text] of units) writeFileSync(join(root, 'rkt/units', name), text);
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
