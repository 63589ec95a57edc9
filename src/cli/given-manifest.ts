import { checkPodManifest, labelValue, type PodManifest } from '../appc/index.ts';
import { parseJson } from '../appc/json.ts';
import { validatePodManifest } from '../appc/parse.ts';
import { type ResolveOptions, resolveImage } from '../image/resolve.ts';
import type { Store, StoredImage } from '../image/store.ts';
import { CliError } from './error.ts';
import { inputText, type PodContent } from './pod-setup.ts';
import type { PodSource } from './run-args.ts';

type Given = PodSource & { readonly kind: 'manifest' };

/** Stands for the id of an image that is still to be found, so that all else can be checked first. */
const UNKNOWN = `sha512-${'0'.repeat(64)}`;

/**
 * A pod manifest of the user's. Its images are ids of stored ones (surface 1.3) or, without an `id`,
 * names: whatever names an image on the command line, to which the labels are added.
 */
export async function givenContent(
  store: Store,
  source: Given,
  options: ResolveOptions,
): Promise<PodContent> {
  const [text, where] =
    'json' in source
      ? [source.json, 'the pod manifest']
      : [inputText(source.path, 'pod manifest'), source.path];
  const at = <T>(check: () => T): T => {
    try {
      return check();
    } catch (error) {
      throw new CliError('input', `cannot use ${where}`, error);
    }
  };
  const json = at(() => parseJson(text, 'pod manifest'));
  const names = imageNames(json);
  const checked = at(() => validatePodManifest(withIds(json, names)));
  const images: StoredImage[] = [];
  for (const [index, { image }] of checked.apps.entries()) {
    const name = names[index];
    const found =
      name === undefined
        ? store.findByKeyPrefix(image.id)
        : await resolveImage(store, reference(name, image.labels), options);
    // A collection leaves it while the next one is fetched.
    store.touch(found.key);
    images.push(found);
  }
  const given: PodManifest = { ...checked, apps: checked.apps.map(withImage(images, names)) };
  checkPodManifest(given, images);
  const apps = given.apps.map((app, index) => {
    const section = app.app ?? images[index]?.manifest.app;
    return section ? { ...app, app: section } : app;
  });
  const isComplete = names.every((name) => name === undefined);
  return {
    manifest: { ...given, apps },
    images,
    givenManifest: isComplete ? text : JSON.stringify(given),
  };
}

/** What the images without an id are called; undefined for those that have one. */
function imageNames(json: unknown): (string | undefined)[] {
  return appsOf(json).map((app) => {
    const image = isRecord(app) ? app['image'] : undefined;
    if (!isRecord(image) || (image['id'] ?? '') !== '') return undefined;
    return typeof image['name'] === 'string' && image['name'] !== '' ? image['name'] : undefined;
  });
}

function withIds(json: unknown, names: readonly (string | undefined)[]): unknown {
  if (!isRecord(json) || names.every((name) => name === undefined)) return json;
  const apps = appsOf(json).map((app, index) => {
    if (names[index] === undefined || !isRecord(app) || !isRecord(app['image'])) return app;
    const { name, ...image } = app['image'];
    return { ...app, image: { ...image, id: UNKNOWN } };
  });
  return { ...json, apps };
}

/** `NAME:VERSION,LABEL=VALUE`; for what is no name of an image, labels have no place. */
function reference(name: string, labels: StoredImage['manifest']['labels']): string {
  const version = labelValue(labels, 'version');
  const others = labels.filter((label) => label.name !== 'version');
  return [
    version === undefined ? name : `${name}:${version}`,
    ...others.map(({ name: label, value }) => `${label}=${value}`),
  ].join(',');
}

function withImage(images: readonly StoredImage[], names: readonly (string | undefined)[]) {
  return (app: PodManifest['apps'][number], index: number): PodManifest['apps'][number] => {
    const image = images[index];
    if (names[index] === undefined || !image) return app;
    const { manifest, key } = image;
    return { ...app, image: { name: manifest.name, id: key, labels: manifest.labels } };
  };
}

function appsOf(json: unknown): readonly unknown[] {
  return isRecord(json) && Array.isArray(json['apps']) ? json['apps'] : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
