import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, state } from '../pods/host-box.ts';
import { boxPod, installRkt, podOf, writePod } from './installed.ts';

const host = await startHost();
installRkt(host);
importBox(host);

const STAYS = 'echo ready; exec sleep 1000';

async function log(unit: string): Promise<string> {
  return host.ok(['journalctl', '--unit', unit, '--output=cat', '--no-pager']);
}

async function property(unit: string, name: string): Promise<string> {
  return host.ok(['systemctl', 'show', '--value', '-p', name, unit]);
}

test('a pod file is a unit of its own after daemon-reload, ready when its apps run', async () => {
  await writePod(host, 'one.pod', boxPod(STAYS, { unit: '[Unit]\nDescription=the one' }));
  expect(await property('one', 'Description')).toBe('the one');
  expect(await property('one', 'SourcePath')).toBe('/etc/rkt/pods/one.pod');
  await host.ok(['systemctl', 'start', 'one']);
  expect(await state(host, await podOf(host, 'one'))).toBe('running');
  expect(await property('one', 'ActiveState')).toBe('active');
  const uuid = await podOf(host, 'one');
  await host.ok(['systemctl', 'stop', 'one']);
  expect(await state(host, uuid)).toBe('exited garbage');
  expect(await property('one', 'Result')).toBe('success');
});

test('rkt-pod@NAME runs a pod manifest whose images are names', async () => {
  const app = { exec: ['/bin/sh', '-c', STAYS], user: '0', group: '0' };
  const image = { name: 'example.org/box', labels: [{ name: 'version', value: '1.0' }] };
  const apps = [{ name: 'box', image, app }];
  const manifest = { acKind: 'PodManifest', acVersion: '0.8.11', apps };
  await host.writeFile('/etc/rkt/pods/named.json', JSON.stringify(manifest));
  await host.ok(['systemctl', 'start', 'rkt-pod@named']);
  const uuid = await podOf(host, 'named');
  const { apps: found } = JSON.parse(await host.ok(['rkt', 'cat-manifest', uuid]));
  expect(found[0].image.id).toMatch(/^sha512-/);
  await host.ok(['systemctl', 'stop', 'rkt-pod@named']);
});

test('rkt-pod@NAME runs a pod file where there is one', async () => {
  await host.writeFile('/etc/rkt/pods/both.pod', boxPod('echo from the file'));
  await host.writeFile('/etc/rkt/pods/both.json', '{}');
  await host.ok(['systemctl', 'start', 'rkt-pod@both']);
  await expect.poll(() => log('rkt-pod@both'), { timeout: PATIENCE }).toContain('from the file');
});

test('a pod that is not there is told', async () => {
  expect((await host.run(['systemctl', 'start', 'rkt-pod@none'])).code).not.toBe(0);
  await expect.poll(() => log('rkt-pod@none')).toContain('/etc/rkt/pods/none.json');
});

test.each([
  ['memory=lots', 'memory: bad quantity'],
  ['wrong=1', 'wrong: there is no such key'],
  ['readonly-rootfs', '"readonly-rootfs" is neither'],
])(
  'a bad line (%s) fails the unit, with file, line and key in log and status',
  async (app, why) => {
    const name = `bad-${app.replace(/\W.*/, '')}`;
    await writePod(host, `${name}.pod`, boxPod(STAYS, { app }));
    expect((await host.run(['systemctl', 'start', name])).code).not.toBe(0);
    const place = `/etc/rkt/pods/${name}.pod:7: ${why}`;
    await expect.poll(() => log(name)).toContain(place);
    expect(await property(name, 'StatusText')).toContain(place);
  },
);

test('[Install] makes the links, also for names that are continued', async () => {
  const install =
    '[Install]\nWantedBy=multi-user.target \\\n  timers.target\nRequiredBy=x.target\nAlias=other.service\n';
  await writePod(host, 'linked.pod', `${boxPod(STAYS)}${install}`);
  const links = ['multi-user.target.wants', 'timers.target.wants', 'x.target.requires'];
  for (const folder of links)
    expect(await host.ok(['readlink', `/run/systemd/generator/${folder}/linked.service`])).toBe(
      '../linked.service',
    );
  expect(await property('other', 'Id')).toBe('linked.service');
});

test('a file with a name that no unit can have makes no unit and no harm', async () => {
  await host.writeFile('/etc/rkt/pods/a b$(x).pod', boxPod(STAYS));
  await writePod(host, 'beside.pod', boxPod(STAYS));
  const made = await host.ok(['ls', '/run/systemd/generator']);
  expect(made).toContain('beside.service');
  expect(made).not.toContain('a b');
});

test('what is generated is what systemd-analyze has nothing against', async () => {
  await writePod(host, 'fine.pod', boxPod(STAYS));
  const files = [
    '/run/systemd/generator/fine.service',
    '/usr/lib/systemd/system/rkt-pod@x.service',
  ];
  const { stderr } = await host.run(['systemd-analyze', 'verify', '--man=no', ...files]);
  expect(stderr).toBe('');
});

test('the generator needs no Node', async () => {
  await host.writeFile('/etc/rkt/pods/many.pod', boxPod(STAYS));
  const generator = '/usr/lib/systemd/system-generators/rkt-generator';
  const without = ['env', '-i', 'PATH=/usr/bin:/bin', 'sh', '-c'];
  await host.ok([
    ...without,
    `! command -v node && ${generator} /tmp/g && test -s /tmp/g/many.service`,
  ]);
});

test('reload sends SIGHUP to apps that handle it, and leaves others running', async () => {
  const second = '\n[App deaf]\nimage=example.org/box\narg="exec sleep 1000"\n';
  const trap = 'trap "echo again" HUP; echo ready; while :; do sleep 0.1; done';
  await writePod(host, 'reloaded.pod', `${boxPod(trap)}${second}`);
  await host.ok(['systemctl', 'start', 'reloaded']);
  await expect.poll(() => log('reloaded'), { timeout: PATIENCE }).toContain('ready');
  await host.ok(['systemctl', 'reload', 'reloaded']);
  await expect.poll(() => log('reloaded'), { timeout: PATIENCE }).toContain('again');
  expect(await property('reloaded', 'ActiveState')).toBe('active');
  const running = await host.ok([
    'rkt',
    'enter',
    '--app=deaf',
    await podOf(host, 'reloaded'),
    '/bin/echo',
    'alive',
  ]);
  expect(running).toBe('alive');
  await host.ok(['systemctl', 'stop', 'reloaded']);
});

test('a restart makes another pod', async () => {
  await writePod(host, 'again.pod', boxPod(STAYS));
  await host.ok(['systemctl', 'start', 'again']);
  const first = await podOf(host, 'again');
  await host.ok(['systemctl', 'restart', 'again']);
  const second = await podOf(host, 'again');
  expect(second).not.toBe(first);
  expect(await state(host, first)).toBe('exited garbage');
  await host.ok(['systemctl', 'stop', 'again']);
});

test('Restart=on-failure of the unit restarts a pod that fails', async () => {
  const unit = '[Service]\nRestart=on-failure\nRestartSec=0\n';
  const script = 'if [ -e /data/seen ]; then exec sleep 1000; fi; touch /data/seen; exit 3';
  await host.ok(['mkdir', '-p', '/var/tmp/restart']);
  const pod = 'volume=data,kind=host,source=/var/tmp/restart';
  const app = 'mount=volume=data,target=/data';
  await writePod(host, 'failing.pod', boxPod(script, { unit, pod, app }));
  await host.run(['systemctl', 'start', 'failing']);
  await expect.poll(() => property('failing', 'NRestarts'), { timeout: PATIENCE }).toBe('1');
  await expect.poll(() => property('failing', 'ActiveState'), { timeout: PATIENCE }).toBe('active');
  await host.ok(['systemctl', 'stop', 'failing']);
});

test('units that depend on a pod start when it is ready', async () => {
  await writePod(host, 'base.pod', boxPod(STAYS));
  const unit = '[Unit]\nRequires=base.service\nAfter=base.service';
  await writePod(host, 'upper.pod', boxPod(STAYS, { unit }));
  await host.ok(['systemctl', 'start', 'upper']);
  expect(await property('base', 'ActiveState')).toBe('active');
  await host.ok(['systemctl', 'stop', 'base']);
  expect(await property('upper', 'ActiveState')).toBe('inactive');
});

test('settings of a drop-in are those of the pod', async () => {
  await writePod(host, 'limited.pod', boxPod(STAYS));
  await host.writeFile('/etc/systemd/system/limited.service.d/m.conf', '[Service]\nTasksMax=99\n');
  await host.ok(['systemctl', 'daemon-reload']);
  await host.ok(['systemctl', 'start', 'limited']);
  expect(await property('limited', 'TasksMax')).toBe('99');
  const group = await property('limited', 'ControlGroup');
  const limit = await host.ok([
    'sh',
    '-c',
    'cat /sys/fs/cgroup/pids"$0"/pids.max /sys/fs/cgroup"$0"/pids.max 2>/dev/null; :',
    group,
  ]);
  expect(limit).toBe('99');
  await host.ok(['systemctl', 'set-property', '--runtime', 'limited', 'TasksMax=88']);
  expect(await property('limited', 'TasksMax')).toBe('88');
  expect(await state(host, await podOf(host, 'limited'))).toBe('running');
  await host.ok(['systemctl', 'stop', 'limited']);
});

test('the time that an image takes to come is not the start timeout of the unit', async () => {
  const server = `
import http.server, time, threading
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    time.sleep(4)
    self.send_response(200); self.end_headers()
    self.wfile.write(open('/var/tmp/0.aci', 'rb').read())
  def do_HEAD(self): self.send_response(404); self.end_headers()
http.server.HTTPServer(('127.0.0.1', 8099), H).serve_forever()`;
  await host.ok(['systemd-run', '--unit=slow-server', 'python3', '-c', server]);
  const pod = 'insecure-options=image,http';
  const unit = '[Service]\nTimeoutStartSec=2s\n';
  const text = boxPod(STAYS, { pod, unit }).replace(
    'image=example.org/box',
    'image=http://127.0.0.1:8099/box.aci',
  );
  await writePod(host, 'slow.pod', text);
  const started = await host.run(['systemctl', 'start', 'slow']);
  expect(await log('slow')).not.toContain('timeout');
  expect(started.code).toBe(0);
  await host.ok(['systemctl', 'stop', 'slow', 'slow-server']);
});
