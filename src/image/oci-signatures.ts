import { parseManifest } from './oci-schema.ts';
import { type BlobSource, entriesOf, isSignature, readBlob } from './oci-select.ts';
import { type StoredSignature, signatureLayers } from './registry/signatures.ts';

/**
 * The signatures that cosign keeps in a layout beside the images; nothing is verified here but their
 * digests.
 *
 * @throws ImageError as for reading images
 */
export function layoutSignatures(source: BlobSource): StoredSignature[] {
  const found: StoredSignature[] = [];
  for (const entry of entriesOf(source).filter(isSignature)) {
    const bytes = readBlob(source, entry, 'signatures');
    const what = `signatures ${entry.digest} of ${source.where}`;
    for (const layer of signatureLayers(parseManifest(bytes, what), what, found.length))
      found.push({
        payload: readBlob(source, layer, 'signature'),
        annotations: layer.annotations,
      });
  }
  return found;
}
