import type { NameValue } from '../../src/appc/index.ts';
import { dropsVariable } from './launcher.ts';
import type { AppService, Bind } from './service.ts';
import { expandable, quoteBind, quoteWord, type Section, type Setting } from './unit-text.ts';

/** The app's file system and environment. */
export function rootSettings(app: AppService): Section[1] {
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
    ...app.environment
      .filter((variable) => !dropsVariable(variable))
      .map(({ name, value }) => ['Environment', quoteWord(`${name}=${value}`)] as const),
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
    ['InaccessiblePaths', app.inaccessiblePaths.map((path) => quoteWord(`-+${path}`)).join(' ')],
  ];
}

/** What systemd sets of its own accord, but for what the app sets itself. */
function foreignVariables(environment: readonly NameValue[]): string[] {
  const names = [
    ...['INVOCATION_ID', 'JOURNAL_STREAM', 'LANG', 'SYSTEMD_EXEC_PID'],
    ...['MEMORY_PRESSURE_WATCH', 'MEMORY_PRESSURE_WRITE'],
  ];
  return names.filter((name) => environment.every((variable) => variable.name !== name));
}

function bindSetting({ source, target, readOnly, alone, optional }: Bind): Setting {
  const paths = `${optional ? '-' : ''}${quoteBind(source, target)}${alone ? ':norbind' : ''}`;
  return [readOnly ? 'BindReadOnlyPaths' : 'BindPaths', paths];
}
