import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { capabilityNumber } from '../appc/capabilities.ts';
import { leaveSessionKeyring, SyscallError, seccompFilters } from '../os/syscalls.ts';
import type { EnterRecord } from './enter-record.ts';
import type { EnterPlan } from './enter-steps.ts';
import { type EnterTarget, namespaceOf, type Process, statusField } from './enter-target.ts';
import { Stage1Error } from './error.ts';

/** What is to run in an app. */
export interface EnterCommand {
  readonly argv: readonly string[];
  /** `root` in `/`, or the app's own user in its working folder. */
  readonly as: 'root' | 'app';
  /** TERM for the command. */
  readonly term: string;
}

/** The confinement of a running app: what it was given, and what it has given up since is not got back. */
export type Confinement = Pick<
  EnterPlan,
  'capabilities' | 'lastCapability' | 'noNewPrivileges' | 'filters'
>;

/** @throws Stage1Error when something about it cannot be found out: nothing is left out */
export function confinementOf(target: EnterTarget, record: EnterRecord, app: string): Confinement {
  const { pod, main } = target;
  const pods = BigInt(`0x${statusField(pod, 'CapBnd')}`);
  const given = record.capabilities?.reduce((mask, name) => mask | bit(name), 0n) ?? pods;
  return {
    capabilities: given & pods,
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')),
    noNewPrivileges: record.noNewPrivileges || statusField(main, 'NoNewPrivs') === '1',
    filters: filtersOf(main, record, app),
  };
}

function bit(capability: string): bigint {
  return 1n << BigInt(capabilityNumber(capability));
}

function filtersOf(main: Process, { filtered }: EnterRecord, app: string): EnterPlan['filters'] {
  const mode = statusField(main, 'Seccomp');
  if (mode === '0' && !filtered) return [];
  const failure = (why: string, cause?: unknown) =>
    new Stage1Error(
      'unsupported',
      `cannot enter app "${app}": ${why}, and nothing enters an app with less`,
      cause,
    );
  if (mode !== '2') throw failure('it does not run under its filter of system calls');
  try {
    const filters = seccompFilters(main.pid);
    // It is there still: the pid was its own all the time.
    statusField(main, 'Seccomp');
    return filters;
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const why =
      error.code === 'EACCES'
        ? 'its filter of system calls is shown to nobody who runs under one himself'
        : `its filter of system calls cannot be read (${error.code}; is it being traced?)`;
    throw failure(why, error);
  }
}

/** What this process itself takes over from the app, since its children inherit it. */
export function takeOver({ main }: EnterTarget): void {
  const score = (proc: string) => readFileSync(`${proc}/oom_score_adj`, 'utf8');
  const wanted = score(main.proc);
  if (wanted !== score('/proc/self')) writeFileSync('/proc/self/oom_score_adj', wanted);
  leaveSessionKeyring();
}

/** Descriptors that the process in the app starts with, by their places there. */
export interface EnterDescriptors {
  readonly fds: readonly number[];
  readonly plan: Pick<EnterPlan, 'descriptors' | 'userNamespace' | 'namespaces'>;
}

/** Opens the namespaces of an app that are not ours; `first` is the place of the first of them. */
export function openTarget({ pod, main }: EnterTarget, first: number): EnterDescriptors {
  const fds: number[] = [];
  const open = (path: string) => first + fds.push(openSync(path, 'r')) - 1;
  const foreign = ({ proc }: Process, kind: string) =>
    namespaceOf(proc, kind) === namespaceOf(undefined, kind)
      ? []
      : [{ kind, fd: open(`${proc}/ns/${kind}`) }];
  const [user] = foreign(pod, 'user');
  const namespaces = [
    ...['ipc', 'uts', 'net', 'cgroup', 'pid'].flatMap((kind) => foreign(pod, kind)),
    ...foreign(main, 'mnt'),
  ];
  const descriptors = first + fds.length;
  return { fds, plan: { descriptors, userNamespace: user?.fd, namespaces } };
}

/** User, folder, program and environment of the command. */
export function processOf(
  record: EnterRecord,
  { argv, as, term }: EnterCommand,
): Pick<
  EnterPlan,
  'uid' | 'gid' | 'groups' | 'workingDirectory' | 'programs' | 'argv' | 'environment'
> {
  const ids = as === 'root' ? { uid: 0, gid: 0, groups: [], workingDirectory: '/' } : record;
  const environment = record.environment.filter(({ name }) => name !== 'TERM');
  const path = environment.find(({ name }) => name === 'PATH')?.value ?? '/bin:/usr/bin';
  return {
    uid: ids.uid,
    gid: ids.gid,
    groups: ids.groups,
    workingDirectory: ids.workingDirectory,
    programs: candidates(argv[0] ?? '', path),
    argv,
    environment: [...environment.map(({ name, value }) => `${name}=${value}`), `TERM=${term}`],
  };
}

/** As a shell looks for it: the folders of PATH unless there is a slash in it. */
function candidates(file: string, path: string): string[] {
  if (file.includes('/')) return [file];
  return path.split(':').map((folder) => `${folder || '.'}/${file}`);
}

/** The app's security label in the form that execve is told it in; undefined when it is ours. */
export function labelOf({ main }: EnterTarget): string | undefined {
  const label = currentLabel(main.proc);
  if (label === undefined || label === currentLabel('/proc/self')) return undefined;
  const apparmor = /^(.*) \((?:enforce|complain|kill|unconfined|mixed|user)\)$/.exec(label)?.[1];
  return apparmor === undefined ? label : `exec ${apparmor}`;
}

function currentLabel(proc: string): string | undefined {
  try {
    return readFileSync(`${proc}/attr/current`, 'utf8').replace(/[\0\n]+$/, '');
  } catch {
    // This kernel labels nothing.
    return undefined;
  }
}

/** The number on the host of a user of the pod's: user_namespaces(7), uid_map. */
export function hostUid({ pod }: EnterTarget, uid: number): number {
  for (const line of readFileSync(`${pod.proc}/uid_map`, 'utf8').trim().split('\n')) {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= inside && uid < inside + count) return outside + uid - inside;
  }
  return 0;
}
