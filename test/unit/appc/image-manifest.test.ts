import { describe, expect, test } from 'vitest';
import { serializeImageManifest, storedImageManifest } from '../../../src/appc/index.ts';
import { parseImageManifest, validateImageManifest } from '../../../src/appc/parse.ts';
import { appDocument, imageDocument } from './fixtures.ts';

const complete = imageDocument({
  labels: [
    { name: 'version', value: '2.0.1' },
    { name: 'os', value: 'linux' },
    { name: 'arch', value: 'amd64' },
  ],
  app: {
    exec: ['/srv/web', '--port=8080', ''],
    user: '100',
    group: '100',
    supplementaryGIDs: [4, 5],
    workingDirectory: '/srv',
    environment: [{ name: 'MODE', value: 'a\nb' }],
    eventHandlers: [{ name: 'pre-start', exec: ['/srv/migrate'] }],
    mountPoints: [{ name: 'data', path: '/srv/data', readOnly: false }],
    ports: [{ name: 'http', protocol: 'tcp', port: 8080, count: 1, socketActivated: false }],
    isolators: [
      { name: 'resource/memory', value: { request: '64M', limit: '128M' } },
      { name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_NET_BIND_SERVICE'] } },
      {
        name: 'os/linux/seccomp-remove-set',
        value: { set: ['@rkt/default-blacklist'], errno: 'EPERM' },
      },
    ],
    userAnnotations: { a: 'b' },
    userLabels: {},
  },
  annotations: [{ name: 'created', value: '2026-01-02T03:04:05Z' }],
  dependencies: [
    {
      imageName: 'example.org/base',
      imageID: `sha512-${'b'.repeat(64)}`,
      labels: [{ name: 'version', value: '1' }],
      size: 7,
    },
  ],
  pathWhitelist: ['/srv'],
});

const refusal = (document: object) => {
  try {
    validateImageManifest(document);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'accepted';
};

test('a complete manifest is taken as it is', () => {
  expect(parseImageManifest(JSON.stringify(complete))).toEqual(complete);
});

test('what was written is read back the same without validation', () => {
  const manifest = validateImageManifest(complete);
  expect(storedImageManifest(serializeImageManifest(manifest))).toEqual(manifest);
});

test('keys are written in the order of the spec, whatever order they came in', () => {
  const backwards = Object.fromEntries(Object.entries(complete).reverse());
  expect(serializeImageManifest(validateImageManifest(backwards))).toBe(
    serializeImageManifest(validateImageManifest(complete)),
  );
});

test('null and absent lists are empty', () => {
  const manifest = validateImageManifest(
    appDocument({ exec: null, environment: null, isolators: null, userLabels: null }),
  );
  expect(manifest).toMatchObject({
    labels: [],
    dependencies: [],
    app: { exec: [], environment: [], isolators: [], ports: [], userLabels: {} },
  });
});

test('unknown keys are ignored', () => {
  expect(validateImageManifest(imageDocument({ later: 1 }))).not.toHaveProperty('later');
});

test('an image without an app section is a library', () => {
  expect(validateImageManifest(imageDocument())).not.toHaveProperty('app');
});

test('defaults of ports and mount points are filled in', () => {
  const { app } = validateImageManifest(
    appDocument({
      ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
      mountPoints: [{ name: 'data', path: '/d' }],
    }),
  );
  expect(app?.ports).toEqual([
    { name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false },
  ]);
  expect(app?.mountPoints).toEqual([{ name: 'data', path: '/d', readOnly: false }]);
});

describe('a wrong field is named with its path', () => {
  test.each([
    [imageDocument({ acKind: 'PodManifest' }), 'acKind: must be "ImageManifest"'],
    [imageDocument({ acVersion: '1' }), 'acVersion: "1" is not a semantic version'],
    [imageDocument({ acVersion: undefined }), 'acVersion: is required'],
    [imageDocument({ name: 'Web' }), 'name: "Web" is not an AC identifier'],
    [imageDocument({ labels: 'x' }), 'labels: must be an array'],
    [imageDocument({ labels: [{ name: 'name', value: 'x' }] }), 'labels[0].name: "name" is not'],
    [
      imageDocument({
        labels: [
          { name: 'a', value: '1' },
          { name: 'a', value: '2' },
        ],
      }),
      'labels[1].name: duplicate name "a"',
    ],
    [imageDocument({ labels: [{ name: 'os', value: 'beos' }] }), 'labels: bad os "beos"'],
    [
      imageDocument({
        labels: [
          { name: 'os', value: 'linux' },
          { name: 'arch', value: 'x86_64' },
        ],
      }),
      'labels: bad arch "x86_64" for linux',
    ],
    [
      imageDocument({ annotations: [{ name: 'created', value: 'today' }] }),
      'annotations[0].value: created must be a date',
    ],
    [
      imageDocument({ annotations: [{ name: 'homepage', value: 'ftp://x' }] }),
      'annotations[0].value: homepage must be an http or https URL',
    ],
    [
      imageDocument({ dependencies: [{ imageName: 'a', imageID: 'sha256-x' }] }),
      'dependencies[0].imageID: bad image hash "sha256-x": unsupported algorithm',
    ],
    [imageDocument({ pathWhitelist: ['a'] }), 'pathWhitelist[0]: must be an absolute path'],
    [appDocument({ user: '' }), 'app.user: must not be empty'],
    [appDocument({ group: undefined }), 'app.group: is required'],
    [appDocument({ exec: ['/a\0b'] }), 'app.exec[0]: must not contain a NUL'],
    [appDocument({ exec: '/a' }), 'app.exec: must be an array'],
    [appDocument({ workingDirectory: 'srv' }), 'app.workingDirectory'],
    [appDocument({ supplementaryGIDs: [-1] }), 'app.supplementaryGIDs[0]: must be an integer'],
    [
      appDocument({ environment: [{ name: '1A', value: '' }] }),
      'app.environment[0].name: "1A" is not the name of an environment variable',
    ],
    [
      appDocument({ eventHandlers: [{ name: 'post-start', exec: ['/a'] }] }),
      'app.eventHandlers[0].name: must be "pre-start" or "post-stop"',
    ],
    [
      appDocument({ mountPoints: [{ name: 'a', path: '' }] }),
      'app.mountPoints[0].path: must not be empty',
    ],
    [
      appDocument({ ports: [{ name: 'a', protocol: 'tcp', port: 0 }] }),
      'app.ports[0].port: must be an integer from 1 to 65535',
    ],
    [
      appDocument({ ports: [{ name: 'a', protocol: 'tcp', port: 65_535, count: 2 }] }),
      'app.ports[0].count: port and count together go beyond',
    ],
    [appDocument({ userLabels: { a: 1 } }), 'app.userLabels.a: must be a string'],
    [[], 'bad image manifest: must be an object'],
  ])('%j', (document, message) => {
    expect(refusal(document)).toContain(message);
  });
});

test('one error speaks and the others are counted', () => {
  expect(refusal({ acKind: 'ImageManifest' })).toMatch(
    /^bad image manifest: acVersion: is required \(and 1 more\)$/,
  );
});
