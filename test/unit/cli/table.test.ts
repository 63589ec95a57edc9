import { describe, expect, it } from 'vitest';
import { globalFlags } from '../../../src/cli/flag-sets.ts';
import { commands } from '../../../src/cli/table.ts';

describe.each(commands.map((command) => ({ ...command })))('$path', (command) => {
  it('has an implementation', async () => {
    expect((await command.load()).run).toBeTypeOf('function');
  });
  it('has each flag once, and none that is global', () => {
    const names = [...command.flags, ...globalFlags].map(({ name }) => name);
    expect(names.filter((name, at) => names.indexOf(name) < at)).toEqual([]);
  });
  it('names the value of every flag that takes one', () => {
    const nameless = command.flags.filter((flag) => flag.kind !== 'bool' && !flag.placeholder);
    expect(nameless).toEqual([]);
  });
  it('has a summary that fits its line', () => {
    expect(command.summary.length).toBeLessThanOrEqual(55);
    expect(command.summary).not.toMatch(/\.$/);
  });
});
