import { type Isolator, isolatorValue } from '../../src/appc/index.ts';
import { Stage1Error } from '../../src/stage1/error.ts';

/** Whose kernel parameters are the pod's own, with its namespaces. */
export interface OwnNamespaces {
  readonly network: boolean;
  readonly ipc: boolean;
  readonly users: boolean;
}

/**
 * Commands of a shell that set a pod's kernel parameters, run as its first process: sysctl(8).
 *
 * @throws Stage1Error `unsupported` for a parameter that is not the pod's alone
 */
export function sysctlCommands(isolators: readonly Isolator[], own: OwnNamespaces): string[] {
  const entries = Object.entries(isolatorValue(isolators, 'os/unix/sysctl') ?? {});
  const [first] = entries;
  if (!first) return [];
  // Its root may not mount /proc, part of which is hidden from it: user_namespaces(7).
  if (own.users) throw refusal(first[0], 'with --private-users nobody in it may');
  // The container manager's /proc/sys is read-only.
  return [
    'mount -t proc proc /rkt/proc',
    ...entries.map(([name, value]) => {
      const path = parameterPath(name, own);
      return `printf '%s\\n' ${quote(value)} > /rkt/proc/sys/${path} || { echo ${quote(`cannot set the kernel parameter ${name}`)} >&2; exit 254; }`;
    }),
    'umount /rkt/proc',
  ];
}

/** Where the first separator is a slash, dots are part of names: sysctl.d(5). */
function parameterPath(name: string, own: OwnNamespaces): string {
  const swapped: Record<string, string> = { '.': '/', '/': '.' };
  const path = /^[^./]*\//.test(name)
    ? name
    : name.replace(/[./]/g, (sign) => swapped[sign] ?? sign);
  const network = path.startsWith('net/');
  const ipc = /^(kernel\/(msg|sem|shm)[a-z_]*|fs\/mqueue\/[a-z_]+)$/.test(path);
  if (/\*|(^|\/)\.{0,2}(\/|$)/.test(path) || !(network || ipc))
    throw refusal(
      name,
      "it is not a pod's own: net.*, kernel.msg*, kernel.sem*, kernel.shm* and fs.mqueue.* are",
    );
  if ((network && !own.network) || (ipc && !own.ipc))
    throw refusal(name, "it would be the host's, whose namespace the pod shares");
  return path;
}

function refusal(name: string, why: string): Stage1Error {
  return new Stage1Error(
    'unsupported',
    `cannot set the kernel parameter ${name} for a pod: ${why}`,
  );
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
