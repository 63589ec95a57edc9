/** Schemas of the isolators' values (spec: ace.md, "Isolators"). */
import * as z from 'zod/mini';
import { AppcError } from './error.ts';
import {
  cpuSharesRange,
  ioWeightRange,
  isKnownIsolatorName,
  isolatorConflict,
  isReservedIsolatorName,
  oomScoreAdjRange,
  tasksRange,
} from './isolators.ts';
import { parseQuantity } from './quantity.ts';
import { isRlimitName, parseRlimit, unknownRlimit } from './rlimits.ts';
import {
  acIdentifier,
  describe,
  integer,
  list,
  nonEmpty,
  object,
  parsed,
  quote,
  text,
} from './schema.ts';
import type { Isolator, KnownIsolatorName, KnownIsolatorValues } from './types.ts';

/** The amount's text, checked; a bare JSON number is taken as its decimal text. */
const quantity = parsed(z.union([z.string(), z.number()]), (value) => {
  if (parseQuantity(String(value)).nano < 0n) throw new AppcError('schema', 'must not be negative');
  return String(value);
});

const pattern = (form: RegExp, message: string) =>
  z.string().check(z.refine((value) => form.test(value), message));

const nonEmptySet = <T extends z.ZodMiniType>(item: T) =>
  list(item).check(z.refine((set) => set.length > 0, 'must be non-empty'));

const capabilitySet = object({
  set: nonEmptySet(
    pattern(/^CAP_[A-Z0-9_]+$/, 'must be the name of a capability, such as CAP_NET_ADMIN'),
  ),
});

const seccompSet = object({
  set: nonEmptySet(
    pattern(/^(@[a-z0-9./-]+|[a-z0-9_]+)$/, 'must be the name of a system call or of a @set'),
  ),
  errno: z.exactOptional(
    pattern(/^(E[A-Z0-9]+)?$/, 'must be the name of one error, such as EPERM'),
  ),
});

/** CPU and memory bind always: the app may not ask to be excused from them. */
const required = object({
  request: z.exactOptional(quantity),
  limit: z.exactOptional(quantity),
  default: z.exactOptional(z.literal(false)),
});

const byDefault = object({
  request: z.exactOptional(z.never({ error: 'is not allowed here' })),
  limit: quantity,
  default: z.literal(true),
});

/** Checked, and kept as it was written. */
const rlimit = parsed(z.string(), (text) => {
  parseRlimit(text);
  return text;
});

const values: { [Name in KnownIsolatorName]: z.ZodMiniType<KnownIsolatorValues[Name]> } = {
  'resource/cpu': required,
  'resource/memory': required,
  'resource/block-bandwidth': byDefault,
  'resource/block-iops': byDefault,
  'resource/network-bandwidth': byDefault,
  'os/linux/capabilities-retain-set': capabilitySet,
  'os/linux/capabilities-remove-set': capabilitySet,
  'os/linux/seccomp-retain-set': seccompSet,
  'os/linux/seccomp-remove-set': seccompSet,
  'os/linux/no-new-privileges': z.boolean(),
  'os/linux/oom-score-adj': integer(...oomScoreAdjRange),
  'os/linux/cpu-shares': integer(...cpuSharesRange),
  'os/linux/selinux-context': object({ user: text, role: text, type: text, level: text }),
  'os/linux/apparmor-profile': object({ name: nonEmpty }),
  'os/unix/sysctl': z.record(
    pattern(/^[a-zA-Z0-9_.*/-]+$/, 'must be the name of a kernel parameter'),
    text,
  ),
  'os/linux/io-weight': integer(...ioWeightRange),
  'os/linux/tasks': integer(...tasksRange),
  'os/linux/rlimits': z
    .record(z.string(), rlimit)
    .check(z.refine((limits) => Object.keys(limits).every(isRlimitName), unknownRlimit)),
};

/** JSON.parse reads any depth, JSON.stringify does not. */
function isWritable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

const isolator = z.pipe(
  object({ name: acIdentifier, value: z.unknown() }),
  z.transform(({ name, value }, context): Isolator => {
    const wrong = (member: 'name' | 'value', message: string) =>
      context.issues.push({ code: 'custom', message, path: [member], input: value });
    if (!isKnownIsolatorName(name)) {
      if (isReservedIsolatorName(name)) wrong('name', `unknown isolator ${quote(name)}`);
      else if (!isWritable(value)) wrong('value', 'is nested too deeply');
      return { name, value };
    }
    const result = values[name].safeParse(value, { error: describe });
    if (result.success) return { name, value: result.data };
    for (const { message, path } of result.error.issues)
      context.issues.push({ code: 'custom', message, path: ['value', ...path], input: value });
    return z.NEVER;
  }),
);

export const isolatorList = list(isolator).check(
  z.superRefine((isolators, context) => {
    const conflict = isolatorConflict(isolators);
    if (conflict !== undefined)
      context.addIssue({
        code: 'custom',
        message: `${isolators[conflict.index]?.name} ${conflict.why}`,
        path: [conflict.index],
      });
  }),
);
