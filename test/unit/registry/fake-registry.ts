import { createHash } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { type Pki, serve } from '../http/server.ts';

export const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

export interface FakeDescriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** What a registry holds; each part can be changed to something that it should not be. */
export class Content {
  readonly blobs = new Map<string, Buffer>();
  /** By tag and by digest. */
  readonly manifests = new Map<string, { mediaType: string; bytes: Buffer }>();

  addBlob(bytes: Buffer, mediaType: string): FakeDescriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  addManifest(value: object, mediaType: string, tag?: string): FakeDescriptor {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    for (const name of tag === undefined ? [digest] : [digest, tag])
      this.manifests.set(name, { mediaType, bytes });
    return { mediaType, digest, size: bytes.length };
  }

  /** An image of these layers (tars) under a tag. */
  addImage(layers: readonly Buffer[], tag?: string, architecture = 'amd64'): FakeDescriptor {
    const config = this.addBlob(
      Buffer.from(
        JSON.stringify({
          os: 'linux',
          architecture,
          rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
        }),
      ),
      types.config,
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config,
      layers: layers.map((layer) => this.addBlob(gzipSync(layer), types.layer)),
    };
    return this.addManifest(manifest, types.manifest, tag);
  }
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export interface FakeRegistry {
  readonly origin: string;
  readonly host: string;
  /** `METHOD PATH AUTHORIZATION`, in their order. */
  readonly seen: string[];
}

/** Answers a request in a way of its own: true when it has. */
export type Special = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A registry for faults that a real one does not show; ends with the test. */
export async function serveRegistry(
  content: Content,
  special: Special = () => false,
  pki?: Pki,
): Promise<FakeRegistry> {
  const seen: string[] = [];
  const listener: RequestListener = (request, response) => {
    const { method = '', url = '', headers } = request;
    seen.push([method, url, headers.authorization].filter((part) => part).join(' '));
    if (special(request, response)) return;
    const [, kind, name = ''] = /^\/v2\/.+\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    const manifest = kind === 'manifests' ? content.manifests.get(name) : undefined;
    const bytes = kind === 'blobs' ? content.blobs.get(name) : manifest?.bytes;
    if (url === '/v2/') response.end('{}');
    else if (!bytes) response.writeHead(404).end('no JSON');
    else
      response
        .writeHead(200, {
          'content-length': bytes.length,
          'content-type': manifest?.mediaType ?? 'application/octet-stream',
          ...(manifest && { 'docker-content-digest': digestOf(bytes) }),
        })
        .end(method === 'HEAD' ? undefined : bytes);
  };
  const origin = await serve(listener, pki);
  return { origin, host: new URL(origin).host, seen };
}
