import type { ImageManifest, NameValue } from '../appc/index.ts';
import { isACIdentifier } from '../appc/names.ts';
import type { Registration, Registry } from './registry.ts';

export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain; charset=us-ascii';
  readonly body: string;
}

export interface Question {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly flavor: string | undefined;
  readonly form: URLSearchParams;
}

/** What a request without it could be tricked into: draft of the spec, "Metadata Server". */
const FLAVOR = 'AppContainer';

/**
 * What an app in a pod is told: appc specification, "App Container Metadata Service". The token in
 * the path is the pod's credential.
 */
export function answer(registry: Registry, question: Question): Answer {
  const [, token = '', ...rest] = question.path.split('/');
  const pod = registry.byToken(token);
  if (!pod) return plain(401, 'no pod has this token');
  if (question.flavor !== FLAVOR)
    return plain(403, `the header "Metadata-Flavor: ${FLAVOR}" is missing`);
  const [root, version, subject, ...path] = rest;
  if (root !== 'acMetadata' || version !== 'v1') return unknown();
  if (subject === 'pod' && path[0] === 'hmac') return hmacAnswer(registry, pod, path[1], question);
  if (question.method !== 'GET') return plain(405, 'only GET is known here');
  if (subject === 'pod') return podAnswer(pod, path);
  if (subject === 'apps') return appAnswer(pod, path);
  return unknown();
}

function podAnswer(pod: Registration, [entry, name, ...rest]: string[]): Answer {
  if (rest.length > 0) return unknown();
  if (entry === 'annotations')
    return name === undefined
      ? json(pod.manifest.annotations)
      : oneOf(pod.manifest.annotations, name);
  if (name !== undefined) return unknown();
  if (entry === 'manifest') return json(pod.manifest);
  if (entry === 'uuid') return plain(200, pod.uuid);
  return unknown();
}

function appAnswer(pod: Registration, [name, ...path]: string[]): Answer {
  const app = pod.manifest.apps.find((each) => each.name === name);
  const image =
    name !== undefined && Object.hasOwn(pod.images, name) ? pod.images[name] : undefined;
  if (!app || !image) return plain(404, 'the pod has no such app');
  const [entry, detail, ...rest] = path;
  if (rest.length > 0) return unknown();
  if (entry === 'annotations') {
    const merged = merge(image, app.annotations);
    return detail === undefined ? json(merged) : oneOf(merged, detail);
  }
  if (entry === 'image' && detail === 'manifest') return json(image);
  if (entry === 'image' && detail === 'id') return plain(200, app.image.id ?? '');
  return unknown();
}

/** The image's annotations, with the app's in the pod manifest over them. */
function merge(image: ImageManifest, own: readonly NameValue[]): NameValue[] {
  return [
    ...new Map([...image.annotations, ...own].map((each) => [each.name, each] as const)).values(),
  ];
}

function oneOf(annotations: readonly NameValue[], name: string): Answer {
  if (!isACIdentifier(name)) return plain(400, 'not the name of an annotation');
  const found = annotations.find((each) => each.name === name);
  return found ? plain(200, found.value) : plain(404, 'there is no such annotation');
}

function hmacAnswer(
  registry: Registry,
  pod: Registration,
  operation: string | undefined,
  { method, form }: Question,
): Answer {
  if (operation !== 'sign' && operation !== 'verify') return unknown();
  if (method !== 'POST') return plain(405, 'only POST is known here');
  const content = form.get('content');
  if (content === null) return plain(400, 'the field "content" is missing');
  if (operation === 'sign') return plain(200, registry.sign(pod.uuid, content));
  const uuid = form.get('uuid') ?? '';
  const signature = form.get('signature');
  if (!UUID.test(uuid) || signature === null)
    return plain(400, 'the fields "uuid" and "signature" are needed');
  return registry.verify(uuid, content, signature)
    ? plain(200, 'the signature is valid')
    : plain(403, 'the signature is not valid');
}

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** An answer of text; `status` is that of HTTP. */
export function plain(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=us-ascii', body };
}

function json(value: unknown): Answer {
  return { status: 200, type: 'application/json', body: JSON.stringify(value) };
}

function unknown(): Answer {
  return plain(404, 'there is nothing here');
}
