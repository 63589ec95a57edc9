// varlinkctl(1), which comes with systemd from version 255 on.
import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import { installHelper, shell } from './installed.ts';

const host = await startHost({ kind: 'container', suite: 'trixie' });
installHelper(host);
importBox(host);

const SOCKET = '/run/rkt/io.rkt.Rkt1';
const call = (flags: string, method: string, parameters: object) =>
  shell(
    host,
    `varlinkctl call -j ${flags} ${SOCKET} io.rkt.Rkt1.${method} '${JSON.stringify(parameters)}'`,
  );

test('tells what the service is', async () => {
  expect(await host.ok(['varlinkctl', 'info', SOCKET])).toMatch(/Product: rkt$/m);
  expect(await host.ok(['varlinkctl', 'list-interfaces', SOCKET])).toBe(
    'io.rkt.Rkt1\norg.varlink.service',
  );
});

test('takes the description for what it is, in whole and for every method', async () => {
  const text = await host.ok(['varlinkctl', 'introspect', SOCKET]);
  expect(text).toContain('method RunPod(');
  expect(text).toContain('error NoSuchPod(');
  await shell(
    host,
    `varlinkctl introspect ${SOCKET} io.rkt.Rkt1 > /tmp/idl; varlinkctl validate-idl /tmp/idl`,
  );
});

test('calls methods of the manager and of objects', async () => {
  const { object } = JSON.parse(await call('', 'GetImage', { image: BOX }));
  expect(JSON.parse(await call('', 'ImageGet', { object }))).toMatchObject({ Name: BOX });
});

test('has a pod run, and stopped', async () => {
  const options = { net: ['none'], arguments: [['sleep 1000']] };
  const { uuid, object } = JSON.parse(await call('', 'RunPod', { images: [BOX], options }));
  expect(JSON.parse(await call('', 'PodGet', { object }))).toMatchObject({ State: 'running' });
  await call('', 'StopPod', { uuid });
  expect(JSON.parse(await call('', 'PodGet', { object }))).toMatchObject({ State: 'exited' });
});

test('gets what a command prints piece by piece with --more', async () => {
  await host.ok(['rkt', 'prepare', BOX]);
  const command = { arguments: ['gc', '--grace-period=0s', '--expire-prepared=0s'] };
  const text = await call('--more --collect', 'Command', command);
  // RFC 7464: a record separator is before it.
  const answers: Record<string, unknown>[] = JSON.parse(text.slice(text.indexOf('[')));
  expect(answers.length).toBeGreaterThan(1);
  expect(answers.at(-1)).toEqual({ status: 0 });
});

test('fails with the name of the error', async () => {
  const { code, stderr, stdout } = await host.run([
    'varlinkctl',
    'call',
    SOCKET,
    'io.rkt.Rkt1.GetPod',
    '{"uuid":"ffff"}',
  ]);
  expect(code).not.toBe(0);
  expect(stderr).toContain('io.rkt.Rkt1.NoSuchPod');
  expect(stdout).toContain('there is no pod ');
});
