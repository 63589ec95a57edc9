// @vm: the host itself has to hold on both kinds.
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Host, hostKind, hostSuite, needs, startHost } from '../lib/host.ts';

const host = await startHost();

describe('the host', () => {
  test('has systemd as its first process, with nothing failed', async () => {
    expect((await host.exec(['cat', '/proc/1/comm'])).stdout).toBe('systemd\n');
    expect(await host.ok(['systemctl', 'is-system-running'])).toBe('running');
  });

  test('answers as machined', async () => {
    expect(await host.ok(['machinectl', 'list', '--no-legend'])).not.toContain('rror');
    const manager = ['org.freedesktop.machine1', '/org/freedesktop/machine1'];
    await host.ok(['busctl', 'introspect', ...manager]);
  });

  test('lets polkit deny an unprivileged user', async () => {
    const verb = ['systemctl', '--no-ask-password', 'start', 'systemd-hostnamed.service'];
    const { code, stderr } = await host.run(verb, { user: 'tester' });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/interactive authentication required|access denied/i);
  });

  test('has node, and the checkout read-only', async () => {
    expect(await host.ok(['node', '--version'])).toMatch(/^v\d+/);
    const { code, stderr } = await host.run(['touch', '/src/written']);
    expect(code).toBe(1);
    expect(stderr).toContain('Read-only file system');
  });

  test('runs rkt', async () => {
    expect(await host.ok(['rkt', 'version'])).toContain('rkt');
  });

  test('boots a nested machine that machinectl lists', async () => {
    const script = `
      mkdir -p /run/nest/up /run/nest/work /run/nest/root
      mount -t overlay overlay -o lowerdir=/,upperdir=/run/nest/up,workdir=/run/nest/work /run/nest/root
      systemd-run -q --unit=nest -p Delegate=yes -p KillMode=mixed --service-type=notify -p NotifyAccess=all \\
        systemd-nspawn -q --keep-unit --register=yes -M nest -D /run/nest/root --boot --notify-ready=yes \\
        --private-network --link-journal=no
      machinectl list --no-legend
      machinectl terminate nest`;
    expect(await host.ok(['sh', '-ec', script])).toContain('nest');
  });

  test('freezes a unit', async (context) => {
    needs(context, 'freeze');
    const script =
      'systemd-run -q --unit=cold sleep 100; systemctl freeze cold; cat /sys/fs/cgroup/system.slice/cold.service/cgroup.freeze; systemctl thaw cold; systemctl stop cold';
    expect(await host.ok(['sh', '-ec', script])).toBe('1');
  });
});

describe('a command in the host', () => {
  test('keeps its two streams and its exit code apart', async () => {
    const result = await host.run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(result).toMatchObject({ code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('reads its input to the end', async () => {
    const input = Buffer.alloc(300_000, 'some input\n');
    const { stdout } = await host.run(['sha256sum'], { input });
    const sum = execFileSync('sha256sum', { input }).toString();
    expect(stdout).toBe(sum);
  });

  test('gives back many bytes unchanged', async () => {
    const { stdoutBytes } = await host.run(['head', '-c', '1000000', '/dev/zero']);
    expect(stdoutBytes.equals(Buffer.alloc(1_000_000))).toBe(true);
  });

  test('gets its environment and its user', async () => {
    const options = { env: { COLOUR: 'a b' }, user: 'tester' };
    expect(await host.ok(['sh', '-c', 'echo "$COLOUR $(id -un)"'], options)).toBe('a b tester');
  });

  test('gets a terminal when asked to', async () => {
    const { code, stdout } = await host.run(['sh', '-c', 'tty; exit 3'], { tty: true });
    expect(stdout).toMatch(/^\/dev\/pts\/\d+/);
    expect(code).toBe(3);
  });

  test('is the main process of a unit, which gets signals', async () => {
    const running = host.start([
      'sh',
      '-c',
      'trap "echo got it; exit 4" TERM; echo ready; while :; do sleep 0.05; done',
    ]);
    await running.printed(/ready/);
    await running.kill('SIGTERM');
    expect(await running.done).toMatchObject({ code: 4, stdout: 'ready\ngot it\n' });
  });

  test('is killed when it takes too long', async () => {
    const endless = host.run(['sh', '-c', 'echo started; sleep 1000'], { timeout: 3000 });
    await expect(endless).rejects.toThrow('no end within 3000 ms');
  });

  test('runs beside others', async () => {
    const fifo = '/run/meet';
    await host.ok(['mkfifo', fifo]);
    const reader = host.ok(['cat', fifo]);
    await host.ok(['sh', '-c', `echo met > ${fifo}`]);
    expect(await reader).toBe('met');
  });

  test('finds files that were written, bytes and mode', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0]);
    await host.writeFile('/var/tmp/some folder/file', bytes, 0o751);
    expect(await host.readFile('/var/tmp/some folder/file')).toEqual(bytes);
    expect(await host.ok(['stat', '-c', '%a', '/var/tmp/some folder/file'])).toBe('751');
  });
});

/** A process's arguments and cgroups; nothing for one that has ended and waits to be reaped. */
function describeProcess(pid: string): string {
  const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'latin1');
  try {
    return /^State:\tZ/m.test(read('status')) ? '' : `${pid} ${read('cmdline')} ${read('cgroup')}`;
  } catch {
    return '';
  }
}

/** What a host could leave behind on the machine, as far as it bears the host's name. */
function traces(name: string): string[] {
  // What other hosts remove meanwhile find(1) complains of, and goes on.
  const find = (root: string): string[] =>
    spawnSync('find', [root, '-name', `*${name}*`, '-not', '-path', '/proc/*'])
      .stdout.toString()
      .split('\n');
  const processes = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map(describeProcess);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const loops = execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'])
    .toString()
    .split('\n');
  return [
    ...find('/sys/fs/cgroup'),
    ...find('/dev/shm'),
    ...find('/var/tmp'),
    ...processes,
    ...mounts,
    ...loops,
  ].filter((line) => line.includes(name));
}

/** Descriptors that keep namespaces, and so their numbers, from being used again. */
function holdNamespaces(ids: readonly string[]): number[] {
  const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'];
  const links = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => kinds.map((kind) => `/proc/${pid}/ns/${kind}`));
  return ids.flatMap((id) => {
    const link = links.find((path) => linkTarget(path)?.includes(`[${id}]`));
    return link ? [openSync(link, 'r')] : [];
  });
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function namespaces(): string[] {
  const lines = execFileSync('lsns', ['--noheadings', '--output', 'NS,TYPE,COMMAND'])
    .toString()
    .trim()
    .split('\n');
  return lines.map((line) => line.trim().split(/\s+/, 1)[0] ?? '');
}

describe('after its end the host has left nothing', () => {
  test('when it was stopped with work in it', async () => {
    const other = await Host.boot(hostKind, hostSuite);
    const ids =
      hostKind === 'container'
        ? ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'].map(async (kind) => {
            const link = (await other.exec(['readlink', `/proc/self/ns/${kind}`])).stdout;
            return /\d+/.exec(link)?.[0] ?? '';
          })
        : [];
    const own = await Promise.all(ids);
    const work = other.start([
      'sh',
      '-ec',
      `
      ip netns add leaves; ip link add leaves0 type veth peer name eth0 netns leaves
      truncate -s 20M /var/tmp/image; mkfs.ext4 -q /var/tmp/image; mount -o loop /var/tmp/image /mnt
      echo ready; setsid sleep 1000`,
    ]);
    await work.printed(/ready/);
    expect(traces(other.name)).not.toEqual([]);
    expect(namespaces()).toEqual(expect.arrayContaining(own));
    // The kernel gives a number that is free to the next namespace, of a host of another test.
    const held = holdNamespaces(own);
    await other.stop();
    expect(traces(other.name)).toEqual([]);
    expect(namespaces().filter((id) => own.includes(id))).toEqual([]);
    held.forEach(closeSync);
  });

  test('when its owner was killed, once the next one starts', async () => {
    const script = fileURLToPath(new URL(`../hosts/${hostKind}`, import.meta.url));
    const name = `orphan-${process.pid}`;
    const owner = `HOST_OWNER=$$ "$0" up "$1" "$2" && "$0" exec "$1" echo there && kill -KILL $$`;
    const argv = ['-c', owner, script, name, hostSuite];
    expect(spawnSync('bash', argv, { encoding: 'utf8' })).toMatchObject({
      signal: 'SIGKILL',
      stdout: expect.stringContaining('there'),
    });
    // Hosts of other tests start at the same time: one of them may be clearing it already.
    const left = () => {
      execFileSync(script, ['sweep'], { stdio: 'pipe' });
      return traces(name);
    };
    await expect.poll(left).toEqual([]);
  });
});
