import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { ImageManifest, PodManifest } from '../appc/index.ts';
import { MetadataError } from './error.ts';

/** Where the service takes registrations. */
export const REGISTRATION_SOCKET = '/run/rkt/metadata-svc.sock';

const ATTEMPTS = 3;

/**
 * Registers a pod, and gives the token that is its credential.
 *
 * @throws MetadataError `not-running` after three attempts, `refused`
 */
export async function registerPod(uuid: string, manifest: PodManifest): Promise<string> {
  const token = randomBytes(16).toString('hex');
  await send('PUT', `/pods/${uuid}?token=${token}`, manifest);
  return token;
}

/** Adds the image of an app to a pod that is registered. Throws as `registerPod` does. */
export async function registerApp(uuid: string, app: string, image: ImageManifest): Promise<void> {
  await send('PUT', `/pods/${uuid}/${app}`, image);
}

/** Has the service forget a pod; that it never knew it is no failure. */
export async function unregisterPod(uuid: string): Promise<void> {
  await send('DELETE', `/pods/${uuid}`);
}

async function send(method: 'PUT' | 'DELETE', path: string, body?: unknown): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const status = await sendOnce(method, path, body === undefined ? '' : JSON.stringify(body));
      if (status === 200 || (method === 'DELETE' && status === 404)) return;
      throw new MetadataError('refused', `the metadata service refused the pod: status ${status}`);
    } catch (error) {
      if (error instanceof MetadataError) throw error;
      // A pod that starts waits for the service; one that has ended is told again another time.
      if (attempt === ATTEMPTS || method === 'DELETE')
        throw new MetadataError(
          'not-running',
          `cannot reach the metadata service at ${REGISTRATION_SOCKET}: start it by "systemctl start rkt-metadata.socket" or "rkt metadata-service"`,
          error,
        );
      await wait(1000);
    }
  }
}

function sendOnce(method: string, path: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: REGISTRATION_SOCKET, method, path }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject).end(body);
  });
}
