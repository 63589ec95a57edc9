import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
    name: 'example.org/docker',
    annotations: [{ name: 'appc.io/docker/user', value: '1001' }],
    app: {
      mountPoints: [
        { name: 'volume-data', path: '/data' },
        { name: 'volume-new', path: '/new' },
        { name: 'volume-link', path: '/link' },
      ],
    },
    files: {
      '/data': { folder: true, mode: 0o750, uid: 1001, gid: 1002 },
      '/data/file': { text: 'of the image\n', mode: 0o640, uid: 1003, gid: 1004 },
      '/data/below/link': { link: '/etc/passwd' },
      '/link': { link: '/data' },
    },
  },
  {
    name: 'example.org/full',
    files: { '/folder/file': 'hidden\n', '/file': 'in the way\n', '/empty': { folder: true } },
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

/** Waits in a script until something is in a file. */
const until = (path: string) => `while [ ! -s ${path} ]; do sleep 0.05; done;`;

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

  test('whose source is a symlink is what that leads to', async () => {
    const source = box.folder();
    writeFileSync(join(source, 'file'), '');
    const link = join(box.folder(), 'link');
    symlinkSync(source, link);
    const { stdout } = await box.run('ls /data', {
      pod: [hostVolume('data', link)],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(stdout).toBe('file\n');
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

  test.each([
    ...['with space', 'with:colon', 'with%percent', 'ünïcode', 'back\\slash'],
    ...['with"quote', "one's", `''"' \\"`],
  ])('has a source named %s and a target of the same name', async (name) => {
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
  });
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

describe('a tmpfs volume', () => {
  const app = ['--mount=volume=t,target=/t'];

  test('is in memory, for everybody, no larger than it says', async () => {
    const { stdout } = await box.run(
      'stat -f -c %T /t; stat -c "%a %u" /t; dd if=/dev/zero of=/t/x bs=4k count=100 2>/dev/null; stat -c %s /t/x',
      { pod: ['--volume=t,kind=tmpfs,size=64Ki'], app: [...app, '--user=1001', '--group=1001'] },
    );
    expect(stdout).toBe('tmpfs\n1777 0\n65536\n');
  });

  test('has the mode and owner that it was declared with', async () => {
    const { stdout } = await box.run('stat -c "%a %u %g" /t', {
      pod: ['--volume=t,kind=tmpfs,mode=0700,uid=11,gid=12'],
      app,
    });
    expect(stdout).toBe('700 11 12\n');
  });

  test('is shared by the apps that mount it', async () => {
    const b = `${until('/t/file')} cat /t/file`;
    const { stdout } = await box.runPod(two(app, 'echo shared > /t/file', app, b), {
      pod: ['--volume=t,kind=tmpfs'],
    });
    expect(stdout).toBe('shared\n');
  });

  test('leaves nothing on the disk', async () => {
    const { pod } = await box.run('echo x > /t/file', { pod: ['--volume=t,kind=tmpfs'], app });
    expect(readdirSync(join(pod.folder, 'stage1/rootfs/rkt/volumes/t'))).toEqual([]);
  });

  test.each([
    ['size=0', 'not more than 0'],
    ['size=much', 'bad quantity "much"'],
    ['source=/tmp', 'source is not allowed'],
    ['mode=999', 'mode "999"'],
  ])('with %s is refused', async (field, message) => {
    const { code, stderr } = await box.run('true', { pod: [`--volume=t,kind=tmpfs,${field}`] });
    expect(code).toBe(254);
    expect(stderr).toContain(message);
  });
});

describe('mounts inside of each other', () => {
  test.each([
    ['the outer one first', ['outer', 'inner']],
    ['the inner one first', ['inner', 'outer']],
  ])('are both there, given %s', async (_, order) => {
    const outer = box.folder();
    writeFileSync(join(outer, 'from-outer'), '');
    const targets: Record<string, string> = { outer: '/data', inner: '/data/sub' };
    const { stdout } = await box.run('touch /data/sub/x; ls -R /data', {
      pod: [hostVolume('outer', outer), '--volume=inner,kind=empty'],
      app: order.map((name) => `--mount=volume=${name},target=${targets[name]}`),
    });
    expect(stdout).toBe('/data:\nfrom-outer\nsub\n\n/data/sub:\nx\n');
    expect(readdirSync(join(outer, 'sub'))).toEqual([]);
  });

  test('of one volume at two places show the same', async () => {
    const { stdout } = await box.run('touch /a/x; ls /b', {
      pod: ['--volume=v,kind=empty'],
      app: ['--mount=volume=v,target=/a', '--mount=volume=v,target=/b'],
    });
    expect(stdout).toBe('x\n');
  });
});

describe('what a volume is mounted on', () => {
  const image = 'example.org/full';
  const mountAt = (target: string, volume: string, script: string) =>
    box.run(script, { image, pod: [volume], app: [`--mount=volume=v,target=${target}`] });

  test('is told of when it hides what the image has', async () => {
    const { stdout, stderr } = await mountAt('/folder', '--volume=v,kind=empty', 'ls /folder');
    expect(stdout).toBe('');
    expect(stderr).toMatch(/warning: the volume "v" hides what the image has at \/folder/);
  });

  test('is not told of when it is empty', async () => {
    expect((await mountAt('/empty', '--volume=v,kind=empty', 'true')).stderr).toBe('');
  });

  test('gives way when it is a file and the volume a folder', async () => {
    const result = await mountAt('/file', '--volume=v,kind=empty', 'touch /file/x; ls /file');
    expect(result.stdout).toBe('x\n');
    expect(result.stderr).toContain('hides what the image has at /file');
  });

  test.each([
    ['/folder', 'folder is a folder there'],
    ['/file/below', '/file is no folder there'],
  ])('at %s is refused for a file', async (target, message) => {
    const result = await mountAt(target, hostVolume('v', box.file('x')), 'true');
    expect(result.code).toBe(254);
    expect(result.stderr).toContain(message);
  });
});

describe('a volume at a place of the system', () => {
  test.each(['/etc', '/run/mine', '/sys', '/dev/shm', '/tmp', '/dev/mine', '/proc/fs'])(
    '%s shows what it holds, and gets nothing from rkt',
    async (target) => {
      const source = box.folder();
      writeFileSync(join(source, 'file'), 'own\n');
      const { stdout } = await box.run(`cat ${target}/file; touch ${target}/new`, {
        pod: [hostVolume('v', source)],
        app: [`--mount=volume=v,target=${target}`],
      });
      expect(stdout).toBe('own\n');
      expect(readdirSync(source).filter((name) => name !== 'new')).toEqual(['file']);
    },
  );

  test.each(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'])(
    "can be a file of one's own: %s",
    async (target) => {
      const { stdout } = await box.run(`cat ${target}`, {
        pod: [hostVolume('v', box.file('own\n')), '--dns=9.9.9.9'],
        app: [`--mount=volume=v,target=${target}`],
      });
      expect(stdout).toBe('own\n');
    },
  );

  test('/ is refused', async () => {
    const { code, stderr } = await box.run('true', {
      pod: ['--volume=v,kind=empty'],
      app: ['--mount=volume=v,target=/'],
    });
    expect(code).toBe(254);
    expect(stderr).toContain('that is the root of the app');
  });
});

describe('a mount point of a Docker image', () => {
  const image = 'example.org/docker';

  test('without a volume starts with what the image has there, owners and modes too', async () => {
    const script =
      'cat /data/file; cd /data; stat -c "%n %a %u %g" . file; readlink below/link; stat -c "%a %u" /new';
    const { stdout } = await box.run(script, { image });
    expect(stdout).toBe('of the image\n. 750 1001 1002\nfile 640 1003 1004\n/etc/passwd\n755 0\n');
  });

  test('that is a symlink leads inside the root', async () => {
    expect((await box.run('cat /link/file', { image })).stdout).toBe('of the image\n');
  });

  test('with a volume has what that has', async () => {
    const { stdout } = await box.run('ls /data', {
      image,
      pod: ['--volume=volume-data,kind=empty'],
    });
    expect(stdout).toBe('');
  });

  test('keeps what the app changes out of the image', async () => {
    await box.run('rm /data/file', { image });
    expect((await box.run('ls /data/file', { image })).stdout).toBe('/data/file\n');
  });
});

test('a mount made in a volume by an app is not seen outside', async () => {
  const source = box.folder();
  const { stdout } = await box.run(
    'mkdir /data/below && mount -t tmpfs t /data/below && touch /data/below/file && echo mounted',
    {
      pod: [hostVolume('data', source)],
      app: ['--mount=volume=data,target=/data', '--caps-retain=CAP_SYS_ADMIN'],
      global: ['--insecure-options=seccomp'],
    },
  );
  expect(stdout).toBe('mounted\n');
  expect(readdirSync(join(source, 'below'))).toEqual([]);
});

describe('mounts', () => {
  test("of all apps stand before the first image; an app's own at the same path wins", async () => {
    const [one, other] = [box.folder(), box.folder()];
    writeFileSync(join(one, 'one'), '');
    writeFileSync(join(other, 'other'), '');
    const own = ['--mount=volume=other,target=/data/'];
    const args = two([], 'echo a: $(ls /data)', own, 'echo b: $(ls /data)');
    const { stdout } = await box.runPod(args, {
      pod: [hostVolume('one', one), hostVolume('other', other), '--mount=volume=one,target=/data'],
    });
    expect(stdout.split('\n').sort()).toEqual(['', 'a: one', 'b: other']);
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
