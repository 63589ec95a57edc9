import { printable } from '../os/printable.ts';
import { labelValue } from './platform.ts';
import type { NameValue } from './types.ts';

/**
 * `NAME:VERSION` of an image, or its name alone, for people and for fields of the journal: a line of
 * text, whatever the image has as its version.
 */
export function versionedName(name: string, labels: readonly NameValue[]): string {
  const version = labelValue(labels, 'version');
  return version ? `${name}:${printable(version)}` : name;
}
