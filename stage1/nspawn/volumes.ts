import { chmodSync, chownSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Volume } from '../../src/appc/index.ts';
import { errnoOf } from '../../src/os/error.ts';
import { forbidDevices, MS, mount } from '../../src/os/syscalls.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { type AppMount, usedVolumes } from '../../src/stage1/mounts.ts';
import { POD_FILES } from '../../src/stage1/pod-files.ts';

/** Where a volume is inside the pod, outside the apps' roots. */
export function volumePath(id: string): string {
  return `/rkt/volumes/${id}`;
}

/** Whether a volume is mounted on a folder; otherwise on a file. The host's must exist. */
export function isFolderVolume(volume: Volume): boolean {
  return volume.kind === 'empty' || statSync(hostSource(volume)).isDirectory();
}

/** Mounts every volume that an app uses into the stage1 root, host folders and empty ones alike. */
export function mountVolumes(podFolder: string, root: string, mounts: readonly AppMount[]): void {
  for (const { id, volume } of usedVolumes(mounts)) {
    const source = volume.kind === 'host' ? hostSource(volume) : emptySource(podFolder, id, volume);
    const target = join(root, volumePath(id));
    if (statSync(source).isDirectory()) mkdirSync(target, { recursive: true });
    else writeFileSync(target, '');
    const recursive = volume.kind === 'host' && volume.recursive !== false;
    mount(source, target, '', recursive ? MS.BIND | MS.REC : MS.BIND);
    if (!isDevice(source)) forbidDevices(target);
  }
}

/** A volume that is a device node is there to be used; one that an app makes is not. */
function isDevice(path: string): boolean {
  const stats = statSync(path);
  return stats.isCharacterDevice() || stats.isBlockDevice();
}

function hostSource(volume: Volume & { kind: 'host' }): string {
  if (existsSync(volume.source)) return volume.source;
  throw new Stage1Error(
    'app-setup',
    `cannot mount volume "${volume.name}": ${volume.source} does not exist on this host`,
  );
}

/** An empty volume lives in the pod's folder and is shared by all apps that mount it. */
function emptySource(podFolder: string, id: string, volume: Volume & { kind: 'empty' }): string {
  const shared = join(podFolder, POD_FILES.sharedVolumes);
  const folder = join(shared, id);
  try {
    mkdirSync(shared, { recursive: true, mode: 0o755 });
    mkdirSync(folder);
    chownSync(folder, volume.uid, volume.gid);
    chmodSync(folder, Number.parseInt(volume.mode, 8));
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  return folder;
}
