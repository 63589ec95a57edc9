import { beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import type { Result } from '../../lib/running.ts';
import { FLY, type HostPod, importBox, PATIENCE, startPod } from '../pods/host-box.ts';
import { ask } from './net-box.ts';
import { makeOutside, OUTSIDE, outside, withoutNftables } from './outside.ts';

const host: Host = await startHost();

/** The host's curl, with its libraries, and a script that asks with the header and by the URL that the app has. */
importBox(host, {
  name: 'example.org/asker',
  app: {
    mountPoints: [{ name: 'usr', path: '/usr', readOnly: true }],
    exec: ['/bin/sh', '-c'],
  },
  annotations: [{ name: 'colour', value: 'red' }],
  files: {
    '/lib': { link: 'usr/lib' },
    '/lib64': { link: 'usr/lib64' },
    '/bin/ask': {
      mode: 0o755,
      text: `#!/bin/sh
path=$1; shift
exec curl -sS -m 60 -w '\\n%{http_code}\\n' -H 'Metadata-Flavor: AppContainer' "$@" "$AC_METADATA_URL/acMetadata/v1/$path"
`,
    },
  },
});
makeOutside(host);
beforeAll(async () => {
  await host.ok([
    'sh',
    '-ec',
    `systemd-sysusers /src/units/sysusers.d/*
    cp /src/units/rkt-metadata.socket /run/systemd/system/
    sed 's#/usr/bin/rkt#/usr/local/bin/rkt#' /src/units/rkt-metadata.service > /run/systemd/system/rkt-metadata.service
    systemctl daemon-reload
    systemctl start rkt-metadata.socket`,
  ]);
});

const ASKER = 'example.org/asker';
const USR = '--volume=usr,kind=host,source=/usr,readOnly=true';
const registered = (net: string, script: string): string[] => [
  ...['rkt', 'run', `--net=${net}`, '--mds-register', USR, ASKER, '--', script],
];
const said = (net: string, script: string): Promise<string> => host.ok(registered(net, script));

/** A pod that is registered and waits. */
function waiting(net = 'default'): Promise<HostPod> {
  const argv = ['--mds-register', USR, ASKER, '--', 'echo ready; exec sleep 1000'];
  return startPod(host, argv, `--net=${net}`);
}

async function urlOf(pod: HostPod): Promise<string> {
  return host.ok([
    'rkt',
    'enter',
    pod.uuid,
    'sh',
    '-c',
    'env | grep AC_METADATA_URL | cut -d= -f2',
  ]);
}

async function end(pod: HostPod): Promise<void> {
  await host.ok(['rkt', 'stop', pod.uuid]);
  await pod.running.done;
}

/** Asks from within a pod. */
function asks(pod: HostPod, url: string, ...flags: string[]): Promise<Result> {
  return host.run([
    ...['rkt', 'enter', pod.uuid, 'curl', '-sS', '-m', '60', '-H', 'Metadata-Flavor: AppContainer'],
    ...flags,
    url,
  ]);
}

describe('asked by curl from inside a pod, the service tells', () => {
  test.each(['default', 'default-restricted', 'host'])('the UUID, with --net=%s', async (net) => {
    expect(await said(net, 'ask pod/uuid')).toMatch(/^[0-9a-f-]{36}\n200$/);
  });

  test('the manifests of the pod and of the image, and its id', async () => {
    const lines = (
      await said(
        'default',
        'ask pod/manifest; ask apps/asker/image/manifest; ask apps/asker/image/id',
      )
    ).split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      acKind: 'PodManifest',
      apps: [{ name: 'asker' }],
    });
    expect(JSON.parse(lines[2] ?? '')).toMatchObject({ acKind: 'ImageManifest', name: ASKER });
    expect(lines[4]).toMatch(/^sha512-[0-9a-f]+$/);
  });

  test('annotations, all and one, and which there are not', async () => {
    const lines = await said(
      'default',
      'ask apps/asker/annotations; ask apps/asker/annotations/colour; ask apps/asker/annotations/size; ask apps/asker/annotations/_; ask apps/other/annotations',
    );
    const [all, , one, ok, , missing, , bad, , other] = lines.split('\n');
    expect(JSON.parse(all ?? '')).toContainEqual({ name: 'colour', value: 'red' });
    expect([one, ok, missing, bad, other]).toEqual(['red', '200', '404', '400', '404']);
  });

  test('signs, and verifies what it has signed alone', async () => {
    const script = `
      uuid=$(ask pod/uuid | head -n 1)
      signature=$(ask pod/hmac/sign --data-urlencode content=hello | head -n 1)
      ask pod/hmac/verify -d uuid=$uuid --data-urlencode content=hello --data-urlencode "signature=$signature"
      ask pod/hmac/verify -d uuid=$uuid --data-urlencode content=other --data-urlencode "signature=$signature"`;
    await host.writeFile('/run/sign.sh', script);
    const pod = await waiting();
    const lines = await host.ok([
      'rkt',
      'enter',
      pod.uuid,
      'sh',
      '-c',
      script.replaceAll('$', '$$'),
    ]);
    expect(lines.split('\n').filter((line) => /^\d{3}$/.test(line))).toEqual(['200', '403']);
    await end(pod);
  });

  test('nothing to who forgets the header, or has no token', async () => {
    const pod = await waiting();
    const url = await urlOf(pod);
    const codes = ['-o', '/dev/null', '-w', '%{http_code}'];
    const path = '/acMetadata/v1/pod/uuid';
    expect((await asks(pod, `${url}${path}`, ...codes)).stdout).toBe('200');
    const bare = ['rkt', 'enter', pod.uuid, 'curl', '-s', '-m', '60', ...codes, `${url}${path}`];
    expect((await host.run(bare)).stdout).toBe('403');
    expect(
      (await asks(pod, `http://169.254.169.255/${'0'.repeat(32)}${path}`, ...codes)).stdout,
    ).toBe('401');
    await end(pod);
  });
});

describe('the service is reached by its pods alone', () => {
  test('not by a pod that is not registered, though it knows a token', async () => {
    const pod = await waiting();
    const url = `${await urlOf(pod)}/acMetadata/v1/pod/uuid`;
    const script = `curl -sS -m 3 -H 'Metadata-Flavor: AppContainer' ${url}`;
    const argv = ['rkt', 'run', '--net=default', USR, ASKER, '--', script];
    expect((await host.run(argv)).stdout).not.toContain(pod.uuid);
    await end(pod);
  });

  test('each sees what its token is for', async () => {
    const [one, other] = [await waiting(), await waiting('default-restricted')];
    const path = '/acMetadata/v1/pod/uuid';
    expect((await asks(one, `${await urlOf(one)}${path}`)).stdout).toBe(one.uuid);
    expect((await asks(other, `${await urlOf(other)}${path}`)).stdout).toBe(other.uuid);
    await end(one);
    await end(other);
  });

  test('not from another machine, by no address', async () => {
    const pod = await waiting();
    for (const url of [`http://${OUTSIDE.host4}:18112/`, 'http://169.254.169.255/']) {
      await host.ok(outside(['ip', 'route', 'replace', '169.254.169.255', 'via', OUTSIDE.host4]));
      const { code } = await host.run(outside(['curl', '-sS', '-m', '2', url]));
      expect([7, 28]).toContain(code);
    }
    await end(pod);
  });

  test('and a pod reaches nothing else of the host’s loopback by it', async () => {
    const pod = await waiting();
    const listener = host.start([
      'socat',
      '-d',
      '-d',
      'TCP-LISTEN:7070,bind=127.0.0.9,fork',
      'SYSTEM:echo host',
    ]);
    await listener.printed(/listening/, 'stderr');
    expect(await host.ok(ask('127.0.0.9', 7070), { input: '' })).toBe('host');
    // What a pod with CAP_NET_ADMIN could do.
    const leader = await host.ok(['machinectl', 'show', '-p', 'Leader', '--value', pod.machine]);
    const inNetns = ['nsenter', '--net', `--target=${leader}`];
    await host.ok([
      ...inNetns,
      'sh',
      '-ec',
      `echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
      ip route del local 127.0.0.0/8 table local
      ip route add 127.0.0.0/8 via 172.16.28.1`,
    ]);
    expect((await host.run([...inNetns, ...ask('127.0.0.9', 7070)], { input: '' })).stdout).toBe(
      '',
    );
    await listener.kill('SIGTERM');
    await end(pod);
  });
});

test('with iptables, where libnftables is not there, it answers registered pods alone', () =>
  withoutNftables(host, async () => {
    const pod = await waiting();
    const url = `${await urlOf(pod)}/acMetadata/v1/pod/uuid`;
    expect((await asks(pod, url)).stdout).toBe(pod.uuid);
    const script = `curl -sS -m 3 -H 'Metadata-Flavor: AppContainer' ${url}`;
    const other = ['rkt', 'run', '--net=default', USR, ASKER, '--', script];
    expect((await host.run(other)).stdout).not.toContain(pod.uuid);
    await end(pod);
    expect(await host.ok(['iptables', '-t', 'nat', '-S'])).not.toContain('169.254.169.255');
  }));

describe('the service', () => {
  test('is started by a request, as its own user and with no capability', async () => {
    await host.ok(['systemctl', 'stop', 'rkt-metadata.service']);
    await said('default', 'ask pod/uuid');
    const pid = await host.ok([
      'systemctl',
      'show',
      '-p',
      'MainPID',
      '--value',
      'rkt-metadata.service',
    ]);
    const status = await host.ok(['cat', `/proc/${pid}/status`]);
    const uid = await host.ok(['id', '-u', 'rkt-metadata']);
    expect(status).toMatch(new RegExp(`^Uid:\\t${uid}\\t`, 'm'));
    expect(status).toMatch(/^CapEff:\t0+$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
  });

  test('has its pods and its key after a restart', async () => {
    const pod = await waiting();
    const url = await urlOf(pod);
    const sign = () => asks(pod, `${url}/acMetadata/v1/pod/hmac/sign`, '-d', 'content=x');
    const before = await sign();
    await host.ok(['systemctl', 'kill', '--signal=KILL', 'rkt-metadata.service']);
    await host.ok(['systemctl', 'stop', 'rkt-metadata.service']);
    const after = await sign();
    expect(before.stdout).toMatch(/^[A-Za-z0-9+/=]{80,}$/);
    expect(after.stdout).toBe(before.stdout);
    await end(pod);
  });

  test('forgets a pod at its end', async () => {
    const pod = await waiting();
    const url = (await urlOf(pod)).replace('169.254.169.255', '127.0.0.1:18112');
    const argv = [
      'curl',
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-H',
      'Metadata-Flavor: AppContainer',
      `${url}/acMetadata/v1/pod/uuid`,
    ];
    expect(await host.ok(argv)).toBe('200');
    await end(pod);
    await expect.poll(() => host.ok(argv), { timeout: PATIENCE }).toBe('401');
  });

  test('writes no token to the log', async () => {
    const pod = await waiting();
    const url = await urlOf(pod);
    await asks(pod, `${url}/acMetadata/v1/pod/uuid`);
    const log = () => host.ok(['journalctl', '-u', 'rkt-metadata.service']);
    await expect.poll(log).toContain('GET /TOKEN/acMetadata/v1/pod/uuid 200');
    expect(await log()).not.toContain(url.split('/').at(-1));
    await end(pod);
  });

  test('ends when nobody asks any more, and answers again', async () => {
    expect(await said('default', 'ask pod/uuid')).toMatch(/\n200$/);
    const ended = async () =>
      (await host.exec(['systemctl', 'is-active', 'rkt-metadata.service'])).stdout.trim();
    await expect.poll(ended, { timeout: 40_000 + PATIENCE, interval: 500 }).toBe('inactive');
    expect(await said('default', 'ask pod/uuid')).toMatch(/\n200$/);
  });

  test('is told of by fly, in the host’s network', async () => {
    const argv = [
      'rkt',
      'run',
      FLY,
      '--net=host',
      '--mds-register',
      USR,
      ASKER,
      '--',
      'ask pod/uuid',
    ];
    expect(await host.ok(argv)).toMatch(/^[0-9a-f-]{36}\n200$/);
  });
});

describe('by hand', () => {
  const byHand = (...flags: string[]) => {
    const service = host.start(['rkt', ...flags, 'metadata-service']);
    const listens = () =>
      host.exec(['test', '-S', '/run/rkt/metadata-svc.sock']).then(({ code }) => code);
    return { service, listens: () => expect.poll(listens, { timeout: PATIENCE }).toBe(0) };
  };
  beforeAll(() =>
    host.ok(['systemctl', 'stop', 'rkt-metadata.socket', 'rkt-metadata.service']).then(() => {}),
  );

  test('it keeps its state where root alone may go', async () => {
    await host.ok(['install', '-d', '-m', '700', '/root/closed']);
    const { service, listens } = byHand('--dir=/root/closed');
    await listens();
    expect(await said('default', 'ask pod/uuid')).toMatch(/\n200$/);
    await service.kill('SIGTERM');
    expect((await service.done).code).toBe(0);
    expect(await host.ok(['stat', '-c', '%U', '/root/closed/metadata/key'])).toBe('nobody');
  });

  test('it reads nothing as root', async () => {
    const folder = '/root/planted/metadata/pods';
    await host.ok(['sh', '-ec', `mkdir -p ${folder}; umask 077; echo '{}' > /root/secret.json`]);
    await host.ok(['ln', '-s', '/root/secret.json', `${folder}/planted.json`]);
    const { code, stderr } = await host.run(['rkt', '--dir=/root/planted', 'metadata-service']);
    expect(code).toBe(254);
    expect(stderr).toMatch(/^rkt: metadata-service: .*EACCES.*planted\.json/);
  });

  test('it serves until SIGTERM, as nobody, and a second one is refused', async () => {
    const { service, listens } = byHand();
    await listens();
    expect(await said('default', 'ask pod/uuid')).toMatch(/\n200$/);
    const second = await host.run(['rkt', 'metadata-service']);
    expect(second.code).toBe(254);
    expect(second.stderr).toContain('another metadata service does');
    await service.kill('SIGTERM');
    expect((await service.done).code).toBe(0);
  });

  test('without it a pod that asks for it says what to do', async () => {
    const { code, stderr } = await host.run(registered('default', 'true'));
    expect(code).toBe(254);
    expect(stderr).toContain('systemctl start rkt-metadata.socket');
  });
});
