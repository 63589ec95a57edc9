import { hostArch, type ImageManifest } from '../appc/index.ts';
import { version } from '../os/version.ts';
import { type EntryPoint, entryAnnotations } from './contract.ts';

/** The name of a stage1 image of this project. */
function stage1Name(flavour: 'nspawn' | 'fly'): string {
  return `coreos.com/rkt/stage1-${flavour}`;
}

/** The manifest of a stage1 image of this project; the entry points are paths in its root. */
export function stage1Manifest(
  flavour: 'nspawn' | 'fly',
  entryPoints: Partial<Record<EntryPoint, string>>,
): ImageManifest {
  return {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: stage1Name(flavour),
    labels: [
      { name: 'version', value: version },
      { name: 'os', value: 'linux' },
      { name: 'arch', value: hostArch() },
    ],
    annotations: entryAnnotations(entryPoints),
    dependencies: [],
    pathWhitelist: [],
  };
}
