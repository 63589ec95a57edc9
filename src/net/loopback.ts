import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { lockFile } from '../os/lock.ts';
import { recordsOfOthers } from './state.ts';

/** In a pod's folder: interfaces of the host whose route_localnet is on for it. */
const RECORD = 'net/loopback.json';

/**
 * Lets connections to a port of 127.0.0.1 leave for the pod by these interfaces of the host: ip-sysctl,
 * route_localnet. The firewall's rules of the pod keep everything else of the loopback closed to what
 * comes from there. An interface that lets them already, for no pod, is left alone for ever.
 */
export function openLoopback(podFolder: string, interfaces: readonly string[]): void {
  changing(podFolder, () => {
    const others = recordsOfOthers(podFolder, RECORD).flatMap(interfacesOf);
    const own = interfaces.filter((name) => others.includes(name) || !isOpen(name));
    mkdirSync(join(podFolder, dirname(RECORD)), { recursive: true, mode: 0o750 });
    writeFileSync(join(podFolder, RECORD), JSON.stringify(own));
    for (const name of own) writeFileSync(settingOf(name), '1');
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
      .flatMap(interfacesOf);
    for (const name of interfacesOf({ text })) if (!needed.includes(name)) closeIfThere(name);
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
function interfacesOf({ text }: { readonly text: string }): string[] {
  try {
    return JSON.parse(text);
  } catch {
    return [];
  }
}

function isOpen(name: string): boolean {
  return readFileSync(settingOf(name), 'utf8').trim() === '1';
}

/** The pod's own interfaces have gone with it. */
function closeIfThere(name: string): void {
  try {
    writeFileSync(settingOf(name), '0', { flag: 'r+' });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function settingOf(name: string): string {
  return `/proc/sys/net/ipv4/conf/${name}/route_localnet`;
}
