import { readFileSync, writeFileSync } from 'node:fs';
import { type NameValue, type PodManifest, parseEnvFiles, podManifest } from '../appc/index.ts';
import { type ResolveOptions, resolveImage } from '../image/resolve.ts';
import { Store, type StoredImage } from '../image/store.ts';
import type { HeldPod } from '../pod/prepare.ts';
import { preparePod } from '../pod/prepare.ts';
import { ownStage1, type Stage1Choice as Stage1Image } from '../pod/stage1-choice.ts';
import { withoutStartTimeout } from '../systemd/notify.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { imageSource } from './image-source.ts';
import type { PrepareArguments, Stage1Choice } from './run-args.ts';

/** Finds the images and makes the pod that `run` or `prepare` was asked for. */
export async function preparePodFor(
  context: Context,
  args: PrepareArguments,
  announce: (uuid: string) => void,
): Promise<HeldPod> {
  const store = new Store(context.globals.dataDir);
  const options = imageSource(context, args.pullPolicy);
  const stage1 = await findStage1(store, args.stage1, context, options);
  const content = await withoutStartTimeout('Finding the images', () =>
    podContent(store, args, options),
  );
  return preparePod({
    ...content,
    manifest: withInsecureOptions(content.manifest, context),
    store,
    stage1,
    noOverlay: args.noOverlay,
    privateUsers: args.privateUsers,
    announce,
    warn: context.note,
  });
}

/** The annotation of a pod that was made with `--insecure-options`. */
export const INSECURE = 'coreos.com/rkt/insecure-options';

/** Records in the pod which protections it was made without. */
export function withInsecureOptions(manifest: PodManifest, { globals }: Context): PodManifest {
  if (globals.insecure.size === 0) return manifest;
  const value = [...globals.insecure].join(',');
  const annotation = { name: INSECURE, value };
  return { ...manifest, annotations: [...manifest.annotations, annotation] };
}

export interface PodContent {
  readonly manifest: PodManifest;
  readonly images: readonly StoredImage[];
  readonly givenManifest?: string;
}

async function podContent(
  store: Store,
  args: PrepareArguments,
  options: ResolveOptions,
): Promise<PodContent> {
  if (args.source.kind === 'manifest') {
    const { givenContent } = await import('./given-manifest.ts');
    return givenContent(store, args.source, options);
  }
  const { request } = args.source;
  const images: StoredImage[] = [];
  // One after the other: the same file twice is imported once.
  for (const { image, signature } of request.apps) {
    const found = await resolveImage(store, image, {
      ...options,
      ...(signature !== undefined && { signature }),
    });
    // A collection leaves it while the next one is fetched.
    store.touch(found.key);
    images.push(found);
  }
  const envFiles = request.setEnvFiles.map((path) => ({
    path,
    text: inputText(path, 'environment file'),
  }));
  const manifest = podManifest(request, {
    images: images.map(({ key, manifest }) => ({ key, manifest })),
    callerEnvironment: request.inheritEnv ? callerEnvironment() : [],
    envFileEntries: parseEnvFiles(envFiles),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    mutable: false,
  });
  return { manifest, images };
}

/** The stage1 image that a command line or the configuration chooses. */
export async function findStage1(
  store: Store,
  choice: Stage1Choice | undefined,
  { config }: Context,
  options: ResolveOptions,
): Promise<Stage1Image> {
  const configured = config.stage1.image;
  const { kind, value } = choice ?? { kind: 'name', value: configured?.name ?? 'stage1-nspawn' };
  if (kind === 'name' || kind === 'from-dir') {
    const own = ownStage1(kind === 'name' ? value.replace(/[:,].*$/s, '') : value);
    if (own) return own;
  }
  if (kind === 'from-dir') {
    const folder = config.paths.stage1Images ?? '/usr/lib/rkt/stage1-images';
    return {
      kind: 'stored',
      image: await resolveImage(store, `${folder}/${value}`, {
        ...options,
        insecure: { image: true },
      }),
    };
  }
  if (!choice && config.stage1.location)
    return {
      kind: 'stored',
      image: await resolveImage(store, config.stage1.location, {
        ...options,
        insecure: { image: true },
      }),
    };
  const text = !choice && configured ? `${configured.name}:${configured.version}` : value;
  return { kind: 'stored', image: await resolveImage(store, text, options) };
}

function callerEnvironment(): NameValue[] {
  return Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );
}

/** The text of a file that the user names; `what` it is, for the error. Throws CliError `input`. */
export function inputText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliError('input', `cannot read ${what} ${path}`, error);
  }
}

/** `--uuid-file-save`: the UUID without a line end. */
export function saveUuid(path: string, uuid: string): void {
  try {
    writeFileSync(path, uuid, { mode: 0o644 });
  } catch (error) {
    throw new CliError('output', `cannot write the UUID to ${path}`, error);
  }
}
