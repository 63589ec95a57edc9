import type { PodManifest } from './types.ts';

/** Tells a stage1 whether apps may come and go; on every generated manifest. */
export const mutableAnnotation = 'coreos.com/rkt/stage1/mutable';

/** Whether apps may come and go in a pod of this manifest. */
export function isMutable({ annotations }: Pick<PodManifest, 'annotations'>): boolean {
  return annotations.some(({ name, value }) => name === mutableAnnotation && value === 'true');
}
