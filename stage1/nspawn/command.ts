import { existsSync } from 'node:fs';
import type { IdRange } from '../../src/os/idmap.ts';
import type { Credential } from '../../src/systemd/credentials.ts';
import { MANAGER_BINDS, MANAGER_ENVIRONMENT } from './manager.ts';
import { STDIO } from './stdio.ts';

/** What the container manager is told about a pod. */
export interface NspawnPod {
  readonly uuid: string;
  /** Absolute path of the stage1 root. */
  readonly root: string;
  readonly hostname: string;
  readonly debug: boolean;
  /** The host's, one of its own with nothing in it, or the path of the one to join. */
  readonly network: string;
  readonly sharedIpc: boolean;
  readonly terminal: boolean;
  /** The app reads what the container manager has as standard input. */
  readonly sharedStdin: boolean;
  /** The host runs systemd: register the pod with machined, pass readiness on, offer the journal. */
  readonly systemd: boolean;
  readonly notify: boolean;
  readonly credentials: readonly Credential[];
  /** Variables for sockets that the container manager has open. */
  readonly listen: Readonly<Record<string, string>>;
  /** Capabilities that apps keep; undefined: all. */
  readonly capabilities: readonly string[] | undefined;
  readonly protectPaths: boolean;
  readonly unified: boolean;
  /** In the pod: a program that runs before systemd, and becomes what its arguments say. */
  readonly setup?: string | undefined;
  /** SELinux label of every process. */
  readonly selinux?: string | undefined;
  /** The user namespace that its root is mapped for already. */
  readonly users?: IdRange | undefined;
}

/** What the pod's systemd takes as the word to stop: systemd(1), "Signals". */
const STOP_SIGNAL = 'SIGRTMIN+3';

export const JOURNAL = '/run/systemd/journal';

/** What programs log to; journald's own control socket stays outside. */
function journalSockets(): string[] {
  return ['dev-log', 'socket', 'stdout'].map((name) => `${JOURNAL}/${name}`).filter(existsSync);
}

/** The argument vector of systemd-nspawn(1); the caller's process is to become it. */
export function nspawnArgv(pod: NspawnPod, pid: number): string[] {
  return [
    'systemd-nspawn',
    ...(pod.debug ? [] : ['--quiet']),
    '--keep-unit',
    `--register=${pod.systemd ? 'yes' : 'no'}`,
    `--machine=rkt-${pod.uuid}`,
    `--uuid=${pod.uuid}`,
    `--hostname=${pod.hostname}`,
    `--directory=${pod.root}`,
    '--settings=no',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    `--console=${pod.terminal ? 'interactive' : 'pipe'}`,
    ...(pod.sharedStdin ? [`--bind=/proc/${pid}/fd:${STDIO}`] : []),
    ...(pod.systemd ? journalSockets().map((path) => `--bind-ro=${path}`) : []),
    ...MANAGER_BINDS,
    ...networkOption(pod.network),
    ...(pod.users
      ? [
          `--private-users=${pod.users.shift}:${pod.users.count}`,
          '--private-users-ownership=off',
          // What is made for the binds below would be the host's root's, and is the pod's to write.
          '--tmpfs=/run/systemd:mode=755',
        ]
      : []),
    ...(pod.notify ? ['--notify-ready=yes'] : []),
    ...pod.credentials.map(({ name, path }) => `--load-credential=${name}:${path}`),
    ...(pod.selinux === undefined ? [] : [`--selinux-context=${pod.selinux}`]),
    `--capability=${pod.capabilities?.join(',') ?? 'all'}`,
    `--kill-signal=${STOP_SIGNAL}`,
    ...Object.entries(MANAGER_ENVIRONMENT).map(([name, value]) => `--setenv=${name}=${value}`),
    '--',
    // Told to stop before it listens, systemd would not hear it: what is blocked waits for it.
    '/usr/bin/env',
    `--block-signal=${STOP_SIGNAL.slice(3)}`,
    ...(pod.setup === undefined ? [] : [pod.setup]),
    // The pod must not outlive the container manager, which holds its lock. What nspawn makes
    // inheritable, systemd 257 hands on to apps.
    '/usr/bin/setpriv',
    '--pdeathsig=KILL',
    '--inh-caps=-all',
    '/usr/lib/systemd/systemd',
    ...(pod.debug ? ['--log-target=console', '--log-level=info'] : ['--log-target=null']),
    '--show-status=no',
  ];
}

/**
 * The container manager's environment. Its own seccomp filter costs most of its start and is left
 * out: every app has a filter of its own.
 */
export function nspawnEnvironment(pod: NspawnPod): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    TERM: process.env['TERM'] ?? 'vt100',
    SYSTEMD_NSPAWN_CONTAINER_SERVICE: 'rkt',
    SYSTEMD_SECCOMP: '0',
    SYSTEMD_LOG_LEVEL: pod.debug ? 'info' : 'err',
    // Version 257 would give the caller's terminal a title and a colour.
    SYSTEMD_ADJUST_TERMINAL_TITLE: '0',
    SYSTEMD_TINT_BACKGROUND: '0',
    ...(pod.unified ? { SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' } : {}),
    ...(pod.sharedIpc ? { SYSTEMD_NSPAWN_SHARE_NS_IPC: '1' } : {}),
    // It refuses to leave them open to a user namespace, whose root could not write there anyway.
    ...(pod.protectPaths || pod.users ? {} : { SYSTEMD_NSPAWN_API_VFS_WRITABLE: '1' }),
    ...(process.env['NOTIFY_SOCKET'] ? { NOTIFY_SOCKET: process.env['NOTIFY_SOCKET'] } : {}),
    ...pod.listen,
    ...(process.env['WATCHDOG_USEC'] ? { WATCHDOG_USEC: process.env['WATCHDOG_USEC'] } : {}),
  };
}

function networkOption(network: string): string[] {
  if (network === 'host') return [];
  return network === 'none' ? ['--private-network'] : [`--network-namespace-path=${network}`];
}
