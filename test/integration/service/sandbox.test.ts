// On the VM as well (@vm): what a unit may do depends on the kernel and its cgroups.
import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { installHelper, shell } from './installed.ts';
import { fetchInWorker, IMAGE, serveImage } from './served.ts';

const host = await startHost();
installHelper(host);
serveImage(host);

test.for([
  ['rkt-helper.service', 53],
  ['rkt-transfer@.service', 30],
  ['rkt-job@.service', 73],
] as const)(
  '%s is exposed no more than systemd-analyze security says: %i',
  async ([unit, most]) => {
    const file = `/usr/lib/systemd/system/${unit}`;
    const argv = ['systemd-analyze', 'security', '--offline=yes', `--threshold=${most}`, file];
    const { code, stdout } = await host.run(argv);
    expect(code, stdout).toBe(0);
  },
);

/** All that can be known of the trees of a store. */
const look = (store: string) =>
  shell(
    host,
    `cd ${store}/cas/tree
       find */rootfs -printf '%p %M %U:%G %n %s %T@ %l\\n' | sort
       find */rootfs '(' -type b -o -type c ')' -exec stat -c '%n %t:%T' '{}' + | sort
       find */rootfs -type f -exec sha256sum '{}' + | sort -k 2
       find */rootfs -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex
       find */rootfs -name sparse -printf '%f has %b blocks\\n'`,
  );

test('a fetch in the worker gives the trees that root gives without a sandbox', async () => {
  expect(await fetchInWorker(host)).toMatch(/^done sha512-/);
  const options = '--insecure-options=http,image --dir=/var/lib/plain';
  await shell(host, `rkt fetch ${options} ${IMAGE}`);
  const [there, here] = [await look('/var/lib/plain'), await look('/var/lib/rkt')];
  expect(here).toBe(there);
  for (const each of [
    /rootfs\/bin\/tool -rwsr-sr-x 1234:70000 3 /,
    /rootfs\/dev\/disk 8:11$/m,
    /rootfs\/etc\/noted 0:0$/m,
    /^security.capability=/m,
    /^system.posix_acl_default=/m,
    /^trusted.overlay.opaque=/m,
    /^user.note=/m,
    /^sparse has 0 blocks$/m,
  ])
    expect(here).toMatch(each);
});
