import { spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { quoteAll, run, until } from './command.ts';
import type { Subject, Timing } from './hyperfine.ts';

/** What the bench lends: how it measures, prints and judges. */
export interface Bench {
  readonly work: string;
  /** rkt with a data folder. */
  readonly rkt: (dataDir: string) => readonly string[];
  /** podman, if it is here. */
  readonly podman: readonly string[] | undefined;
  readonly group: (title: string, subjects: readonly Subject[]) => Map<string, Timing>;
  readonly budget: (name: string, most: number, measured: number | undefined, min?: number) => void;
  readonly missing: (what: string) => void;
}

const LAYERS = 5;
/** Bytes of content. */
const LAYER_SIZE = 100_000_000;
const RKT = 'rkt fetch';
const PODMAN = 'podman pull';
const SKOPEO = 'skopeo copy; umoci unpack';

/** Fetches an image of 500 MB in five layers from a registry on this machine, beside those who can. */
export async function fetches(bench: Bench): Promise<void> {
  const { work } = bench;
  for (const program of ['docker-registry', 'skopeo'])
    if (!isHere(program)) return bench.missing(`fetch from a registry: no ${program}`);
  const layout = join(work, 'fetch-layout');
  await makeLayout(layout);
  const registry = await startRegistry(join(work, 'fetch-registry'));
  try {
    const image = `${registry.host}/bench:1`;
    const plain = ['--dest-tls-verify=false', '--preserve-digests'];
    run([
      'skopeo',
      '--insecure-policy',
      'copy',
      '-q',
      ...plain,
      `oci:${layout}:1`,
      `docker://${image}`,
    ]);
    run(['rm', '-rf', layout]);
    compareWith(bench, image);
    await measureMemory(bench, image);
  } finally {
    await registry.stop();
  }
}

function compareWith({ work, rkt, podman, group, budget, missing }: Bench, image: string): void {
  const [data, oci, bundle] = ['fetch-data', 'fetch-oci', 'fetch-bundle'].map((n) => join(work, n));
  const fetching = [
    ...rkt(data ?? ''),
    '--insecure-options=image,http',
    'fetch',
    `docker://${image}`,
  ];
  const subjects: Subject[] = [{ label: RKT, argv: fetching, prepare: ['rm', '-rf', data ?? ''] }];
  if (podman)
    subjects.push({
      label: PODMAN,
      argv: [...podman, 'pull', '--quiet', '--tls-verify=false', image],
      prepare: ['sh', '-c', `${quoteAll([...podman, 'rmi', '--force', image])} || true`],
    });
  else missing(PODMAN);
  if (isHere('skopeo') && isHere('umoci')) {
    const copy = ['skopeo', '--insecure-policy', 'copy', '-q', '--src-tls-verify=false'];
    const both = [
      quoteAll([...copy, `docker://${image}`, `oci:${oci}:1`]),
      quoteAll(['umoci', 'unpack', '--image', `${oci}:1`, bundle ?? '']),
    ];
    subjects.push({
      label: SKOPEO,
      argv: ['sh', '-c', both.join(' && ')],
      prepare: ['rm', '-rf', oci ?? '', bundle ?? ''],
    });
  } else missing(SKOPEO);
  const timings = group('fetch of 500 MB in 5 layers', subjects);
  const [own, ...others] = [RKT, PODMAN, SKOPEO].map((label) => timings.get(label));
  const fastest = (pick: (timing: Timing) => number) =>
    Math.min(...others.flatMap((timing) => (timing ? pick(timing) : [])));
  const ratio = (pick: (timing: Timing) => number) =>
    own && others.some(Boolean) ? pick(own) / fastest(pick) : undefined;
  budget(
    'rkt fetch / the faster of podman and skopeo + umoci',
    0.8,
    ratio(({ median }) => median),
    ratio(({ min }) => min),
  );
  run(['rm', '-rf', data ?? '', oci ?? '', bundle ?? '']);
  if (podman) run([...podman, 'rmi', '--force', image]);
}

/** The most memory that the process of a fetch ever had, in MB. */
async function measureMemory({ work, rkt, budget }: Bench, image: string): Promise<void> {
  const data = join(work, 'fetch-data');
  const [file = '', ...args] = rkt(data);
  const options = ['--insecure-options=image,http', 'fetch', `docker://${image}`];
  const child = spawn(file, [...args, ...options], { stdio: 'ignore' });
  let peak = 0;
  const look = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024);
    } catch {}
  }, 5);
  await new Promise((resolve) => child.once('exit', resolve));
  clearInterval(look);
  budget('MB of memory of that fetch, at most', 150, peak / 1e6);
  run(['rm', '-rf', data]);
}

function isHere(program: string): boolean {
  try {
    run(['sh', '-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

/** A layout with one image, tag 1: layers of 1,000 files of text and five large ones each, gzip. */
async function makeLayout(layout: string): Promise<void> {
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'rkt'), Buffer.alloc(16));
  // Letters take six of eight bits, so that gzip has something to do.
  const text = (size: number) =>
    stream
      .update(Buffer.alloc(Math.ceil((size * 3) / 4)))
      .toString('base64')
      .slice(0, size);
  const layers: object[] = [];
  const diffIds: string[] = [];
  for (let layer = 0; layer < LAYERS; layer++) {
    const root = join(layout, 'root');
    for (let n = 0; n < 1000; n++) {
      const folder = join(root, `srv/layer${layer}/folder${n % 20}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `file${n}`), text(LAYER_SIZE / 2000));
    }
    for (let n = 0; n < 5; n++)
      writeFileSync(join(root, `srv/layer${layer}/large${n}`), text(LAYER_SIZE / 10));
    const [tar, packed] = [join(layout, 'layer.tar'), join(layout, 'layer.tar.gz')];
    run(['tar', '--sort=name', '-C', root, '-cf', tar, '.']);
    run(['sh', '-c', `gzip -6 -n < ${tar} > ${packed}`]);
    diffIds.push(`sha256:${await sha256(tar)}`);
    const hex = await sha256(packed);
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
    layers.push({ mediaType, digest: `sha256:${hex}`, size: statSync(packed).size });
    run(['mv', packed, join(blobs, hex)]);
    run(['rm', '-rf', root, tar]);
  }
  const document = (mediaType: string, content: object) => {
    const bytes = JSON.stringify(content);
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const config = document('application/vnd.oci.image.config.v1+json', {
    os: 'linux',
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    config: { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = document(mediaType, { schemaVersion: 2, mediaType, config, layers });
  const annotations = { 'org.opencontainers.image.ref.name': '1' };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

/** Debian's docker-registry on a free port of the loopback, over plain HTTP. */
async function startRegistry(folder: string): Promise<{ host: string; stop(): Promise<void> }> {
  mkdirSync(folder);
  const port = 20_000 + (process.pid % 20_000);
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: `127.0.0.1:${port}`, secret: 'of the bench' },
  };
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve()).once('error', () => resolve());
  });
  const stop = async () => {
    child.kill();
    await ended;
  };
  let answers = false;
  try {
    await until('the start of the registry', () => {
      if (child.exitCode !== null || child.pid === undefined) throw new Error('it ended at once');
      const connection = createConnection(port, '127.0.0.1').once('error', () => {});
      connection.once('connect', () => {
        answers = true;
        connection.destroy();
      });
      return answers || undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: `127.0.0.1:${port}`, stop };
}
