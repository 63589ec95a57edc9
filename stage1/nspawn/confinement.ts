import type { AppService } from './service.ts';
import type { Section } from './unit-text.ts';

/** What the app may do. */
export function confinement(app: AppService): Section[1] {
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
