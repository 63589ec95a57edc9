import { SETTLE } from '../../src/stage1/app-control.ts';
import { appUnit, BARE, handlers, handlersUnit, POD, reapers, STAYS } from './app-unit.ts';
import { restartSettings } from './lifecycle.ts';
import type { AppService } from './service.ts';
import { unitText } from './unit-text.ts';

/**
 * The units of a pod: file name → text. The default target starts every app; `rkt_pod.service`
 * is needed by each of them, so that it stops, and with it the pod, when the last one has ended. A
 * failing app has its reaper start exit.target, which stops the others in order. SIGTERM for the
 * container manager arrives as halt.target.
 *
 * @param mutable apps may come later
 */
export function podUnits(apps: readonly AppService[], mutable: boolean): Map<string, string> {
  const settles = mutable || apps.some(({ lifecycle }) => lifecycle.restart !== 'no');
  const last = settles ? [SETTLE] : [];
  const names = apps.map((app) => `${app.process.name}.service`);
  const units = new Map<string, string>([
    [
      'default.target',
      target([
        ['Wants', [...names, READY].join(' ')],
        ['After', names.join(' ')],
      ]),
    ],
    ['shutdown.target', target([['RefuseManualStart', 'yes']])],
    [
      POD,
      unitText([
        ['Unit', [BARE, ['StopWhenUnneeded', 'yes'], EXIT]],
        ['Service', STAYS],
      ]),
    ],
    [READY, readyUnit(names)],
    [
      END,
      unitText([
        [
          'Unit',
          [
            BARE,
            ['Requires', ['shutdown.target', ...last].join(' ')],
            ['After', ['shutdown.target', ...last, ...apps.flatMap(reapers)].join(' ')],
            EXIT,
          ],
        ],
      ]),
    ],
  ]);
  units.set(
    'exit.target',
    target([
      ['Requires', END],
      ['After', END],
    ]),
  );
  if (settles) units.set(SETTLE, settlerUnit(apps));
  for (const app of apps) for (const [name, text] of appUnits(app)) units.set(name, text);
  return units;
}

/** The units of one app. */
export function appUnits(app: AppService): Map<string, string> {
  const units = new Map(reapers(app).map((reaper) => [reaper, reaperUnit(app)]));
  units.set(`${app.process.name}.service`, appUnit(app));
  if (app.preStart || app.postStop) units.set(handlers(app), handlersUnit(app));
  return units;
}

/** Every other way to end a pod is a link to `exit.target`. */
export const EXIT_ALIASES = ['halt', 'poweroff', 'reboot', 'kexec'].map((name) => `${name}.target`);

const READY = 'rkt_ready.socket';
export const END = 'rkt_end.service';
const EXIT = ['SuccessAction', 'exit-force'] as const;

function target(settings: readonly (readonly [string, string])[]): string {
  return unitText([['Unit', [BARE, ['AllowIsolate', 'yes'], ...settings]]]);
}

/**
 * Tells those who wait for the pod, through its folder, that every app has been started. A socket,
 * since its link takes no process to make; nobody connects to it.
 */
function readyUnit(apps: readonly string[]): string {
  return unitText([
    ['Unit', [BARE, ['After', apps.join(' ')], ['Conflicts', 'shutdown.target']]],
    [
      'Socket',
      [
        ['ListenSequentialPacket', '/rkt/ready'],
        ['Symlinks', '/rkt/supervisor-status'],
        ['SocketMode', '0600'],
        ['Accept', 'yes'],
      ],
    ],
  ]);
}

/** Has its turn when the apps that are told to stop have ended, and what they were is recorded. */
function settlerUnit(apps: readonly AppService[]): string {
  const before = [POD, 'shutdown.target', ...apps.flatMap(reapers)].join(' ');
  return unitText([
    ['Unit', [BARE, ['Requires', POD], ['After', before], ['StartLimitIntervalSec', '0']]],
    [
      'Service',
      [
        ['Type', 'oneshot'],
        ['ExecStart', '-/bin/sh /rkt/settler'],
        ['StandardOutput', 'null'],
      ],
    ],
  ]);
}

/** Started by the end of its app, which it learns of by MONITOR_* variables; holds the pod up. */
function reaperUnit(app: AppService): string {
  return unitText([
    ['Unit', [BARE, ['Requires', POD], ['After', POD], ...restartSettings(app)]],
    [
      'Service',
      [
        ['Type', 'oneshot'],
        ['ExecStart', `/bin/sh /rkt/reaper ${app.process.name} ${app.lifecycle.restart}`],
        ['StandardOutput', 'null'],
      ],
    ],
  ]);
}
