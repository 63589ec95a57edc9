import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import {
  callProgram,
  failedStep,
  PR,
  REPORT_FD,
  type Step,
  setCapabilities,
} from '../os/call-program.ts';
import { errnoOf } from '../os/error.ts';
import { endPrivateMount, withPrivateMounts } from '../os/private-mounts.ts';
import {
  MS,
  mount,
  pipe,
  SyscallError,
  sealedProgram,
  setCloexec,
  setPipeSize,
} from '../os/syscalls.ts';
import type { Workspace } from './temp.ts';

/**
 * What tar needs to restore owners, modes, devices and file capabilities, and nothing else:
 * CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP (linux/capability.h).
 */
const CAPABILITIES = [0, 1, 3, 4, 27, 31].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);

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
const ENVIRONMENT = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8'];

const SIGKILL = 9;
const [F_SETFD, FD_CLOEXEC] = [2, 1];

/**
 * What leads from the root of tar's world to tar. Under no_new_privs, execve gives root no capability
 * that it has not: so that the bounding set, and the groups, stay where they may not be changed.
 */
const STEPS: readonly Step[] = [
  { call: 'chroot', args: ['.'] },
  { call: 'setgroups', args: [0, 0], mayFail: true },
  ...Array.from(
    { length: 64 },
    (_, capability): Step => ({
      call: 'prctl',
      args: [PR.CAPBSET_DROP, capability],
      mayFail: true,
    }),
  ).filter((_, capability) => ((CAPABILITIES >> BigInt(capability)) & 1n) === 0n),
  { call: 'prctl', args: [PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0] },
  setCapabilities(CAPABILITIES, CAPABILITIES),
  { call: 'prctl', args: [PR.SET_PDEATHSIG, SIGKILL] },
  { call: 'fcntl', args: [REPORT_FD, F_SETFD, FD_CLOEXEC] },
  { call: 'execve', args: ['/usr/bin/tar', TAR, ENVIRONMENT], mayFail: true },
  { call: 'execve', args: ['/bin/tar', TAR, ENVIRONMENT] },
];

/** A running tar, and the descriptor of the pipe that it reads. */
export interface TarProcess {
  readonly child: ChildProcess;
  readonly input: number;
  /** Why it never came to be tar; known when it has ended. */
  failure(): SyscallError | undefined;
}

const PIPE_SIZE = 1 << 20;

/**
 * Starts GNU tar, which unpacks what it reads on a pipe into the folder `target`. The caller closes
 * the pipe.
 *
 * Its world is a root of its own, in a mount namespace of its own or this process's: the host's /usr, read-only, and the
 * target as /out. So no member of an archive reaches anything else, whatever links it made before. It
 * ends with its parent, so that an abandoned workspace can be cleared.
 *
 * @throws SyscallError when the sandbox can't be made
 */
export function spawnTar(work: Workspace, target: string): TarProcess {
  const root = join(work.path, 'root');
  mkdirSync(root);
  const program = sealedProgram(callProgram(STEPS));
  const [output, input] = pipe();
  for (const fd of [output, input]) setCloexec(fd, true);
  setPipeSize(input, PIPE_SIZE);
  try {
    const child = withPrivateMounts(() => {
      makeRoot(root, target);
      return spawn(`/proc/${process.pid}/fd/${program}`, [], {
        stdio: [output, 'ignore', 'pipe', 'pipe'],
        env: {},
        cwd: root,
      });
    });
    child.once('exit', () => endPrivateMount(root));
    return { child, input, failure: failureOf(child) };
  } catch (error) {
    closeSync(input);
    throw error;
  } finally {
    for (const fd of [output, program]) closeSync(fd);
  }
}

function failureOf(child: ChildProcess): () => SyscallError | undefined {
  const report: Buffer[] = [];
  const channel = child.stdio[REPORT_FD];
  if (channel instanceof Readable) channel.on('data', (part: Buffer) => report.push(part));
  return () => {
    const failed = failedStep(Buffer.concat(report));
    const call = failed && STEPS[failed.index]?.call;
    return call && new SyscallError(call, 'of tar', getSystemErrorName(-failed.errno));
  };
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
