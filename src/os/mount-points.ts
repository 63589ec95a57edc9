import { readFileSync } from 'node:fs';

/** Every path that something is mounted at, as a process or this thread sees them: proc_pid_mountinfo(5). */
export function mountPoints(pid: number | 'thread-self' = 'thread-self'): string[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map(unescaped);
}

/** Spaces and the like are octal escapes of bytes. */
function unescaped(path: string): string {
  if (!path.includes('\\')) return path;
  const bytes = Buffer.from(path).toString('latin1');
  const plain = bytes.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(plain, 'latin1').toString();
}
