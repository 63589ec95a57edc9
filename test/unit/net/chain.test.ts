import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  addToNetwork,
  checkNetwork,
  collectNetwork,
  deleteFromNetwork,
  inKnownVersion,
} from '../../../src/net/chain.ts';
import type { Attachment, NetworkConfig } from '../../../src/net/types.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-cni-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A plugin that notes how it was called, and then does what the script says. */
function plugin(name: string, script: string): void {
  const path = join(folder, name);
  writeFileSync(
    path,
    `#!/bin/sh
config=$(cat)
echo "${name} $CNI_COMMAND $CNI_IFNAME $CNI_ARGS" >> ${folder}/calls
printf '%s' "$config" > ${folder}/${name}.$CNI_COMMAND
${script}
`,
  );
  chmodSync(path, 0o755);
}

const calls = () =>
  existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8') : '';
const given = (name: string, command: string) =>
  JSON.parse(readFileSync(join(folder, `${name}.${command}`), 'utf8'));
const options = () => ({ folders: [folder], deadline: 2000 });

function network(version: string, ...types: string[]): NetworkConfig {
  return {
    name: 'net',
    cniVersion: version,
    plugins: types.map((type) => ({ type })),
    disableCheck: false,
    disableGc: false,
  };
}

function attachment(config: NetworkConfig, more: Partial<Attachment> = {}): Attachment {
  return {
    network: config,
    containerId: 'pod',
    interfaceName: 'eth0',
    netns: '/n',
    args: '',
    runtimeConfig: {},
    ...more,
  };
}

const RESULT = '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}';
const FAILS = `printf '{"code":7,"msg":"no luck","details":"at all"}'; exit 1`;

describe('addToNetwork', () => {
  test('gives each plugin the result of the one before', () => {
    plugin('one', `printf '%s' '${RESULT}'`);
    plugin('two', `printf '%s' '${RESULT}'`);
    const result = addToNetwork(attachment(network('1.0.0', 'one', 'two')), options());
    expect(result).toEqual(JSON.parse(RESULT));
    expect(given('one', 'ADD')).not.toHaveProperty('prevResult');
    expect(given('two', 'ADD')).toMatchObject({
      name: 'net',
      cniVersion: '1.0.0',
      prevResult: JSON.parse(RESULT),
    });
  });

  test('passes the user’s arguments on, and that others are to be ignored', () => {
    plugin('one', `printf '%s' '${RESULT}'`);
    addToNetwork(attachment(network('1.0.0', 'one'), { args: 'IP=10.0.0.9;A=b' }), options());
    expect(calls()).toBe('one ADD eth0 IgnoreUnknown=1;IP=10.0.0.9;A=b\n');
  });

  test('gives runtime configuration to the plugins that ask for it', () => {
    plugin('one', `printf '%s' '${RESULT}'`);
    const config = {
      ...network('1.0.0'),
      plugins: [{ type: 'one', capabilities: { portMappings: true } }],
    };
    const portMappings = [{ hostPort: 1, containerPort: 2, protocol: 'tcp' }];
    addToNetwork(attachment(config, { runtimeConfig: { portMappings } }), options());
    expect(given('one', 'ADD')).toMatchObject({ runtimeConfig: { portMappings } });
  });

  test('undoes the whole chain, in reverse, when a plugin fails, and says what it said', () => {
    plugin('one', `printf '%s' '${RESULT}'`);
    plugin('two', `[ $CNI_COMMAND = DEL ] || { ${FAILS}; }`);
    expect(() => addToNetwork(attachment(network('1.0.0', 'one', 'two')), options())).toThrow(
      'network "net": CNI plugin "two" (ADD) failed: no luck; at all',
    );
    expect(calls().replace(/ eth0.*/g, '')).toBe('one ADD\ntwo ADD\ntwo DEL\none DEL\n');
  });

  test('does not wait longer than the deadline for a plugin, nor for its children', () => {
    plugin('one', '[ $CNI_COMMAND = DEL ] || { sleep 600 & echo $! > "$0.pid"; wait; }');
    const brief = { folders: [folder], deadline: 300 };
    expect(() => addToNetwork(attachment(network('1.0.0', 'one')), brief)).toThrow(
      /no answer within 0.3 s/,
    );
    const child = readFileSync(join(folder, 'one.pid'), 'utf8').trim();
    const state = existsSync(`/proc/${child}/stat`)
      ? readFileSync(`/proc/${child}/stat`, 'utf8').split(' ')[2]
      : 'gone';
    expect(['gone', 'Z']).toContain(state);
  });

  test.each([
    ['garbage', 'printf "hello"', /printed what is not JSON: "hello"/],
    ['half a JSON', `printf '{"ips":['`, /printed what is not JSON/],
    ['nothing, and is killed', '[ $CNI_COMMAND = DEL ] || kill -9 $$', /killed by SIGKILL/],
    ['nothing but a status', '[ $CNI_COMMAND = DEL ] || exit 3', /failed: it ended with 3/],
    ['garbage with a status', 'printf "oops"; exit 3', /it ended with 3 and printed "oops"/],
  ])('tells of a plugin that prints %s', (_, script, message) => {
    plugin('one', script);
    expect(() => addToNetwork(attachment(network('1.0.0', 'one')), options())).toThrow(message);
  });

  test('says where it has looked for a plugin that is not there', () => {
    expect(() => addToNetwork(attachment(network('1.0.0', 'none')), options())).toThrow(
      new RegExp(`could not find the CNI plugin "none" in ${folder}`),
    );
  });
});

describe('deleteFromNetwork', () => {
  test('gives every plugin its turn though one fails, and tells of that', () => {
    plugin('one', '');
    plugin('two', FAILS);
    expect(() =>
      deleteFromNetwork(attachment(network('1.0.0', 'one', 'two')), undefined, options()),
    ).toThrow('no luck');
    expect(calls().replace(/ eth0.*/g, '')).toBe('two DEL\none DEL\n');
  });
});

describe('checkNetwork', () => {
  test('asks every plugin, with the result of ADD', () => {
    plugin('one', '');
    checkNetwork(attachment(network('1.0.0', 'one'), { result: { ips: [] } }), options());
    expect(given('one', 'CHECK')).toMatchObject({ prevResult: { ips: [] } });
  });

  test('is silent for versions that do not have it', () => {
    plugin('one', FAILS);
    checkNetwork(attachment(network('0.3.1', 'one')), options());
    expect(calls()).toBe('');
  });
});

test('collectNetwork tells which attachments there are', () => {
  plugin('one', '');
  const valid = [{ containerID: 'pod', ifname: 'eth0' }];
  collectNetwork(network('1.1.0', 'one'), valid, options());
  expect(given('one', 'GC')).toMatchObject({ 'cni.dev/valid-attachments': valid });
});

describe('inKnownVersion', () => {
  test('falls back to what all plugins of the chain speak', () => {
    plugin('one', `printf '{"supportedVersions":["0.4.0","1.0.0","1.1.0"]}'`);
    plugin('two', `printf '{"supportedVersions":["0.4.0","1.0.0"]}'`);
    expect(inKnownVersion(network('1.1.0', 'one', 'two'), options()).cniVersion).toBe('1.0.0');
  });

  test('asks nobody about older versions', () => {
    plugin('one', FAILS);
    expect(inKnownVersion(network('0.4.0', 'one'), options()).cniVersion).toBe('0.4.0');
    expect(calls()).toBe('');
  });
});
