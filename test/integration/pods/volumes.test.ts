import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

/** A path of this machine that the images' symlinks point at. */
const OUTSIDE = '/tmp/rkt-outside-of-the-root';
const box = new Box(
  {
    name: 'example.org/points',
    app: {
      mountPoints: [
        { name: 'data', path: '/data', readOnly: true },
        { name: 'spare', path: '/spare' },
      ],
    },
  },
  {
    name: 'example.org/links',
    files: {
      '/data': { link: OUTSIDE },
      '/etc': { link: `${OUTSIDE}/etc` },
      '/up': { link: '../../../../../..' },
    },
  },
  {
    name: 'example.org/etc-link',
    files: { '/etc': { link: '/real' }, '/real': { folder: true } },
  },
);

/** Two apps, a and b, each with flags and a script. */
function two(a: readonly string[], aScript: string, b: readonly string[], bScript: string) {
  return [BOX, '--name=a', ...a, '--', aScript, '---', BOX, '--name=b', ...b, '--', bScript];
}

/** Waits in a script until a file is there. */
const until = (path: string) => `while [ ! -e ${path} ]; do sleep 0.05; done;`;

function hostVolume(name: string, source: string, more = ''): string {
  return `--volume=${name},kind=host,source=${source}${more}`;
}

describe('a host volume', () => {
  test("shows the host's folder, and takes what the app writes", async () => {
    const source = box.folder();
    writeFileSync(join(source, 'in'), 'from the host\n');
    const { stdout } = await box.run('cat /data/in; echo back > /data/out', {
      pod: [hostVolume('data', source)],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(stdout).toBe('from the host\n');
    expect(readFileSync(join(source, 'out'), 'utf8')).toBe('back\n');
  });

  test.each(['/etc/conf', '/deep/down/conf'])('can be a file, at %s', async (target) => {
    const { stdout } = await box.run(`cat ${target}`, {
      pod: [hostVolume('conf', box.file('setting\n'))],
      app: [`--mount=volume=conf,target=${target}`],
    });
    expect(stdout).toBe('setting\n');
  });

  test('that is read-only cannot be written', async () => {
    const source = box.folder();
    const { stdout } = await box.run('touch /data/x 2>/dev/null || echo refused', {
      pod: [hostVolume('data', source, ',readOnly=true')],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(stdout).toBe('refused\n');
    expect(readdirSync(source)).toEqual([]);
  });

  test('whose source is missing is an error that names volume and path', async () => {
    const { code, stderr } = await box.run('true', {
      pod: [hostVolume('data', '/tmp/rkt-missing')],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(code).toBe(254);
    expect(stderr).toMatch(/"data".*\/tmp\/rkt-missing/);
    expect(existsSync('/tmp/rkt-missing')).toBe(false);
  });

  test('that no app mounts is left out', async () => {
    const { code } = await box.run('true', { pod: [hostVolume('data', '/tmp/rkt-missing')] });
    expect(code).toBe(0);
  });

  test('brings what is mounted below it, unless recursive=false', async () => {
    const source = box.folder();
    mkdirSync(join(source, 'below'));
    const below = ['-t', 'tmpfs', 'tmpfs', join(source, 'below')];
    await box.local.startProgram('mount', below).done;
    writeFileSync(join(source, 'below/file'), '');
    const run = (more: string) =>
      box.run('ls /data/below', {
        pod: [hostVolume('data', source, more)],
        app: ['--mount=volume=data,target=/data'],
      });
    expect((await run('')).stdout).toBe('file\n');
    expect((await run(',recursive=false')).stdout).toBe('');
    await box.local.startProgram('umount', [join(source, 'below')]).done;
  });

  test.each(['with space', 'with:colon', 'with%percent', 'with"quote', 'ünïcode', 'back\\slash'])(
    'has a source named %s and a target of the same name',
    async (name) => {
      const source = join(box.folder(), name);
      mkdirSync(source);
      writeFileSync(join(source, 'file'), 'seen\n');
      const target = `/data/${name}`;
      const manifest = {
        volumes: [{ name: 'data', kind: 'host', source }],
        apps: [
          {
            name: 'box',
            image: { name: BOX, id: box.keys.get(BOX) },
            app: { exec: ['/bin/cat', `${target}/file`], user: '0', group: '0' },
            mounts: [{ volume: 'data', path: target }],
          },
        ],
      };
      expect((await box.runSection({}, { manifest })).stdout).toBe('seen\n');
    },
  );
});

describe('an empty volume', () => {
  test('is shared by the apps that mount it, wherever each has it', async () => {
    const a = `echo hello > /out/file; ${until('/out/answer')} cat /out/answer`;
    const b = `${until('/in/file')} cat /in/file; echo answer > /in/answer`;
    const flags = ['--volume=data,kind=empty'];
    const args = two(['--mount=volume=data,target=/out'], a, ['--mount=volume=data,target=/in'], b);
    const { stdout } = await box.runPod(args, { pod: flags });
    expect(stdout).toBe('hello\nanswer\n');
  });

  test('has the mode and owner that it was declared with', async () => {
    const { stdout } = await box.run('stat -c "%a %u %g" /data', {
      pod: ['--volume=data,kind=empty,mode=0770,uid=11,gid=12'],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(stdout).toBe('770 11 12\n');
  });

  test('is a new one for each pod', async () => {
    const options = {
      pod: ['--volume=data,kind=empty'],
      app: ['--mount=volume=data,target=/data'],
    };
    await box.run('touch /data/file', options);
    expect((await box.run('ls /data', options)).stdout).toBe('');
  });

  test('that a user other than root owns can be written by it', async () => {
    const { stdout } = await box.run('touch /data/file && ls /data', {
      pod: ['--volume=data,kind=empty,mode=0700,uid=1001,gid=1001'],
      app: ['--mount=volume=data,target=/data', '--user=1001', '--group=1001'],
    });
    expect(stdout).toBe('file\n');
  });
});

describe('mounts', () => {
  test("of all apps stand before the first image; an app's own at the same path wins", async () => {
    const [one, other] = [box.folder(), box.folder()];
    writeFileSync(join(one, 'one'), '');
    writeFileSync(join(other, 'other'), '');
    const args = two([], 'ls /data', ['--mount=volume=other,target=/data/'], 'sleep 0.5; ls /data');
    const { stdout } = await box.runPod(args, {
      pod: [hostVolume('one', one), hostVolume('other', other), '--mount=volume=one,target=/data'],
    });
    expect(stdout).toBe('one\nother\n');
  });

  test('of a volume that nobody declared are refused before a pod is made', async () => {
    const before = box.group('run').length;
    const { code, stderr } = await box.run('true', { app: ['--mount=volume=x,target=/p'] });
    expect(code).toBe(254);
    expect(stderr).toContain('dangling mount point "/p": volume "x" not found');
    expect(box.group('run').length).toBe(before);
  });

  test('replace what the image has at their target', async () => {
    const { stdout } = await box.run('ls /etc | grep -v -e hosts -e hostname -e mtab', {
      pod: ['--volume=data,kind=empty'],
      app: ['--mount=volume=data,target=/etc'],
    });
    expect(stdout).toBe('');
  });
});

describe('a mount point of the image', () => {
  const image = 'example.org/points';
  const run = (script: string, ...pod: string[]) => box.run(script, { image, pod });

  test('gets the volume of its name, read-only as the image says', async () => {
    const source = box.folder();
    writeFileSync(join(source, 'file'), '');
    const script = 'ls /data; touch /data/x 2>/dev/null || echo refused';
    expect((await run(script, hostVolume('data', source))).stdout).toBe('file\nrefused\n');
  });

  test('is writable when the volume says readOnly=false', async () => {
    const volume = hostVolume('data', box.folder(), ',readOnly=false');
    expect((await run('touch /data/x && ls /data', volume)).stdout).toBe('x\n');
  });

  test('without a volume gets an empty one of its own', async () => {
    const { stdout } = await run('touch /spare/x && ls /spare; stat -c "%a %u" /spare');
    expect(stdout).toBe('x\n755 0\n');
  });

  test('without a volume is told of in a warning', async () => {
    expect((await run('true')).stderr).toMatch(/spare/);
  });
});

describe('symlinks of an image', () => {
  const image = 'example.org/links';

  test('as mount targets lead inside the root, and nothing is made on the host', async () => {
    const { stdout, code } = await box.run(`touch /data/x; ls ${OUTSIDE}/x`, {
      image,
      pod: ['--volume=data,kind=empty'],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(existsSync(OUTSIDE)).toBe(false);
    expect(code).toBe(0);
    expect(stdout).toBe(`${OUTSIDE}/x\n`);
  });

  test('as part of a target lead no higher than the root', async () => {
    const name = `rkt-escape-${process.pid}`;
    const { stdout } = await box.run(`touch /${name}/x; ls /${name}`, {
      image,
      pod: ['--volume=data,kind=empty'],
      app: [`--mount=volume=data,target=/up/${name}`],
    });
    expect(existsSync(`/${name}`)).toBe(false);
    expect(stdout).toBe('x\n');
  });

  test('as /etc keep hosts and mtab inside the root', async () => {
    const run = await box.run('cat /etc/hosts; ls /real', { image: 'example.org/etc-link' });
    expect(run.stdout).toContain('localhost');
    expect(run.stdout).toContain('mtab');
  });

  test('as a dangling absolute /etc make nothing on the host', async () => {
    await box.run('true', { image });
    expect(statSync(OUTSIDE, { throwIfNoEntry: false })).toBeUndefined();
  });
});
