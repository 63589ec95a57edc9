import { describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { expectClearedByGc, importBox, PATIENCE, state, traces } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
importBox(host);

let count = 0;

/** A pod without apps, started by this command line; gives its UUID and how that ends. */
async function sandbox(starter: readonly string[] = ['sh', '-c', '"$@"; exit $?', 'sh']) {
  const file = `/var/tmp/sandbox-${count++}`;
  const rkt = ['rkt', 'app', 'sandbox', '--net=none', `--uuid-file-save=${file}`];
  const running = host.start([...starter, ...rkt]);
  const read = async () => (await host.exec(['cat', file])).stdout;
  await expect.poll(read, { timeout: PATIENCE }).not.toBe('');
  const uuid = await read();
  await host.ok(['rkt', 'status', '--wait-ready=60s', uuid]);
  return { uuid, running };
}

const add = (uuid: string, name: string, script: string, ...flags: readonly string[]) =>
  host.ok(['rkt', 'app', 'add', uuid, BOX, `--name=${name}`, ...flags, '--', '-c', script]);

describe('a pod whose apps come and go, on a host with systemd', () => {
  test('is in a scope, known to machined, and stops in order', async () => {
    const { uuid, running } = await sandbox();
    expect(await state(host, uuid)).toBe('running');
    expect(await traces(host, uuid)).toContain(`rkt-${uuid}.scope`);
    expect(await host.ok(['machinectl', 'list', '--no-legend'])).toContain(`rkt-${uuid}`);
    await host.ok(['rkt', 'stop', uuid]);
    expect((await running.done).code).toBe(0);
    await expectClearedByGc(host, uuid);
  });

  test('starts an app, enters it, stops it and removes it', async () => {
    const { uuid, running } = await sandbox();
    await add(uuid, 'a', 'echo one; exec sleep 1000');
    await host.ok(['rkt', 'app', 'start', uuid, '--app=a']);
    const logs = () => host.ok(['rkt', 'logs', uuid, '--app=a']);
    await expect.poll(logs, { timeout: PATIENCE }).toContain('one');
    const word = ['rkt', 'app', 'exec', '--app=a', uuid, '/bin/echo', 'inside'];
    expect(await host.ok(word)).toBe('inside');
    await host.ok(['rkt', 'app', 'stop', uuid, '--app=a']);
    const status = () => host.ok(['rkt', 'app', 'status', uuid, '--app=a']);
    await expect.poll(status, { timeout: PATIENCE }).toContain('state=exited');
    expect(await state(host, uuid)).toBe('running');
    await host.ok(['rkt', 'app', 'rm', uuid, '--app=a']);
    expect(await host.ok(['rkt', 'app', 'list', uuid, '--no-legend'])).toBe('');
    await host.ok(['rkt', 'stop', uuid]);
    await running.done;
    await expectClearedByGc(host, uuid);
  });

  test('gives an app the limits that it asks for', async () => {
    const { uuid, running } = await sandbox();
    await add(uuid, 'greedy', 'exec dd if=/dev/zero of=/dev/null bs=64M count=1', '--memory=32Mi');
    await host.ok(['rkt', 'app', 'start', uuid, '--app=greedy']);
    const status = () => host.ok(['rkt', 'app', 'status', uuid, '--app=greedy']);
    await expect.poll(status, { timeout: PATIENCE }).toContain('exit_code=137');
    await host.ok(['rkt', 'stop', uuid]);
    await running.done;
  });

  test('gives an app the credentials of its unit', async () => {
    // systemd passes credentials by a mount; outside of containers it makes the root shared itself.
    await host.ok(['mount', '--make-rshared', '/']);
    const unit = [
      'systemd-run',
      '--quiet',
      '--pipe',
      '--wait',
      '--property=SetCredential=t:secret',
    ];
    const { uuid, running } = await sandbox(unit);
    const flags = ['--user=1000', '--group=1000'];
    await add(uuid, 'told', 'cat $(env | sed -n s/^CREDENTIALS_DIRECTORY=//p)/t', ...flags);
    await host.ok(['rkt', 'app', 'start', uuid, '--app=told']);
    const logs = () => host.ok(['rkt', 'logs', uuid, '--app=told']);
    await expect.poll(logs, { timeout: PATIENCE }).toContain('secret');
    await host.ok(['rkt', 'stop', uuid]);
    await running.done;
  });
});
