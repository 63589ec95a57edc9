import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { manifest as fly } from '../../stage1/fly/manifest.ts';
import { manifest as nspawn } from '../../stage1/nspawn/manifest.ts';
import { type ImageManifest, serializeImageManifest } from '../appc/index.ts';
import { copyLayers } from '../image/merge.ts';
import type { Store, StoredImage } from '../image/store.ts';
import { entryPoint } from '../stage1/contract.ts';
import type { Stage1 } from '../stage1/pod-context.ts';
import { POD_FILES } from '../stage1/pod-files.ts';

/** A stage1 image: one of our own, which is part of this program, or a stored one. */
export type Stage1Choice =
  | { readonly kind: 'own'; readonly flavour: 'nspawn' | 'fly' }
  | { readonly kind: 'stored'; readonly image: StoredImage };

/** What a stage1 of our own does with the apps of a running pod. */
export type Stage1Apps = Pick<
  typeof import('../../stage1/nspawn/mutable.ts'),
  'addApp' | 'removeApp' | 'startApp' | 'stopApp'
>;

interface OwnStage1 {
  readonly manifest: ImageManifest;
  load(): Promise<Stage1>;
  loadApps?(): Promise<Stage1Apps>;
}

const OWN: Record<'nspawn' | 'fly', OwnStage1> = {
  nspawn: {
    manifest: nspawn,
    load: () => import('../../stage1/nspawn/run.ts'),
    loadApps: () => import('../../stage1/nspawn/mutable.ts'),
  },
  fly: { manifest: fly, load: () => import('../../stage1/fly/run.ts') },
};

/** rkt's own flavours of systemd-nspawn, which ours takes the place of. */
const ALIASES = new Map([
  ['stage1-nspawn', 'nspawn'],
  ['stage1-coreos', 'nspawn'],
  ['stage1-host', 'nspawn'],
  ['stage1-src', 'nspawn'],
  ['stage1-fly', 'fly'],
] as const);

/** The stage1 of our own that a name (`coreos.com/rkt/stage1-fly`) or file name stands for. */
export function ownStage1(nameOrFile: string): Stage1Choice | undefined {
  const name = basename(nameOrFile).replace(/\.aci$/, '');
  for (const [alias, flavour] of ALIASES) if (alias === name) return { kind: 'own', flavour };
  return undefined;
}

/**
 * Puts a stage1 into a pod's folder; `layers` are the ids of the trees of a stored one. Our own lays out
 * its root itself when the pod starts.
 */
export function installStage1(
  store: Store,
  choice: Stage1Choice,
  layers: readonly string[],
  podFolder: string,
): void {
  const manifest = choice.kind === 'own' ? OWN[choice.flavour].manifest : choice.image.manifest;
  if (choice.kind === 'stored') {
    const roots = layers.map((id) => store.treeRoot(id));
    copyLayers(roots, join(podFolder, POD_FILES.stage1Root), join(podFolder, 'merged'));
    writeFileSync(join(podFolder, 'stage1TreeStoreID'), `${choice.image.layers.join('\n')}\n`, {
      mode: 0o640,
    });
  }
  writeFileSync(join(podFolder, POD_FILES.stage1Manifest), serializeImageManifest(manifest), {
    mode: 0o640,
  });
}

/** Whether a pod's stage1 is part of this program, and not something that the pod brought along. */
export function isOwnStage1(manifest: ImageManifest, podFolder: string): boolean {
  return ownStage1Of(manifest, podFolder) !== undefined;
}

/** The implementation in this program of a pod's stage1, if it is one of our own. */
export async function loadOwnStage1(
  manifest: ImageManifest,
  podFolder: string,
): Promise<Stage1 | undefined> {
  return ownStage1Of(manifest, podFolder)?.load();
}

/** The same for the apps of a running pod; undefined for a stage1 that the pod brought along. */
export async function loadStage1Apps(
  manifest: ImageManifest,
  podFolder: string,
): Promise<Stage1Apps | undefined> {
  return ownStage1Of(manifest, podFolder)?.loadApps?.();
}

function ownStage1Of(manifest: ImageManifest, podFolder: string) {
  const own = Object.values(OWN).find((candidate) => candidate.manifest.name === manifest.name);
  const isInstalled = existsSync(
    join(podFolder, POD_FILES.stage1Root, entryPoint(manifest, 'run')),
  );
  return own && !isInstalled ? own : undefined;
}
