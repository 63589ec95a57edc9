// Debian has no dfuzzer; this asks as much of every object, and of the sockets.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, state } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import { answer, BUSES, installHelper, python, shell, useBus } from './installed.ts';

const host = await startHost();
installHelper(host);
importBox(host, { name: 'example.org/victim' });

const fuzz = readFileSync(new URL('./fuzz.py', import.meta.url), 'utf8');
const mainPid = () => shell(host, 'systemctl show -p MainPID --value rkt-helper');

let bystander: string;

beforeAll(async () => {
  const run = ['2', 'net', 'as', '1', 'none', 'arguments', 'aas', '1', '1', 'sleep 1000'];
  bystander = String((await answer(host, 'RunPod', ['sasa{sv}', '', '1', BOX, ...run]))[0]);
});

/** Objects of every kind, which may be removed. */
async function objects(): Promise<string> {
  await host.ok(['rkt', '--insecure-options=image', 'image', 'import', '/var/tmp/1.aci']);
  const [image] = await answer(host, 'GetImage', ['s', 'example.org/victim']);
  const [, pod] = await answer(host, 'PreparePod', ['sasa{sv}', '', '1', BOX, '0']);
  return JSON.stringify(['/', '/io/rkt/Rkt1', '/io/rkt/Rkt1/pod', pod, image]);
}

/** Runs a part of fuzz.py. It has to find nothing wrong, and to leave the helper and a pod running. */
async function expectBorne(script: string, user = 'root'): Promise<void> {
  await answer(host, 'ListPods', ['a{sv}', '0']);
  const pid = await mainPid();
  const { stdout, stderr } = await python(host, `${fuzz}\n${script}\nprint('end')`, user);
  expect(stdout, stderr).toBe('end\n');
  await answer(host, 'ListPods', ['a{sv}', '0']);
  expect(await mainPid()).toBe(pid);
  expect(await shell(host, 'journalctl -u rkt-helper -o cat -g "^ +at " || true')).toBe('');
  expect(await state(host, bystander)).toBe('running');
}

for (const user of ['root', 'tester'])
  test(`no member of any object does to ${user} what it should not`, async () => {
    await expectBorne(`for path in ${await objects()}: fuzz(path)`, user);
  });

describe.each(BUSES)('with %s,', (bus) => {
  useBus(host, bus);

  test('odd headers are borne', async () => {
    await expectBorne(`for path in ${await objects()}: odd_headers(path)`);
  });

  test('malformed messages are borne', () => expectBorne('malformed(600)'));

  test('huge and deep messages are borne', () => expectBorne('huge()'));
});

for (const user of ['root', 'member'])
  test(`no call by Varlink does to ${user} what it should not`, () =>
    expectBorne('varlink()', user));
