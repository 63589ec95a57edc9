import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { makeFolderInRoot, writeInRoot } from '../os/files-in-root.ts';
import { systemctlInPod } from './in-pod.ts';
import { lifecycleOf } from './lifecycle.ts';
import { lockHolders } from './lock-holders.ts';
import {
  POD_FILES,
  podPid,
  readAppImageManifest,
  readPodManifest,
  supervisorPid,
} from './pod-files.ts';

/** How long `stop` waits for a pod that is starting, in milliseconds, unless it is told otherwise. */
const PATIENCE = 10_000;

/**
 * The entry point `stop` of our own flavours: tells the pod to end in order, or with `force` kills
 * it. A pod that is starting is told as soon as it can hear. Does not wait for the end.
 *
 * @param patience how long the apps are going to be given, in milliseconds
 */
export async function stop(podFolder: string, force: boolean, patience = PATIENCE): Promise<void> {
  if (force) {
    kill(podFolder);
    return;
  }
  const until = Date.now() + patience;
  while (Date.now() < until && lockHolders(podFolder).length > 0) {
    if (isFly(podFolder) ? tellFly(podFolder) : tellSystemd(podFolder, patience)) return;
    await delay(POLL);
  }
}

/** Nothing tells when a process has set up its signals. */
const POLL = 10;

/** Kills whatever is left of the apps; the pod then records that and ends by itself. */
export function killApps(podFolder: string): void {
  const init = podPid(podFolder);
  if (isFly(podFolder) || init === undefined) {
    kill(podFolder);
    return;
  }
  const units = readPodManifest(podFolder).apps.map(({ name }) => `${name}.service`);
  if (units.length > 0) systemctlInPod(init, ['kill', '--signal=KILL', ...units]);
}

function kill(podFolder: string): void {
  const init = podPid(podFolder);
  const holders = lockHolders(podFolder).map(({ pid }) => pid);
  if (holders.length === 0) return;
  for (const pid of new Set(init === undefined ? holders : [init, ...holders]))
    signal(pid, 'SIGKILL');
}

/** The app itself is told, by its own signal, once the start has become it. */
function tellFly(podFolder: string): boolean {
  const app = supervisorPid(podFolder);
  if (!lockHolders(podFolder).some(({ pid, keeps }) => pid === app && keeps)) return false;
  const [first] = readPodManifest(podFolder).apps;
  if (app === undefined || !first) return false;
  const { stopSignal } = lifecycleOf(first, readAppImageManifest(podFolder, first.name));
  signal(app, stopSignal?.number ?? 'SIGTERM');
  return true;
}

/** The container manager is told, which passes it on to a systemd that must be there to hear it. */
function tellSystemd(podFolder: string, patience: number): boolean {
  const init = podPid(podFolder);
  const manager = supervisorPid(podFolder);
  if (init === undefined || manager === undefined || !listens(init)) return false;
  if (!lockHolders(podFolder).some(({ pid }) => pid === manager)) return false;
  extendPatience(podFolder, init, patience);
  signal(manager, 'SIGTERM');
  return true;
}

/** SIGRTMIN+3, which a systemd that has come up keeps blocked and reads from a descriptor. */
const HALT = 37n;

function listens(init: number): boolean {
  const blocked = /^SigBlk:\s*([0-9a-f]+)$/m.exec(readIfExists(`/proc/${init}/status`) ?? '')?.[1];
  return blocked !== undefined && ((BigInt(`0x${blocked}`) >> (HALT - 1n)) & 1n) === 1n;
}

/** How long systemd gives a service before it kills it: DefaultTimeoutStopSec=, with some room. */
const SYSTEMD_PATIENCE = 85_000;

/** Has the pod's systemd, which would kill sooner, wait for longer than `patience` milliseconds. */
export function extendPatience(podFolder: string, init: number, patience: number): void {
  if (patience <= SYSTEMD_PATIENCE) return;
  const root = join(podFolder, POD_FILES.stage1Root);
  const folder = '/rkt/units/service.d';
  makeFolderInRoot(root, folder);
  const text = `[Service]\nTimeoutStopSec=${Math.ceil(patience / 1000) + 5}\n`;
  writeInRoot(root, `${folder}/stop.conf`, text);
  systemctlInPod(init, ['daemon-reload']);
}

function isFly(podFolder: string): boolean {
  try {
    return readlinkSync(join(podFolder, POD_FILES.flavor)) === 'fly';
  } catch {
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals | number): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
