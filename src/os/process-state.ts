import { check, native } from './syscalls.ts';

/** By number: getrlimit(2), asm-generic/resource.h. */
const RESOURCES = [
  'cpu',
  'fsize',
  'data',
  'stack',
  'core',
  'rss',
  'nproc',
  'nofile',
  'memlock',
  'as',
  'locks',
  'sigpending',
  'msgqueue',
  'nice',
  'rtprio',
  'rttime',
];

/** Sets a limit of this process; infinity is none: prlimit(2). */
export function setRlimit(name: string, { soft, hard }: { soft: number; hard: number }): void {
  const words = [soft, hard].map((n) => (Number.isFinite(n) ? BigInt(n) : 0xffff_ffff_ffff_ffffn));
  const call = native('int prlimit(int pid, int resource, uint64_t *to, void *old)');
  const resource = RESOURCES.indexOf(name);
  check(call(0, resource, new BigUint64Array(words), null), 'prlimit', name);
}

const PR_SET_NO_NEW_PRIVS = 38;

/** From here on this process and its children gain no privileges by execve: prctl(2). */
export function setNoNewPrivileges(): void {
  const call = native('int prctl(int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)');
  check(call(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl', 'PR_SET_NO_NEW_PRIVS');
}
