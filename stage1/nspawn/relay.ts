import { lchownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { App, ImageManifest, PodManifest } from '../../src/appc/index.ts';
import { versionedName } from '../../src/appc/versioned-name.ts';
import { mkfifo } from '../../src/os/syscalls.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { POD_FILES } from '../../src/stage1/pod-files.ts';
import type { AppProcess } from '../../src/stage1/process.ts';
import { findProgram } from '../../src/systemd/host.ts';
import { RELAY } from './relay-program.ts';
import { type Caller, STREAMS, type Streams } from './stdio.ts';

/** An app whose streams are relayed. */
export interface RelayedApp {
  readonly name: string;
  /** `NAME:VERSION` of its image. */
  readonly image: string;
  readonly uid: number;
  readonly gid: number;
  readonly streams: Streams;
  /** More may come when its main process has ended. */
  readonly again: boolean;
}

/** Whether something of an app's may write after its reaper has run: a handler, or the app, started anew. */
export function writesAgain(pod: PodManifest, { eventHandlers }: App): boolean {
  const isMutable = pod.annotations.some(
    ({ name, value }) => name === 'coreos.com/rkt/stage1/mutable' && value === 'true',
  );
  return isMutable || eventHandlers.some(({ name }) => name === 'post-stop');
}

/** An app as the relay has it; `again`: more may come when its main process has ended. */
export function relayedApp(
  { name, uid, gid }: AppProcess,
  image: ImageManifest,
  streams: Streams,
  again: boolean,
): RelayedApp {
  return { name, image: versionedName(image.name, image.labels), uid, gid, streams, again };
}

/** The numbers of clock_gettime(2) and madvise(2), which a program without modules has to know. */
const CALLS = process.arch === 'x64' ? ['228', '28'] : ['113', '233'];

/**
 * Lays out what the relay needs in the pod's folder, and gives what this process is to become so
 * that it stands beside `argv`. Nothing to do when the caller's terminal is the pod's own.
 *
 * @param inherited descriptors that are the pod's alone
 * @param shift what the users of the pod have on top on the host
 */
export function relayed(
  pod: { readonly uuid: string; readonly folder: string },
  caller: Caller,
  apps: readonly RelayedApp[],
  argv: readonly string[],
  inherited: readonly number[],
  shift?: number,
): readonly string[] {
  if (caller.stdin === 'tty') return argv;
  const root = join(pod.folder, POD_FILES.stage1Root);
  const program = join(root, 'rkt/relay');
  writeFileSync(program, RELAY);
  mkdirSync(join(pod.folder, POD_FILES.logs), { mode: 0o700 });
  layOutEnds(join(root, STREAMS), apps);
  const words = apps.flatMap((app) => relayWords(app, shift));
  const last = apps.length === 0 || apps.some((app) => app.again) ? 'pod' : 'apps';
  const own = [program, pod.uuid, inherited.join(','), ...CALLS, last, ...caller.sinks];
  return ['perl', ...own, ...words, '--', pathOf(argv[0] ?? ''), ...argv];
}

/** A FIFO is its app's, so that /dev/stdout can be opened; no app sees the folder. */
function layOutEnds(folder: string, apps: readonly RelayedApp[]): void {
  mkdirSync(folder, { mode: 0o700 });
  mkfifo(join(folder, 'sync'), 0o600);
  for (const app of apps) {
    const own = join(folder, app.name);
    mkdirSync(own, { mode: 0o700 });
    layOutAppEnds(own, app);
  }
}

/** The ends of one app, in a folder of its own. */
export function layOutAppEnds(folder: string, { uid, gid, streams }: RelayedApp): void {
  mkfifo(join(folder, 'done'), 0o600);
  for (const [index, stream] of ['stdin', 'stdout', 'stderr'].entries()) {
    const mode = streams.relayed[index];
    if (mode !== 'fifo' && mode !== 'caller') continue;
    const path = join(folder, stream);
    mkfifo(path, 0o600);
    lchownSync(path, uid, gid);
  }
}

/** What the relay is told about an app. With `shift` a terminal gets a group of the pod's, its root's. */
export function relayWords({ name, image, uid, streams }: RelayedApp, shift?: number): string[] {
  const owner = shift === undefined ? String(uid) : `${shift + uid}:${shift}`;
  return [name, image, owner, ...streams.relayed];
}

function pathOf(program: string): string {
  const path = findProgram(program);
  if (path) return path;
  throw new Stage1Error('missing-program', `cannot find ${program}: install systemd-container`);
}
