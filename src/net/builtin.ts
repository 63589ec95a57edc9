import type { NetworkConfig } from './types.ts';

/**
 * The networks that are there without configuration (surface 10.2), with their file names in rkt, which
 * decide their place among the others. `default-restricted` reaches its host, nothing else.
 */
export const BUILTIN_NETWORKS: readonly {
  readonly file: string;
  readonly network: NetworkConfig;
}[] = [
  {
    file: '99-default-restricted.conf',
    network: builtin('default-restricted', {
      ipMasq: false,
      ipam: { type: 'host-local', subnet: '172.31.0.0/16' },
    }),
  },
  {
    file: '99-default.conf',
    network: builtin('default', {
      ipMasq: true,
      ipam: {
        type: 'host-local',
        subnet: '172.16.28.0/24',
        routes: [{ dst: '0.0.0.0/0' }],
      },
    }),
  },
];

function builtin(name: string, settings: Record<string, unknown>): NetworkConfig {
  return {
    name,
    cniVersion: '1.0.0',
    plugins: [{ type: 'ptp', ...settings }],
    disableCheck: false,
    disableGc: false,
  };
}
