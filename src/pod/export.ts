import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ImageManifest, RuntimeApp } from '../appc/index.ts';
import { copyPaths } from '../image/copy-paths.ts';
import { checkAciOutput } from '../image/export.ts';
import { copyLayers, withMerged } from '../image/merge.ts';
import { writeOutput } from '../image/output-file.ts';
import { packAci, startTar } from '../image/pack.ts';
import { openWorkspace } from '../image/publish.ts';
import { Store } from '../image/store.ts';
import type { Workspace } from '../image/temp.ts';
import { readIfExists } from '../os/files.ts';
import { mountPoints } from '../os/mount-points.ts';
import { moveOwners } from '../os/move-owners.ts';
import {
  appRootfs,
  POD_FILES,
  readAppImageManifest,
  readPodManifest,
} from '../stage1/pod-files.ts';
import { changesOf, pathsBelow } from './changes.ts';
import { PodError } from './error.ts';
import { lockPod, type Pod } from './pods.ts';
import { shiftBack } from './private-users.ts';

export interface ExportRequest {
  /** May be left out when the pod has one app. */
  readonly app?: string;
  /** Path of the ACI file to make. */
  readonly output: string;
  readonly overwrite: boolean;
  /** Only what the app changed, as an image that depends on the app's. */
  readonly diff: boolean;
}

/**
 * Makes an ACI of an app's root file system as a pod left it, without the content of its volumes
 * (surface 1.9). Nothing in the pod's folder changes. Returns the image's key.
 *
 * @throws PodError `wrong-state` unless the pod has exited, `busy`, `unsupported`; ImageError
 */
export async function exportPod(
  dataDir: string,
  pod: Pod,
  request: ExportRequest,
): Promise<string> {
  const output = resolve(request.output);
  checkAciOutput(output, request.overwrite);
  if (pod.state !== 'exited' && pod.state !== 'exited garbage')
    throw new PodError(
      'wrong-state',
      `pod "${pod.uuid}" is ${pod.state}: only a pod that has exited can be exported`,
    );
  const lock = lockPod(pod);
  if (!lock)
    throw new PodError('busy', `pod "${pod.uuid}" is in use by another command: try again`);
  const store = new Store(dataDir);
  const work = openWorkspace(store);
  try {
    const app = chooseApp(pod, request.app);
    const root = rootOf(store, pod, app.name, work);
    const image = readAppImageManifest(pod.folder, app.name);
    const { manifest, tree } = request.diff
      ? await changedImage(pod, app, image, root, work)
      : { manifest: { ...image, dependencies: [], pathWhitelist: [] }, tree: root.layers };
    const tar = withMerged(tree, scratchIn(work), (folder) => startTar(folder, 'rootfs'));
    const text = Buffer.from(JSON.stringify(manifest));
    const { key } = await writeOutput(output, request.overwrite, (fd) =>
      packAci(text, tar, 'gzip', fd),
    );
    return key;
  } finally {
    work.discard();
    lock.release();
  }
}

function chooseApp(pod: Pod, name: string | undefined): RuntimeApp {
  const { apps } = readPodManifest(pod.folder);
  const names = apps.map((app) => app.name).join(', ');
  const [app, ...others] = name === undefined ? apps : apps.filter((each) => each.name === name);
  if (!app)
    throw new PodError('unsupported', `pod "${pod.uuid}" has no app "${name}", but ${names}`);
  if (others.length === 0) return app;
  throw new PodError(
    'unsupported',
    `pod "${pod.uuid}" has several apps (${names}): choose one with --app`,
  );
}

/** An app's root: layers for overlayfs, the app's own changes on top if they are kept apart. */
interface Root {
  readonly layers: readonly string[];
  readonly upper?: string;
}

function rootOf(store: Store, pod: Pod, app: string, work: Workspace): Root {
  if (readIfExists(join(pod.folder, 'overlay-prepared')) === undefined) {
    const copy = join(pod.folder, POD_FILES.stage1Root, appRootfs(app));
    if (mountPoints().some((path) => path === copy || path.startsWith(`${copy}/`)))
      throw new PodError(
        'unsupported',
        `pod "${pod.uuid}" has mounts left in app "${app}": they would be exported as well`,
      );
    return { layers: [withImageOwners(pod, copy, work)] };
  }
  const ids = readFileSync(join(pod.folder, 'appsinfo', app, 'treeStoreID'), 'utf8').trim();
  const upper = join(pod.folder, 'overlay', app, 'upper');
  // Two layers at least, so that it is an overlay and hides what marks deletions.
  const empty = join(work.path, 'empty');
  mkdirSync(empty);
  const layers = [empty, ...ids.split('\n').map((id) => store.treeRoot(id))];
  return existsSync(upper) ? { layers: [...layers, upper], upper } : { layers };
}

/** A copy whose owners were shifted for the pod's user namespace is copied once more to have its own. */
function withImageOwners(pod: Pod, root: string, work: Workspace): string {
  const back = shiftBack(pod.folder);
  if (!back) return root;
  const own = join(work.path, 'root');
  copyLayers([root], own, scratchIn(work));
  moveOwners(own, back);
  return own;
}

/**
 * The image of an app's changes. An ACI has no words for a deleted file, so after one the image lists
 * all that is left.
 */
async function changedImage(
  pod: Pod,
  app: RuntimeApp,
  image: ImageManifest,
  { layers, upper }: Root,
  work: Workspace,
): Promise<{ manifest: ImageManifest; tree: readonly string[] }> {
  if (upper === undefined)
    throw new PodError(
      'unsupported',
      `pod "${pod.uuid}" keeps no changes apart, as it has no overlay: export it without --diff`,
    );
  const { paths, pathWhitelist } = withMerged(layers.slice(0, -1), scratchIn(work), (below) =>
    withMerged(layers, scratchIn(work), (merged) => {
      const changes = changesOf(upper, below, merged);
      return { ...changes, pathWhitelist: changes.hasDeletions ? pathsBelow(merged) : [] };
    }),
  );
  const tree = join(work.path, 'changes');
  await copyPaths(layers, paths, tree, scratchIn(work));
  const manifest = {
    ...image,
    dependencies: [{ imageName: image.name, imageID: app.image.id, labels: image.labels }],
    pathWhitelist: pathWhitelist.map((path) => `/${asText(path)}`),
  };
  return { manifest, tree: [tree] };
}

/** A manifest is JSON, which has no bytes that are no UTF-8. */
function asText(path: string): string {
  const text = Buffer.from(path, 'latin1').toString('utf8');
  if (!text.includes('\ufffd')) return text;
  throw new PodError(
    'unsupported',
    `a file was deleted, and the name ${JSON.stringify(text)} of another is no UTF-8: export without --diff`,
  );
}

function scratchIn(work: Workspace): string {
  return mkdtempSync(join(work.path, 'view-'));
}
