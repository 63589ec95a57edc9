import { parseManifest } from './oci-schema.ts';
import { type BlobSource, entriesOf, isSignature, readBlob } from './oci-select.ts';
import { payloadType, type StoredSignature } from './registry/signatures.ts';

/**
 * The signatures that cosign keeps in a layout beside the images; nothing is verified here but their
 * digests.
 *
 * @throws ImageError as for reading images
 */
export function layoutSignatures(source: BlobSource): StoredSignature[] {
  return entriesOf(source)
    .filter(isSignature)
    .flatMap((entry) => {
      const bytes = readBlob(source, entry, 'signatures');
      const { layers } = parseManifest(bytes, `signatures ${entry.digest} of ${source.where}`);
      return layers
        .filter(({ mediaType }) => mediaType === payloadType)
        .map((layer) => ({
          payload: readBlob(source, layer, 'signature'),
          annotations: layer.annotations,
        }));
    });
}
