import type { Host } from '../../lib/host.ts';

/** Runs a script beside the host's units, which has to succeed; gives its output, trimmed. */
export async function script(host: Host, text: string): Promise<string> {
  const { code, stdout, stderr } = await host.exec(['sh', '-ec', text], { timeout: 300_000 });
  if (code !== 0) throw new Error(`${text} ended with ${code}: ${stderr}${stdout}`);
  return stdout.trimEnd();
}

/** Every file and folder, but for those of the kernel, of logs and caches, of dpkg, podman, timers and users. */
export function allFiles(host: Host): Promise<string> {
  return script(
    host,
    `find / -xdev \\( -path /var/tmp -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \\
      -o -path /tmp -o -path /src -o -path /var/lib/systemd/timers \\
      -o -path /var/lib/containers \\) -prune -o -print |
      grep -v '^/etc/\\(passwd\\|group\\|shadow\\|gshadow\\|subuid\\|subgid\\)-\\?$' | sort`,
  );
}
