import { existsSync } from 'node:fs';

/** How this process stands towards systemd; found out, never configured. */
export type Supervision =
  /** The main process of a unit: the pod keeps that unit. */
  | 'unit'
  /** Any other process of a systemd host: the pod gets a scope of its own. */
  | 'scope'
  /** No systemd: the pod is a child of whoever started it. */
  | 'none';

/** sd_booted(3). */
export function isSystemdHost(): boolean {
  return existsSync('/run/systemd/system');
}

/** systemd.exec(5): a unit's process finds its own pid in SYSTEMD_EXEC_PID. */
export function supervision(): Supervision {
  if (!isSystemdHost()) return 'none';
  return process.env['SYSTEMD_EXEC_PID'] === String(process.pid) ? 'unit' : 'scope';
}

/** Whether cgroup version 2 is the only one here. */
export function isUnifiedCgroup(): boolean {
  return existsSync('/sys/fs/cgroup/cgroup.controllers');
}

/** Whether there is a cgroup version 2, alone or beside version 1: where systemd keeps track of units. */
export function hasUnifiedCgroup(): boolean {
  return isUnifiedCgroup() || existsSync('/sys/fs/cgroup/unified/cgroup.controllers');
}

/** The absolute path of a program on PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
  ];
  return folders
    .map((folder) => `${folder}/${name}`)
    .find((path) => path.startsWith('/') && existsSync(path));
}
