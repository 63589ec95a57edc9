import { spawnSync } from 'node:child_process';

/**
 * Makes everything in a folder a user's, by chown(1), which follows no link on its way: whoever could
 * write to the folder before may have put links into it.
 *
 * @throws Error with what chown says
 */
export function giveFolder(folder: string, uid: number, gid: number): void {
  const argv = ['--recursive', '--no-dereference', '-P', '--', `${uid}:${gid}`, folder];
  const { status, stderr, error } = spawnSync('chown', argv, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return;
  throw new Error(`cannot change the owner of ${folder}: ${error?.message ?? stderr.trim()}`);
}
