import { expect, test } from 'vitest';
import { boundingSet, type Isolator } from '../../../src/appc/index.ts';

const set = (kind: 'retain' | 'remove', ...names: string[]): Isolator => ({
  name: `os/linux/capabilities-${kind}-set`,
  value: { set: names },
});

test('the default set has the fourteen of rkt', () => {
  expect(boundingSet([])).toEqual([
    'CAP_AUDIT_WRITE',
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
    'CAP_FOWNER',
    'CAP_FSETID',
    'CAP_KILL',
    'CAP_MKNOD',
    'CAP_NET_BIND_SERVICE',
    'CAP_NET_RAW',
    'CAP_SETFCAP',
    'CAP_SETGID',
    'CAP_SETPCAP',
    'CAP_SETUID',
    'CAP_SYS_CHROOT',
  ]);
});

test('a retain-set is exactly what is left', () => {
  expect(boundingSet([set('retain', 'CAP_SYS_ADMIN', 'CAP_KILL')])).toEqual([
    'CAP_KILL',
    'CAP_SYS_ADMIN',
  ]);
});

test('a remove-set is taken from the defaults', () => {
  const left = boundingSet([
    set('remove', 'CAP_KILL', 'CAP_SYS_ADMIN'),
    set('remove', 'CAP_CHOWN'),
  ]);
  expect(left).toHaveLength(12);
  expect(left).not.toContain('CAP_KILL');
  expect(left).not.toContain('CAP_CHOWN');
});

test('an unknown name is an error', () => {
  expect(() => boundingSet([set('retain', 'CAP_FLY')])).toThrow('unknown capability "CAP_FLY"');
  expect(() => boundingSet([set('remove', 'CAP_FLY')])).toThrow('unknown capability "CAP_FLY"');
});

test('both kinds of set are an error', () => {
  expect(() => boundingSet([set('retain', 'CAP_KILL'), set('remove', 'CAP_KILL')])).toThrow('both');
});
