import { confinement } from './confinement.ts';
import { lifecycleSettings, startSettings } from './lifecycle.ts';
import { rootSettings } from './root-settings.ts';
import type { AppService } from './service.ts';
import { streamSettings } from './stream-settings.ts';
import { expandable, quoteCommand, unitText } from './unit-text.ts';

// An app's name has no underscore, so that these are never an app's.
export const POD = 'rkt_pod.service';
export const BARE = ['DefaultDependencies', 'no'] as const;
export const STAYS = [
  ['Type', 'oneshot'],
  ['RemainAfterExit', 'yes'],
] as const;

/** An app, as far as the names of its units go. */
type Named = { readonly process: { readonly name: string } };

/** The unit that runs the event handlers of an app. */
export function handlers(app: Named): string {
  return `rkt_handlers_${app.process.name}.service`;
}

/** For success and for failure: systemd hands over the result only to a unit with one cause. */
export function reapers({ process }: Named): [string, string] {
  return [`rkt_ended_${process.name}.service`, `rkt_failed_${process.name}.service`];
}

/** The service that is the app. */
export function appUnit(app: AppService): string {
  const sockets = (app.sockets ?? []).join(' ');
  const own = app.preStart || app.postStop ? [POD, handlers(app)] : [POD];
  const needs = [...own, ...(app.sockets ?? [])].join(' ');
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
        ...startSettings(app),
      ],
    ],
    [
      'Service',
      [
        ['Type', app.lifecycle.notifies ? 'notify' : 'exec'],
        app.lifecycle.notifies ? ['NotifyAccess', 'all'] : undefined,
        ['ExecStart', quoteCommand(app.process.exec)],
        ['TimeoutStartSec', 'infinity'],
        // Of a unit that names a user, root too, systemd 257 leaves CAP_SETPCAP inheritable.
        app.process.uid === 0 ? undefined : ['User', String(app.process.uid)],
        ['Group', String(app.process.gid)],
        app.process.groups.length > 0
          ? ['SupplementaryGroups', app.process.groups.join(' ')]
          : undefined,
        ...rootSettings(app),
        ...confinement(app),
        ...streamSettings(app),
        sockets ? (['Sockets', sockets] as const) : undefined,
        ...(app.credentials ?? []).map((name) => ['LoadCredential', `${name}:${name}`] as const),
        ...lifecycleSettings(app.lifecycle),
        ...app.limits,
      ],
    ],
  ]);
}

/**
 * The event handlers run as root in the app's root: one before the app starts, one after it has
 * stopped. A failing one ends the pod with its status.
 */
export function handlersUnit(app: AppService): string {
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
        ...streamSettings(app),
      ],
    ],
  ]);
}
