import { writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { unshareMounts } from '../os/syscalls.ts';
import { parseRunArgv } from './contract.ts';
import { enter } from './enter-entry.ts';
import { Stage1Error } from './error.ts';
import { gc } from './gc.ts';
import type { Stage1 } from './pod-context.ts';
import { stop } from './stop.ts';

/**
 * The entry points of a stage1 image of ours when another program calls them, in the pod's folder
 * (contract 3.3 and 3.5): `run`, `enter`, `stop` and `gc`, told apart by the name of the executable.
 */
export async function stage1Entry(stage1: Stage1): Promise<void> {
  const argv = process.argv.slice(2);
  try {
    switch (basename(process.argv[1] ?? '')) {
      case 'stop':
        return await stop(process.cwd(), argv.includes('--force'));
      case 'enter':
        // What may still wait for the caller's input keeps nobody.
        return process.exit(await enter(process.cwd(), argv));
      case 'gc':
        return gc(process.cwd());
      default:
        return await runPod(stage1, argv);
    }
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 254;
  }
}

async function runPod(stage1: Stage1, argv: readonly string[]): Promise<never> {
  const { uuid, run } = parseRunArgv(argv);
  const lockFd = Number(process.env['RKT_LOCK_FD'] ?? Number.NaN);
  if (!Number.isInteger(lockFd))
    throw new Stage1Error(
      'bad-arguments',
      'cannot hold the lock of the pod: RKT_LOCK_FD is not set',
    );
  unshareMounts();
  const leaveNetworks = [process.execPath, join(dirname(process.argv[1] ?? ''), 'gc')];
  return stage1.run({ uuid, folder: process.cwd(), lockFd, leaveNetworks, warn: say }, run);
}

function say(text: string): void {
  writeSync(2, `stage1: ${text}\n`);
}
