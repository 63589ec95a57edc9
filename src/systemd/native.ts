// sd-notify and systemd-journald, two packages of native code that are compiled for one version of Node,
// and so are optional: what they do notify.ts and journal.ts do by a datagram of their own wherever they
// are missing or do not load.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Entry, writeEntriesBy } from './journal.ts';
import { notifyBy } from './notify.ts';

/**
 * Has this process speak to systemd by the native packages, where they are. For services: to load one
 * takes milliseconds, which a command that starts a pod has not got.
 */
export function useNativePackages(): void {
  const sdNotify = load('sd-notify', isSdNotify);
  if (sdNotify) notifyBy((state) => sdNotify.sendState(state));
  let journald: Journald | undefined;
  let isLoaded = false;
  writeEntriesBy((entry) => {
    if (!isLoaded) journald = load('systemd-journald', isJournald);
    isLoaded = true;
    return journald !== undefined && write(journald, entry);
  });
}

/** What is used of sd-notify 2.8.0: sd_notify(3). Its `log` takes messages for printf's formats. */
interface SdNotify {
  sendState(state: string): void;
}

function isSdNotify(module: object): module is SdNotify {
  return 'sendState' in module && typeof module.sendState === 'function';
}

/** Its functions by the values of PRIORITY: syslog(3). */
const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;

/** What is used of systemd-journald 1.5.2: sd_journal_sendv(3). */
type Journald = Record<
  (typeof LEVELS)[number],
  (message: string, fields: Readonly<Record<string, string>>) => void
>;

function isJournald(module: object): module is Journald {
  return LEVELS.every((level) => typeof Reflect.get(module, level) === 'function');
}

/**
 * Fields are properties there, so that no name can come twice, as RKT_IMAGE does for a pod of several
 * images; and behind a NUL it sends what happens to be in memory. Such entries it does not get.
 */
function write(journald: Journald, entry: Entry): boolean {
  const { MESSAGE = '', PRIORITY, ...fields } = Object.fromEntries(entry);
  const level = LEVELS[Number(PRIORITY)];
  const isUnique = new Set(entry.map(([name]) => name)).size === entry.length;
  if (!level || !isUnique || entry.some(([, value]) => value.includes('\0'))) return false;
  journald[level](MESSAGE, fields);
  return true;
}

/** Loads a package; undefined when it is not there, is for another Node, or is not what was expected. */
function load<T>(
  name: string,
  isExpected: (module: object) => module is T & object,
): T | undefined {
  const folder = find(name);
  if (folder === undefined) return undefined;
  try {
    const module: unknown = createRequire(import.meta.url)(folder);
    // systemd-journald is a function.
    const isObject =
      typeof module === 'function' || (typeof module === 'object' && module !== null);
    return isObject && isExpected(module) ? module : undefined;
  } catch {
    return undefined;
  }
}

/** As Node finds a package, but for the folders that HOME and NODE_PATH name: the process may be root's. */
function find(name: string): string | undefined {
  const here = import.meta.url;
  // In the build it is a path.
  let at = dirname(here.startsWith('file:') ? fileURLToPath(here) : here);
  for (;;) {
    const folder = join(at, 'node_modules', name);
    if (existsSync(folder)) return folder;
    if (at === '/') return undefined;
    at = dirname(at);
  }
}
