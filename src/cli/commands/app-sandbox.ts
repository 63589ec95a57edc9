import { resolve } from 'node:path';
import { mutableAnnotation } from '../../appc/mutable.ts';
import { parseSandboxPort } from '../../appc/mutable-flags.ts';
import { specVersion } from '../../appc/pod-plan.ts';
import { Store } from '../../image/store.ts';
import { keepPrepared, preparePod } from '../../pod/prepare.ts';
import { startPod } from '../../pod/start.ts';
import { readFlag, readMap, readUnique } from '../app-args.ts';
import { failingWith1 } from '../app-commands.ts';
import type { Context } from '../context.ts';
import { imageSource } from '../image-source.ts';
import { findStage1, saveUuid, withInsecureOptions } from '../pod-setup.ts';
import { startRequest } from '../pod-start.ts';
import { stage1Choice, startArguments } from '../run-args.ts';

/** Becomes a pod without apps, or leaves it to systemd; apps come later by `rkt app add`. */
export function run(context: Context): Promise<number> {
  return failingWith1(() => sandbox(context));
}

async function sandbox(context: Context): Promise<number> {
  const { flags, globals, note } = context;
  const start = startArguments(context);
  const store = new Store(globals.dataDir);
  const uuidFile = flags.value('uuid-file-save');
  const detach = start.detach ? await import('../detach.ts') : undefined;
  detach?.checkDetach();
  const manifest = {
    acVersion: specVersion,
    acKind: 'PodManifest' as const,
    apps: [],
    volumes: [],
    isolators: [],
    annotations: [
      { name: mutableAnnotation, value: 'true' },
      ...readUnique(flags, 'annotation', 'annotation'),
    ],
    ports: readFlag(flags, 'port', parseSandboxPort),
    userAnnotations: readMap(flags, 'user-annotation') ?? {},
    userLabels: readMap(flags, 'user-label') ?? {},
  };
  const held = await preparePod({
    store,
    manifest: withInsecureOptions(manifest, context),
    images: [],
    stage1: await findStage1(store, stage1Choice(flags), context, imageSource(context, 'new')),
    privateUsers: flags.bool('private-users'),
    noOverlay: flags.bool('no-overlay'),
    announce: (uuid) => {
      if (uuidFile !== undefined) saveUuid(resolve(uuidFile), uuid);
    },
    warn: note,
  });
  if (!detach) return startPod(globals.dataDir, held, startRequest(context, start));
  const pod = keepPrepared(globals.dataDir, held);
  held.lock.release();
  return detach.runDetached(context, pod.uuid, start);
}
