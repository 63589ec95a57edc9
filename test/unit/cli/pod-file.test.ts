import { describe, expect, it } from 'vitest';
import { iniLine, parseIni } from '../../../src/cli/pod-file/ini.ts';
import { readPodFile } from '../../../src/cli/pod-file/read.ts';
import { runArguments } from '../../../src/cli/run-args.ts';
import { command, contextOf } from './helpers.ts';

function read(text: string) {
  return readPodFile('p.pod', text, command('run'), contextOf('run', []));
}

/** What a file with these lines in [Pod] and [App web] asks for. */
function request(pod: string, app = '') {
  return runArguments(read(`[Pod]\n${pod}\n[App web]\nimage=example.org/web\n${app}\n`));
}

function app(lines: string) {
  const { source } = request('', lines);
  return source.kind === 'images' ? source.request.apps[0] : undefined;
}

describe('the syntax of pod files', () => {
  it('has sections, comments and continued lines', () => {
    const text = '# c\n[Pod]\n ; c\n a = b \\\n# not a part\n c\n\n[App x]\nk=v\n';
    expect(parseIni('p', text)).toEqual([
      { name: 'Pod', line: 2, entries: [{ key: 'a', value: 'b c', line: 4 }] },
      { name: 'App x', line: 8, entries: [{ key: 'k', value: 'v', line: 9 }] },
    ]);
  });
  it.each([
    'plain',
    ' spaces ',
    'two\nlines',
    '"quoted"',
    'ends in \\',
    'ends in \\\\',
    '',
    '#x',
    'ä',
  ])('gives the value %j back as it was written', (value) => {
    const [section] = parseIni('p', `[S]\n${iniLine('k', value)}next=1\n`);
    expect(section?.entries.map((entry) => entry.value)).toEqual([value, '1']);
  });
});

describe('a pod file', () => {
  it('asks for what the same flags of rkt run ask for', () => {
    const own = request(
      'net=none\nhostname=h\nvolume=v,kind=empty\nset-env=A=1\nset-env=B=2',
      'arg=one\narg=\narg=three four\nmemory=64M\nmount=volume=v,target=/v\nuser=1000',
    );
    const argv = [
      '--net=none',
      '--hostname=h',
      '--volume=v,kind=empty',
      '--set-env=A=1',
      '--set-env=B=2',
    ];
    const image = [
      'example.org/web',
      '--name=web',
      '--memory=64M',
      '--mount=volume=v,target=/v',
      '--user=1000',
    ];
    const line = runArguments(contextOf('run', [...argv, ...image, '--', 'one', '', 'three four']));
    expect(own).toEqual(line);
  });
  it('has an app for each [App NAME], in order', () => {
    const { source } = runArguments(read('[App b]\nimage=x/y\n[App a]\nimage=x/y\n'));
    expect(source.kind === 'images' && source.request.apps.map(({ name }) => name)).toEqual([
      'b',
      'a',
    ]);
  });
  it('turns protections off', () => {
    expect(read('[Pod]\ninsecure-options=seccomp\n[App a]\nimage=x/y').globals.insecure).toEqual(
      new Set(['seccomp']),
    );
  });
  it('takes the words of systemd for switches', () => {
    expect(request('no-overlay=yes').noOverlay).toBe(true);
    expect(request('no-overlay=off').noOverlay).toBe(false);
  });
  it('may hold a pod manifest', () => {
    const { source } = runArguments(read('[Pod]\npod-manifest={"a": 1}\n'));
    expect(source).toEqual({ kind: 'manifest', json: '{"a": 1}' });
  });
  it('leaves the sections of the unit to systemd', () => {
    expect(
      read('[Unit]\nWhat=ever\n[Service]\nX=y\n[Install]\nZ=1\n[App a]\nimage=x/y').images,
    ).toHaveLength(1);
  });
});

describe('what is wrong with a pod file is told with its place', () => {
  it.each([
    ['[Pod]\nmemory=1G', 'p.pod:2: memory: there is no such key here'],
    ['[Pod]\ninteractive=true', 'p.pod:2: interactive: there is no such key here'],
    ['[Pod]\nnet=none,host\n[App a]\nimage=x/y', 'p.pod:2: net: "none" cannot be combined'],
    ['[Pod]\nhostname=a\nhostname=b', 'p.pod:3: hostname: is set twice'],
    ['[Pod]\nno-overlay=maybe', 'p.pod:2: no-overlay: must be true or false'],
    ['[Pod]\ninsecure-options=everything', 'p.pod:2: insecure-options: unknown option'],
    ['[App a]\nimage=x/y\ncpu=fast', 'p.pod:3: cpu: '],
    ['[App a]\nimage=x/y\nname=b', 'p.pod:3: name: is set twice'],
    ['[App a]\nimage=x/y\nimage=z', 'p.pod:3: image: is set twice'],
    ['[App a]\n', 'p.pod:1: [App a]: image is missing'],
    ['[App A_]\nimage=x/y', 'p.pod:1: [App A_]: "A_" is not an AC name'],
    ['[App a]\nimage=x/y\n[App a]\nimage=x/y', 'p.pod:3: [App a] stands twice'],
    ['[Pods]\n', 'p.pod:1: unknown section [Pods]'],
    ['x=1', 'p.pod:1: x: stands before any [SECTION]'],
    ['[App a]\nimage=x/y\narg="a" b', 'p.pod:3: arg: "a" b is not a JSON string'],
    ['[Pod]\nnet=none', 'p.pod: must provide at least one image'],
    [
      '[Pod]\nnet=none\nport=http:80\n[App a]\nimage=x/y',
      "p.pod:3: port: needs a network of the pod's own, but net=none was given",
    ],
  ])('%j', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

it('an app gets its arguments as they stand', () => {
  expect(app('arg="a\\nb"\narg=-c')?.args).toEqual(['a\nb', '-c']);
});
