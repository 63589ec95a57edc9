import { readFileSync } from 'node:fs';
import { type Isolator, isolatorValue, parseRlimit, type Rlimit } from '../appc/index.ts';
import { Stage1Error } from './error.ts';

/** As proc_pid_limits(5) has them, by our names for them. */
const KERNEL_NAMES: Readonly<Record<string, string>> = {
  as: 'Max address space',
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  locks: 'Max file locks',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
};

/** What systemd-nspawn lets a container have of what it could have more of. */
const CONTAINER_FILES = 524_288;
const CAP_SYS_RESOURCE = 24n;

/**
 * Only who has CAP_SYS_RESOURCE may raise a hard limit (setrlimit(2)) and lower an oom_score_adj
 * (proc(5)); systemd, which would do it, takes the nearest that it may and says nothing.
 *
 * @param userNamespace the pod has one, whose CAP_SYS_RESOURCE counts for nothing there
 * @throws Stage1Error `unsupported` for a limit that this host does not grant
 */
export function checkProcessLimits(isolators: readonly Isolator[], userNamespace = false): void {
  const rlimits = Object.entries(isolatorValue(isolators, 'os/linux/rlimits') ?? {});
  const oom = isolatorValue(isolators, 'os/linux/oom-score-adj');
  if ((rlimits.length === 0 && oom === undefined) || (!userNamespace && mayRaise())) return;
  const without = `${userNamespace ? 'a user namespace' : 'this process'} has no CAP_SYS_RESOURCE`;
  const current = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  if (oom !== undefined && oom < current)
    throw new Stage1Error(
      'unsupported',
      `cannot set the isolator os/linux/oom-score-adj to ${oom} on this host: it is ${current} here, and ${without}`,
    );
  for (const [name, text] of rlimits) {
    const hard = Math.min(
      rlimitOf('self', name).hard,
      name === 'nofile' ? CONTAINER_FILES : Number.POSITIVE_INFINITY,
    );
    if (parseRlimit(text).hard > hard)
      throw new Stage1Error(
        'unsupported',
        `cannot set the limit ${name} to ${text} on this host: the hard limit is ${hard} here, and ${without}`,
      );
  }
}

function mayRaise(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return (BigInt(`0x${mask ?? '0'}`) & (1n << CAP_SYS_RESOURCE)) !== 0n;
}

/** A limit of a process as it is. */
export function rlimitOf(pid: number | 'self', name: string): Rlimit {
  const label = KERNEL_NAMES[name] ?? name;
  const line = readFileSync(`/proc/${pid}/limits`, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(label));
  const [soft, hard] = line?.slice(label.length).trim().split(/\s+/) ?? [];
  const amount = (word = 'unlimited') =>
    word === 'unlimited' ? Number.POSITIVE_INFINITY : Number(word);
  return { soft: amount(soft), hard: amount(hard) };
}
