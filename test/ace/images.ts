import { readFileSync } from 'node:fs';
import { archive, type Member } from '../unit/image/tar-maker.ts';
import { checks, checksOf } from './checks.ts';

/** The validator's image is MAIN, on top of LOWER and UPPER; SIDE stands by itself. */
export const MAIN = 'example.org/ace-main';
export const SIDE = 'example.org/ace-side';
/** An image with an isolator that nobody knows. */
export const UNKNOWN = 'example.org/ace-unknown';

const APPLETS =
  'cat chmod cmp grep hostname ip ln ls mkdir readlink rm rmdir sh sleep stat touch tr true unshare';

const file = (path: string, content: string | Buffer, mode = 0o644): Member => ({
  name: `rootfs/${path}`,
  content,
  mode,
});
const folder = (path: string): Member => ({ name: `rootfs/${path}`, type: '5' });
const link = (path: string, to: string): Member => ({
  name: `rootfs/${path}`,
  type: '2',
  linkName: to,
});

/** The ACIs of the validator, in an order in which they can be imported. */
export function aceImages(): Buffer[] {
  const program = [
    folder('bin'),
    file('bin/busybox', readFileSync('/bin/busybox'), 0o755),
    ...APPLETS.split(' ').map((name) => link(`bin/${name}`, 'busybox')),
    folder('ace'),
    folder('ace/checks'),
    file('ace/validate', readFileSync(new URL('validate', import.meta.url)), 0o755),
    ...checks.flatMap(({ section, sentence, script }, index) => [
      file(`ace/checks/${index}`, `${script}\n`),
      file(`ace/checks/${index}.name`, `${section}: ${sentence}\n`),
    ]),
  ];
  const main = [
    ...program,
    file('name', 'main\n'),
    file('only-main', ''),
    file('own', 'main\n'),
    folder('dir'),
    file('dir/file', ''),
    folder('full'),
    file('full/hidden', ''),
    file('in-the-way', ''),
  ];
  const handler = (name: 'pre-start' | 'post-stop') => ({
    name,
    exec: ['/ace/validate', name, ...checksOf(name).map(String)],
  });
  return [
    aci('example.org/ace-lower', {}, [
      file('order', 'lower\n'),
      file('lower', 'lower\n'),
      file('own', 'lower\n'),
      file('unlisted-lower', ''),
      folder('elsewhere'),
      link('dir', '/elsewhere'),
    ]),
    aci('example.org/ace-upper', {}, [file('order', 'upper\n')]),
    aci(
      MAIN,
      {
        dependencies: ['lower', 'upper'].map((name) => ({ imageName: `example.org/ace-${name}` })),
        pathWhitelist: [
          ...['/lower', '/order', '/elsewhere'],
          ...main.map(({ name }) => name.replace('rootfs', '')),
        ],
        app: {
          ...section('main'),
          eventHandlers: [handler('pre-start'), handler('post-stop')],
        },
      },
      [...main, file('unlisted', '')],
    ),
    aci(SIDE, { app: { ...section('side'), workingDirectory: '/work' } }, [
      ...program,
      file('name', 'side\n'),
      folder('work'),
      folder('new'),
    ]),
    aci(UNKNOWN, { app: { ...section('side'), exec: ['/bin/true'], ...unknown } }, program),
  ];
}

function section(role: 'main' | 'side') {
  return { exec: ['/ace/validate'], user: '0', group: '0', ...(role === 'side' ? isolated : {}) };
}

const unknown = { isolators: [{ name: 'example.org/unknown', value: true }] };
const isolated = { isolators: [{ name: 'os/linux/no-new-privileges', value: true }] };

function aci(name: string, fields: object, members: readonly Member[]): Buffer {
  const content = JSON.stringify({
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name,
    labels: [
      { name: 'version', value: '1.0' },
      { name: 'os', value: 'linux' },
      { name: 'arch', value: process.arch === 'arm64' ? 'aarch64' : 'amd64' },
    ],
    ...fields,
  });
  return archive([{ name: 'manifest', content }, { name: 'rootfs', type: '5' }, ...members]);
}
