import { describe, expect, test } from 'vitest';
import {
  type AppRequest,
  checkPodManifest,
  type Isolator,
  type PodContext,
  type PodRequest,
  podManifest,
  type RuntimeApp,
  type Volume,
} from '../../../src/appc/index.ts';
import { parsePodManifest, validatePodManifest } from '../../../src/appc/parse.ts';
import { app, appRequest, image, key, podContext, podDocument, podRequest } from './fixtures.ts';

/** The one app of a pod made from one image and its flags. */
function planApp(
  request: Partial<AppRequest> = {},
  context: Partial<PodContext> = {},
  pod: Partial<PodRequest> = {},
): RuntimeApp & { app: NonNullable<RuntimeApp['app']> } {
  const manifest = podManifest(
    podRequest({ apps: [appRequest(request)], ...pod }),
    podContext(context),
  );
  const [planned] = manifest.apps;
  if (planned?.app === undefined) throw new Error('no app was planned');
  return { ...planned, app: planned.app };
}

const volume = (name: string): Volume => ({ name, kind: 'host', source: '/tank' });

test('the generated manifest passes the validation of one from outside', () => {
  const manifest = podManifest(
    podRequest({ volumes: [volume('data')], mounts: [{ volume: 'data', path: '/data' }] }),
    podContext(),
  );
  expect(parsePodManifest(JSON.stringify(manifest))).toEqual(manifest);
  expect(manifest).toMatchObject({
    acVersion: '0.8.11',
    annotations: [{ name: 'coreos.com/rkt/stage1/mutable', value: 'false' }],
    apps: [{ name: 'web', image: { name: 'example.org/web', id: key }, readOnlyRootFS: false }],
  });
});

test('a mutable pod says so', () => {
  expect(podManifest(podRequest(), podContext({ mutable: true })).annotations).toEqual([
    { name: 'coreos.com/rkt/stage1/mutable', value: 'true' },
  ]);
});

describe('what runs', () => {
  test('arguments follow the image’s own, empty ones too', () => {
    const planned = planApp({ args: ['-v', ''] }, { images: [image({ exec: ['/a', '-x'] })] });
    expect(planned.app.exec).toEqual(['/a', '-x', '-v', '']);
  });

  test('--exec replaces the whole vector', () => {
    const planned = planApp(
      { exec: '/b', args: ['c'] },
      { images: [image({ exec: ['/a', 'x'] })] },
    );
    expect(planned.app.exec).toEqual(['/b', 'c']);
  });

  test('an image with an empty exec needs --exec', () => {
    expect(() => planApp({}, { images: [image({ exec: [] })] })).toThrow(
      'image "example.org/web" has an empty "exec" (try --exec=BINARY)',
    );
  });

  const { app: _, ...library } = image().manifest;
  const images = [{ key, manifest: library }];

  test('an image without app section runs --exec as the caller’s ids', () => {
    expect(planApp({ exec: '/b' }, { images }).app).toMatchObject({
      exec: ['/b'],
      user: '1000',
      group: '1001',
    });
  });

  test('an image without app section and --exec is refused', () => {
    expect(() => planApp({}, { images })).toThrow(
      `image ${key} has no app section and --exec argument is not provided`,
    );
  });
});

test('flags replace what the image says of its process', () => {
  expect(
    planApp(
      {
        user: 'www',
        group: '/etc/passwd',
        supplementaryGids: [],
        workingDirectory: '/srv',
        readonlyRootfs: true,
        userAnnotations: { a: '1' },
        userLabels: {},
        annotations: [{ name: 'note', value: 'x' }],
        stdout: 'null',
      },
      { images: [image({ supplementaryGIDs: [4], userLabels: { b: '2' } })] },
    ),
  ).toMatchObject({
    readOnlyRootFS: true,
    annotations: [
      { name: 'note', value: 'x' },
      { name: 'coreos.com/rkt/stage2/stdout', value: 'null' },
    ],
    app: {
      user: 'www',
      group: '/etc/passwd',
      supplementaryGIDs: [],
      workingDirectory: '/srv',
      userAnnotations: { a: '1' },
      userLabels: {},
    },
  });
});

test('a relative working directory is refused', () => {
  expect(() => planApp({ workingDirectory: 'srv' })).toThrow('must be an absolute path');
});

describe('names of apps', () => {
  test('come from the last element of the image’s name', () => {
    expect(planApp({}, { images: [image({}, 'example.org/a/my_web.2')] }).name).toBe('my-web-2');
  });

  test('that collide are refused, and cured by --name', () => {
    const images = [image({}, 'a.org/web'), image({}, 'b.org/web')];
    const apps = [appRequest(), appRequest()];
    expect(() => podManifest(podRequest({ apps }), podContext({ images }))).toThrow(
      'multiple apps with name web',
    );
    const named = [appRequest(), appRequest({ name: 'other' })];
    const manifest = podManifest(podRequest({ apps: named }), podContext({ images }));
    expect(manifest.apps.map(({ name }) => name)).toEqual(['web', 'other']);
  });

  test('of --name have to be AC names', () => {
    expect(() => planApp({ name: 'A b' })).toThrow('app name "A b" is not an AC name');
  });
});

describe('the environment', () => {
  const layers = {
    inherited: { name: 'A', value: 'inherited' },
    image: { name: 'A', value: 'image' },
    file: { name: 'A', value: 'file' },
    set: { name: 'A', value: 'set' },
    own: { name: 'A', value: 'own' },
  };
  const order = Object.keys(layers) as (keyof typeof layers)[];

  test.each(order.map((name, index) => [name, order.slice(0, index + 1)] as const))(
    '%s wins over all before it',
    (winner, given) => {
      const pick = (layer: keyof typeof layers) => (given.includes(layer) ? [layers[layer]] : []);
      const planned = planApp(
        { environment: pick('own') },
        {
          callerEnvironment: pick('inherited'),
          images: [image({ environment: pick('image') })],
          envFileEntries: pick('file'),
        },
        { setEnv: pick('set'), inheritEnv: true },
      );
      expect(planned.app.environment).toEqual([{ name: 'A', value: winner }]);
    },
  );

  test('of the caller stays outside unless it is asked for', () => {
    expect(planApp({}, { callerEnvironment: [layers.inherited] }).app.environment).toEqual([]);
  });

  test('of the caller is taken without names that the spec does not allow', () => {
    const callerEnvironment = [{ name: 'BASH_FUNC_x%%', value: '() { :; }' }, layers.inherited];
    expect(planApp({}, { callerEnvironment }, { inheritEnv: true }).app.environment).toEqual([
      layers.inherited,
    ]);
  });
});

describe('mounts', () => {
  const volumes = [volume('a'), volume('b')];

  test('of an app come first, and win over the pod’s at the same cleaned path', () => {
    const planned = planApp(
      { mounts: [{ volume: 'a', path: '/data/' }] },
      {},
      {
        volumes,
        mounts: [
          { volume: 'b', path: '/x/../data' },
          { volume: 'b', path: '/other' },
        ],
      },
    );
    expect(planned.mounts).toEqual([
      { volume: 'a', path: '/data/' },
      { volume: 'b', path: '/other' },
    ]);
  });

  test.each([
    podRequest({ mounts: [{ volume: 'x', path: '/p' }] }),
    podRequest({ apps: [appRequest({ mounts: [{ volume: 'x', path: '/p' }] })] }),
  ])('that dangle are refused', (request) => {
    expect(() => podManifest(request, podContext())).toThrow(
      'dangling mount point "/p": volume "x" not found',
    );
  });

  test('of a volume of two definitions are refused', () => {
    const request = podRequest({ volumes: [volume('a'), volume('a')] });
    expect(() => podManifest(request, podContext())).toThrow('multiple volumes with name a');
  });

  test('are not needed for a volume to be declared', () => {
    expect(podManifest(podRequest({ volumes }), podContext()).volumes).toEqual(volumes);
  });
});

describe('isolators', () => {
  const own: Isolator[] = [
    { name: 'resource/memory', value: { limit: '1Gi' } },
    { name: 'os/linux/cpu-shares', value: 3 },
    { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_KILL'] } },
    { name: 'os/linux/seccomp-retain-set', value: { set: ['read'] } },
    { name: 'os/linux/rlimits', value: { nofile: '10', core: '0' } },
    { name: 'example.org/gpu', value: 1 },
  ];
  const plan = (request: Partial<AppRequest>) =>
    planApp(request, { images: [image({ isolators: own })] }).app.isolators;

  test('of the image stay without flags', () => {
    expect(plan({})).toEqual(own);
  });

  test('--ulimit replaces the image’s limits of the same names', () => {
    expect(plan({ ulimits: { nofile: '20:30', stack: 'unlimited' } }).at(-1)).toEqual({
      name: 'os/linux/rlimits',
      value: { nofile: '20:30', core: '0', stack: 'unlimited' },
    });
  });

  test('--memory and --cpu are added behind the image’s', () => {
    expect(plan({ memory: '2Gi', cpu: '500m' })).toEqual([
      ...own,
      { name: 'resource/memory', value: { request: '2Gi', limit: '2Gi' } },
      { name: 'resource/cpu', value: { request: '500m', limit: '500m' } },
    ]);
  });

  test.each<[Partial<AppRequest>, string, Isolator]>([
    [{ cpuShares: 9 }, 'os/linux/cpu-shares', { name: 'os/linux/cpu-shares', value: 9 }],
    [
      { capsRetain: ['CAP_CHOWN'] },
      'os/linux/capabilities-remove-set',
      { name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_CHOWN'] } },
    ],
    [
      { seccomp: { mode: 'remove', set: ['ptrace'], errno: 'EACCES' } },
      'os/linux/seccomp-retain-set',
      { name: 'os/linux/seccomp-remove-set', value: { set: ['ptrace'], errno: 'EACCES' } },
    ],
    [{ oomScoreAdj: -5 }, 'none', { name: 'os/linux/oom-score-adj', value: -5 }],
  ])('%j replaces the image’s %s', (request, gone, added) => {
    expect(plan(request)).toEqual([...own.filter(({ name }) => name !== gone), added]);
  });

  test('both capability flags on one app are refused', () => {
    expect(() => plan({ capsRetain: ['CAP_KILL'], capsRemove: ['CAP_KILL'] })).toThrow(
      'mutually exclusive',
    );
  });
});

test('a port that no app has is refused before anything runs', () => {
  const request = podRequest({ ports: [{ name: 'http', hostPort: 80 }] });
  expect(() => podManifest(request, podContext())).toThrow('could not be found in any apps');
});

describe('a pod manifest of the user’s', () => {
  const given = (runtime: object, fields: object = {}) =>
    validatePodManifest(
      podDocument({ apps: [{ name: 'web', image: { id: key }, ...runtime }], ...fields }),
    );
  const { app: _, ...library } = image().manifest;

  test('runs the image’s app section when it has none', () => {
    expect(() => checkPodManifest(given({}), [image()])).not.toThrow();
  });

  test('without any app section is refused', () => {
    expect(() => checkPodManifest(given({}), [{ key, manifest: library }])).toThrow(
      'app "web": neither the pod manifest nor image',
    );
  });

  test('without anything to run is refused', () => {
    expect(() => checkPodManifest(given({ app: app({ exec: [] }) }), [image()])).toThrow(
      'has an empty "exec"',
    );
  });

  test('with a mount without volume is refused, unless the volume is the mount’s own', () => {
    const mount = { volume: 'x', path: '/x' };
    expect(() => checkPodManifest(given({ mounts: [mount] }), [image()])).toThrow(
      'app "web": could not find volume x',
    );
    const own = { ...mount, appVolume: { name: 'x', kind: 'empty' } };
    expect(() => checkPodManifest(given({ mounts: [own] }), [image()])).not.toThrow();
  });

  test('with an unknown port is refused', () => {
    const ports = [{ name: 'http', hostPort: 80 }];
    expect(() => checkPodManifest(given({}, { ports }), [image()])).toThrow('could not be found');
  });
});
