import { join } from 'node:path';
import {
  type ImageManifest,
  type PodManifest,
  podManifest,
  serializePodManifest,
} from '../../appc/index.ts';
import { versionedName } from '../../appc/versioned-name.ts';
import { findStored } from '../../image/named.ts';
import { type ImageReference, parseImageReference } from '../../image/reference.ts';
import { Store } from '../../image/store.ts';
import { readIfExists } from '../../os/files.ts';
import { holdPod } from '../../pod/hold.ts';
import { findPod, type Pod } from '../../pod/pods.ts';
import { START_FLAGS } from '../../pod/start.ts';
import { POD_FILES, readAppImageManifest, readPodManifest } from '../../stage1/pod-files.ts';
import type { Context } from '../context.ts';
import { readPodFile } from '../pod-file/read.ts';
import { type PodToWrite, podFileOfFlags, podFileOfManifest } from '../pod-file/write.ts';
import { podOperands } from '../pod-operands.ts';
import { INSECURE, withInsecureOptions } from '../pod-setup.ts';
import { runArguments } from '../run-args.ts';
import { commands } from '../table.ts';

/** Prints a pod file that makes an equal pod. */
export async function run(context: Context): Promise<number> {
  const [word = ''] = podOperands(context);
  const { dataDir } = context.globals;
  const found = holdPod(dataDir, findPod(dataDir, word));
  const manifest = readPodManifest(found.folder);
  const store = new Store(dataDir);
  const images = manifest.apps.map(({ name, image }) => {
    const own = readAppImageManifest(found.folder, name);
    return { key: image.id, manifest: own, reference: imageReference(store, image.id, own) };
  });
  const pod = {
    name: found.uuid,
    manifest: bare(manifest),
    images,
    flags: podFlags(found, manifest),
  };
  const text = podFileOfFlags(pod);
  const isSame = planned(text, pod, context) === serializePodManifest(manifest);
  context.stdout.write(isSame ? text : podFileOfManifest(pod));
  return 0;
}

/** The name of an image where it leads to the same, which another host or a later day can fetch. */
function imageReference(store: Store, key: string, manifest: ImageManifest): string {
  const source = store.get(key)?.source?.reference;
  if (source?.startsWith('docker://')) return source;
  const name = versionedName(manifest.name, manifest.labels);
  const reference: ImageReference = parseImageReference(name);
  const leadsHere = reference.kind === 'name' && findStored(store, reference)[0]?.key === key;
  return leadsHere ? name : key;
}

/** Flags of every start that say nothing. */
const DEFAULTS = ['--net=default', '--ipc=auto'];

/** What is not in the manifest, or is there on account of a flag. */
function podFlags({ folder }: Pod, manifest: PodManifest): [string, string][] {
  const insecure = manifest.annotations.find(({ name }) => name === INSECURE)?.value;
  const started = readIfExists(join(folder, START_FLAGS)) ?? '';
  const isFly = readIfExists(join(folder, POD_FILES.stage1Manifest))?.includes('stage1-fly');
  const hasOverlay = readIfExists(join(folder, 'overlay-prepared')) !== undefined;
  return [
    ...(insecure === undefined ? [] : [['insecure-options', insecure] satisfies [string, string]]),
    ...(isFly ? [['stage1-name', 'coreos.com/rkt/stage1-fly'] satisfies [string, string]] : []),
    ...(hasOverlay ? [] : [['no-overlay', 'true'] satisfies [string, string]]),
    ...started.split('\n').flatMap((flag): [string, string][] => {
      if (DEFAULTS.includes(flag)) return [];
      const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/.exec(flag) ?? [];
      return name === undefined ? [] : [[name, value ?? 'true']];
    }),
  ];
}

function bare(manifest: PodManifest): PodManifest {
  return {
    ...manifest,
    annotations: manifest.annotations.filter(({ name }) => name !== INSECURE),
  };
}

/** The manifest that comes of a pod file; undefined when it can't be read. */
function planned(text: string, { images }: PodToWrite, outer: Context): string | undefined {
  const command = commands.find(({ path }) => path === 'run');
  if (!command) return undefined;
  try {
    const context = readPodFile('generated', text, command, outer);
    const { source } = runArguments(context);
    if (source.kind !== 'images') return undefined;
    const manifest = podManifest(source.request, {
      images: [...images],
      callerEnvironment: [],
      envFileEntries: [],
      uid: 0,
      gid: 0,
      mutable: false,
    });
    return serializePodManifest(withInsecureOptions(manifest, context));
  } catch {
    // Nothing but the manifest itself says what this pod is.
    return undefined;
  }
}
