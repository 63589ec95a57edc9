import type { CommandSpec } from './command.ts';

/** What of a command line the helper runs for those who are not root, and who may have it run. */
export interface HelperRule {
  /** Whether members of group rkt may, without polkit being asked. */
  readonly group: boolean;
  /** The polkit action. */
  readonly action: string;
  /** The flags of the command that are taken: none names a file, or waits for long. */
  readonly flags: readonly string[];
  /** `query` only reads; the others are the kinds of workers. */
  readonly kind: 'query' | 'fetch' | 'gc' | 'command';
}

const table = ['format', 'full', 'no-legend'];
const inspect = { group: true, action: 'io.rkt.Rkt1.inspect', kind: 'query' } as const;
const fetch: HelperRule = {
  group: true,
  action: 'io.rkt.Rkt1.fetch',
  flags: ['pull-policy', 'store-only', 'no-store', 'full', 'quiet'],
  kind: 'fetch',
};
const images = { group: false, action: 'io.rkt.Rkt1.manage-images', kind: 'command' } as const;
const pods = { group: false, action: 'io.rkt.Rkt1.manage-pods', kind: 'command' } as const;

export const helperRules: ReadonlyMap<string, HelperRule> = new Map<string, HelperRule>([
  ['list', { ...inspect, flags: table }],
  ['status', { ...inspect, flags: ['format'] }],
  ['image list', { ...inspect, flags: [...table, 'fields', 'sort', 'order'] }],
  ['image cat-manifest', { ...inspect, flags: ['pretty-print'] }],
  ['trust list', { ...inspect, flags: ['format', 'no-legend'] }],
  ['fetch', fetch],
  ['image fetch', fetch],
  ['gc', { ...pods, group: true, flags: ['grace-period', 'expire-prepared'], kind: 'gc' }],
  ['image rm', { ...images, flags: ['format'] }],
  ['image gc', { ...images, flags: ['grace-period', 'format'] }],
  ['stop', { ...pods, flags: ['force', 'timeout'] }],
  ['rm', { ...pods, flags: [] }],
]);

/** Whether the helper runs a command for those who are not root. */
export function isForHelper({ path }: CommandSpec): boolean {
  return helperRules.has(path);
}
