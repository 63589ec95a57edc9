import type { ImageManifest } from '../../src/appc/index.ts';
import { stage1Manifest } from '../../src/stage1/image.ts';

export const manifest: ImageManifest = stage1Manifest('nspawn', {
  run: '/init',
  enter: '/enter',
  gc: '/gc',
  stop: '/stop',
});
