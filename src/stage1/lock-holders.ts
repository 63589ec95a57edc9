import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';

/** A process that has a pod's lock. */
export interface LockHolder {
  readonly pid: number;
  /** It keeps the lock when it executes another program, which it is about to do or has done. */
  readonly keeps: boolean;
}

/**
 * The processes that hold a pod's exclusive lock, by a descriptor of their own or an inherited one:
 * proc(5), /proc/PID/fdinfo. One who only waits for the lock, or looks at it, is not among them.
 */
export function lockHolders(podFolder: string): LockHolder[] {
  const folder = statSync(podFolder, { throwIfNoEntry: false });
  if (!folder) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) =>
      orNone(() => heldBy(pid, folder)).map((keeps) => ({ pid: Number(pid), keeps })),
    );
}

const O_CLOEXEC = 0o2000000;

function heldBy(pid: string, folder: Stats): boolean[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) =>
    orNone(() => {
      const { dev, ino } = statSync(`/proc/${pid}/fd/${fd}`);
      if (dev !== folder.dev || ino !== folder.ino) return [];
      const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
      if (!/^lock:.* FLOCK +ADVISORY +WRITE /m.test(info)) return [];
      const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8);
      return [(flags & O_CLOEXEC) === 0];
    }),
  );
}

/** Processes and their descriptors go away while they are looked at. */
function orNone<T>(look: () => T[]): T[] {
  try {
    return look();
  } catch {
    return [];
  }
}
