import { PR, REPORT_FD, SCRATCH, type Step, setCapabilities } from '../os/call-program.ts';
import type { InstalledFilter } from '../os/syscalls.ts';

/** Everything that a process needs in order to become one of an app. Descriptors are its own. */
export interface EnterPlan {
  /** The first descriptor behind those that are named here. */
  readonly descriptors: number;
  /** The user namespace, if it is not ours. */
  readonly userNamespace: number | undefined;
  /** Further namespaces that are not ours, the mount namespace last. */
  readonly namespaces: readonly { readonly kind: string; readonly fd: number }[];
  /** A folder in that mount namespace that becomes the root. */
  readonly root: string | undefined;
  /** What execve is to change the security label to: the app's, if it is not ours. */
  readonly label: string | undefined;
  /** [resource, soft, hard]: getrlimit(2). */
  readonly limits: readonly (readonly [number, bigint, bigint])[];
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** The bounding set, as a mask. */
  readonly capabilities: bigint;
  /** The highest capability of this kernel. */
  readonly lastCapability: number;
  readonly noNewPrivileges: boolean;
  readonly filters: readonly InstalledFilter[];
  /** Standard input is a terminal of the app's. */
  readonly terminal: boolean;
  readonly workingDirectory: string;
  /** Absolute paths to try, in this order. */
  readonly programs: readonly string[];
  readonly argv: readonly string[];
  readonly environment: readonly string[];
}

/**
 * The system calls that lead from a process with all privileges outside of the pod to one of the
 * app's. The first part is done outside of the pod's process namespace, where nobody inside can see
 * or trace it: join namespaces, give up privileges. Then it forks, into the pod, and waits until it has
 * been put into the app's cgroups from outside. What is left to do there needs no more than the app has, but for CAP_SYS_ADMIN where a filter is set without no_new_privs; execve takes it away.
 */
export function enterSteps(plan: EnterPlan): Step[] {
  const filtersAsRoot = plan.filters.length > 0 && !plan.noNewPrivileges;
  const kept = plan.uid === 0 ? plan.capabilities : 0n;
  const permitted = filtersAsRoot ? kept | SYS_ADMIN : kept;
  return [
    // Nobody reads the memory and the descriptors of a process on its way.
    step('prctl', [PR.SET_DUMPABLE, 0]),
    ...(plan.label === undefined ? [] : labelAtExec(plan.label, plan.descriptors)),
    step('umask', [0o022]),
    ...plan.limits.map((limit) => setLimit(...limit)),
    ...joinNamespaces(plan),
    step('close_range', [REPORT_FD + 1, LAST_FD, 0]),
    ...dropBounding(plan),
    ...(plan.uid !== 0 && filtersAsRoot ? [step('prctl', [PR.SET_KEEPCAPS, 1])] : []),
    ...becomeUser(plan),
    step('prctl', [PR.CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0]),
    setCapabilities(kept, permitted),
    // A change of credentials has taken this back. The caller is gone: so are we.
    step('prctl', [PR.SET_PDEATHSIG, SIGKILL]),
    step('clone', [SIGCHLD, 0, 0, 0, 0]),
    step('prctl', [PR.SET_PDEATHSIG, SIGKILL]),
    step('write', [REPORT_FD, CGROUP_WANTED, 1]),
    step('read', [REPORT_FD, SCRATCH, 1]),
    // SIGPIPE ends it here if nobody has answered.
    step('write', [REPORT_FD, CGROUP_JOINED, 1]),
    step('fcntl', [REPORT_FD, F_SETFD, FD_CLOEXEC]),
    // Away from the caller's terminal, which could be typed into.
    step('setsid', []),
    ...(plan.terminal ? [step('ioctl', [0, TIOCSCTTY, 0])] : []),
    { ...step('chdir', [plan.workingDirectory]), subject: plan.workingDirectory },
    ...(plan.noNewPrivileges ? [step('prctl', [PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0])] : []),
    ...(filtersAsRoot ? [setCapabilities(permitted, permitted)] : []),
    ...plan.filters.map(({ instructions, flags }) =>
      step('seccomp', [SECCOMP_SET_MODE_FILTER, flags, { instructions }]),
    ),
    ...plan.programs.map((path, index) => ({
      ...step('execve', [path, plan.argv, plan.environment]),
      mayFail: index + 1 < plan.programs.length,
    })),
  ];
}

/** What the new process says on REPORT_FD, and waits for a byte in between. */
export const [CGROUP_WANTED, CGROUP_JOINED] = ['?', '!'];

const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SYS_ADMIN = 1n << 21n;
const [SIGKILL, SIGCHLD] = [9, 17];
const LAST_FD = 0xffff_ffff;
const [F_SETFD, FD_CLOEXEC] = [2, 1];
const TIOCSCTTY = 0x540e;
const SECCOMP_SET_MODE_FILTER = 1;
const AT_FDCWD = -100;
const O_WRONLY = 1;

function step(call: Step['call'], args: Step['args']): Step {
  return { call, args };
}

/** The next descriptor to be opened is known: they are given out from the lowest. */
function labelAtExec(label: string, fd: number): Step[] {
  const bytes = Buffer.from(label);
  return [
    step('openat', [AT_FDCWD, '/proc/self/attr/exec', O_WRONLY, 0]),
    { ...step('write', [fd, bytes, bytes.length]), subject: `the security label ${label}` },
    step('close', [fd]),
  ];
}

function setLimit(resource: number, soft: bigint, hard: bigint): Step {
  const limit = Buffer.from(BigUint64Array.of(soft, hard).buffer);
  return { ...step('prlimit64', [0, resource, limit, 0]), subject: `resource limit ${resource}` };
}

function joinNamespaces({ userNamespace, namespaces, root }: EnterPlan): Step[] {
  const join = (fd: number, kind: string): Step => ({
    ...step('setns', [fd, 0]),
    subject: `the ${kind} namespace`,
  });
  return [
    ...(userNamespace === undefined
      ? []
      : [join(userNamespace, 'user'), step('setresgid', [0, 0, 0]), step('setresuid', [0, 0, 0])]),
    ...namespaces.map(({ fd, kind }) => join(fd, kind)),
    ...(root === undefined ? [] : [step('chroot', [root]), step('chdir', ['/'])]),
  ];
}

function dropBounding({ capabilities, lastCapability }: EnterPlan): Step[] {
  return Array.from({ length: lastCapability + 1 }, (_, capability) => capability)
    .filter((capability) => (capabilities & (1n << BigInt(capability))) === 0n)
    .map((capability) => ({
      ...step('prctl', [PR.CAPBSET_DROP, capability]),
      subject: `capability ${capability}`,
    }));
}

function becomeUser({ uid, gid, groups }: EnterPlan): Step[] {
  const list = Buffer.from(Uint32Array.from(groups).buffer);
  return [
    step('setgroups', [groups.length, groups.length > 0 ? list : 0]),
    step('setresgid', [gid, gid, gid]),
    step('setresuid', [uid, uid, uid]),
  ];
}
