import { beforeAll } from 'vitest';
import type { Host } from '../../lib/host.ts';

/** Installs rkt into a host as a distribution would, which has shared mounts as a machine does. */
export function installRkt(host: Host): void {
  beforeAll(async () => {
    await host.ok(['/src/packaging/install'], { env: { DIST: '/src/dist' }, timeout: 240_000 });
    // systemd passes credentials by a mount; outside of containers it makes the root shared itself.
    await host.ok(['sh', '-c', 'exec nsenter -t 1 -m mount --make-rshared /']);
  }, 300_000);
}

/** Writes /etc/rkt/pods/FILE and has systemd see it. */
export async function writePod(host: Host, file: string, text: string): Promise<void> {
  await host.writeFile(`/etc/rkt/pods/${file}`, text);
  await host.ok(['systemctl', 'daemon-reload']);
}

/** The UUID of the pod of a unit. */
export async function podOf(host: Host, name: string): Promise<string> {
  return (await host.readFile(`/run/rkt/pods/${name}/uuid`)).toString();
}

/** A pod file with one app of the box that runs a script. */
export function boxPod(script: string, more: { pod?: string; app?: string; unit?: string } = {}) {
  return `${more.unit ?? ''}
[Pod]
net=none
${more.pod ?? ''}
[App box]
image=example.org/box
${more.app ?? ''}
arg=${JSON.stringify(script)}
`;
}
