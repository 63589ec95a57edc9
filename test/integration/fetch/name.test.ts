import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hostArch } from '../../../src/appc/platform.ts';
import { Site } from './site.ts';

const site = new Site();
const arch = hostArch();

/** Puts an image `example.test/NAME` at the template's place; gives its key. */
function image(name: string, version = '1', more: object = {}): string {
  const labels = { version };
  return site.aci('example.test', `images/${name}-${version}.aci`, {
    name: `example.test/${name}`,
    labels,
    ...more,
  });
}

const template = (name: string) =>
  `example.test/${name} https://example.test/images/${name}-{version}.{ext}`;

/** A discovery page of the image's own. */
function page(name: string, ...tags: string[]): void {
  site.page(
    'example.test',
    name,
    ...(tags.length > 0 ? tags : [template(name)]).map((tag): [string, string] => [
      'ac-discovery',
      tag,
    ]),
  );
}

describe('an image by its name', () => {
  test('is where its page says', async () => {
    const key = image('one');
    page('one');
    expect(await site.fetch('example.test/one:1')).toEqual([key]);
  });

  test('is asked from the page with ac-discovery=1', async () => {
    image('asked');
    page('asked');
    await site.asked();
    await site.fetch('example.test/asked:1');
    expect(await site.lines()).toEqual([
      'GET https://example.test/asked?ac-discovery=1 200',
      'GET https://example.test/images/asked-1.aci 200',
    ]);
  });

  test('without a version is "latest" there, and later means that in the store', async () => {
    site.aci('example.test', 'images/late-latest.aci', {
      name: 'example.test/late',
      labels: { version: '7' },
    });
    page('late');
    const [key = ''] = await site.fetch('example.test/late');
    expect(await site.fetch('--pull-policy=never', 'example.test/late')).toEqual([key]);
    expect((await site.rkt(['image', 'cat-manifest', 'example.test/late'])).stdout).toContain(
      '"7"',
    );
  });

  test('may have all labels in its place', async () => {
    const labels = { version: '1', channel: 'beta+1' };
    const path = `images/${arch}/linux/labels-1-beta+1.aci`;
    const key = site.aci('example.test', path, { name: 'example.test/labels', labels });
    const place = 'https://example.test/images/{arch}/{os}/labels-{version}-{channel}.{ext}';
    page('labels', `example.test/labels ${place}`);
    expect(await site.fetch('example.test/labels:1,channel=beta+1')).toEqual([key]);
  });

  test('is found on the page of a parent', async () => {
    const key = image('parent/child/app');
    page('parent', template('parent/child/app').replace('child/app ', ' '));
    site.page('example.test', 'parent/child', [
      'ac-discovery',
      'example.test/sibling https://x/{ext}',
    ]);
    await site.asked();
    expect(await site.fetch('example.test/parent/child/app:1')).toEqual([key]);
    expect((await site.lines()).slice(0, 3)).toEqual([
      'GET https://example.test/parent/child/app?ac-discovery=1 404',
      'GET https://example.test/parent/child?ac-discovery=1 200',
      'GET https://example.test/parent?ac-discovery=1 200',
    ]);
  });

  test('is not found by a prefix that ends inside a word', async () => {
    image('word');
    page('word', template('word').replace('word ', 'wo '));
    const { code, stderr } = await site.insecure('fetch', 'example.test/word:1');
    expect([code, stderr]).toEqual([
      254,
      expect.stringMatching(
        /discovery failed for "example\.test\/word:1" .*no endpoints discovered/,
      ),
    ]);
  });

  test('is taken from the next endpoint when one does not have it', async () => {
    const key = image('second');
    page(
      'second',
      'example.test/second https://example.test/nowhere/{name}-{version}.{ext}',
      'example.test/second https://example.test/images/{unknown}/{version}.{ext}',
      template('second'),
    );
    await site.asked();
    expect(await site.fetch('example.test/second:1')).toEqual([key]);
    expect((await site.lines()).slice(1)).toEqual([
      'GET https://example.test/nowhere/example.test/second-1.aci 404',
      'GET https://example.test/images/second-1.aci 200',
    ]);
  });

  test('that no endpoint has is an error that tells them', async () => {
    page('gone', template('gone'), 'example.test/gone https://other.test/{version}.{ext}');
    const { code, stderr } = await site.insecure('fetch', 'example.test/gone:1');
    expect(code).toBe(254);
    expect(stderr).toContain('no endpoint has it');
    for (const url of ['example.test/images/gone-1.aci', 'other.test/1.aci'])
      expect(stderr).toContain(`https://${url}: bad HTTP status code: 404`);
  });

  test('that its only endpoint does not have is the error of that', async () => {
    page('alone');
    expect((await site.insecure('fetch', 'example.test/alone:1')).stderr).toBe(
      'rkt: fetch: cannot get https://example.test/images/alone-1.aci: bad HTTP status code: 404\n',
    );
  });

  test('is at the address that the name is, where no page tells another (simple discovery)', async () => {
    const name = 'example.test/simple';
    const key = site.aci('example.test', `simple-1-linux-${arch}.aci`, {
      name,
      labels: { version: '1' },
    });
    expect(await site.fetch(`${name}:1`)).toEqual([key]);
  });

  test('must have that name; nothing is stored otherwise', async () => {
    const key = site.aci('example.test', 'images/liar-1.aci', {
      name: 'example.test/someone',
      labels: { version: '1' },
    });
    page('liar');
    const { code, stderr } = await site.insecure('fetch', 'example.test/liar:1');
    expect([code, stderr]).toEqual([254, expect.stringContaining('name mismatch')]);
    expect((await site.rkt(['image', 'list', '--full'])).stdout).not.toContain(key);
  });

  test.each([
    ['version', { version: '2' }],
    ['arch', { arch: 'i386' }],
    ['os', { os: undefined, arch: undefined }],
  ])('must have the label %s that was asked for', async (label, labels) => {
    const name = `wrong-${label}`;
    image(name, '1', { labels: { version: '1', ...labels } });
    page(name);
    const { code, stderr } = await site.insecure('fetch', `example.test/${name}:1`);
    expect([code, stderr]).toEqual([
      254,
      expect.stringContaining(`label mismatch: its label "${label}"`),
    ]);
  });

  test('is not looked for while the store has it and the policy is new', async () => {
    const key = image('stored');
    page('stored');
    await site.fetch('example.test/stored:1');
    await site.asked();
    expect(await site.fetch('--pull-policy=new', 'example.test/stored:1')).toEqual([key]);
    expect(await site.asked()).toEqual([]);
  });

  test('is fetched by run; a pull policy of never keeps that from happening', async () => {
    image('run');
    page('run');
    await site.asked();
    const args = ['prepare', '--pull-policy=never', 'example.test/run:1'];
    expect(await site.insecure(...args)).toMatchObject({
      code: 254,
      stderr: expect.stringContaining('not in the store'),
    });
    expect(await site.asked()).toEqual([]);
    await site.insecure('prepare', 'example.test/run:1');
    expect(await site.lines()).toContain('GET https://example.test/images/run-1.aci 200');
  });
});

describe('plain HTTP', () => {
  const http = 'example.test/http http://example.test/images/http-{version}.{ext}';

  test('is not used by discovery', async () => {
    image('http');
    page('http', http);
    await site.asked();
    const { code, stderr } = await site.insecure('fetch', 'example.test/http:1');
    expect([code, stderr]).toEqual([254, expect.stringContaining('plain HTTP is not allowed')]);
    expect((await site.lines()).filter((line) => line.includes('http://'))).toEqual([]);
  });

  test('is used with --insecure-options=http, after HTTPS has failed', async () => {
    const key = image('http');
    page('http', http);
    const args = ['fetch', '--full', 'example.test/http:1'];
    await site.asked();
    const env = { NODE_EXTRA_CA_CERTS: '' };
    const result = await site.rkt(['--insecure-options=image,http', ...args], { env });
    expect(result).toMatchObject({ code: 0, stdout: `${key}\n` });
    expect(await site.lines()).toEqual([
      'GET http://example.test/http?ac-discovery=1 200',
      'GET http://example.test/images/http-1.aci 200',
    ]);
  });
});

describe('dependencies', () => {
  test('are fetched with the image that needs them, and theirs', async () => {
    const base = image('base');
    const middle = image('middle', '1', { dependencies: [{ imageName: 'example.test/base' }] });
    const labels = [{ name: 'version', value: '1' }];
    const top = image('top', '1', {
      dependencies: [
        { imageName: 'example.test/middle', labels, imageID: middle },
        { imageName: 'example.test/base', labels, imageID: base },
      ],
    });
    for (const name of ['base', 'middle', 'top']) page(name);
    mkdirSync(dirname(site.path('example.test', 'images/base-latest.aci')), { recursive: true });
    site.aci('example.test', 'images/base-latest.aci', {
      name: 'example.test/base',
      labels: { version: '1' },
    });
    expect(await site.fetch('example.test/top:1')).toEqual([top]);
    const { stdout } = await site.rkt(['image', 'list', '--full', '--fields=id']);
    for (const key of [top, middle, base]) expect(stdout).toContain(key);
  });

  test('that are another image than their id says are an error', async () => {
    image('other-base');
    image('pins', '1', {
      dependencies: [{ imageName: 'example.test/other-base', imageID: `sha512-${'0'.repeat(64)}` }],
    });
    for (const name of ['other-base', 'pins']) page(name);
    page('other-base', template('other-base').replace('{version}', '1'));
    expect(await site.insecure('fetch', 'example.test/pins:1')).toMatchObject({
      code: 254,
      stderr: expect.stringMatching(
        /dependency "example\.test\/other-base" of image "example\.test\/pins": its image ID is sha512-\w+, not sha512-0{64}/,
      ),
    });
  });

  test('in a circle are an error that shows it', async () => {
    const labels = [{ name: 'version', value: '1' }];
    for (const [name, other] of [
      ['chicken', 'egg'],
      ['egg', 'chicken'],
    ] as const) {
      image(name, '1', { dependencies: [{ imageName: `example.test/${other}`, labels }] });
      page(name);
    }
    expect(await site.insecure('fetch', 'example.test/egg:1')).toMatchObject({
      code: 254,
      stderr: expect.stringContaining(
        'circle: example.test/egg -> example.test/chicken -> example.test/egg',
      ),
    });
  });

  test('that cannot be found are an error that names who needs them', async () => {
    image('lonely', '1', { dependencies: [{ imageName: 'example.test/nobody' }] });
    page('lonely');
    expect(await site.insecure('fetch', 'example.test/lonely:1')).toMatchObject({
      code: 254,
      stderr: expect.stringContaining(
        'dependency "example.test/nobody" of image "example.test/lonely": discovery failed',
      ),
    });
  });
});

describe('image discover', () => {
  const endpoint = {
    aci: 'https://example.test/images/shown-1.aci',
    signature: 'https://example.test/images/shown-1.aci.asc',
  };
  const show = () =>
    site.page(
      'example.test',
      'shown',
      ['ac-discovery', template('shown')],
      ['ac-discovery-pubkeys', 'example.test https://example.test/keys.gpg'],
    );

  test('shows where image, signature and keys are', async () => {
    show();
    const { code, stdout } = await site.rkt(['image', 'discover', 'example.test/shown:1']);
    expect([code, stdout]).toEqual([
      0,
      `TYPE\t\tURL\nimage\t\t${endpoint.aci}\nsignature\t${endpoint.signature}\nkey\t\thttps://example.test/keys.gpg\n`,
    ]);
  });

  test('gives the same as JSON', async () => {
    show();
    const args = ['image', 'discover', '--format=json', 'example.test/shown:1'];
    expect(JSON.parse((await site.rkt(args)).stdout)).toEqual({
      name: 'example.test/shown',
      labels: [
        { name: 'version', value: '1' },
        { name: 'os', value: 'linux' },
        { name: 'arch', value: arch },
      ],
      endpoints: [endpoint],
      keys: [{ prefix: 'example.test', url: 'https://example.test/keys.gpg' }],
    });
  });

  test('of a name that nothing is known of is an error that tells what was asked', async () => {
    const { code, stdout, stderr } = await site.rkt(['image', 'discover', 'other.test/x/y:1']);
    expect([code, stdout]).toEqual([254, '']);
    for (const part of [
      '/x/y: bad HTTP status code: 404',
      '/x: bad',
      'other.test: bad',
      '/x/y-1-linux',
    ])
      expect(stderr).toContain(part);
  });
});

test.each([
  [['fetch'], 'must provide at least one image'],
  [['fetch', 'example.test/a', '--', 'x'], 'takes no arguments'],
  [['fetch', `sha512-${'0'.repeat(64)}`], 'a key does not tell where an image is'],
  [['fetch', '--pull-policy=bogus', 'example.test/a'], 'must be new, never or update'],
  [['fetch', 'https://example.test/x.tar'], 'must end in .aci'],
])('%s is refused', async (args, why) => {
  expect(await site.rkt(args)).toMatchObject({
    code: 254,
    stdout: '',
    stderr: expect.stringContaining(why),
  });
});
