import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runLine } from '../../unit/cli/helpers.ts';
import { type Blob, LayoutMaker, layoutTypes, tagged } from '../../unit/image/layout-maker.ts';
import { archive } from '../../unit/image/tar-maker.ts';
import { CosignKeyPair } from '../../unit/trust/cosign-maker.ts';

/** Layouts and archives on this machine, and who vouches for them. */
let scratch = '';
beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'rkt-local-trust-')));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const path = (name: string) => join(scratch, name);

function configure(name: string, content: string): string {
  const file = path(`local/${name}`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function policy(transports: object, fallback = 'reject'): string {
  return configure('policy.json', JSON.stringify({ default: [{ type: fallback }], transports }));
}

function rkt(...argv: string[]) {
  const folders = [`--dir=${path('data')}`, `--local-config=${path('local')}`];
  return runLine(...folders, `--system-config=${path('system')}`, ...argv);
}

const fetch = (image: string, ...options: string[]) => rkt(...options, 'fetch', '--full', image);
const accept = [{ type: 'insecureAcceptAnything' }];
const layers = [archive([{ name: 'hello', content: 'hello' }])];

/** A layout with one image, and the bytes of its manifest. */
function layout(name = 'srv/layout', more: object = tagged('v1')): LayoutMaker {
  const maker = new LayoutMaker(path(name));
  maker.index(maker.image(layers, more));
  return maker;
}

/** An entry for the signature of a manifest, as cosign stores it. */
function signed(
  maker: LayoutMaker,
  by: CosignKeyPair,
  over: Buffer,
  reference: string,
  entry: object,
): Blob {
  const { payload, annotations } = by.sign(over, reference);
  const type = 'application/vnd.dev.cosign.simplesigning.v1+json';
  const config = maker.blob(layoutTypes.config, {});
  const layer = maker.blob(type, Buffer.from(payload), { annotations });
  const manifest = { schemaVersion: 2, mediaType: layoutTypes.manifest, config, layers: [layer] };
  return maker.blob(layoutTypes.manifest, manifest, entry);
}

const signatureTag = (image: Blob) => tagged(`${image.digest.replace(':', '-')}.sig`);

describe('without policy and keys', () => {
  test.each([
    'oci:LAYOUT:v1',
    'LAYOUT',
    'oci-archive:FILE',
    'FILE',
    'docker-archive:DOCKER',
    'DOCKER',
  ])('%s is refused, naming the option and no signature file; nothing is stored', async (form) => {
    layout();
    const [file, docker] = [path('a.tar'), path('d.tar')];
    copy(`oci-archive:${file}:v1`);
    copy(`docker-archive:${docker}:app:1`);
    const image = form
      .replace('LAYOUT', path('srv/layout'))
      .replace('FILE', file)
      .replace('DOCKER', docker);
    const { code, stderr } = await fetch(image);
    expect(code).toBe(254);
    expect(stderr).toMatch(/no policy\.json.*--insecure-options=image/);
    expect(stderr).not.toContain('.asc');
    expect(existsSync(path('data/cas'))).toBe(false);
  });
});

function copy(to: string): void {
  const from = `oci:${path('srv/layout')}:v1`;
  execFileSync('skopeo', ['--insecure-policy', 'copy', '-q', from, to], { stdio: 'pipe' });
}

describe('a policy', () => {
  test.each([
    ['the transport', { oci: { '': accept } }],
    ['the path', { oci: { 'SCRATCH/srv/layout': accept } }],
    ['a parent of the path', { oci: { SCRATCH: accept } }],
  ])('that accepts %s lets a layout in, unwarned', async (_what, transports) => {
    layout();
    policy(JSON.parse(JSON.stringify(transports).replaceAll('SCRATCH', scratch)));
    const { code, stdout, stderr } = await fetch(`oci:${path('srv/layout')}:v1`);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^sha512-[0-9a-f]{64}\n$/);
  });

  test.each([
    ['of another transport', { 'oci-archive': { '': accept } }],
    ['for another path', { oci: { 'SCRATCH/other': accept } }],
    ['for a path that only begins alike', { oci: { 'SCRATCH/srv/lay': accept } }],
  ])('%s leaves a layout to the default', async (_what, transports) => {
    layout();
    const file = policy(JSON.parse(JSON.stringify(transports).replaceAll('SCRATCH', scratch)));
    const { code, stderr } = await fetch(`oci:${path('srv/layout')}:v1`);
    expect(code).toBe(254);
    expect(stderr).toContain(`oci:${path('srv/layout')} is rejected by the policy ${file}`);
  });

  test('says the same of scopes as skopeo does', async () => {
    layout();
    const image = `oci:${path('srv/layout')}:v1`;
    for (const scope of ['', scratch, path('srv'), path('srv/layout'), path('srv/l'), path('x')]) {
      const file = policy({ oci: { [scope]: accept } });
      let peer = 0;
      try {
        const to = `dir:${mkdtempSync(path('to-'))}`;
        execFileSync('skopeo', ['--policy', file, 'copy', '-q', image, to], { stdio: 'pipe' });
      } catch {
        peer = 254;
      }
      expect([scope, (await fetch(image)).code]).toEqual([scope, peer]);
    }
  });

  test('for archives counts for them, told by their content too', async () => {
    layout();
    copy(`oci-archive:${path('a.tar')}:v1`);
    copy(`docker-archive:${path('d.tar')}:app:1`);
    policy({ 'oci-archive': { [path('a.tar')]: accept } });
    expect((await fetch(`oci-archive:${path('a.tar')}`)).code).toBe(0);
    expect((await fetch(path('a.tar'))).code).toBe(0);
    expect((await fetch(path('d.tar'))).code).toBe(254);
    policy({ 'docker-archive': { '': accept } });
    expect((await fetch(path('d.tar'))).code).toBe(0);
    expect((await fetch(`docker-archive:${path('d.tar')}:app:1`)).code).toBe(0);
    expect((await fetch(path('a.tar'))).code).toBe(254);
  });

  test('is followed by image import', async () => {
    layout();
    policy({ oci: { '': accept } });
    expect((await rkt('image', 'import', `oci:${path('srv/layout')}`)).code).toBe(0);
    policy({});
    const { code, stderr } = await rkt('image', 'import', `oci:${path('srv/layout')}`);
    expect([code, stderr]).toEqual([254, expect.stringContaining('is rejected by the policy')]);
  });

  test('that rejects gives way to --insecure-options=image, with a warning', async () => {
    layout();
    policy({ oci: { '': [{ type: 'reject' }] } });
    const { code, stderr } = await fetch(
      `oci:${path('srv/layout')}:v1`,
      '--insecure-options=image',
    );
    expect(code).toBe(0);
    expect(stderr).toContain('is taken unverified (--insecure-options=image)');
  });

  test('that is broken lets nothing pass', async () => {
    layout();
    configure('policy.json', '{"default":[{"type":"insecureAcceptAnything"}],"default":[]}');
    const { code, stderr } = await fetch(`oci:${path('srv/layout')}:v1`);
    expect([code, stderr]).toEqual([254, expect.stringMatching(/policy\.json.*"default"/)]);
  });

  test('that wants a simple signature, which no layout can hold, lets none pass', async () => {
    layout();
    const keyData = Buffer.from('no key').toString('base64');
    policy({ oci: { '': [{ type: 'signedBy', keyType: 'GPGKeys', keyData }] } });
    expect((await fetch(`oci:${path('srv/layout')}:v1`)).code).toBe(254);
  });
});

describe('a cosign signature in the layout', () => {
  const by = new CosignKeyPair();
  const name = 'example.com/team/app';

  /** A policy that wants the signature of a key, for a repository. */
  function wanted(key = by): void {
    const keyData = Buffer.from(key.pem).toString('base64');
    const signedIdentity = { type: 'exactRepository', dockerRepository: name };
    policy({ oci: { '': [{ type: 'sigstoreSigned', keyData, signedIdentity }] } });
  }

  test.each([
    ['by its tag', signatureTag],
    ['as cosign save notes it', () => ({ annotations: { kind: 'dev.cosignproject.cosign/sigs' } })],
  ])('found %s lets the image pass, and is told', async (_how, entry) => {
    const maker = new LayoutMaker(path('srv/layout'));
    const image = maker.image(layers, tagged('v1'));
    maker.index(image, signed(maker, by, maker.read(image), name, entry(image)));
    wanted();
    // Without a tag as well: a signature is no image to choose.
    for (const text of [`oci:${path('srv/layout')}:v1`, path('srv/layout')])
      expect(await fetch(text)).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('is signed by cosign key'),
      });
  });

  test('over the index that an image is chosen from is good', async () => {
    const maker = new LayoutMaker(path('srv/layout'));
    const platform = { os: 'linux', architecture: 'amd64' };
    const child = maker.image(layers, { platform });
    const other = maker.image([], { platform: { os: 'linux', architecture: 's390x' } });
    const index = maker.blob(
      layoutTypes.index,
      { schemaVersion: 2, mediaType: layoutTypes.index, manifests: [child, other] },
      tagged('v1'),
    );
    maker.index(index, signed(maker, by, maker.read(index), name, signatureTag(index)));
    wanted();
    expect(await fetch(`oci:${path('srv/layout')}:v1`)).toMatchObject({ code: 0 });
  });

  test.each([
    ['that is missing', 'is not signed', () => undefined],
    ['by another key', 'is not by', () => ({ by: new CosignKeyPair() })],
    ['over another image', 'not over sha256:', () => ({ over: Buffer.from('{}') })],
    ['for another repository', 'not for this image', () => ({ name: 'example.com/other' })],
  ])('%s keeps the image out', async (_what, why, other) => {
    const maker = new LayoutMaker(path('srv/layout'));
    const image = maker.image(layers, tagged('v1'));
    const wrong: { by?: CosignKeyPair; over?: Buffer; name?: string } | undefined = other();
    const over = wrong?.over ?? maker.read(image);
    const entry = signed(maker, wrong?.by ?? by, over, wrong?.name ?? name, signatureTag(image));
    maker.index(image, ...(wrong ? [entry] : []));
    wanted();
    const { code, stderr } = await fetch(`oci:${path('srv/layout')}:v1`);
    expect([code, stderr]).toEqual([254, expect.stringContaining(why)]);
  });

  test('by the key that is trusted for its whole name needs no policy', async () => {
    const maker = new LayoutMaker(path('srv/layout'));
    const image = maker.image(layers, tagged(`${name}:1`));
    const entry = signed(maker, by, maker.read(image), name, signatureTag(image));
    maker.index(image, entry);
    configure(`trustedkeys/prefix.d/${name}/cosign.pub`, by.pem);
    expect(await fetch(path('srv/layout'))).toMatchObject({ code: 0 });
    maker.index(image);
    expect(await fetch(path('srv/layout'))).toMatchObject({
      code: 254,
      stderr: expect.stringContaining('is not signed'),
    });
  });

  test('by a key for a name is no use to a layout that has none', async () => {
    const maker = new LayoutMaker(path('srv/layout'));
    const image = maker.image(layers, tagged('v1'));
    maker.index(image, signed(maker, by, maker.read(image), name, signatureTag(image)));
    configure(`trustedkeys/prefix.d/${name}/cosign.pub`, by.pem);
    expect((await fetch(path('srv/layout'))).code).toBe(254);
  });
});

test('a registry is not asked when nothing could vouch for its images', async () => {
  // Nobody listens there: whoever asks gets another error.
  const image = 'docker://127.0.0.1:1/team/app:1';
  expect((await fetch(image)).stderr).toMatch(/no policy\.json.*--insecure-options=image/);
  const file = policy({ docker: { '127.0.0.1:1/team': [{ type: 'reject' }] } });
  expect((await fetch(image)).stderr).toContain(`is rejected by the policy ${file}`);
  policy({ docker: { '127.0.0.1:1/team': accept } });
  expect((await fetch(image)).stderr).toMatch(/ECONNREFUSED|refused/);
});
