import { AppcError } from '../appc/index.ts';
import { parseImageManifest, parsePodManifest } from '../appc/parse.ts';
import { type Answer, plain, UUID } from './answers.ts';
import type { Registry } from './registry.ts';

/**
 * What rkt tells the service over its socket (surface 11): `PUT /pods/UUID?token=TOKEN` with the pod
 * manifest, `PUT /pods/UUID/APP` with the manifest of an app's image, `DELETE /pods/UUID`.
 */
export function register(
  registry: Registry,
  request: { readonly method: string; readonly url: URL; readonly body: string },
): Answer {
  const [, pods, uuid = '', app, ...rest] = request.url.pathname.split('/');
  if (pods !== 'pods' || rest.length > 0) return plain(404, 'there is nothing here');
  if (!UUID.test(uuid)) return plain(400, 'not a UUID');
  try {
    if (request.method === 'DELETE' && app === undefined)
      return registry.remove(uuid) ? plain(200, '') : plain(404, 'no such pod');
    if (request.method !== 'PUT') return plain(405, 'only PUT and DELETE are known here');
    return app === undefined
      ? putPod(registry, uuid, request.url.searchParams.get('token') ?? '', request.body)
      : putApp(registry, uuid, app, request.body);
  } catch (error) {
    if (error instanceof AppcError) return plain(400, error.message);
    throw error;
  }
}

function putPod(registry: Registry, uuid: string, token: string, body: string): Answer {
  if (!/^[0-9a-f]{32,}$/.test(token)) return plain(400, 'a token of at least 16 bytes is needed');
  registry.put({ uuid, token, manifest: parsePodManifest(body), images: {} });
  return plain(200, '');
}

function putApp(registry: Registry, uuid: string, app: string, body: string): Answer {
  const pod = registry.byUuid(uuid);
  if (!pod) return plain(404, 'no such pod');
  registry.put({ ...pod, images: { ...pod.images, [app]: parseImageManifest(body) } });
  return plain(200, '');
}
