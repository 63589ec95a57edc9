import { describe, expect, test } from 'vitest';
import { AppcError, appEnvironment, parseEnvFiles } from '../../../src/appc/index.ts';

describe('the environment of an app', () => {
  test('has the base set and the name of the app', () => {
    expect(appEnvironment({ name: 'web', environment: [] })).toEqual([
      { name: 'PATH', value: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
      { name: 'SHELL', value: '/bin/sh' },
      { name: 'USER', value: 'root' },
      { name: 'LOGNAME', value: 'root' },
      { name: 'HOME', value: '/root' },
      { name: 'AC_APP_NAME', value: 'web' },
      { name: 'container', value: 'rkt' },
    ]);
  });

  test('takes the app’s value over the base set’s', () => {
    const environment = appEnvironment({
      name: 'web',
      environment: [{ name: 'HOME', value: '/srv' }],
    });
    expect(environment.filter(({ name }) => name === 'HOME')).toEqual([
      { name: 'HOME', value: '/srv' },
    ]);
  });

  test('does not let the app lie about its name', () => {
    const environment = appEnvironment({
      name: 'web',
      environment: [{ name: 'AC_APP_NAME', value: 'other' }],
    });
    expect(environment).toContainEqual({ name: 'AC_APP_NAME', value: 'web' });
  });

  test('names the metadata service where there is one', () => {
    expect(appEnvironment({ name: 'web', environment: [] }, 'http://x')).toContainEqual({
      name: 'AC_METADATA_URL',
      value: 'http://x',
    });
  });

  test('keeps newlines and empty values', () => {
    const odd = [
      { name: 'A', value: 'x\ny' },
      { name: 'B', value: '' },
    ];
    expect(appEnvironment({ name: 'web', environment: odd })).toEqual(expect.arrayContaining(odd));
  });
});

describe('an environment file', () => {
  const parse = (...texts: string[]) =>
    parseEnvFiles(texts.map((text, index) => ({ path: `/${index}.env`, text })));

  test('skips comments and blank lines and splits at the first "="', () => {
    expect(parse('#x\n  ;y\n\n \t\nA=b=c\n  B= "q" $HOME \r\nC=\n')).toEqual([
      { name: 'A', value: 'b=c' },
      { name: 'B', value: ' "q" $HOME ' },
      { name: 'C', value: '' },
    ]);
  });

  test('with a line without "=" is refused with file and line', () => {
    expect(() => parse('A=1\nNOEQ\n')).toThrow('/0.env:2: "NOEQ" has no "="');
  });

  test('with something else than a name is refused', () => {
    expect(() => parse('1A=1')).toThrow('/0.env:1: "1A=1" does not begin with the name');
  });

  test('that sets a name twice is refused', () => {
    expect(() => parse('A=1\nA=1')).toThrow('/0.env:2: "A" is already set in /0.env:1');
  });

  test('that sets a name of another file is refused', () => {
    expect(() => parse('A=1', '\nA=2')).toThrow(AppcError);
    expect(() => parse('A=1', '\nA=2')).toThrow('/1.env:2: "A" is already set in /0.env:1');
  });
});
