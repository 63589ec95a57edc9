import { runHelper } from '../../service/helper.ts';
import { useNativePackages } from '../../systemd/native.ts';
import type { Context } from '../context.ts';
import { durationFlag } from '../duration.ts';
import { remoteCommand } from '../remote-command.ts';

/** sd_listen_fds(3): the first descriptor that was passed. */
const FIRST_FD = 3;

/** Serves the API, until there has been nothing to do for a while. */
export async function run({ globals, configured, flags }: Context): Promise<number> {
  useNativePackages();
  const activated = process.env['LISTEN_PID'] === String(process.pid);
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort());
  await runHelper({
    dataDir: async () => (await configured()).dataDir,
    trust: { system: globals.systemConfig, local: globals.localConfig },
    idle: durationFlag(flags, 'idle'),
    socket: activated ? FIRST_FD : undefined,
    commands: remoteCommand,
    signal: end.signal,
  });
  return 0;
}
