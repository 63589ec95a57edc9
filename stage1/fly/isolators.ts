import { writeFileSync } from 'node:fs';
import {
  type Isolator,
  isKnownIsolatorName,
  isolatorValue,
  parseRlimit,
  seccompFilter,
} from '../../src/appc/index.ts';
import { setNoNewPrivileges, setRlimit } from '../../src/os/process-state.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { checkProcessLimits, rlimitOf } from '../../src/stage1/process-limits.ts';
import { supervision } from '../../src/systemd/host.ts';

/** Nothing but the process itself can be limited: it is the host's. */
const ENFORCED = ['os/linux/oom-score-adj', 'os/linux/rlimits', 'os/linux/no-new-privileges'];

/** @throws Stage1Error `unsupported` for an isolator that would have no effect */
export function checkIsolators(
  what: string,
  isolators: readonly Isolator[],
  insecure: RunArguments['insecure'],
): void {
  const waived = (name: string) =>
    (name.startsWith('os/linux/capabilities-') && insecure.capabilities) ||
    (name.startsWith('os/linux/seccomp-') &&
      (insecure.seccomp || seccompFilter(isolators) === undefined));
  const found = isolators.find(
    ({ name }) => isKnownIsolatorName(name) && !ENFORCED.includes(name) && !waived(name),
  );
  if (found)
    throw new Stage1Error(
      'unsupported',
      `cannot run ${what}: the fly stage1 does not enforce the isolator ${found.name}: use another stage1`,
    );
  checkProcessLimits(isolators);
}

/** Limits this process, and with it the app that it becomes. */
export async function applyIsolators(isolators: readonly Isolator[]): Promise<void> {
  const oom = isolatorValue(isolators, 'os/linux/oom-score-adj');
  if (oom !== undefined) writeFileSync('/proc/self/oom_score_adj', String(oom));
  const rlimits = isolatorValue(isolators, 'os/linux/rlimits') ?? {};
  for (const [name, text] of Object.entries(rlimits)) setRlimit(name, parseRlimit(text));
  if (!rlimits['nofile']) {
    const { hard } = rlimitOf('self', 'nofile');
    setRlimit('nofile', { soft: Math.min(await callersOpenFiles(), hard), hard });
  }
  if (isolatorValue(isolators, 'os/linux/no-new-privileges') === true) setNoNewPrivileges();
}

/** What the kernel and systemd start with. */
const USUAL_OPEN_FILES = 1024;

/**
 * The soft limit of open files that rkt was started with. Node has raised its own to the hard one;
 * a unit's is known to systemd, any other process has that of its parent.
 */
async function callersOpenFiles(): Promise<number> {
  if (supervision() === 'unit') {
    const { SystemBus } = await import('../../src/systemd/bus.ts');
    const { unitProperty } = await import('../../src/systemd/units.ts');
    const bus = await SystemBus.connect();
    try {
      return Number(await unitProperty(bus, process.pid, 'Service', 'LimitNOFILESoft'));
    } finally {
      bus.close();
    }
  }
  try {
    return rlimitOf(process.ppid, 'nofile').soft;
  } catch {
    return USUAL_OPEN_FILES;
  }
}
