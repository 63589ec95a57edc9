import { HttpClient } from '../http/client.ts';
import type { ResolveOptions } from '../image/resolve.ts';
import type { Context } from './context.ts';
import { aciTrust } from './image-trust.ts';
import { showProgress } from './progress.ts';

/** The client for servers that the global flags and the configuration describe. */
export function httpClient({ config, globals }: Context): HttpClient {
  return new HttpClient({
    auth: config.auth,
    insecure: { tls: globals.insecure.has('tls'), http: globals.insecure.has('http') },
  });
}

/**
 * How a command gets its images.
 *
 * @param quiet whether only warnings are printed
 */
export function imageSource(
  context: Context,
  pullPolicy: ResolveOptions['pullPolicy'],
  quiet = false,
): ResolveOptions {
  const client = httpClient(context);
  return {
    pullPolicy,
    insecure: { image: context.globals.insecure.has('image') },
    warn: context.note,
    client,
    verify: aciTrust(context, client),
    ...(!quiet && { info: context.note, progress: showProgress(context.stderr, context.note) }),
  };
}
