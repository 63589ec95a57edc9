import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { readPodManifest } from '../stage1/pod-files.ts';
import { GROUPS, type Group } from './layout.ts';
import { listPods, type Pod, refreshPod } from './pods.ts';

/** What pods need of the store. */
export interface InUse {
  /** Image keys. */
  readonly images: ReadonlySet<string>;
  /** Tree ids: the layers of their apps. */
  readonly trees: ReadonlySet<string>;
}

/** Every group whose pods run, ran or may run; garbage only waits for its removal. */
const NEEDING: readonly Group[] = GROUPS.filter((group) => group !== 'garbage');

/** The images and trees that any pod needs. Hold the prepare lock, else a new pod is overlooked. */
export function imagesInUse(dataDir: string): InUse {
  const images = new Set<string>();
  const trees = new Set<string>();
  for (const found of listPods(dataDir, NEEDING)) {
    // A pod that has been started meanwhile is found again where it is now.
    for (let pod: Pod | undefined = found; pod; ) {
      for (const id of imagesOf(pod)) images.add(id);
      for (const id of treesOf(pod)) trees.add(id);
      pod = existsSync(pod.folder) ? undefined : refreshPod(dataDir, pod.uuid);
    }
  }
  return { images, trees };
}

/** The UUID of a running pod that has a tree mounted, or undefined. */
export function runningOn(dataDir: string, tree: string): string | undefined {
  return listPods(dataDir, ['run']).find(
    (pod) => pod.state === 'running' && treesOf(pod).includes(tree),
  )?.uuid;
}

/** A pod whose manifest is missing or damaged can't be run, so it needs no image. */
function imagesOf({ folder }: Pod): string[] {
  try {
    return readPodManifest(folder).apps.map((app) => app.image.id);
  } catch {
    return [];
  }
}

function treesOf({ folder }: Pod): string[] {
  const apps = join(folder, 'appsinfo');
  return namesIn(apps).flatMap((app) =>
    (readIfExists(join(apps, app, 'treeStoreID')) ?? '').split('\n').filter(Boolean),
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
