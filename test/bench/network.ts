import type { Timing } from './hyperfine.ts';
import type { Peer } from './peers.ts';

type Group = (
  title: string,
  subjects: readonly { label: string; argv: readonly string[] }[],
) => Map<string, Timing>;

/**
 * What an address costs a start: rkt in its default network, podman in its, each beside itself in no
 * network, in the same run. Both have plugins make a veth; podman's clean up before it returns.
 */
export function networks(
  start: (net: string) => readonly string[],
  podman: Peer,
  container: readonly string[],
  group: Group,
  budget: (name: string, most: number, measured: number | undefined, byMin?: number) => void,
): void {
  const peer = (net: string) => {
    const flags = podman.run.map((flag) => (flag === '--network=none' ? `--network=${net}` : flag));
    return [...podman.client, ...flags, '--rm', ...container];
  };
  const timings = group('a network', [
    { label: 'rkt run --net=none', argv: start('none') },
    { label: 'rkt run --net=default', argv: start('default') },
    { label: 'podman run --network=none', argv: peer('none') },
    { label: 'podman run --network=bridge', argv: peer('bridge') },
  ]);
  const added = (pick: (timing: Timing) => number, without: string, withIt: string) => {
    const [one, other] = [timings.get(without), timings.get(withIt)];
    return one && other ? pick(other) - pick(one) : Number.NaN;
  };
  const share = (pick: (timing: Timing) => number) =>
    added(pick, 'rkt run --net=none', 'rkt run --net=default') /
    added(pick, 'podman run --network=none', 'podman run --network=bridge');
  budget(
    'a network adds: rkt / podman',
    0.5,
    share(({ median }) => median),
    share(({ min }) => min),
  );
  budget(
    '  for information: processor time',
    0.5,
    share(({ cpu }) => cpu),
  );
}
