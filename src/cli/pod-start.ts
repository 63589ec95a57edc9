import { resolverText } from '../net/resolver.ts';
import type { StartRequest } from '../pod/start.ts';
import type { Context } from './context.ts';
import type { HostsChoice } from './network-args.ts';
import type { StartArguments } from './run-args.ts';

/** What the pod layer needs to know of a command line that starts a pod. */
export function startRequest({ globals, note }: Context, start: StartArguments): StartRequest {
  const { resolver, hosts } = start;
  const resolvConf = resolver?.kind === 'made' ? resolverText('run', resolver) : undefined;
  return {
    self: [process.execPath, process.argv[1] ?? '', `--dir=${globals.dataDir}`],
    flags: startFlagArgv(start),
    mdsRegister: start.mdsRegister,
    run: {
      debug: globals.debug,
      net: start.networks.map(({ name, args }) => (args ? `${name}:${args}` : name)),
      interactive: start.interactive,
      localConfig: globals.localConfig,
      ...(start.hostname ? { hostname: start.hostname } : {}),
      insecure: {
        capabilities: globals.insecure.has('capabilities'),
        paths: globals.insecure.has('paths'),
        seccomp: globals.insecure.has('seccomp'),
      },
      resolv: resolver?.kind === 'made' ? 'stage0' : (resolver?.kind ?? 'default'),
      hosts: hosts?.kind === 'made' ? 'stage0' : (hosts?.kind ?? 'default'),
      ipc: start.ipc,
    },
    ...(resolvConf === undefined ? {} : { resolvConf }),
    ...(hosts?.kind === 'made'
      ? { hostsFile: (hostname: string) => hostsText(hosts, hostname) }
      : {}),
    warn: note,
  };
}

function hostsText(hosts: HostsChoice & { kind: 'made' }, hostname: string): string {
  const lines = [
    `127.0.0.1 localhost ${hostname}`,
    '::1 localhost ip6-localhost ip6-loopback',
    '',
    '# Added by rkt run --hosts-entry',
    ...hosts.entries.map(({ address, names }) => `${address} ${names.join(' ')}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The flags of `run-prepared` that start a pod in the same way. */
export function startFlagArgv(start: StartArguments): string[] {
  const { resolver, hosts } = start;
  const dns =
    resolver?.kind === 'made'
      ? [
          ...resolver.nameservers.map((value) => `--dns=${value}`),
          ...resolver.search.map((value) => `--dns-search=${value}`),
          ...resolver.options.map((value) => `--dns-opt=${value}`),
          ...(resolver.domain ? [`--dns-domain=${resolver.domain}`] : []),
        ]
      : resolver
        ? [`--dns=${resolver.kind}`]
        : [];
  const entries =
    hosts?.kind === 'made'
      ? hosts.entries.flatMap(({ address, names }) =>
          names.map((name) => `--hosts-entry=${address}=${name}`),
        )
      : hosts
        ? ['--hosts-entry=host']
        : [];
  return [
    `--net=${start.networks.map(({ name, args }) => (args ? `${name}:${args}` : name)).join(',')}`,
    ...dns,
    ...entries,
    ...(start.hostname ? [`--hostname=${start.hostname}`] : []),
    `--ipc=${start.ipc}`,
    ...(start.mdsRegister ? ['--mds-register'] : []),
  ];
}
