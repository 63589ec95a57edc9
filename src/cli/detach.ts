import { SystemBus } from '../systemd/bus.ts';
import { SystemdError } from '../systemd/error.ts';
import { isSystemdHost } from '../systemd/host.ts';
import { startPodService } from '../systemd/units.ts';
import type { Context } from './context.ts';
import { earlyEnd } from './early-end.ts';
import { CliError } from './error.ts';
import { startFlagArgv } from './pod-start.ts';
import type { StartArguments } from './run-args.ts';

/** Throws when there is nobody to leave a pod to; to be called before anything is prepared. */
export function checkDetach(): void {
  if (!isSystemdHost())
    throw new CliError(
      'flag-value',
      '--detach leaves the pod to systemd, which does not run this host',
    );
}

/** Has systemd run a prepared pod as a service of its own; comes back when the pod is ready. */
export async function runDetached(
  context: Context,
  uuid: string,
  start: StartArguments,
): Promise<number> {
  const bus = await SystemBus.connect();
  const name = `rkt-${uuid}.service`;
  try {
    await startPodService(bus, {
      name,
      description: `rkt pod ${uuid}`,
      argv: [
        process.execPath,
        process.argv[1] ?? '',
        ...globalArgv(context),
        'run-prepared',
        ...startFlagArgv(start),
        uuid,
      ],
      environment: [],
    });
  } catch (error) {
    if (!(error instanceof SystemdError) || error.code !== 'job-failed')
      throw new CliError(
        'output',
        `it is not known whether pod ${uuid} has started: see "systemctl status ${name}"`,
        error,
      );
    throw new CliError('output', earlyEnd(context.globals.dataDir, uuid, name));
  } finally {
    bus.close();
  }
  context.stdout.write(`${uuid}\n`);
  return 0;
}

function globalArgv({ globals }: Context): string[] {
  return [
    `--dir=${globals.dataDir}`,
    `--system-config=${globals.systemConfig}`,
    `--local-config=${globals.localConfig}`,
    ...(globals.userConfig ? [`--user-config=${globals.userConfig}`] : []),
    ...(globals.insecure.size > 0 ? [`--insecure-options=${[...globals.insecure].join(',')}`] : []),
    ...(globals.debug ? ['--debug'] : []),
  ];
}
