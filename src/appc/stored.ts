/** Manifests that are already valid, as text and back. Loads no zod. */
import type { ImageManifest, PodManifest } from './types.ts';

/** JSON without indentation, every list and default spelled out. */
export function serializeImageManifest(manifest: ImageManifest): string {
  return JSON.stringify(manifest);
}

/** JSON without indentation, every list and default spelled out. */
export function serializePodManifest(manifest: PodManifest): string {
  return JSON.stringify(manifest);
}

/**
 * Reads what `serializeImageManifest` wrote, without checking it again. Text of any other origin
 * (an image's own manifest file) has to pass `parseImageManifest`.
 */
export function storedImageManifest(text: string): ImageManifest {
  return JSON.parse(text);
}

/**
 * Reads what `serializePodManifest` wrote, without checking it again. Text of any other origin (a
 * pod made with `--pod-manifest` keeps its bytes) has to pass `parsePodManifest`.
 */
export function storedPodManifest(text: string): PodManifest {
  return JSON.parse(text);
}
