// @vm: limits on cgroup version 2, which podman and rkt have in common.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostKind, needs, startHost } from '../../lib/host.ts';
import type { Running } from '../../lib/running.ts';
import { importBox, startPod } from './host-box.ts';
import type { ImageSpec } from './image.ts';

/**
 * What a process can tell of its confinement, and what it may do: a line each. The calls are those
 * of busybox, which names the error that it gets.
 */
const PROBE = `
sed -n 's/^\\(Uid\\|Gid\\|Groups\\|Cap...\\|NoNewPrivs\\|Seccomp\\|Seccomp_filters\\):[[:space:]]*/\\1: /p' /proc/self/status
hash() { sha256sum | dd bs=12 count=1 2>/dev/null; echo; }
echo "mountinfo: $(cat /proc/self/mountinfo | hash)"
echo "root: $(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\/ \\(r.\\).*/\\1/p' /proc/self/mountinfo)"
echo "namespaces: $(for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done | hash)"
echo "limits: $(cat /proc/self/limits | hash)"
echo "oom_score_adj: $(cat /proc/self/oom_score_adj)"
call() {
  name=$1; shift
  code=0; out=$(busybox "$@" 2>&1) || code=1
  # Not every program says so with its exit status.
  case $out in *permitted*) code=1 ;; esac
  if [ $code = 0 ]; then echo "$name: ok"; else echo "$name: $(echo "$out" | sed -n 's/.*: //p')"; fi
}
call mount mount -t tmpfs none /tmp
call umount umount /tmp
call unshare-mount unshare -m true
call unshare-user unshare -U true
call sethostname hostname intruder
call settime date -s "$(busybox date '+%Y-%m-%d %H:%M:%S')"
call mknod mknod /tmp/node-$$ b 7 0
call chroot chroot / true
call swapoff swapoff /dev/null
call pivot_root pivot_root / /tmp
call chown chown 5 /tmp/mine-$$
call write-root touch /written-$$
call write-proc dd if=/dev/null of=/proc/sys/kernel/core_pattern
call read-kcore dd if=/proc/kcore of=/dev/null bs=1 count=1
`;

const probe: ImageSpec['files'] = {
  '/probe': `rm -f /tmp/node-$$; touch /tmp/mine-$$ 2>/dev/null\n${PROBE}`,
  '/tmp': { folder: true, mode: 0o1777 },
};
const IMAGE = 'example.org/probe';
const NNP = 'example.org/probe-nnp';
const host = await startHost();
importBox(
  host,
  { name: IMAGE, files: probe },
  {
    name: NNP,
    files: probe,
    app: { isolators: [{ name: 'os/linux/no-new-privileges', value: true }] },
  },
);

const CAPS =
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FSETID FOWNER KILL MKNOD NET_RAW NET_BIND_SERVICE SETUID SETGID SETPCAP SETFCAP SYS_CHROOT'.split(
    ' ',
  );
const caps = (names: readonly string[]) => [
  '--cap-drop=all',
  ...names.map((name) => `--cap-add=${name}`),
];

interface Row {
  readonly name: string;
  readonly image?: string;
  readonly flags: readonly string[];
  readonly podman: readonly string[];
  /** The app's user is not root, as which enter comes. */
  readonly user?: true;
  readonly vm?: true;
}

const rows: readonly Row[] = [
  { name: 'defaults', flags: [], podman: caps(CAPS) },
  {
    name: '--caps-retain',
    flags: ['--caps-retain=CAP_CHOWN,CAP_NET_BIND_SERVICE'],
    podman: caps(['CHOWN', 'NET_BIND_SERVICE']),
  },
  {
    name: '--caps-remove',
    flags: ['--caps-remove=CAP_MKNOD,CAP_SYS_CHROOT,CAP_KILL'],
    podman: caps(CAPS.filter((name) => !['MKNOD', 'SYS_CHROOT', 'KILL'].includes(name))),
  },
  {
    name: '--seccomp retain',
    flags: ['--seccomp=mode=retain,@docker/default-whitelist'],
    podman: caps(CAPS),
  },
  {
    name: '--seccomp remove',
    flags: ['--seccomp=mode=remove,errno=EXDEV,chroot'],
    podman: [...caps(CAPS), '--security-opt=seccomp=/var/tmp/no-chroot.json'],
  },
  {
    name: 'no-new-privileges',
    image: NNP,
    flags: [],
    podman: [...caps(CAPS), '--security-opt=no-new-privileges'],
  },
  {
    name: '--user',
    flags: ['--user=1000', '--group=1001', '--supplementary-gids=7,8'],
    podman: [
      ...caps(CAPS),
      '--user=1000:1001',
      '--group-add=7',
      '--group-add=8',
      '--security-opt=no-new-privileges',
    ],
    user: true,
  },
  {
    name: '--readonly-rootfs',
    flags: ['--readonly-rootfs=true'],
    podman: [...caps(CAPS), '--read-only', '--read-only-tmpfs=false'],
  },
  {
    name: '--memory --cpu',
    flags: ['--memory=64Mi', '--cpu=500m'],
    podman: [...caps(CAPS), '--memory=64m', '--cpus=0.5'],
    vm: true,
  },
];

type Facts = ReadonlyMap<string, string>;
const COLUMNS = ['app', 'enter', 'app exec', 'podman'] as const;
const table = new Map<string, Record<(typeof COLUMNS)[number], Facts>>();

/** The cgroups of the process `sleep N`, as the host sees them, and what the files there say. */
const CGROUPS = `
pid=$(pgrep -fx "sleep $1")
echo "cgroups: $(sed 's/^[0-9]*://' /proc/$pid/cgroup | sort | tr '\\n' ' ')"
path=$(sed -n 's/^0:://p' /proc/$pid/cgroup)
for file in memory.max cpu.max pids.max; do
  for base in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    [ ! -f $base$path/$file ] || echo "$file: $(cat $base$path/$file)"
  done
done`;

let count = 41_000;

/** Starts a command that probes, and gathers what it prints and what the host sees of it. */
async function facts(start: (script: string) => Promise<Running>): Promise<[Facts, Running]> {
  const sleep = String(count++);
  const running = await start(`sh /probe; echo ready; exec sleep ${sleep}`);
  await running.printed(/ready/);
  const { stdout } = await host.exec(['sh', '-c', CGROUPS, 'sh', sleep]);
  const text = `${running.stdout.split('ready')[0]}${stdout}`;
  const lines = text.split(/\r?\n/).flatMap((line): [string, string][] => {
    const at = line.indexOf(': ');
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 2).trim()]];
  });
  return [new Map(lines), running];
}

const PODMAN = [
  'podman',
  '--root=/var/tmp/podman',
  '--runroot=/run/podman-run',
  '--tmpdir=/run/podman-tmp',
  '--storage-driver=overlay',
  '--cgroup-manager=systemd',
  '--runtime=crun',
  '--events-backend=none',
  'run',
  '--rm',
  '--network=none',
  // What a container of containers may not raise.
  '--ulimit=nofile=1024:2048',
  '--ulimit=nproc=1000:1000',
];

/** crun refuses a cgroup2 beside version 1: podman gets a mount namespace without it. */
const HIDE = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';

async function measure({ name, image, flags, podman }: Row): Promise<void> {
  let uuid = '';
  const [app, running] = await facts(async (script) => {
    const pod = await startPod(host, [image ?? IMAGE, '--name=box', ...flags, '--', script]);
    uuid = pod.uuid;
    return pod.running;
  });
  const inApp = (...command: readonly string[]) =>
    facts(async (script) => host.start(['rkt', ...command, uuid, 'sh', '-c', script]));
  const [enter] = await inApp('enter');
  const [exec] = await inApp('app', 'exec');
  await host.ok(['rkt', 'stop', '--force', uuid]);
  await running.done;
  const [peer] = await facts(async (script) => {
    const argv = [
      ...PODMAN,
      ...podman,
      '--rootfs',
      '/var/tmp/probe/rootfs',
      '/bin/sh',
      '-c',
      script,
    ];
    return host.start(['unshare', '-m', 'sh', '-c', HIDE, 'sh', ...argv]);
  });
  table.set(name, { app, enter, 'app exec': exec, podman: peer });
}

beforeAll(async () => {
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['chroot'], action: 'SCMP_ACT_ERRNO', errnoRet: 18 }],
  };
  await host.writeFile('/var/tmp/no-chroot.json', JSON.stringify(profile));
  await host.ok(['sh', '-c', 'mkdir /var/tmp/probe && tar -xf /var/tmp/1.aci -C /var/tmp/probe']);
});

/** What differs by design for one who enters an app of another user as root. */
const OF_USER =
  /^(Uid|Gid|Groups|Cap(Prm|Eff)|mount|umount|unshare.*|set.*|mknod|chroot|swapoff|pivot_root|chown|write-.*|read-.*)$/;

/** On the VM, which takes seconds for each of 36 processes, what version 2 of cgroups makes different. */
const shown = rows.filter(({ vm, name }) => (hostKind === 'vm' ? vm || name === 'defaults' : !vm));

const SETPCAP = '0000000000000100';

describe.each(shown)('$name', (row) => {
  beforeAll(() => measure(row), hostKind === 'vm' ? 900_000 : 300_000);
  const of = (column: (typeof COLUMNS)[number]) => table.get(row.name)?.[column] ?? new Map();
  /** systemd 257 leaves CAP_SETPCAP inheritable to users who are not root, and have no use of it. */
  const given = () => {
    const app = new Map(of('app'));
    if (row.user && app.get('CapInh') === SETPCAP) app.set('CapInh', '0'.repeat(16));
    return [...app];
  };

  test('is the same in the app and in app exec', () => {
    expect(of('app').get('Seccomp')).toMatch(/^[02]$/);
    expect(of('app').size).toBeGreaterThan(27);
    expect([...of('app exec')]).toEqual(given());
  });

  test('is the same in the app and in enter', () => {
    const compared = given().filter(([name]) => !row.user || !OF_USER.test(name));
    expect([...of('enter')].filter(([name]) => compared.some(([other]) => other === name))).toEqual(
      compared,
    );
  });

  test('gives enter root and no more than the bounding set', () => {
    const mask = (name: string) => BigInt(`0x${of('enter').get(name)}`);
    expect(of('enter').get('Uid')).toMatch(/^0\s/);
    expect(mask('CapEff') & ~BigInt(`0x${of('app').get('CapBnd')}`)).toBe(0n);
  });

  test('is at least as strict as podman', () => {
    const [app, podman] = [of('app'), of('podman')];
    for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(BigInt(`0x${app.get(name)}`) & ~BigInt(`0x${podman.get(name)}`)).toBe(0n);
    for (const name of ['NoNewPrivs', 'Seccomp'])
      expect(Number(app.get(name))).toBeGreaterThanOrEqual(Number(podman.get(name)));
    const calls = [...podman].slice([...podman.keys()].indexOf('mount'));
    const looser = calls.filter(([name, result]) => result !== 'ok' && app.get(name) === 'ok');
    expect(looser).toEqual([]);
  });
});

test('the limits are those that podman sets', (context) => {
  needs(context, 'nested-limits');
  const columns = table.get('--memory --cpu');
  for (const column of COLUMNS) {
    expect(columns?.[column].get('memory.max')).toBe(String(64 << 20));
    expect(columns?.[column].get('cpu.max')).toBe('50000 100000');
  }
});

/** One table: a block for each setting, a line for each fact. */
afterAll(() => {
  const lines = [...table].flatMap(([name, columns]) => {
    const facts = [...new Set(COLUMNS.flatMap((column) => [...columns[column].keys()]))];
    const cell = (text: string) => text.replace(/\s+/g, ' ').slice(0, 26).padEnd(27);
    return [
      '',
      `${name.padEnd(20)}${COLUMNS.map(cell).join('')}`,
      ...facts.map(
        (fact) =>
          `  ${fact.padEnd(18)}${COLUMNS.map((column) => cell(columns[column].get(fact) ?? '-')).join('')}`,
      ),
    ];
  });
  console.log(`confinement on the ${hostKind} host\n${lines.join('\n')}`);
});
