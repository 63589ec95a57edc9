import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { globalFlags } from '../../../src/cli/flag-sets.ts';
import { Flags } from '../../../src/cli/flags.ts';
import { insecureWarning, parseInsecure, resolveGlobals } from '../../../src/cli/globals.ts';

const noConfig = { auth: new Map(), dockerAuth: new Map(), paths: {}, stage1: {} };

function globals(given: Record<string, string>, data?: string) {
  const flags = new Flags(globalFlags);
  for (const [name, value] of Object.entries(given)) {
    const spec = flags.find(name);
    if (spec) flags.add(spec, value);
  }
  return resolveGlobals(flags, { ...noConfig, paths: data === undefined ? {} : { data } });
}

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'rkt-globals-')));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the data folder', () => {
  it('is the flag, else the configuration, else built in', () => {
    expect(globals({ dir: '/nonexistent/a' }, '/nonexistent/b').dataDir).toBe('/nonexistent/a');
    expect(globals({}, '/nonexistent/b').dataDir).toBe('/nonexistent/b');
    expect(globals({}).dataDir).toBe('/var/lib/rkt');
  });
  it('is made absolute', () => {
    expect(globals({ dir: 'relative' }).dataDir).toBe(`${realpathSync('.')}/relative`);
  });
  it('has its symlinks resolved, even when its last part does not exist', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    expect(globals({ dir: join(folder, 'link/new') }).dataDir).toBe(join(folder, 'real/new'));
  });
  it('must not be empty', () => {
    expect(() => globals({ dir: '' })).toThrow('--dir: must not be empty');
  });
});

it('knows the built-in configuration folders', () => {
  expect(globals({})).toMatchObject({
    systemConfig: '/usr/lib/rkt',
    localConfig: '/etc/rkt',
    userConfig: undefined,
  });
});

describe('--insecure-options', () => {
  it('ignores case', () => {
    expect([...parseInsecure('Image')]).toEqual(['image']);
  });
  it('expands groups', () => {
    expect([...parseInsecure('all-fetch')]).toEqual(['image', 'tls', 'http', 'pubkey']);
    expect([...parseInsecure('all-run')]).toEqual(['capabilities', 'paths', 'seccomp']);
    expect(parseInsecure('all').size).toBe(8);
    expect(parseInsecure('none').size).toBe(0);
  });
  it('refuses a repeated or an unknown word', () => {
    expect(() => parseInsecure('image,image')).toThrow('duplicated option "image"');
    expect(() => parseInsecure('bogus')).toThrow('unknown option "bogus"');
    expect(() => parseInsecure('toString')).toThrow('unknown option');
  });
  it('is warned of in one line, except for what is said for each image', () => {
    expect(insecureWarning(new Set(['image', 'http', 'seccomp']))).toBe(
      'warning: plain HTTP is allowed; system calls of apps are not filtered (--insecure-options)',
    );
    expect(insecureWarning(new Set(['ondisk']))).toBeUndefined();
  });
});
