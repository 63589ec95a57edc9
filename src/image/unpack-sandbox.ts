import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { withPrivateMounts } from '../os/private-mounts.ts';
import { MS, mount, pipe, setCloexec, setPipeSize } from '../os/syscalls.ts';
import type { Workspace } from './temp.ts';

/** What tar needs to restore owners, modes, devices and file capabilities, and nothing else. */
const CAPABILITIES = ['chown', 'dac_override', 'fowner', 'fsetid', 'mknod', 'setfcap'];

const TAR = [
  'tar',
  '--extract',
  '--file=-',
  '--directory=/out',
  '--blocking-factor=128',
  '--xattrs',
  '--xattrs-include=user.*',
  '--xattrs-include=security.capability',
  '--acls',
  '--numeric-owner',
  '--same-owner',
  '--preserve-permissions',
  '--delay-directory-restore',
  '--warning=no-timestamp',
  '--quoting-style=escape',
];

/** A running tar, and the descriptor of the pipe that it reads. */
export interface TarProcess {
  readonly child: ChildProcess;
  readonly input: number;
}

const PIPE_SIZE = 1 << 20;

/**
 * Starts GNU tar, which unpacks what it reads on a pipe into the folder `target`. The caller closes
 * the pipe.
 *
 * Its world is a root of its own in a mount namespace of its own: the host's /usr, read-only, and the
 * target as /out. So no member of an archive reaches anything else, whatever links it made before. It
 * ends with its parent, so that an abandoned workspace can be cleared.
 *
 * @throws SyscallError when the sandbox can't be made
 */
export function spawnTar(work: Workspace, target: string): TarProcess {
  const root = join(work.path, 'root');
  mkdirSync(root);
  const [output, input] = pipe();
  for (const fd of [output, input]) setCloexec(fd, true);
  setPipeSize(input, PIPE_SIZE);
  try {
    const child = withPrivateMounts(() => start(root, target, output));
    return { child, input };
  } catch (error) {
    closeSync(input);
    throw error;
  } finally {
    closeSync(output);
  }
}

function start(root: string, target: string, stdin: number): ChildProcess {
  makeRoot(root, target);
  const confined = [
    '--pdeathsig=KILL',
    '--no-new-privs',
    '--clear-groups',
    '--inh-caps=-all',
    `--bounding-set=-all,${CAPABILITIES.map((name) => `+${name}`).join(',')}`,
  ];
  return spawn('chroot', [root, 'setpriv', ...confined, ...TAR], {
    stdio: [stdin, 'ignore', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
    cwd: '/',
  });
}

function makeRoot(root: string, target: string): void {
  mount('tmpfs', root, 'tmpfs', MS.NOSUID | MS.NODEV, 'mode=0755,size=64k');
  for (const name of ['usr', 'bin', 'sbin', 'lib', 'lib64', 'lib32', 'libx32'])
    shareFolder(`/${name}`, join(root, name));
  const out = join(root, 'out');
  mkdirSync(out);
  bind(target, out, MS.NOSUID | MS.NODEV | MS.NOEXEC);
}

/** Shows a folder of the host read-only; on a merged-/usr host all but /usr are links into it. */
function shareFolder(from: string, to: string): void {
  try {
    symlinkSync(readlinkSync(from), to);
    return;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) !== 'EINVAL') throw error;
  }
  if (!statSync(from).isDirectory()) return;
  mkdirSync(to);
  bind(from, to, MS.RDONLY | MS.NOSUID | MS.NODEV);
}

function bind(from: string, to: string, flags: number): void {
  mount(from, to, '', MS.BIND);
  mount('none', to, '', MS.BIND | MS.REMOUNT | flags);
}
