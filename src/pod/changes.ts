import { lstatSync, readdirSync, type Stats } from 'node:fs';

/** What an app changed of its image, as an overlay keeps it. */
export interface Changes {
  /** What is new or different, relative and in latin1, folders before what is in them. */
  readonly paths: readonly string[];
  /** Something of the image is gone. */
  readonly hasDeletions: boolean;
}

/**
 * Reads the changes off the upper folder of an overlay.
 *
 * @param below the image's tree, as the app found it
 * @param merged the tree as the app left it
 */
export function changesOf(upper: string, below: string, merged: string): Changes {
  const paths = ['.'];
  let hasDeletions = false;
  const compare = (folder: string): void => {
    const left = new Set(namesIn(merged, folder));
    if (namesIn(below, folder).some((name) => !left.has(name))) hasDeletions = true;
    for (const name of namesIn(upper, folder)) {
      // What only the upper folder knows is a whiteout.
      if (!left.has(name)) continue;
      const path = joined(folder, name);
      paths.push(path);
      if (!isFolder(merged, path)) continue;
      if (isFolder(below, path)) compare(path);
      else paths.push(...pathsBelow(merged, path));
    }
  };
  compare('');
  return { paths, hasDeletions };
}

/** All paths of a tree below a folder, folders before what is in them. */
export function pathsBelow(root: string, folder = ''): string[] {
  return namesIn(root, folder).flatMap((name) => {
    const path = joined(folder, name);
    return isFolder(root, path) ? [path, ...pathsBelow(root, path)] : [path];
  });
}

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

function isFolder(root: string, path: string): boolean {
  const stats: Stats | undefined = lstatSync(bytesOf(root, path), { throwIfNoEntry: false });
  return stats?.isDirectory() ?? false;
}

function namesIn(root: string, folder: string): string[] {
  return readdirSync(bytesOf(root, folder), { encoding: 'latin1' }).sort();
}

/** Names are bytes in no known encoding. */
function bytesOf(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}
