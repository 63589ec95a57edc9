import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isSystemdHost } from '../../src/systemd/host.ts';
import { run, until } from './command.ts';
import { fetches } from './fetch.ts';
import { buildAci, IMAGE, makeBigImage, makeRootfs, multiplyPods, rkt } from './fixtures.ts';
import { measure, type Subject, type Timing } from './hyperfine.ts';
import { family, matching, type Process, pss } from './memory.ts';
import { networks } from './network.ts';
import { bareNspawn, docker, PEER_IMAGE, type Peer, podman } from './peers.ts';
import { megabytes, milliseconds, ratio, table } from './table.ts';

// test/bench/run calls this, on the machine and in the container host, and says by environment:
// the node to use, the folder of what is measured, a scratch folder, a title, a cgroup's name.
const setting = (name: string) => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: start the bench by test/bench/run`);
  return value;
};
const node = setting('NODE');
const bench = setting('BENCH');
const work = setting('WORK');
const rounds = Number(setting('ROUNDS'));
const dataDir = join(work, 'data');
const own = rkt(node, bench, dataDir);
const listed = rkt(node, bench, join(work, 'listed'));
const notes: string[] = [];
const budgets: string[][] = [['budget', 'measured', 'at most', '', 'of the shortest runs']];

/** A subject that fails when it is tried is reported and left out. */
function tried(subjects: readonly Subject[]): Subject[] {
  return subjects.filter(({ label, argv, prepare }) => {
    try {
      if (prepare) run(prepare);
      run(argv);
      return true;
    } catch (error) {
      failed(label, error);
      return false;
    }
  });
}

function failed(label: string, error: unknown): void {
  notes.push(`NOT MEASURED: ${label}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function peer(name: string, make: () => Promise<Peer>): Promise<Peer | undefined> {
  try {
    return await make();
  } catch (error) {
    notes.push(`MISSING: ${name}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Measures a group of commands and prints them, each with its ratio to the first. */
function group(
  title: string,
  subjects: readonly Subject[],
  counts: { rounds: number; runs: number },
): Map<string, Timing> {
  const usable = tried(subjects);
  const timings = measure(work, usable, counts);
  const base = timings[0];
  const rows = usable.map(({ label }, index) => {
    const { median, min, cpu } = timings[index] ?? { median: NaN, min: NaN, cpu: NaN };
    return [
      label,
      milliseconds(median),
      milliseconds(min),
      milliseconds(cpu),
      ratio(median, base?.median ?? NaN),
      ratio(min, base?.min ?? NaN),
    ];
  });
  const head = [
    `${title} (${counts.rounds * counts.runs} runs)`,
    'median',
    'min',
    'cpu',
    'x',
    'x of min',
  ];
  console.log(`${table([head, ...rows])}\n`);
  return new Map(usable.map(({ label }, index) => [label, timings[index] as Timing]));
}

/** A budget that a part of what it compares is missing for is said to be unknown. */
function budget(name: string, most: number, measured: number | undefined, byMin?: number): void {
  const known = measured !== undefined && !Number.isNaN(measured);
  const verdict = known ? (measured <= most ? 'ok' : 'OVER') : 'unknown';
  const shortest = byMin === undefined || Number.isNaN(byMin) ? '' : byMin.toFixed(2);
  budgets.push([name, known ? measured.toFixed(2) : '-', String(most), verdict, shortest]);
}

function compare(
  name: string,
  most: number,
  a: Timing | undefined,
  ...others: readonly (Timing | undefined)[]
): void {
  const sum = (pick: (timing: Timing) => number) =>
    others.reduce((total, timing) => total + (timing ? pick(timing) : NaN), 0);
  const byMin = a ? a.min / sum((timing) => timing.min) : NaN;
  budget(name, most, a && a.median / sum((timing) => timing.median), byMin);
}

/** The processes of a pod whose app runs, once nothing comes or goes any more. */
function settled(pid: number, isApp: (command: string) => boolean): Promise<Process[]> {
  let before = '';
  let same = 0;
  return until('the start of a pod', () => {
    const found = family(pid);
    const now = found.map((one) => `${one.pid} ${one.command}`).join();
    same = now === before && found.some(({ command }) => isApp(command)) ? same + 1 : 0;
    before = now;
    return same === 10 ? found : undefined;
  });
}

async function memory(podmanPeer: Peer | undefined, dockerPeer: Peer | undefined): Promise<void> {
  const rows = [['memory (PSS) of an idle container beside its app', 'MB', 'processes']];
  const row = (label: string, found: readonly Process[]) => {
    const each = found.map((one) => pss(one));
    const total = each.reduce((sum, bytes) => sum + bytes, 0);
    const parts = found.map(
      ({ command }, n) => `${basename(command.split(' ')[0] ?? '')} ${megabytes(each[n] ?? NaN)}`,
    );
    rows.push([label, megabytes(total), parts.join(', ')]);
    return total / 1e6;
  };
  const isApp = (command: string) => command.startsWith('/bin/sleep');
  const uuidFile = join(work, 'uuid');
  const argv = [
    ...own,
    'run',
    '--net=none',
    `--uuid-file-save=${uuidFile}`,
    IMAGE,
    '--exec=/bin/sleep',
  ];
  const [file = '', ...args] = [...argv, '--', '100000'];
  const child = spawn(file, args, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const pod = await settled(child.pid ?? 0, isApp);
    // After two idle seconds the relay, which is nobody's child, gives back what its start took.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const relay = matching('pod-relay', readFileSync(uuidFile, 'utf8').trim());
    const beside = [...pod.filter(({ command }) => !isApp(command)), ...relay];
    budget('MB of PSS for an idle pod', 10, row('rkt (nspawn)', beside));
  } catch (error) {
    failed('memory of a pod', error);
  }
  run([...own, 'stop', readFileSync(uuidFile, 'utf8')]);
  await ended;
  const idle = async (label: string, other: Peer | undefined, monitor: string) => {
    if (!other) return;
    const command = [...other.run, '--detach', PEER_IMAGE, '/bin/sleep', '100000'];
    const id = run([...other.client, ...command]).trim();
    row(
      label,
      matching(monitor, id).filter(({ command }) => !command.includes(' run ')),
    );
    run([...other.client, 'rm', '--force', id]);
  };
  await idle('podman', podmanPeer, 'conmon');
  await idle('docker', dockerPeer, 'containerd-shim');
  if (dockerPeer) {
    row(
      'docker: dockerd, once',
      matching('dockerd', work).filter((p) => p.command.includes('--bridge')),
    );
    row('docker: containerd, once', matching('containerd', '--config', work));
  }
  console.log(`${table(rows)}\n`);
}

function once(podmanPeer: Peer | undefined): void {
  const atOnce = (count: number, argv: readonly string[]) => [
    join(bench, 'at-once'),
    String(count),
    ...argv,
  ];
  const start = [...own, 'run', '--net=none', IMAGE];
  const other = podmanPeer && [
    ...podmanPeer.client,
    ...podmanPeer.run,
    '--rm',
    PEER_IMAGE,
    '/bin/true',
  ];
  const timings = group(
    'starts at once',
    [
      { label: '1 rkt run', argv: atOnce(1, start) },
      { label: '16 rkt run', argv: atOnce(16, start) },
      ...(other
        ? [
            { label: '1 podman run', argv: atOnce(1, other) },
            { label: '16 podman run', argv: atOnce(16, other) },
          ]
        : []),
    ],
    { rounds, runs: 2 },
  );
  compare('16 starts at once / 1', 2.5, timings.get('16 rkt run'), timings.get('1 rkt run'));
}

function imports(): void {
  const aci = join(work, 'big.aci');
  buildAci(own, makeBigImage(work), aci);
  run(['rm', '-rf', join(work, 'big')]);
  const store = join(work, 'import');
  const tree = join(work, 'tree');
  const importing = [...rkt(node, bench, store), 'image', 'import', aci];
  const sh = (script: string) => ['sh', '-c', script];
  const tar = `mkdir ${tree} && tar -xpf ${aci} -C ${tree} --numeric-owner`;
  const timings = group(
    'import of 300 MB in 12,020 files',
    [
      { label: 'rkt image import', argv: importing, prepare: ['rm', '-rf', store] },
      { label: 'tar -x', argv: sh(tar), prepare: ['rm', '-rf', tree] },
      { label: 'sha512sum', argv: ['sha512sum', aci], prepare: ['true'] },
      {
        label: 'tar -x; sha512sum; sync -f',
        argv: sh(`${tar} && sha512sum ${aci} && sync -f ${tree}`),
        prepare: ['rm', '-rf', tree],
      },
    ],
    { rounds, runs: 1 },
  );
  const imported = timings.get('rkt image import');
  compare(
    'import / (tar -x + sha512sum)',
    1.3,
    imported,
    timings.get('tar -x'),
    timings.get('sha512sum'),
  );
  compare(
    '  for information: / with sync -f',
    1.3,
    imported,
    timings.get('tar -x; sha512sum; sync -f'),
  );
  for (const folder of [store, tree, aci]) run(['rm', '-rf', folder]);
}

function starts(podmanPeer: Peer | undefined, dockerPeer: Peer | undefined, bare: string): void {
  const container = (other: Peer | undefined, label: string) =>
    other
      ? [{ label, argv: [...other.client, ...other.run, '--rm', PEER_IMAGE, '/bin/true'] }]
      : [];
  const timings = group(
    'start to end of /bin/true',
    [
      { label: 'node -e 0', argv: [node, '-e', '0'] },
      { label: 'rkt run --net=none (nspawn)', argv: [...own, 'run', '--net=none', IMAGE] },
      {
        label: 'rkt run --net=host (fly)',
        argv: [...own, 'run', '--net=host', '--stage1-name=stage1-fly', IMAGE],
      },
      { label: 'systemd-nspawn, same options and units', argv: [bare] },
      ...container(podmanPeer, 'podman run --rm --network=none'),
      ...container(dockerPeer, 'docker run --rm --net=none'),
    ],
    { rounds, runs: 4 },
  );
  const pod = timings.get('rkt run --net=none (nspawn)');
  compare('rkt run / podman run', 0.8, pod, timings.get('podman run --rm --network=none'));
  const commands = group(
    'commands',
    [
      { label: 'node -e 0', argv: [node, '-e', '0'] },
      { label: 'rkt version', argv: [...own, 'version'] },
      { label: 'rkt list, 100 pods', argv: [...listed, 'list'] },
    ],
    { rounds, runs: 10 },
  );
  compare('rkt version / node -e 0', 1.4, commands.get('rkt version'), commands.get('node -e 0'));
  compare('rkt list / node -e 0', 2, commands.get('rkt list, 100 pods'), commands.get('node -e 0'));
}

console.log(`\n== ${setting('TITLE')}; milliseconds\n`);
const rootfs = makeRootfs(work);
const aci = join(work, 'true.aci');
buildAci(own, join(work, 'image'), aci);
for (const command of [own, listed]) {
  run([...command, 'image', 'import', aci]);
  run([...command, 'run', '--net=none', IMAGE]);
}
mkdirSync(join(work, 'peers'));
const bare = bareNspawn(work, join(work, 'listed'), rootfs);
multiplyPods(join(work, 'listed'), 100);
const podmanPeer = await peer('podman', () =>
  podman(join(work, 'peers'), rootfs, setting('CGROUP')),
);
const dockerPeer = await peer('docker', () =>
  docker(join(work, 'peers'), rootfs, setting('CGROUP')),
);
try {
  starts(podmanPeer, dockerPeer, bare);
  // Elsewhere bridges and rules would stay on the machine.
  if (podmanPeer && isSystemdHost())
    networks(
      (net) => [...own, 'run', `--net=${net}`, IMAGE],
      podmanPeer,
      [PEER_IMAGE, '/bin/true'],
      (title, subjects) => group(title, subjects, { rounds, runs: 4 }),
      budget,
    );
  once(podmanPeer);
  await memory(podmanPeer, dockerPeer);
  imports();
  await fetches({
    work,
    rkt: (data) => rkt(node, bench, data),
    podman: podmanPeer?.client,
    group: (title, subjects) => group(title, subjects, { rounds, runs: 1 }),
    budget,
    missing: (what) => notes.push(`MISSING: ${what}`),
  });
} finally {
  await podmanPeer?.stop();
  await dockerPeer?.stop();
  run([...own, 'gc', '--grace-period=0s']);
}
console.log(table(budgets));
for (const note of notes) console.log(note);
const left = readdirSync(join(dataDir, 'pods/run'));
if (left.length > 0) console.log(`${left.length} pods were not collected`);
