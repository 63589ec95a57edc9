import { join } from 'node:path';
import { readInRoot } from '../../src/os/inroot.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { appRootfs } from '../../src/stage1/pod-files.ts';

/** What a pod's networks come to for the names that its apps look up. */
export interface Resolvers {
  /** A resolv.conf(5). */
  readonly text: string;
  /** A network has named them; else they are the host's. */
  readonly ofNetwork: boolean;
}

/**
 * Where an app's resolv.conf comes from (surface 10.5): what the command line says; what a network
 * says; the image's own; and where that names no resolver, those of the host that can be reached.
 */
export function resolverMode(
  stage1Root: string,
  app: string,
  resolv: RunArguments['resolv'],
  resolvers: Resolvers | undefined,
): RunArguments['resolv'] {
  if (resolvers === undefined || resolv !== 'default') return resolv;
  if (resolvers.ofNetwork) return 'stage0';
  const own = readInRoot(join(stage1Root, appRootfs(app)), '/etc/resolv.conf') ?? '';
  return /^\s*nameserver\s/m.test(own) ? 'default' : 'stage0';
}
