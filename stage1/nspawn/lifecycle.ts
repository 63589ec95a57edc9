import type { Lifecycle } from '../../src/stage1/lifecycle.ts';
import type { AppService } from './service.ts';
import type { Section } from './unit-text.ts';

/**
 * How the app is stopped and watched. An image that names its stop signal means it for its main
 * process alone, as in Docker; otherwise each process of the app is told.
 */
export function lifecycleSettings({ stopSignal, watchdog }: Lifecycle): Section[1] {
  return [
    ...(stopSignal
      ? ([
          ['KillSignal', stopSignal.name],
          ['KillMode', 'mixed'],
          ['SuccessExitStatus', stopSignal.name],
        ] as const)
      : []),
    ...(watchdog === undefined
      ? []
      : ([
          ['WatchdogSec', `${watchdog}ms`],
          ['NotifyAccess', 'all'],
        ] as const)),
  ];
}

/** Settings of the reaper's [Unit] that restart its app: it fails if the app is to start again. */
export function restartSettings({ process, lifecycle }: AppService): Section[1] {
  if (lifecycle.restart === 'no') return [];
  return [
    ['OnFailure', `${process.name}.service`],
    ['StartLimitIntervalSec', '0'],
  ];
}

/** The reaper counts the starts of an app; one that was told to stop is not started again. */
export function startSettings({ process, lifecycle }: AppService): Section[1] {
  if (lifecycle.restart === 'no') return [];
  return [
    ['StartLimitIntervalSec', '0'],
    ['ConditionPathExists', `!/rkt/status/${process.name}_stopping`],
  ];
}
