import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findNetworks } from '../../../src/net/config.ts';

let folder: string;
let warnings: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-net-'));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (file: string, config: unknown) =>
  writeFileSync(join(folder, file), typeof config === 'string' ? config : JSON.stringify(config));
const find = (...names: string[]) =>
  findNetworks(
    folder,
    names.map((name) => ({ name, args: '' })),
    (message) => warnings.push(message),
  );
const names = (...wanted: string[]) => find(...wanted).map(({ network }) => network.name);

describe('findNetworks', () => {
  test('knows the built-in networks without any configuration', () => {
    expect(names('default', 'default-restricted')).toEqual(['default-restricted', 'default']);
  });

  test('gives the networks in the order of their files, not of the command line', () => {
    write('20-b.conf', { name: 'b', type: 'ptp' });
    write('10-c.conf', { name: 'c', type: 'ptp' });
    expect(names('default', 'b', 'c')).toEqual(['c', 'b', 'default']);
  });

  test('takes a user’s network for a built-in one of its name', () => {
    write('mine.conf', { name: 'default', type: 'bridge' });
    expect(find('default')[0]?.network.plugins[0]?.type).toBe('bridge');
  });

  test('takes the first of two files with the same name, and says so', () => {
    write('1.conf', { name: 'a', type: 'ptp' });
    write('2.conf', { name: 'a', type: 'bridge' });
    expect(find('a')[0]?.network.plugins[0]?.type).toBe('ptp');
    expect(warnings).toEqual([`"a" network already defined, ignoring ${join(folder, '2.conf')}`]);
  });

  test('takes all there is for "all"', () => {
    write('10-a.conf', { name: 'a', type: 'ptp' });
    expect(names('all')).toEqual(['a', 'default-restricted', 'default']);
  });

  test('reads a chain of plugins from a conflist', () => {
    write('a.conflist', {
      cniVersion: '1.0.0',
      name: 'a',
      plugins: [{ type: 'bridge' }, { type: 'portmap', capabilities: { portMappings: true } }],
    });
    expect(find('a')[0]?.network).toMatchObject({
      cniVersion: '1.0.0',
      plugins: [{ type: 'bridge' }, { type: 'portmap' }],
    });
  });

  test('leaves other files alone', () => {
    write('a.conf.bak', 'nonsense');
    write('README', 'nonsense');
    expect(names('all')).toEqual(['default-restricted', 'default']);
  });

  test('does not mind a broken file of a network that nobody asks for', () => {
    write('broken.conf', '{ "name": "broken", ');
    expect(names('default')).toEqual(['default']);
  });

  test.each([
    ['what is not JSON', '{ "name": "broken", "type": ', /broken\.conf: .*not JSON at line 1/],
    ['a missing type', { name: 'broken' }, /broken\.conf: type: must be a string/],
    [
      'a wrong field',
      { name: 'broken', type: 'ptp', ipMasq: 'yes' },
      /ipMasq: must be true or false/,
    ],
  ])('names the file and the field of %s to who asks for it', (_, config, message) => {
    write('broken.conf', config);
    expect(() => find('broken')).toThrow(message);
    expect(() => find('all')).toThrow(message);
  });

  test('does not take a built-in network for a broken file of its name', () => {
    write('default.conf', '{ "name": "default" ');
    expect(() => find('default')).toThrow(/default\.conf/);
  });

  test('names the networks that nobody has defined', () => {
    expect(() => find('one', 'default', 'two')).toThrow(/networks not found: one, two/);
  });
});
