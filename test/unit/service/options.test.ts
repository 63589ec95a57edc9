import { describe, expect, test } from 'vitest';
import {
  checkOptions,
  fetchArgv,
  gcArgv,
  OPTIONS,
  prepareArgv,
  runArgv,
  stopArgv,
} from '../../../src/service/options.ts';

const images = (...names: string[]) => ({ images: names, manifest: undefined });

describe('options', () => {
  test('that are unknown are refused by name', () => {
    expect(() => checkOptions(OPTIONS.RunPod, { colour: 'red' })).toThrow(
      'unknown option "colour"',
    );
  });

  test('of another kind are refused by name', () => {
    expect(() => checkOptions(OPTIONS.RunPod, { net: 'none' })).toThrow(
      'option "net" must be a list of texts (as)',
    );
    expect(() => checkOptions(OPTIONS.StopPod, { timeout: '1h' })).toThrow(
      'option "timeout" must be microseconds (t)',
    );
  });

  test('that know some words only are refused with these', () => {
    expect(() => checkOptions(OPTIONS.Fetch, { 'pull-policy': 'always' })).toThrow(
      'option "pull-policy" must be one of new, never, update',
    );
    expect(() => checkOptions(OPTIONS.ListPods, { states: ['running', 'ended'] })).toThrow(
      /^option "states" must be one of preparing, .*, running, exited, /,
    );
  });
});

describe('command lines', () => {
  test('of a pod have its flags ahead of the images, and the arguments of each app', () => {
    const options = { net: ['none'], port: ['a:1'], arguments: [['x', '--y'], []] };
    expect(runArgv(images('one', 'two'), options)).toEqual(
      ['run', '--detach', '--net=none', '--port=a:1']
        .concat(['one', '--', 'x', '--y', '---'])
        .concat(['two', '--', '---']),
    );
  });

  test('name what is insecure ahead of the command', () => {
    const argv = prepareArgv(images('one'), { 'insecure-options': ['image', 'tls'] });
    expect(argv.slice(0, 2)).toEqual(['--insecure-options=image,tls', 'prepare']);
  });

  test('take no image for a flag, and no argument for the end of them', () => {
    expect(() => prepareArgv(images('--debug'), {})).toThrow(/names nothing/);
    expect(() => prepareArgv(images('one'), { arguments: [['---']] })).toThrow(/"---"/);
  });

  test('make a pod of a manifest, or of images, or run a prepared one', () => {
    const manifest = { images: [], manifest: '/m' };
    expect(prepareArgv(manifest, {})).toEqual(['prepare', '--pod-manifest=/m']);
    expect(() => prepareArgv({ images: ['one'], manifest: '/m' }, {})).toThrow(/manifest or of/);
    expect(runArgv(images(), { pod: 'aa' })).toEqual(['run-prepared', '--detach', 'aa']);
    expect(() => runArgv(images('one'), { pod: 'aa' })).toThrow(/already/);
  });

  test('have times in microseconds', () => {
    expect(stopArgv('aa', { timeout: 1_500_000, force: true })).toEqual([
      'stop',
      '--timeout=1500000us',
      '--force',
      'aa',
    ]);
    expect(gcArgv({ 'grace-period': 0 })).toEqual(['gc', '--grace-period=0us']);
  });

  test('of a fetch print the whole key', () => {
    expect(fetchArgv('example.org/x', { 'pull-policy': 'new' })).toEqual([
      'fetch',
      '--full',
      '--pull-policy=new',
      'example.org/x',
    ]);
  });
});
