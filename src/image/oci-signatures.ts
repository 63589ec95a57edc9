import { parseManifest } from './oci-schema.ts';
import { type BlobSource, entriesOf, mayBeSignatureOf, readBlob } from './oci-select.ts';
import { type StoredSignature, signatureLayers } from './registry/signatures.ts';

/**
 * The signatures that cosign keeps in a layout beside the images: those for a manifest, and those that do
 * not say for which they are. Nothing is verified here but their digests.
 *
 * @throws ImageError as for reading images
 */
export function layoutSignatures(source: BlobSource, digest: string): StoredSignature[] {
  const found: StoredSignature[] = [];
  for (const entry of entriesOf(source).filter((each) => mayBeSignatureOf(each, digest))) {
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
