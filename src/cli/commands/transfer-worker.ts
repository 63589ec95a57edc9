import { ownMounts } from '../../os/private-mounts.ts';
import { runJob } from '../../service/worker.ts';
import { useNativePackages } from '../../systemd/native.ts';
import type { Context } from '../context.ts';
import { rkt } from '../rkt.ts';

/** Does what the helper has written down, and tells it by files how that goes on. */
export async function run({ args, flags, stdout, stderr }: Context): Promise<number> {
  useNativePackages();
  if (flags.bool('own-mounts')) ownMounts();
  return runJob(Number(args[0]), (argv, output) =>
    rkt(
      argv,
      {
        terminal: false,
        write(text) {
          output.stdout(text);
          stdout.write(text);
        },
      },
      {
        terminal: false,
        progress: output.progress,
        write(text) {
          output.stderr(text);
          stderr.write(text);
        },
      },
    ),
  );
}
