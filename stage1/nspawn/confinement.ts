import { nativeCalls, type SeccompFilter } from '../../src/appc/index.ts';
import type { AppService } from './service.ts';
import type { Section } from './unit-text.ts';

type Settings = (readonly [string, string])[];

/** What the app may do. */
export function confinement(app: AppService): Section[1] {
  return [
    app.capabilities && ['CapabilityBoundingSet', app.capabilities.join(' ')],
    ...(app.seccomp ? filterSettings(app.seccomp, app) : []),
    app.noNewPrivileges ? ['NoNewPrivileges', 'yes'] : undefined,
  ];
}

/**
 * A filter for each architecture is compiled at the app's start, at a cost that grows faster than
 * the number of its rules: one architecture, and no rule for what that one lacks.
 */
function filterSettings(filter: SeccompFilter, app: AppService): Settings {
  const narrow = app.narrowPrograms;
  const known = (names: readonly string[]) => (narrow ? names : nativeCalls(names, process.arch));
  const syscalls = known(filter.syscalls).join(' ');
  return [
    ['SystemCallArchitectures', narrow ? 'native x86' : 'native'],
    ...(filter.mode === 'remove'
      ? ([['SystemCallFilter', `~${syscalls}`]] as const)
      : allowed(filter, syscalls, refusedCalls(known(filter.refused), app.process.uid))),
    ['SystemCallErrorNumber', filter.errno],
    ...(filter.namespaces ? [] : ([['RestrictNamespaces', 'yes']] as const)),
  ];
}

/** What systemd 257 gives up the rights of its own with, after it has set the filter. */
const GIVING_UP = ['capget', 'capset', 'prctl'];

/**
 * systemd 257 takes a call that a setting names for one that is allowed. Of a user who is not root it
 * gives up its rights only after setting the filter, and would fail, if all these calls were named.
 * Those that are not fail with ENOSYS.
 */
function refusedCalls(refused: readonly string[], uid: number): readonly string[] {
  return uid === 0 ? refused : refused.filter((name) => !GIVING_UP.includes(name));
}

/** The first setting decides that all else is forbidden; the last one of a call counts. */
function allowed(filter: SeccompFilter, syscalls: string, refused: readonly string[]): Settings {
  const groups = filter.syscalls.filter((name) => name.startsWith('@'));
  return [
    ['SystemCallFilter', syscalls],
    ...(refused.length === 0
      ? []
      : ([
          ['SystemCallFilter', `~${refused.map((name) => `${name}:EPERM`).join(' ')}`],
          // What no app can start without, and what groups share with the refused ones.
          ['SystemCallFilter', ['@default', ...groups].join(' ')],
        ] as const)),
  ];
}
