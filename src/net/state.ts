import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { tryLockFolder } from '../os/lock.ts';
import type { Attachment } from './types.ts';

/** Below a pod's folder: what it takes to leave each network, in the order of joining. */
const FOLDER = 'net';

/** Written before ADD, so that whoever finds the pod dead can undo it, and again with the result. */
export function saveAttachment(podFolder: string, index: number, attachment: Attachment): void {
  mkdirSync(join(podFolder, FOLDER), { recursive: true, mode: 0o750 });
  const path = pathOf(podFolder, `${String(index).padStart(2, '0')}.conf`);
  writeFileSync(`${path}.new`, JSON.stringify(attachment));
  renameSync(`${path}.new`, path);
}

/** The networks that a pod has joined and not left, in the order of joining. */
export function savedAttachments(podFolder: string): { file: string; attachment: Attachment }[] {
  return files(podFolder).flatMap((file) => {
    const attachment = parsed(readFileSync(pathOf(podFolder, file), 'utf8'));
    return attachment ? [{ file, attachment }] : [];
  });
}

/**
 * The interfaces whose records a power cut has emptied: the pod had, or was about to have, each of them in
 * some network.
 */
export function lostAttachments(podFolder: string): { file: string; interfaceName: string }[] {
  return files(podFolder)
    .filter((file) => parsed(readFileSync(pathOf(podFolder, file), 'utf8')) === undefined)
    .map((file) => ({ file, interfaceName: `eth${Number.parseInt(file, 10)}` }));
}

/** Undefined for what a power cut has left of a record: it must not keep the pod from being collected. */
function parsed(text: string): Attachment | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Removes the record of an attachment; none may be there. */
export function forgetAttachment(podFolder: string, file: string): void {
  rmSync(pathOf(podFolder, file), { force: true });
}

/** A file of every other pod that has it, and whether the pod runs, or is about to. */
export function recordsOfOthers(
  podFolder: string,
  file: string,
): { uuid: string; text: string; running: boolean }[] {
  const pods = dirname(podFolder);
  return readdirSync(pods).flatMap((uuid) => {
    const folder = join(pods, uuid);
    const text = folder === podFolder ? undefined : readIfExists(join(folder, file));
    return text === undefined ? [] : [{ uuid, text, running: isRunning(folder) }];
  });
}

/** A pod that runs, or is being made, has a lock on its folder. */
function isRunning(folder: string): boolean {
  try {
    const lock = tryLockFolder(folder, 'shared');
    lock?.release();
    return lock === undefined;
  } catch (error) {
    // It was moved away meanwhile, which happens to no running pod.
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function files(podFolder: string): string[] {
  try {
    return readdirSync(join(podFolder, FOLDER))
      .filter((name) => /^\d+\.conf$/.test(name))
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function pathOf(podFolder: string, file: string): string {
  return join(podFolder, FOLDER, file);
}
