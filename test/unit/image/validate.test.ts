import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { beforeEach, describe, expect, test } from 'vitest';
import { validateFile } from '../../../src/image/validate.ts';
import { runLine } from '../cli/helpers.ts';
import { scratchFolder } from './scratch.ts';
import { aci, archive, MANIFEST, manifest, member, rootfs } from './tar-maker.ts';

let folder = '';
beforeEach(() => {
  folder = scratchFolder();
});

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function file(name: string, data: Buffer | string | object): string {
  const path = join(folder, name);
  const isText = typeof data === 'string' || Buffer.isBuffer(data);
  writeFileSync(path, isText ? data : JSON.stringify(data));
  return path;
}

/** The problems of a file as lines. */
async function problems(path: string): Promise<string[]> {
  const found = await validateFile(path);
  return found.problems.map((each) =>
    [each.document, each.path, each.message].filter((part) => part !== undefined).join(': '),
  );
}

const image = JSON.parse(MANIFEST);
const app = { exec: ['/a'], user: '0', group: '0' };

describe('an image manifest', () => {
  test('that is right is valid', async () => {
    expect(await validateFile(file('manifest', { ...image, app }))).toMatchObject({
      kind: 'image manifest',
      problems: [],
    });
  });

  test('has every wrong field named, with its path', async () => {
    const ports = [
      { name: 'a', protocol: 'tcp', port: 0 },
      { name: 'B', protocol: 'tcp', port: 80 },
    ];
    const wrong = { ...image, acVersion: 'one', app: { ...app, ports, user: '' } };
    const environment = [{ name: 'A', value: 1 }, { name: '1' }];
    expect(
      await problems(file('manifest', { ...wrong, app: { ...wrong.app, environment } })),
    ).toEqual([
      '$.acVersion: "one" is not a semantic version (major.minor.patch)',
      '$.app.user: must not be empty',
      '$.app.environment[0].value: must be a string',
      '$.app.environment[1].name: "1" is not the name of an environment variable',
      '$.app.environment[1].value: is required',
      '$.app.ports[0].port: must be an integer from 1 to 65535',
      expect.stringContaining('$.app.ports[1].name: "B" is not an AC name'),
    ]);
  });

  test('that is not JSON has the place named', async () => {
    expect(await problems(file('manifest', '{"acKind": ImageManifest}'))).toEqual([
      expect.stringMatching(/not JSON at line 1, column 12/),
    ]);
  });

  test.each([{}, { acKind: 'Other' }, [], 1])('is not %j', async (value) => {
    expect(await problems(file('manifest', JSON.stringify(value)))).toEqual([
      '$.acKind: must be "ImageManifest" or "PodManifest"',
    ]);
  });
});

test('a pod manifest is told by its acKind, and has every wrong field named', async () => {
  const pod = { acKind: 'PodManifest', acVersion: '0.8.11', apps: [] };
  expect(await validateFile(file('pod', pod))).toMatchObject({
    kind: 'pod manifest',
    problems: [],
  });
  const volumes = [
    { name: 'a', kind: 'host' },
    { name: 'b', kind: 'other' },
  ];
  const found = await problems(
    file('pod', { ...pod, ports: [{ name: 'p', hostPort: 0 }], volumes }),
  );
  expect(found.map((line) => line.split(':')[0])).toEqual(
    expect.arrayContaining(['$.ports[0].hostPort']),
  );
  expect(found.filter((line) => line.startsWith('$.volumes')).length).toBeGreaterThanOrEqual(2);
});

describe('an ACI', () => {
  test.each(['none', 'gzip', 'bzip2', 'xz', 'zstd'])('compressed with %s is valid', async (by) => {
    const path = file('a.aci', aci([{ name: 'rootfs/file', content: 'x' }]));
    if (by !== 'none') {
      const bytes = execFileSync(by, ['-c', path]);
      writeFileSync(path, bytes);
    }
    expect(await validateFile(path)).toMatchObject({ kind: 'ACI', problems: [] });
  });

  test('has every member named that breaks a rule, and every wrong field', async () => {
    const bad = archive([
      { name: 'manifest', content: JSON.stringify({ ...image, name: 'BAD', acVersion: 1 }) },
      rootfs,
      { name: 'rootfs/../../etc/passwd', content: 'x' },
      { name: 'elsewhere', content: 'x' },
      { name: 'rootfs/link', type: '1', linkName: '/etc/passwd' },
    ]);
    expect(await problems(file('bad.aci', bad))).toEqual([
      expect.stringMatching(/"rootfs\/..\/..\/etc\/passwd" leads outside/),
      expect.stringMatching(/"elsewhere" is neither/),
      expect.stringMatching(/points outside "rootfs"/),
      'manifest: $.acVersion: must be a string',
      expect.stringMatching(/^manifest: \$\.name: "BAD" is not an AC identifier/),
    ]);
  });

  test('without a manifest, and without a rootfs, is not valid', async () => {
    expect(await problems(file('a.aci', archive([rootfs])))).toEqual([
      'manifest: it has no "manifest"',
    ]);
    expect(await problems(file('b.aci', archive([manifest])))).toEqual([
      'manifest: it has no "rootfs"',
    ]);
  });

  test('that is truncated is not valid', async () => {
    const bytes = aci([{ name: 'rootfs/file', content: Buffer.alloc(4096) }]);
    expect(await problems(file('a.aci', bytes.subarray(0, -3000)))).toEqual([
      expect.stringMatching(/truncated/),
    ]);
  });

  test.each([
    ['empty', '', 'it is empty'],
    ['a web page', '<!DOCTYPE html><html>', 'it is a web page'],
    ['noise', 'noise'.repeat(500), 'unknown type'],
  ])('that is %s is not valid', async (_, text, why) => {
    expect(await problems(file('a.aci', text))).toEqual([expect.stringContaining(why)]);
  });

  test('with a great many bad members has the first hundred named', async () => {
    const members = Array.from({ length: 500 }, (_, n) => member({ name: `bad-${n}` }));
    const found = await problems(file('a.aci', archive([manifest, rootfs, ...members])));
    expect(found).toHaveLength(101);
    expect(found.at(-1)).toContain('more than 100 problems');
  });
});

describe('an ACI layout', () => {
  test('with manifest and rootfs is valid', async () => {
    file('manifest', MANIFEST);
    mkdirSync(join(folder, 'rootfs'));
    expect(await validateFile(folder)).toMatchObject({ kind: 'ACI layout', problems: [] });
  });

  test('has all named that is wrong with it', async () => {
    file('manifest', { ...image, name: '' });
    file('more', '');
    symlinkSync('/', join(folder, 'rootfs'));
    expect(await problems(folder)).toEqual([
      '"more" is neither "manifest" nor "rootfs"',
      expect.stringMatching(/^manifest: \$\.name: /),
      'its "rootfs" is no folder',
    ]);
  });
});

describe('an OCI layout', () => {
  let layout = '';
  beforeEach(() => {
    layout = join(folder, 'layout');
    const tar = file('layer.tar', archive([{ name: 'file', content: 'x'.repeat(5000) }]));
    run('umoci', 'init', '--layout', layout);
    run('umoci', 'new', '--image', `${layout}:v1`);
    run('umoci', 'raw', 'add-layer', '--image', `${layout}:v1`, tar);
  });

  const raw = () => JSON.parse(run('skopeo', 'inspect', '--raw', `oci:${layout}:v1`));
  const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));

  test('made by umoci is valid, as is an archive of it, compressed or not', async () => {
    expect(await validateFile(layout)).toMatchObject({ kind: 'OCI layout', problems: [] });
    const path = join(folder, 'archive.tar');
    run('skopeo', 'copy', '-q', `oci:${layout}:v1`, `oci-archive:${path}:v1`);
    expect(await validateFile(path)).toMatchObject({ kind: 'OCI archive', problems: [] });
    run('gzip', path);
    expect(await validateFile(`${path}.gz`)).toMatchObject({ kind: 'OCI archive', problems: [] });
  });

  test('has a missing blob, and one of another size, named at their descriptors', async () => {
    const { config, layers } = raw();
    rmSync(blob(layers[0].digest));
    chmodSync(blob(config.digest), 0o644);
    writeFileSync(blob(config.digest), '{}');
    const manifests = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests;
    const at = `blobs/${manifests[0].digest.replace(':', '/')}`;
    expect(await problems(layout)).toEqual([
      `${at}: $.config.size: must be 2, which the blob ${config.digest} has, not ${config.size}`,
      `${at}: $.layers[0].digest: the blob ${layers[0].digest} is missing`,
    ]);
  });

  test('has a flipped byte of a layer found', async () => {
    const { digest } = raw().layers[0];
    const bytes = readFileSync(blob(digest));
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    chmodSync(blob(digest), 0o644);
    writeFileSync(blob(digest), bytes);
    expect(await problems(layout)).toEqual([
      expect.stringMatching(/\$\.layers\[0\]\.digest: the blob .* has digest sha256:/),
    ]);
  });

  test('has every wrong field of its index named', async () => {
    writeFileSync(
      join(layout, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [{ digest: 'md5:1', size: -1 }] }),
    );
    const found = await problems(layout);
    expect(found.map((line) => line.split(': ').slice(0, 2).join(': '))).toEqual([
      'index.json: $.manifests[0].mediaType',
      'index.json: $.manifests[0].digest',
      'index.json: $.manifests[0].size',
    ]);
  });

  test('without an index is not valid', async () => {
    rmSync(join(layout, 'index.json'));
    expect(await problems(layout)).toEqual(['it has no index.json']);
  });

  test('of which a layer would reach outside is not valid', async () => {
    const tar = file('evil.tar', archive([{ name: '../evil', content: 'x' }]));
    run('umoci', 'raw', 'add-layer', '--image', `${layout}:v1`, tar);
    expect(await problems(layout)).toEqual([
      expect.stringMatching(/\$\.layers\[1\]: the name "\.\.\/evil" leads outside/),
    ]);
  });

  test('leaves nothing behind in the temporary folder', async () => {
    const path = join(folder, 'archive.tar');
    run('skopeo', 'copy', '-q', `oci:${layout}:v1`, `oci-archive:${path}:v1`);
    run('gzip', path);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = join(folder, 'tmp');
    mkdirSync(join(folder, 'tmp'));
    try {
      await validateFile(`${path}.gz`);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
    expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
  });
});

test('a tar of something else is neither', async () => {
  const path = file('other.tar', archive([{ name: 'readme', content: 'x' }]));
  expect(await problems(path)).toEqual(['it is a tar, but neither an ACI nor an OCI archive']);
});

test('a file that is not there, and a device, are problems of one line', async () => {
  expect(await problems(join(folder, 'none'))).toEqual(['no such file or folder']);
  expect(await problems('/dev/null')).toEqual(['it is neither a file nor a folder']);
});

describe('rkt image validate', () => {
  const rkt = (...argv: string[]) => runLine(`--dir=${folder}/data`, 'image', 'validate', ...argv);

  test('says what is valid and what is wrong, and fails for either', async () => {
    const good = file('good', MANIFEST);
    const bad = file('bad', { ...image, name: '', acVersion: '' });
    expect(await rkt(good)).toEqual({
      code: 0,
      stdout: `${good}: valid image manifest\n`,
      stderr: '',
    });
    const { code, stdout } = await rkt(bad, good);
    expect(code).toBe(254);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(`^${bad}: \\$\\.acVersion: `),
      expect.stringMatching(`^${bad}: \\$\\.name: `),
      `${good}: valid image manifest`,
      '',
    ]);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  test('needs no root, whatever the compression', () => {
    const bundle = join(folder, 'validate.mjs');
    const source = fileURLToPath(new URL('../../../src/image/validate.ts', import.meta.url));
    buildSync({
      stdin: {
        contents: `import { validateFile } from ${JSON.stringify(source)};
          console.log(JSON.stringify((await validateFile(process.argv[2])).problems));`,
        resolveDir: folder,
      },
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['koffi'],
      banner: {
        js: 'globalThis.require ??= (await import("node:module")).createRequire(import.meta.url);',
      },
      outfile: bundle,
    });
    const path = file('a.aci', aci());
    writeFileSync(path, execFileSync('xz', ['-c', path]));
    chmodSync(folder, 0o755);
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    expect(run('setpriv', ...nobody, process.execPath, bundle, path)).toBe('[]\n');
  });

  test('prints JSON, and nothing with --quiet', async () => {
    const bad = file('bad', { ...image, name: '' });
    const { code, stdout } = await rkt('--format=json', bad);
    expect(code).toBe(254);
    expect(JSON.parse(stdout)).toEqual([
      {
        file: bad,
        kind: 'image manifest',
        valid: false,
        problems: [{ path: '$.name', message: expect.stringContaining('AC identifier') }],
      },
    ]);
    expect(await rkt('--quiet', bad)).toEqual({ code: 254, stdout: '', stderr: '' });
  });
});
