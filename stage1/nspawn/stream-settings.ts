import type { AppService, Stream } from './service.ts';
import type { Section } from './unit-text.ts';

/** Where the app's input comes from and its output goes. */
export function streamSettings(app: AppService): Section[1] {
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
