import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CliError } from '../../../src/cli/error.ts';
import { errorText } from '../../../src/cli/report.ts';
import { commands } from '../../../src/cli/table.ts';
import { version } from '../../../src/os/version.ts';
import { runLine } from './helpers.ts';

describe('help', () => {
  it('goes with "missing command" to stderr, exit 2, when no command is named', async () => {
    const { code, stdout, stderr } = await runLine();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^rkt: missing command\n/);
    expect(stderr).toContain('Usage: rkt');
  });
  it('fits a screen of 24 lines, the prompt included, and 80 columns', async () => {
    const { code, stdout } = await runLine('--help');
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBeLessThan(24);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });
  it('names every command in its group', async () => {
    const { stdout } = await runLine('--help');
    for (const group of ['Pods', 'Images', 'General']) {
      const [, text = ''] = new RegExp(`^${group}:\n((?: .*\n)+)`, 'm').exec(stdout) ?? [];
      const words = text.split(/[\s,()]+/);
      const paths = commands.filter((one) => !one.hidden && one.group === group);
      const names = paths.flatMap(({ path }) => path.split(' ')).filter((word) => word !== 'help');
      expect(words).toEqual(expect.arrayContaining(names));
    }
  });
  it('explains a command in three ways', async () => {
    const { stdout } = await runLine('image', 'build', '--help');
    expect(stdout).toContain('Usage: rkt image build [FLAGS] DIR OUT.aci');
    expect((await runLine('help', 'image', 'build')).stdout).toBe(stdout);
    expect((await runLine('im', 'b', '-h')).stdout).toBe(stdout);
  });
  it('lists a group', async () => {
    const { code, stdout } = await runLine('image', '--help');
    expect(code).toBe(0);
    expect(stdout).toContain('image cat-manifest');
    expect((await runLine('image')).code).toBe(2);
  });
  it('leaves out hidden flags', async () => {
    expect((await runLine('run', '--help')).stdout).not.toContain('store-only');
  });
});

describe('errors', () => {
  it('of the command line are one line with the usage, exit 254', async () => {
    const { code, stdout, stderr } = await runLine('status', '--bogus');
    expect({ code, stdout }).toEqual({ code: 254, stdout: '' });
    expect(stderr).toBe(
      'rkt: status: unknown flag --bogus\nusage: rkt status [FLAGS] (UUID | --uuid-file FILE)\n',
    );
  });
  it('of a value are one line', async () => {
    const { code, stderr } = await runLine('version', '--format=xml');
    expect(code).toBe(254);
    expect(stderr).toBe('rkt: version: --format: must be json or json-pretty, not "xml"\n');
  });
  it('without a command name rkt alone', async () => {
    expect(await runLine('bogus')).toEqual({
      code: 254,
      stdout: '',
      stderr: 'rkt: unknown command "bogus" (see rkt help)\n',
    });
  });
  it('end with the innermost cause when it says more', () => {
    const error = new CliError('input', 'cannot read x', new Error('middle', { cause: 'EACCES' }));
    expect(errorText('rkt: list: ', error, false)).toBe('rkt: list: cannot read x: EACCES\n');
    const told = new CliError('input', 'cannot read x: EACCES', new Error('EACCES'));
    expect(errorText('rkt: ', told, false)).toBe('rkt: cannot read x: EACCES\n');
  });
  it('are a chain with --debug', () => {
    const error = new CliError('input', 'outer', new Error('middle', { cause: 'inner' }));
    expect(errorText('rkt: ', error, true)).toBe('rkt: outer\n  └─middle\n    └─inner\n');
  });
  it('say on the first line what to do', () => {
    const error = new CliError('input', 'outer', new Error('inner'));
    expect(errorText('rkt: ', error, false, 'do it')).toBe('rkt: outer: inner: do it\n');
    expect(errorText('rkt: ', error, true, 'do it')).toBe('rkt: outer: do it\n  └─inner\n');
  });
  it('stay on one line whatever they quote', () => {
    expect(errorText('rkt: ', new Error('a\n  b'), false)).toBe('rkt: a b\n');
  });
  it('have nothing in them that a terminal would obey', () => {
    const error = new Error('cannot fetch x:1\u001b]0;title\u0007\u202e');
    expect(errorText('rkt: ', error, false)).toBe(
      'rkt: cannot fetch x:1\ufffd]0;title\ufffd\ufffd\n',
    );
  });
});

describe('version', () => {
  it('prints the lines that scripts read', async () => {
    const { code, stdout } = await runLine('version');
    expect(code).toBe(0);
    expect(stdout).toContain(`rkt Version: ${version}\nappc Version: 0.8.11\n`);
  });
  it('prints JSON', async () => {
    expect(JSON.parse((await runLine('version', '--format=json')).stdout)).toMatchObject({
      rkt: version,
    });
  });
  it('works beside a broken configuration', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rkt-version-'));
    mkdirSync(join(folder, 'paths.d'));
    writeFileSync(join(folder, 'paths.d/x.json'), '{');
    expect((await runLine('version', `--local-config=${folder}`)).code).toBe(0);
    rmSync(folder, { recursive: true });
  });
});
