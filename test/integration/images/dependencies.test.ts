import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { aciOf, file } from '../../unit/image/images.ts';
import { Box } from '../pods/box.ts';

const box = new Box({});
const arch = process.arch === 'arm64' ? 'aarch64' : 'amd64';

/** Stores an image on top of the box; gives its key. */
async function onBox(name: string, fields: object): Promise<string> {
  const path = join(box.folder(), `${name}.aci`);
  const manifest = {
    labels: [
      { name: 'os', value: 'linux' },
      { name: 'arch', value: arch },
    ],
    app: { exec: ['/bin/sh', '-c'], user: '0', group: '0' },
    dependencies: [{ imageName: 'example.org/box' }],
    ...fields,
  };
  writeFileSync(path, aciOf(name, manifest, [file('file', name)]));
  const key = await box.ok(['--insecure-options=image', 'image', 'import', '--full', path]);
  return key.trim();
}

describe.each([[[]], [['--no-overlay']]])('a pod %s', (pod) => {
  test('sees what its image depends on, below what the image has', async () => {
    const image = await onBox('top', {});
    const { code, stdout } = await box.run('cat /file; ls /bin/busybox', { image, pod });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'top/bin/busybox\n' });
  });

  test('sees only what a whitelist names', async () => {
    const pathWhitelist = ['/bin/sh', '/bin/busybox', '/bin/ls'];
    const image = await onBox('listed', { pathWhitelist });
    const { code, stdout } = await box.run('ls /bin; ls /file', { image, pod });
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'busybox\nls\nsh\n' });
  });
});

test('a dependency that is missing is named before a pod is made', async () => {
  const image = await onBox('broken', { dependencies: [{ imageName: 'example.org/gone' }] });
  const { code, stderr, pod } = await box.run('true', {
    image,
    pod: ['--pull-policy=never'],
  });
  expect(code).toBe(254);
  expect(stderr).toContain('dependency "example.org/gone" of image "example.com/broken"');
  expect(() => pod.uuid).toThrow();
});

test('image gc keeps the rendering that a pod has, and its image', async () => {
  const image = await onBox('kept', { pathWhitelist: ['/bin/sh', '/bin/busybox'] });
  const started = box.start('echo ready; read x; echo bye', { image });
  await started.running.printed(/ready/);
  await box.ok(['image', 'gc', '--grace-period=0s']);
  const list = await box.ok(['image', 'list', '--full', '--no-legend', '--fields=id']);
  expect(list).toContain(image);
  await box.ok(['image', 'verify', image]);
  await box.ok(['stop', '--force', started.uuid]);
  await started.running.done;
});
