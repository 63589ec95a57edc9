import { describe, expect, test } from 'vitest';
import type { App, PodManifest, RuntimeApp, Volume } from '../../../src/appc/index.ts';
import { parsePodManifest } from '../../../src/appc/parse.ts';
import { appMounts, usedVolumes } from '../../../src/stage1/mounts.ts';

const ID = `sha512-${'0'.repeat(64)}`;

interface Given {
  volumes?: readonly object[];
  mounts?: readonly object[];
  points?: readonly object[];
}

/** The pod with one app that is described, with everything filled in. */
function pod({ volumes = [], mounts = [], points = [] }: Given): [PodManifest, RuntimeApp, App] {
  const app = { exec: ['/x'], user: '0', group: '0', mountPoints: points };
  const manifest = parsePodManifest(
    JSON.stringify({
      acKind: 'PodManifest',
      acVersion: '0.8.11',
      volumes,
      apps: [{ name: 'web', image: { id: ID }, mounts, app }],
    }),
  );
  const [only] = manifest.apps;
  if (!only?.app) throw new Error('the manifest has lost its app');
  return [manifest, only, only.app];
}

const host = (name: string, more = {}): object => ({ name, kind: 'host', source: '/src', ...more });

/** `VOLUME TARGET`, with ` ro` behind a read-only one. */
function mounted(given: Given): string[] {
  return appMounts(...pod(given)).map(
    ({ volume, target, readOnly }) => `${volume.name} ${target}${readOnly ? ' ro' : ''}`,
  );
}

describe('an app mounts', () => {
  test('what its manifest says, then the mount points that are left', () => {
    const given = {
      volumes: [host('a'), host('b')],
      mounts: [{ volume: 'a', path: '/one/' }],
      points: [
        { name: 'covered', path: '/one' },
        { name: 'b', path: '/two' },
      ],
    };
    expect(mounted(given)).toEqual(['a /one/', 'b /two']);
  });

  test('an empty volume of its own at a mount point that no volume is named after', () => {
    const [mount] = appMounts(...pod({ points: [{ name: 'data', path: '/data' }] }));
    expect(mount?.volume).toEqual({
      name: 'web-data',
      kind: 'empty',
      mode: '0755',
      uid: 0,
      gid: 0,
    });
  });

  test('at the path of the mount point that a mount names', () => {
    const given = {
      volumes: [host('a')],
      mounts: [{ volume: 'a', path: 'data' }],
      points: [{ name: 'data', path: '/srv/data' }],
    };
    expect(mounted(given)[0]).toBe('a /srv/data');
  });

  test.each([
    ['as the mount point says', {}, true, 'a /data ro'],
    ['as the volume says, against the mount point', { readOnly: false }, true, 'a /data'],
    ['as the volume says', { readOnly: true }, false, 'a /data ro'],
  ])('read-only %s', (_, volume, readOnly, expected) => {
    const given = {
      volumes: [host('a', volume)],
      points: [{ name: 'a', path: '/data', readOnly }],
    };
    expect(mounted(given)).toEqual([expected]);
  });

  test('no volume that the pod lacks', () => {
    const [manifest, app, section] = pod({
      mounts: [{ volume: 'none', path: '/x' }],
      volumes: [host('none')],
    });
    expect(() => appMounts({ ...manifest, volumes: [] }, app, section)).toThrow(
      /app "web" mounts a volume "none" at \/x/,
    );
  });
});

test('a volume is used once, however often it is mounted', () => {
  const volume: Volume = { name: 'a', kind: 'empty', mode: '0755', uid: 0, gid: 0 };
  const mount = { volume, target: '/x', readOnly: false, implicit: false, id: 'a' };
  expect(usedVolumes([mount, { ...mount, target: '/y' }])).toHaveLength(1);
});
