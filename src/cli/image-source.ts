import { HttpClient } from '../http/client.ts';
import type { ProgressDisplay } from '../http/download.ts';
import type { ResolveOptions } from '../image/resolve.ts';
import type { Context } from './context.ts';
import { aciTrust, manifestTrust } from './image-trust.ts';
import { showProgress } from './progress.ts';

/** The client for servers that the global flags and the configuration describe. */
export function httpClient({ config, globals }: Context): HttpClient {
  return new HttpClient({
    auth: config.auth,
    insecure: { tls: globals.insecure.has('tls'), http: globals.insecure.has('http') },
  });
}

/** Most runs download nothing, and to ask for a terminal costs them milliseconds. */
function onFirstDownload(make: () => ProgressDisplay): ProgressDisplay {
  let display: ProgressDisplay | undefined;
  return {
    start(label) {
      display ??= make();
      return display.start(label);
    },
  };
}

/** How a command gets its images; with `--quiet`, if it has that, only warnings are printed. */
export function imageSource(
  context: Context,
  pullPolicy: ResolveOptions['pullPolicy'],
): ResolveOptions {
  const { command, config, flags, globals, note, stderr } = context;
  const quiet = command.flags.some(({ name }) => name === 'quiet') && flags.bool('quiet');
  const client = httpClient(context);
  const info = quiet ? undefined : note;
  return {
    pullPolicy,
    insecure: { image: globals.insecure.has('image') },
    warn: note,
    client,
    verify: aciTrust(context, client),
    dockerAuth: config.dockerAuth,
    ...manifestTrust(context, client, info),
    ...(info && { info, progress: onFirstDownload(() => showProgress(stderr, info)) }),
  };
}
