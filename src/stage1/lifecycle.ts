import { constants } from 'node:os';
import type { ImageManifest, RuntimeApp } from '../appc/index.ts';
import { Stage1Error } from './error.ts';

/** What becomes of an app over time, as annotations say it. */
export interface Lifecycle {
  readonly restart: 'no' | 'on-failure' | 'always';
  /** What asks the app to end; undefined: SIGTERM for each of its processes. */
  readonly stopSignal: Signal | undefined;
  /** The app has to report by sd_notify(3) at least this often, in milliseconds. */
  readonly watchdog: number | undefined;
  /** Tells when it is ready by sd_notify(3). */
  readonly notifies: boolean;
}

export interface Signal {
  /** As systemd writes it: `SIGQUIT`, `RTMIN+3`. */
  readonly name: string;
  readonly number: number;
}

/** The annotations that a lifecycle is read from. */
const LIFECYCLE_ANNOTATIONS = {
  /** Of the app in the pod manifest: `no`, `on-failure` or `always`. */
  restart: 'coreos.com/rkt/stage2/restart',
  /** Of the app or its image: `SIGQUIT`, `QUIT`, `3`, `RTMIN+3`. */
  stopSignal: 'appc.io/docker/stopsignal',
  /** Of the app or its image: `500ms`, `30s`, `2m`. */
  watchdog: 'coreos.com/rkt/stage2/watchdog',
  /** Of the image: `true`. */
  notifies: 'appc.io/executor/supports-systemd-notify',
} as const;

/** Reads the annotations of an app and of its image; where both have one, the app's counts. */
export function lifecycleOf(app: RuntimeApp, image: ImageManifest): Lifecycle {
  const value = (name: string, ...lists: readonly ImageManifest['annotations'][]) =>
    lists.flatMap((list) => list.filter((entry) => entry.name === name))[0]?.value;
  const both = [app.annotations, image.annotations] as const;
  const stopSignal = value(LIFECYCLE_ANNOTATIONS.stopSignal, ...both);
  const watchdog = value(LIFECYCLE_ANNOTATIONS.watchdog, ...both);
  return {
    restart: restartPolicy(app.name, value(LIFECYCLE_ANNOTATIONS.restart, app.annotations)),
    stopSignal: stopSignal === undefined ? undefined : signalOf(app.name, stopSignal),
    watchdog: watchdog === undefined ? undefined : milliseconds(app.name, watchdog),
    notifies: value(LIFECYCLE_ANNOTATIONS.notifies, image.annotations) === 'true',
  };
}

function restartPolicy(app: string, text = 'no'): Lifecycle['restart'] {
  if (text === 'no' || text === 'on-failure' || text === 'always') return text;
  throw bad(app, LIFECYCLE_ANNOTATIONS.restart, text, 'no, on-failure or always');
}

const UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
]);

function milliseconds(app: string, text: string): number {
  const [, amount, unit = ''] = /^([1-9]\d{0,8})(ms|s|m)$/.exec(text) ?? [];
  const factor = UNITS.get(unit);
  if (amount !== undefined && factor !== undefined) return Number(amount) * factor;
  throw bad(app, LIFECYCLE_ANNOTATIONS.watchdog, text, 'a duration such as 500ms, 30s or 2m');
}

/** The first and the last real-time signal that the C library leaves to programs: signal(7). */
const [RTMIN, RTMAX] = [34, 64];

function signalOf(app: string, text: string): Signal {
  const word = text.toUpperCase().replace(/^SIG/, '');
  const [, base, offset = '0'] = /^(RTMIN|RTMAX)(?:[+-](\d+))?$/.exec(word) ?? [];
  const number = base
    ? base === 'RTMIN'
      ? RTMIN + Number(offset)
      : RTMAX - Number(offset)
    : /^\d+$/.test(word)
      ? Number(word)
      : [...names].find(([, name]) => name === `SIG${word}`)?.[0];
  const name = number !== undefined ? signalName(number) : undefined;
  if (number !== undefined && name !== undefined) return { name, number };
  throw bad(app, LIFECYCLE_ANNOTATIONS.stopSignal, text, 'a signal such as SIGQUIT or 3');
}

/** Some numbers have a second name, which comes later and would win. */
const names = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

function signalName(number: number): string | undefined {
  if (number >= RTMIN && number <= RTMAX) return `RTMIN+${number - RTMIN}`;
  return names.get(number);
}

function bad(app: string, annotation: string, value: string, wanted: string): Stage1Error {
  return new Stage1Error(
    'app-setup',
    `the annotation ${annotation} of app "${app}" must be ${wanted}, not ${JSON.stringify(value)}`,
  );
}
