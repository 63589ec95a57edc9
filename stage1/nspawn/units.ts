import type { NameValue } from '../../src/appc/index.ts';
import type { AppProcess } from '../../src/stage1/process.ts';
import {
  quoteBind,
  quoteCommand,
  quoteWord,
  type Section,
  type Setting,
  unitText,
} from './unit-text.ts';

/** What an app's service is made from. Paths in `binds` are the pod's at the left, the app's at the right. */
export interface AppService {
  readonly process: AppProcess;
  /** Absolute path of the app's root inside the pod. */
  readonly root: string;
  readonly environment: readonly NameValue[];
  readonly preStart: readonly string[] | undefined;
  readonly postStop: readonly string[] | undefined;
  readonly binds: readonly Bind[];
  /** Folders that are empty at the start and not the image's. */
  readonly temporary: readonly { readonly path: string; readonly readOnly: boolean }[];
  readonly readOnlyPaths: readonly string[];
  readonly inaccessiblePaths: readonly string[];
  readonly readOnlyRoot: boolean;
  /** Undefined: all of them. */
  readonly capabilities: readonly string[] | undefined;
  readonly seccomp:
    | {
        readonly mode: 'retain' | 'remove';
        readonly syscalls: readonly string[];
        readonly errno: string;
      }
    | undefined;
  readonly noNewPrivileges: boolean;
  readonly limits: readonly (readonly [string, string])[];
  /** Tells when it is ready by sd_notify(3). */
  readonly notifies: boolean;
  readonly stdin: Stream;
  readonly stdout: Stream;
  readonly stderr: Stream;
}

/** A mount of the pod's in an app's root; `alone` leaves out what is mounted below the source. */
export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly alone?: boolean;
  /** Left out when the pod does not have the source. */
  readonly optional?: boolean;
}

/** Where a stream of an app goes: nowhere, a file of the pod, the pod's terminal, the journal. */
export type Stream = 'null' | 'tty' | 'journal' | { readonly file: string };

/**
 * The units of a pod: file name → text. The default target starts every app; `rkt_pod.service`
 * is needed by each of them, so that it stops, and with it the pod, when the last one has ended. A
 * failing app has its reaper start exit.target, which stops the others in order. SIGTERM for the
 * container manager arrives as halt.target.
 */
export function podUnits(apps: readonly AppService[]): Map<string, string> {
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
            ['Requires', 'shutdown.target'],
            ['After', ['shutdown.target', ...apps.flatMap(reapers)].join(' ')],
            EXIT,
          ],
        ],
      ]),
    ],
  ]);
  for (const name of ['exit', 'halt', 'poweroff', 'reboot', 'kexec'])
    units.set(
      `${name}.target`,
      target([
        ['Requires', END],
        ['After', END],
      ]),
    );
  for (const app of apps) {
    for (const reaper of reapers(app)) units.set(reaper, reaperUnit(app));
    units.set(`${app.process.name}.service`, appUnit(app));
    if (app.preStart || app.postStop) units.set(handlers(app), handlersUnit(app));
  }
  return units;
}

// An app's name has no underscore, so that these are never an app's.
const POD = 'rkt_pod.service';
const READY = 'rkt_ready.service';
const END = 'rkt_end.service';
const BARE = ['DefaultDependencies', 'no'] as const;
const EXIT = ['SuccessAction', 'exit-force'] as const;
const STAYS = [
  ['Type', 'oneshot'],
  ['RemainAfterExit', 'yes'],
] as const;

function target(settings: readonly (readonly [string, string])[]): string {
  return unitText([['Unit', [BARE, ['AllowIsolate', 'yes'], ...settings]]]);
}

/** Tells those who wait for the pod, through its folder, that every app has been started. */
function readyUnit(apps: readonly string[]): string {
  return unitText([
    ['Unit', [BARE, ['After', apps.join(' ')], ['Conflicts', 'shutdown.target']]],
    [
      'Service',
      [
        ...STAYS,
        ['ExecStart', '/usr/bin/ln -sfn ready /rkt/supervisor-status'],
        ['StandardOutput', 'null'],
      ],
    ],
  ]);
}

function handlers(app: AppService): string {
  return `rkt_handlers_${app.process.name}.service`;
}

function appUnit(app: AppService): string {
  const needs = app.preStart || app.postStop ? `${POD} ${handlers(app)}` : POD;
  return unitText([
    [
      'Unit',
      [
        ['Description', expandable(app.process.name)],
        BARE,
        ['Requires', needs],
        ['After', needs],
        ['Conflicts', 'shutdown.target'],
        ['Before', 'shutdown.target'],
        ['OnSuccess', reapers(app)[0]],
        ['OnFailure', reapers(app)[1]],
      ],
    ],
    [
      'Service',
      [
        ['Type', app.notifies ? 'notify' : 'exec'],
        app.notifies ? ['NotifyAccess', 'all'] : undefined,
        ['ExecStart', quoteCommand(app.process.exec)],
        ['TimeoutStartSec', 'infinity'],
        ['User', String(app.process.uid)],
        ['Group', String(app.process.gid)],
        app.process.groups.length > 0
          ? ['SupplementaryGroups', app.process.groups.join(' ')]
          : undefined,
        ...rootSettings(app),
        ...confinement(app),
        ...streams(app),
        ...app.limits,
      ],
    ],
  ]);
}

/** For success and for failure: systemd hands over the result only to a unit with one cause. */
function reapers({ process }: AppService): [string, string] {
  return [`rkt_ended_${process.name}.service`, `rkt_failed_${process.name}.service`];
}

/** Started by the end of its app, which it learns of by MONITOR_* variables; holds the pod up. */
function reaperUnit(app: AppService): string {
  return unitText([
    ['Unit', [BARE, ['Requires', POD], ['After', POD]]],
    [
      'Service',
      [
        ['Type', 'oneshot'],
        ['ExecStart', `/bin/sh /rkt/reaper ${app.process.name}`],
        ['StandardOutput', 'null'],
      ],
    ],
  ]);
}

/**
 * The event handlers run as root in the app's root: one before the app starts, one after it has
 * stopped. A failing one ends the pod with its status.
 */
function handlersUnit(app: AppService): string {
  return unitText([
    [
      'Unit',
      [
        BARE,
        ['Requires', POD],
        ['After', POD],
        ['StopWhenUnneeded', 'yes'],
        ['Before', 'shutdown.target'],
        ['FailureAction', 'exit'],
      ],
    ],
    [
      'Service',
      [
        ...STAYS,
        app.preStart && (['ExecStart', quoteCommand(app.preStart)] as const),
        app.postStop && (['ExecStop', quoteCommand(app.postStop)] as const),
        ['TimeoutStartSec', 'infinity'],
        ...rootSettings(app),
        ...confinement(app),
        ...streams(app),
      ],
    ],
  ]);
}

function rootSettings(app: AppService): Section[1] {
  return [
    ['RootDirectory', app.root],
    ['MountAPIVFS', 'no'],
    ...app.temporary.map(
      ({ path, readOnly }): Setting => [
        'TemporaryFileSystem',
        `${path}:${readOnly ? 'ro,' : ''}mode=0755,nosuid,nodev`,
      ],
    ),
    ['WorkingDirectory', expandable(app.process.workingDirectory)],
    ...app.environment.map(
      ({ name, value }) => ['Environment', quoteWord(`${name}=${value}`)] as const,
    ),
    ['UnsetEnvironment', foreignVariables(app.environment).join(' ')],
    ...app.binds.map(bindSetting),
    app.readOnlyRoot ? ['ReadOnlyPaths', '+/'] : undefined,
    app.readOnlyRoot
      ? [
          'ReadWritePaths',
          app.binds
            .filter((bind) => !bind.readOnly)
            .map((bind) => quoteWord(`+${bind.target}`))
            .join(' '),
        ]
      : undefined,
    ['ReadOnlyPaths', app.readOnlyPaths.map((path) => `-+${path}`).join(' ')],
    ['InaccessiblePaths', app.inaccessiblePaths.map((path) => `-+${path}`).join(' ')],
  ];
}

/** What systemd sets of its own accord, but for what the app sets itself. */
function foreignVariables(environment: readonly NameValue[]): string[] {
  const names = ['INVOCATION_ID', 'JOURNAL_STREAM', 'LANG', 'SYSTEMD_EXEC_PID'];
  return names.filter((name) => environment.every((variable) => variable.name !== name));
}

function bindSetting({ source, target, readOnly, alone, optional }: Bind): Setting {
  const paths = `${optional ? '-' : ''}${quoteBind(source, target)}${alone ? ':norbind' : ''}`;
  return [readOnly ? 'BindReadOnlyPaths' : 'BindPaths', paths];
}

function confinement(app: AppService): Section[1] {
  return [
    app.capabilities && ['CapabilityBoundingSet', app.capabilities.join(' ')],
    ...(app.seccomp
      ? ([
          ['SystemCallArchitectures', 'native'],
          [
            'SystemCallFilter',
            `${app.seccomp.mode === 'remove' ? '~' : ''}${app.seccomp.syscalls.join(' ')}`,
          ],
          ['SystemCallErrorNumber', app.seccomp.errno],
        ] as const)
      : []),
    app.noNewPrivileges ? ['NoNewPrivileges', 'yes'] : undefined,
  ];
}

function streams(app: AppService): Section[1] {
  return [
    ...stream('StandardInput', app.stdin, 'file'),
    ...stream('StandardOutput', app.stdout, 'append'),
    ...stream('StandardError', app.stderr, 'append'),
    ['SyslogIdentifier', app.process.name],
    ['IgnoreSIGPIPE', 'no'],
  ];
}

function stream(setting: string, to: Stream, scheme: string): Section[1] {
  if (typeof to !== 'string') return [[setting, `${scheme}:${to.file}`]];
  if (to === 'tty' && setting === 'StandardInput')
    return [
      [setting, 'tty-force'],
      ['TTYPath', '/dev/console'],
    ];
  return [[setting, to]];
}

/** A value that is not split into words, only expanded. */
function expandable(text: string): string {
  return text.replaceAll('%', '%%');
}
