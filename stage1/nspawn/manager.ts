/**
 * What the pod's systemd is given so that it leaves out what is a machine's work and not a pod's.
 * Each watch that it has makes its end wait 10 to 20 ms for the kernel to drop the watch.
 */

/** By path in the stage1 root: text and mode. */
export const MANAGER_FILES: readonly (readonly [path: string, text: string, mode: number])[] = [
  // Stands for systemd-shutdown, which has nothing to unmount or to kill here.
  [
    'rkt/shutdown',
    `#!/bin/sh
for word; do
  case $word in --exit-code=*) exit "\${word#*=}" ;; esac
done
`,
    0o755,
  ],
  ['rkt/nothing', '', 0],
];

/** A file that root cannot read either, so that it cannot be watched: a sysctl of mode 0200. */
const UNWATCHABLE = '/proc/sys/vm/drop_caches';

/** Arguments of systemd-nspawn(1). `+` is the pod's own root. */
export const MANAGER_BINDS: readonly string[] = [
  '--bind-ro=+/rkt/shutdown:/usr/lib/systemd/systemd-shutdown',
  `--bind-ro=${UNWATCHABLE}:/etc/localtime`,
  `--bind-ro=${UNWATCHABLE}:/run/systemd/ask-password`,
  // The container manager hides files of /proc beneath this one, which version 252 forgets to make.
  '--bind-ro=+/rkt/nothing:/run/systemd/inaccessible/reg',
];

export const MANAGER_ENVIRONMENT: Readonly<Record<string, string>> = {
  SYSTEMD_UNIT_PATH: '/rkt/units',
  SYSTEMD_GENERATOR_PATH: '/nowhere',
  SYSTEMD_ENVIRONMENT_GENERATOR_PATH: '/nowhere',
  // No unit for each mount: libmount's watch for new ones fails below what is no folder.
  LIBMOUNT_UTAB: '/dev/null/utab',
};
