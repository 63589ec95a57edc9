import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { lockFile } from '../os/lock.ts';
import { recordsOfOthers } from './state.ts';

/** In a pod's folder: by which ends of the host its loopback is open for it. */
const RECORD = 'net/loopback.json';

/** One family at one interface of the host: `ip veth1`, `ip6 veth1`. */
export type LoopbackEnd = `${'ip' | 'ip6'} ${string}`;

/**
 * Lets connections to a port of 127.0.0.1, or of ::1, leave for the pod by these interfaces of the host,
 * and their answers come back. The firewall's rules of the pod keep everything else of 127.0.0.0/8 closed to
 * what comes from there, and the kernel all of ::1. An interface that lets them already, for no pod, is
 * left alone for ever.
 *
 * @param warn told of an interface that cannot be opened
 */
export function openLoopback(
  podFolder: string,
  ends: readonly LoopbackEnd[],
  warn: (message: string) => void,
): void {
  changing(podFolder, () => {
    const others = recordsOfOthers(podFolder, RECORD).flatMap(endsOf);
    const own = ends.filter((end) => others.includes(end) || !isOpen(end));
    mkdirSync(join(podFolder, dirname(RECORD)), { recursive: true, mode: 0o750 });
    writeFileSync(join(podFolder, RECORD), JSON.stringify(own));
    for (const end of own) open(end, warn);
  });
}

/**
 * Closes what `openLoopback` has opened, but for what a running pod needs still: a bridge outlives its
 * pods, and the rules that guard the host's loopback do not.
 */
export function closeLoopback(podFolder: string): void {
  const text = readIfExists(join(podFolder, RECORD));
  if (text === undefined) return;
  changing(podFolder, () => {
    const needed = recordsOfOthers(podFolder, RECORD)
      .filter(({ running }) => running)
      .flatMap(endsOf);
    for (const end of endsOf({ text })) if (!needed.includes(end)) closeIfThere(end);
    rmSync(join(podFolder, RECORD), { force: true });
  });
}

function changing(podFolder: string, change: () => void): void {
  const dataDir = dirname(dirname(dirname(podFolder)));
  const lock = lockFile(join(dataDir, 'locks', 'loopback'), 'exclusive');
  try {
    change();
  } finally {
    lock.release();
  }
}

/** None in what a kill or a power cut has left of a record: nothing was opened by then, or is since. */
function endsOf({ text }: { readonly text: string }): LoopbackEnd[] {
  try {
    return JSON.parse(text);
  } catch {
    return [];
  }
}

function partsOf(end: LoopbackEnd): { family: string; name: string } {
  const [family = '', name = ''] = end.split(' ');
  return { family, name };
}

/** The route for ::1 is nobody's but ours: it may be made again. */
function isOpen(end: LoopbackEnd): boolean {
  const { family, name } = partsOf(end);
  return family === 'ip' && readFileSync(settingOf(name), 'utf8').trim() === '1';
}

function open(end: LoopbackEnd, warn: (message: string) => void): void {
  const { family, name } = partsOf(end);
  if (family === 'ip') writeFileSync(settingOf(name), '1');
  const failed = family === 'ip6' && changeRoute('replace', name);
  if (failed) warn(`cannot lead [::1] to the pod: ${failed}`);
}

/** The pod's own interfaces have gone with it. */
function closeIfThere(end: LoopbackEnd): void {
  const { family, name } = partsOf(end);
  try {
    if (family === 'ip') writeFileSync(settingOf(name), '0', { flag: 'r+' });
    else changeRoute('del', name);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** ip-sysctl, route_localnet. */
function settingOf(name: string): string {
  return `/proc/sys/net/ipv4/conf/${name}/route_localnet`;
}

/** Above the loopback's own, 0: what the host sends to itself goes on as before. */
const METRIC = 4096;

/**
 * IPv6 has no route_localnet. But an answer, which is for ::1 only once the firewall has translated it
 * back, is taken where a local route for ::1 leads to the interface that it comes from. What comes with
 * ::1 in it the kernel drops before that (RFC 4291, section 2.5.3). Routes of one metric would replace
 * each other, so that each interface has its own.
 *
 * @returns why it could not be changed
 */
function changeRoute(action: 'replace' | 'del', name: string): string | undefined {
  const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
  const route = ['local', '::1', 'dev', name, 'table', 'local', 'metric', String(METRIC + index)];
  const { status, stderr, error } = spawnSync('ip', ['-6', 'route', action, ...route], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return status === 0 ? undefined : (error?.message ?? stderr.toString().trim());
}
