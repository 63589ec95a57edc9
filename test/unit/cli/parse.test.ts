import { describe, expect, it } from 'vitest';
import { globalFlags } from '../../../src/cli/flag-sets.ts';
import { Flags } from '../../../src/cli/flags.ts';
import { parseCommand, selectCommand } from '../../../src/cli/parse.ts';
import { commands } from '../../../src/cli/table.ts';
import { command } from './helpers.ts';

function select(...argv: string[]) {
  const globals = new Flags(globalFlags);
  const { command: found, ...rest } = selectCommand(argv, commands, globals);
  return { ...rest, path: found?.path, globals };
}

function parse(path: string, ...argv: string[]) {
  const globals = new Flags(globalFlags);
  return { ...parseCommand(command(path), argv, globals), globals };
}

function images(...argv: string[]) {
  return parse('run', ...argv).images.map(({ reference, args }) => ({ reference, args }));
}

describe("a command whose words are another program's", () => {
  it('takes no flags behind its first operand', () => {
    const { args, flags } = parse('enter', '--app=a', 'uuid', 'ls', '--app=b', '--', '--help');
    expect(flags.value('app')).toBe('a');
    expect(args).toEqual(['uuid', 'ls', '--app=b', '--', '--help']);
  });
});

describe('selecting a command', () => {
  it('takes an unambiguous prefix of each word', () => {
    expect(select('im', 'l', '--full')).toMatchObject({ path: 'image list', rest: ['--full'] });
    expect(select('run-p').path).toBe('run-prepared');
  });
  it('prefers the exact word to a longer one', () => {
    expect(select('run').path).toBe('run');
  });
  it('names the candidates of an ambiguous prefix', () => {
    expect(() => select('st')).toThrow('"st" could be status, stop');
  });
  it('refuses an unknown word', () => {
    expect(() => select('bogus')).toThrow('unknown command "bogus"');
    expect(() => select('image', 'bogus')).toThrow('unknown command "image bogus"');
    expect(() => select('')).toThrow('unknown command');
  });
  it('takes global flags before and between the words', () => {
    const { path, globals } = select(
      '--debug',
      '--dir',
      '/d',
      'image',
      '--local-config=/l',
      'list',
    );
    expect(path).toBe('image list');
    expect(globals.bool('debug')).toBe(true);
    expect(globals.value('dir')).toBe('/d');
    expect(globals.value('local-config')).toBe('/l');
  });
  it('refuses a flag of a command before the command', () => {
    expect(() => select('--net=host', 'run')).toThrow('unknown flag --net');
  });
  it('gives the group when no member is named', () => {
    expect(select('image')).toMatchObject({ path: undefined, group: 'image', help: false });
  });
});

describe('a plain command', () => {
  it('takes flags around its operands', () => {
    const { args, flags } = parse('stop', 'a', '--force', 'b');
    expect(args).toEqual(['a', 'b']);
    expect(flags.bool('force')).toBe(true);
  });
  it('takes a value behind = or as the next word', () => {
    expect(parse('list', '--format=json').flags.value('format')).toBe('json');
    expect(parse('list', '--format', 'json').flags.value('format')).toBe('json');
  });
  it('refuses a flag without its value', () => {
    expect(() => parse('list', '--format')).toThrow('--format needs a value');
  });
  it('refuses a value that is not among the choices', () => {
    expect(() => parse('list', '--format=xml')).toThrow('must be json or json-pretty, not "xml"');
    expect(() => parse('run', '--pull-policy=bogus', 'i')).toThrow('--pull-policy: must be new');
  });
  it('reads =true and =false of a bool and takes no other word', () => {
    expect(parse('stop', '--force=false', 'a').flags.bool('force')).toBe(false);
    expect(parse('stop', '--force=T', 'a').flags.bool('force')).toBe(true);
    expect(parse('stop', '--force', 'false').args).toEqual(['false']);
    expect(() => parse('stop', '--force=maybe', 'a')).toThrow('--force: must be true or false');
  });
  it('switches off a bool that is on by default', () => {
    expect(parse('cat-manifest', 'a').flags.bool('pretty-print')).toBe(true);
    expect(parse('cat-manifest', 'a', '--pretty-print=false').flags.bool('pretty-print')).toBe(
      false,
    );
  });
  it('never takes the next word as the value of --wait', () => {
    const { args, flags } = parse('status', '--wait', '1234');
    expect(args).toEqual(['1234']);
    expect(flags.value('wait')).toBe('true');
    expect(parse('status', '--wait=', 'a').flags.value('wait')).toBe('');
    expect(parse('status', 'a').flags.value('wait')).toBe('false');
  });
  it('takes everything behind -- as operands', () => {
    expect(parse('rm', '--', '--force', '--').args).toEqual(['--force', '--']);
  });
  it('refuses flags that it does not have, and short ones', () => {
    expect(() => parse('rm', '--force', 'a')).toThrow('unknown flag --force');
    expect(() => parse('rm', '-f', 'a')).toThrow('unknown flag -f');
    expect(() => parse('stop', '-force', 'a')).toThrow('unknown flag -force');
  });
  it('counts its operands', () => {
    expect(() => parse('run-prepared')).toThrow('too few arguments');
    expect(() => parse('run-prepared', 'a', 'b')).toThrow('too many arguments: "b"');
    expect(() => parse('list', 'a')).toThrow('takes no arguments, but got "a"');
  });
  it('sees --help ahead of missing operands', () => {
    expect(parse('run-prepared', '--help').help).toBe(true);
    expect(parse('run-prepared', '-h').help).toBe(true);
  });
  it('takes global flags among its own', () => {
    expect(parse('list', '--debug', '--full').globals.bool('debug')).toBe(true);
  });
});

describe('the image grammar', () => {
  it('gives each image its arguments', () => {
    expect(images('img1', '--', 'a', '---', 'img2', '--', 'b', '---')).toEqual([
      { reference: 'img1', args: ['a'] },
      { reference: 'img2', args: ['b'] },
    ]);
  });
  it('takes a second -- inside a list literally', () => {
    expect(images('img', '--', 'a', '--', 'b')).toEqual([
      { reference: 'img', args: ['a', '--', 'b'] },
    ]);
  });
  it('refuses arguments before any image', () => {
    expect(() => images('--', 'foo')).toThrow('an image is required before any app arguments');
  });
  it('refuses a second list for one image', () => {
    expect(() => images('img', '--', 'a', '---', '--', 'b')).toThrow(
      'only one set of app arguments allowed per image',
    );
  });
  it('refuses --- without a list to close', () => {
    expect(() => images('img', '---', 'img2')).toThrow('--- without a list');
  });
  it('does not read flags inside a list', () => {
    expect(images('img', '--', '--port=x', '--help')).toEqual([
      { reference: 'img', args: ['--port=x', '--help'] },
    ]);
  });
  it('keeps empty arguments of apps and skips empty words elsewhere', () => {
    expect(images('', 'img', '', '--', '', 'a', '')).toEqual([
      { reference: 'img', args: ['', 'a', ''] },
    ]);
  });
  it('tells an empty list from none', () => {
    expect(images('img', '--')).toEqual([{ reference: 'img', args: [] }]);
    expect(images('img')).toEqual([{ reference: 'img', args: undefined }]);
  });
  it('refuses a flag of an image before the first image', () => {
    expect(() => images('--exec=/bin/sh', 'img')).toThrow('--exec must follow an image');
  });
  it('gives --mount to the pod before the first image and to the image after it', () => {
    const { flags, images: found } = parse('run', '--mount=a', 'img', '--mount', 'b');
    expect(flags.values('mount')).toEqual(['a']);
    expect(found[0]?.flags.values('mount')).toEqual(['b']);
  });
  it('gives flags of the pod to the pod wherever they stand', () => {
    const { flags, images: found } = parse('run', 'img', '--hostname=x', '--exec', '/e', 'img2');
    expect(flags.value('hostname')).toBe('x');
    expect(found.map((image) => image.flags.value('exec'))).toEqual(['/e', undefined]);
  });
  it('never takes an image as the value of a bare --net', () => {
    const { flags, images: found } = parse('run', '--net', 'img');
    expect(flags.values('net')).toEqual(['default']);
    expect(found.map(({ reference }) => reference)).toEqual(['img']);
  });
  it('requires a value for --readonly-rootfs', () => {
    expect(() => parse('run', 'img', '--readonly-rootfs')).toThrow(
      '--readonly-rootfs needs a value',
    );
    const { images: found } = parse('run', 'img', '--readonly-rootfs=true');
    expect(found[0]?.flags.value('readonly-rootfs')).toBe('true');
  });
  it('takes --help anywhere outside a list', () => {
    expect(parse('run', 'img', '--help').help).toBe(true);
  });
  it('lacks the flags of run in prepare', () => {
    expect(() => parse('prepare', '--net=host', 'img')).toThrow('unknown flag --net');
    expect(parse('prepare', '--quiet', 'img').flags.bool('quiet')).toBe(true);
  });
});
