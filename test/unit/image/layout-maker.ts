import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const layoutTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [more: string]: unknown;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** An OCI image layout, made blob by blob. */
export class LayoutMaker {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }

  blob(mediaType: string, content: object | Buffer, more: object = {}): Blob {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    writeFileSync(join(this.folder, 'blobs/sha256', sha256(bytes)), bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length, ...more };
  }

  read({ digest }: Blob): Buffer {
    return readFileSync(join(this.folder, 'blobs', digest.replace(':', '/')));
  }

  /** An image of plain tars, bottom first; the descriptor of its manifest. */
  image(layers: readonly Buffer[], more: object = {}): Blob {
    const config = this.blob(layoutTypes.config, {
      os: 'linux',
      architecture: 'amd64',
      config: { Cmd: ['/bin/true'] },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    });
    return this.blob(
      layoutTypes.manifest,
      {
        schemaVersion: 2,
        mediaType: layoutTypes.manifest,
        config,
        layers: layers.map((layer) => this.blob(layoutTypes.layer, layer)),
      },
      more,
    );
  }

  index(...manifests: readonly Blob[]): void {
    const index = { schemaVersion: 2, manifests };
    writeFileSync(join(this.folder, 'index.json'), JSON.stringify(index));
  }
}

/** What names an image in the index of a layout. */
export function tagged(tag: string): { annotations: Record<string, string> } {
  return { annotations: { 'org.opencontainers.image.ref.name': tag } };
}
