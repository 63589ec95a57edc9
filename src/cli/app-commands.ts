import { findPod, type Pod } from '../pod/pods.ts';
import type { Context } from './context.ts';
import { CliError, usageError } from './error.ts';

/** The pod and the app that `rkt app start`, `stop`, `rm` and `status` name. */
export function podAndApp({ args, flags, globals }: Context): { pod: Pod; app: string } {
  const app = flags.value('app');
  if (!app) throw usageError('name the app by --app=NAME');
  return { pod: findPod(globals.dataDir, args[0] ?? ''), app };
}

/** Runs a command whose failures end with 1, as rkt's do, and not with 254. */
export async function failingWith1(action: () => Promise<number>): Promise<number> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof CliError && error.code === 'usage') throw error;
    if (!(error instanceof Error)) throw error;
    throw new CliError('input', error.message, error.cause, 1);
  }
}
