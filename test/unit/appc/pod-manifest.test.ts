import { expect, test } from 'vitest';
import { serializePodManifest, storedPodManifest } from '../../../src/appc/index.ts';
import { parsePodManifest, validatePodManifest } from '../../../src/appc/parse.ts';
import { key, podDocument } from './fixtures.ts';

const refusal = (document: object) => {
  try {
    validatePodManifest(document);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'accepted';
};

const runtimeApp = { name: 'web', image: { id: key } };

test('the nulls that Go writes for empty lists are accepted', () => {
  expect(
    parsePodManifest(
      '{"acVersion":"0.8.11","acKind":"PodManifest","apps":null,"volumes":null,"isolators":null,"annotations":null,"ports":null}',
    ),
  ).toEqual({
    acVersion: '0.8.11',
    acKind: 'PodManifest',
    apps: [],
    volumes: [],
    isolators: [],
    annotations: [],
    ports: [],
    userAnnotations: {},
    userLabels: {},
  });
});

test('a manifest with all its parts is read, written and read back', () => {
  const manifest = validatePodManifest(
    podDocument({
      apps: [
        {
          ...runtimeApp,
          readOnlyRootFS: true,
          mounts: [
            { volume: 'data', path: '/data' },
            { volume: 'own', path: '/own', appVolume: { name: 'own', kind: 'empty' } },
          ],
        },
      ],
      volumes: [{ name: 'data', kind: 'host', source: '/tank', readOnly: false, recursive: true }],
      ports: [{ name: 'http', hostPort: 80, hostIP: '192.0.2.7' }],
      userLabels: { tier: 'front' },
    }),
  );
  expect(manifest.apps[0]?.mounts[1]?.appVolume).toEqual({
    name: 'own',
    kind: 'empty',
    mode: '0755',
    uid: 0,
    gid: 0,
  });
  expect(storedPodManifest(serializePodManifest(manifest))).toEqual(manifest);
});

test('an image id of 128 digits becomes the key', () => {
  const app = { name: 'a', image: { id: `sha512-${'a'.repeat(128)}` } };
  expect(validatePodManifest(podDocument({ apps: [app] })).apps[0]?.image.id).toBe(key);
});

test.each([
  [{ acKind: 'ImageManifest' }, 'acKind: must be "PodManifest"'],
  [{ apps: [{ ...runtimeApp, image: { name: 'a' } }] }, 'apps[0].image.id: is required'],
  [{ apps: [runtimeApp, runtimeApp] }, 'apps[1].name: duplicate name "web"'],
  [{ apps: [{ ...runtimeApp, name: 'a.b' }] }, 'apps[0].name: "a.b" is not an AC name'],
  [{ volumes: [{ name: 'a', kind: 'nfs' }] }, 'volumes[0].kind: must be "host" or "empty"'],
  [{ volumes: [{ name: 'a', kind: 'host' }] }, 'source is required for a host volume'],
  [{ volumes: [{ name: 'a', kind: 'host', source: 'a' }] }, 'must be an absolute path'],
  [
    { volumes: [{ name: 'a', kind: 'host', source: '/a', mode: '0755' }] },
    'volumes[0]: volume a: mode is not allowed for a host volume',
  ],
  [
    { volumes: [{ name: 'a', kind: 'host', source: '/a', uid: 0 }] },
    'uid is not allowed for a host volume',
  ],
  [
    { volumes: [{ name: 'a', kind: 'empty', source: '/a' }] },
    'source is not allowed for an empty volume',
  ],
  [{ volumes: [{ name: 'a', kind: 'empty', mode: '999' }] }, 'mode "999" is not an octal mode'],
  [
    {
      volumes: [
        { name: 'a', kind: 'empty' },
        { name: 'a', kind: 'empty' },
      ],
    },
    'volumes[1].name: duplicate name "a"',
  ],
  [{ ports: [{ name: 'a', hostPort: 70_000 }] }, 'ports[0].hostPort: must be an integer from 1'],
  [{ ports: [{ name: 'a', hostPort: 1, hostIP: 'x' }] }, 'ports[0].hostIP: must be an IPv4'],
])('%j is refused', (fields, message) => {
  expect(refusal(podDocument(fields))).toContain(message);
});
