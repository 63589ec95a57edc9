import type { ImageManifest } from '../../src/appc/index.ts';
import { stage1Manifest } from '../../src/stage1/image.ts';

export const manifest: ImageManifest = stage1Manifest('fly', {
  run: '/run',
  enter: '/enter',
  gc: '/gc',
  stop: '/stop',
});
