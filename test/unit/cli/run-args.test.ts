import { describe, expect, it } from 'vitest';
import { prepareArguments, runArguments, startArguments } from '../../../src/cli/run-args.ts';
import { contextOf } from './helpers.ts';

const run = (...argv: string[]) => runArguments(contextOf('run', argv));

function request(...argv: string[]) {
  const { source } = run(...argv);
  if (source.kind !== 'images') throw new Error('no images');
  return source.request;
}

const app = (...argv: string[]) => request('img', ...argv).apps[0];

describe('the pod of a run', () => {
  it('is made of the images with their flags', () => {
    expect(
      request(
        '--volume=v,kind=host,source=/s',
        'a',
        '--exec=/e',
        '--mount=volume=v,target=/t',
        'b',
      ),
    ).toEqual({
      apps: [
        {
          image: 'a',
          args: [],
          exec: '/e',
          mounts: [{ volume: 'v', path: '/t' }],
          annotations: [],
          environment: [],
        },
        { image: 'b', args: [], mounts: [], annotations: [], environment: [] },
      ],
      volumes: [{ name: 'v', kind: 'host', source: '/s' }],
      mounts: [],
      ports: [],
      setEnv: [],
      setEnvFiles: [],
      inheritEnv: false,
    });
  });
  it('needs an image or a manifest', () => {
    expect(() => run()).toThrow('must provide at least one image or specify the pod manifest');
  });
  it('takes a volume that no mount uses', () => {
    expect(request('--volume=v,kind=empty', 'img').volumes).toHaveLength(1);
  });
  it('refuses a mount of an undeclared volume', () => {
    expect(() => run('img', '--mount=volume=x,target=/p')).toThrow(
      'dangling mount point "/p": volume "x" not found',
    );
  });
  it('keeps a mount ahead of the images apart', () => {
    expect(request('--volume=v,kind=empty', '--mount=volume=v,target=/p', 'img').mounts).toEqual([
      { volume: 'v', path: '/p' },
    ]);
  });
  it('refuses a variable that is set twice', () => {
    expect(() => run('--set-env=A=1', '--set-env=A=2', 'img')).toThrow(
      '--set-env: key "A" already set',
    );
  });
  it('reads ports', () => {
    expect(request('--port=http:127.0.0.1:80', 'img').ports).toEqual([
      { name: 'http', hostIP: '127.0.0.1', hostPort: 80 },
    ]);
  });
});

describe('the flags of an image', () => {
  it('are read into its request', () => {
    expect(
      app(
        '--user=1',
        '--group=g',
        '--supplementary-gids=1,2',
        '--working-dir=/w',
        '--readonly-rootfs=true',
        '--name=n',
        '--annotation=a/b=1',
        '--user-annotation=k=v',
        '--user-label=l=v',
        '--environment=E=',
        '--memory=1Gi',
        '--cpu=500m',
        '--cpu-shares=2',
        '--caps-retain=CAP_CHOWN',
        '--seccomp=mode=retain,errno=EPERM,read',
        '--oom-score-adj=-5',
        '--signature=/sig',
        '--',
        'x',
      ),
    ).toEqual({
      image: 'img',
      args: ['x'],
      user: '1',
      group: 'g',
      supplementaryGids: [1, 2],
      workingDirectory: '/w',
      readonlyRootfs: true,
      name: 'n',
      annotations: [{ name: 'a/b', value: '1' }],
      userAnnotations: { k: 'v' },
      userLabels: { l: 'v' },
      environment: [{ name: 'E', value: '' }],
      memory: '1Gi',
      cpu: '500m',
      cpuShares: 2,
      capsRetain: ['CAP_CHOWN'],
      seccomp: { mode: 'retain', errno: 'EPERM', set: ['read'] },
      oomScoreAdj: -5,
      signature: '/sig',
      mounts: [],
    });
  });
  it('allow one --exec and one --signature for each image', () => {
    expect(() => run('img', '--exec=/a', '--exec=/b')).toThrow('--exec is allowed once per image');
    expect(() => run('img', '--signature=/a', '--signature=/b')).toThrow('once per image');
    expect(request('a', '--exec=/a', 'b', '--exec=/b').apps.map(({ exec }) => exec)).toEqual([
      '/a',
      '/b',
    ]);
  });
  it('exclude retained and removed capabilities, on one image only', () => {
    expect(() => run('img', '--caps-retain=CAP_KILL', '--caps-remove=CAP_CHOWN')).toThrow(
      '--caps-retain and --caps-remove exclude each other',
    );
    expect(request('a', '--caps-retain=CAP_KILL', 'b', '--caps-remove=CAP_KILL').apps).toHaveLength(
      2,
    );
  });
  it('take the old spelling of the capability flags', () => {
    expect(app('--cap-remove=CAP_KILL')?.capsRemove).toEqual(['CAP_KILL']);
  });
  it.each([
    ['--memory=16m', '--memory: bad memory "16m"'],
    ['--cpu-shares=1', '--cpu-shares: '],
    ['--oom-score-adj=1001', '--oom-score-adj: '],
    ['--caps-retain=', '--caps-retain: '],
    ['--seccomp=mode=bogus,read', '--seccomp: '],
    ['--mount=volume=v,bogus=1', '--mount: bad mount "volume=v,bogus=1": unknown mount parameter'],
    ['--name=Not_ok', '--name: "Not_ok" is not an AC name'],
    ['--environment=1=2', '--environment: '],
  ])('are refused by name: %s', (flag, message) => {
    expect(() => run('img', flag)).toThrow(message);
  });
});

describe('a pod manifest', () => {
  it('takes the place of images, beside flags of the start', () => {
    expect(run('--pod-manifest=/m', '--net=host', '--interactive', '--no-overlay')).toMatchObject({
      source: { kind: 'manifest', path: '/m' },
      noOverlay: true,
      interactive: true,
    });
  });
  it.each([
    [['img']],
    [['--port=a:1']],
    [['--volume=v,kind=empty']],
    [['--mount=volume=v,target=/t']],
    [['--inherit-env']],
    [['--set-env=A=1']],
    [['--set-env-file=/f']],
    [['--pull-policy=never']],
    [['--store-only']],
  ])('conflicts with %j', (argv) => {
    expect(() => run('--pod-manifest=/m', ...argv)).toThrow(
      'conflicting flags set with --pod-manifest',
    );
  });
});

describe('the stage1 image', () => {
  it('is left to the configuration without a flag', () => {
    expect(run('img').stage1).toBeUndefined();
  });
  it('is chosen by one flag', () => {
    expect(run('--stage1-from-dir=s.aci', 'img').stage1).toEqual({
      kind: 'from-dir',
      value: 's.aci',
    });
  });
  it('can be chosen once only', () => {
    expect(() => run('--stage1-path=/a', '--stage1-path=/b', 'img')).toThrow(
      '--stage1-path already used',
    );
    expect(() => run('--stage1-path=/a', '--stage1-name=b', 'img')).toThrow(
      'flags --stage1-path and --stage1-name are mutually exclusive',
    );
  });
});

describe('the pull policy', () => {
  it('is new unless said otherwise', () => {
    expect(run('img').pullPolicy).toBe('new');
    expect(run('--store-only', 'img').pullPolicy).toBe('never');
    expect(run('--no-store', 'img').pullPolicy).toBe('update');
    expect(run('--pull-policy=never', 'img').pullPolicy).toBe('never');
  });
  it('cannot be both of the old flags', () => {
    expect(() => run('--store-only', '--no-store', 'img')).toThrow(
      'both --store-only and --no-store specified',
    );
  });
});

describe('combinations that cannot be', () => {
  it.each([
    [['--interactive', 'a', 'b'], '--interactive takes one image only'],
    [['--interactive', '--detach', 'a'], '--interactive and --detach exclude each other'],
    [['--port=a:1', '--net=host', 'a'], '--port needs a network'],
    [['--port=a:1', '--net=none', 'a'], '--port needs a network'],
    [['--mds-register', '--net=none', 'a'], '--mds-register needs a network'],
  ])('%j', (argv, message) => {
    expect(() => run(...argv)).toThrow(message);
  });
});

it('reads the start of a prepared pod', () => {
  const context = contextOf('run-prepared', ['--net=none', '--hostname=h', '--ipc=parent', 'u']);
  expect(startArguments(context)).toMatchObject({
    networks: [{ name: 'none' }],
    hostname: 'h',
    ipc: 'parent',
    detach: false,
  });
});

it('prepares without knowing of networks', () => {
  expect(prepareArguments(contextOf('prepare', ['--private-users', 'img']))).toMatchObject({
    privateUsers: true,
  });
});

it('makes the UUID file absolute', () => {
  expect(run('--uuid-file-save=u', 'img').uuidFileSave).toBe(`${process.cwd()}/u`);
});
