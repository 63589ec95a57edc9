import { enterApp } from './enter.ts';
import { Stage1Error } from './error.ts';

/** The entry point `enter` (contract 3.5): `--pid=N --appname=APP -- COMMAND ARG…`, in the pod's folder. */
export async function enter(podFolder: string, words: readonly string[]): Promise<number> {
  const at = words.indexOf('--');
  const [options, argv] = at < 0 ? [words, []] : [words.slice(0, at), words.slice(at + 1)];
  const given = new Map(
    options.map((word) => {
      const [, name = word, value = ''] = /^--([a-z]+)=(.*)$/s.exec(word) ?? [];
      return [name, value] as const;
    }),
  );
  const [pid, app] = [Number(given.get('pid')), given.get('appname')];
  if (!Number.isInteger(pid) || pid <= 0 || !app || argv.length === 0)
    throw new Stage1Error(
      'bad-arguments',
      `stage1 enter: --pid=N --appname=APP -- COMMAND expected, got "${words.join(' ')}"`,
    );
  const term = process.env['TERM'] ?? 'vt100';
  return enterApp({ podFolder, pid, app }, { argv, as: 'root', term });
}
