import type { AppService, Stream } from './service.ts';
import type { Section } from './unit-text.ts';

/** Where the app's input comes from and its output goes. */
export function streamSettings(app: AppService): Section[1] {
  const terminal = [app.stdin, app.stdout, app.stderr].map(terminalOf).find(Boolean);
  return [
    stream('StandardInput', app.stdin, 'file'),
    stream('StandardOutput', app.stdout, 'append'),
    stream('StandardError', app.stderr, 'append'),
    terminal === undefined ? undefined : ['TTYPath', terminal],
    ['SyslogIdentifier', app.process.name],
    ['IgnoreSIGPIPE', 'no'],
  ];
}

function terminalOf(stream: Stream): string | undefined {
  if (stream === 'tty') return '/dev/console';
  return typeof stream === 'object' && 'terminal' in stream ? stream.terminal : undefined;
}

function stream(setting: string, to: Stream, scheme: string): readonly [string, string] {
  if (terminalOf(to)) return [setting, setting === 'StandardInput' ? 'tty-force' : 'tty'];
  return [setting, typeof to === 'object' && 'file' in to ? `${scheme}:${to.file}` : 'null'];
}
