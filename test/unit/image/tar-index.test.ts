import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readDocument } from '../../../src/image/byte-range.ts';
import { indexTar } from '../../../src/image/tar-index.ts';

let scratch = '';
let tarFile = '';
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tar-index-'));
  tarFile = join(scratch, 'a.tar');
  mkdirSync(join(scratch, 'in'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

const input = (name: string) => join(scratch, 'in', name);

function pack(...args: string[]): void {
  execFileSync('tar', ['-C', join(scratch, 'in'), '-cf', tarFile, ...args]);
}

function read(name: string): string | undefined {
  const range = indexTar(tarFile).find(name);
  return range && readDocument(range, name).toString();
}

describe('members are found', () => {
  test.each(['gnu', 'posix', 'ustar', 'v7'])('in the format %s', (format) => {
    mkdirSync(input('sub'));
    writeFileSync(input('first'), 'one');
    writeFileSync(input('sub/second'), 'two');
    pack(`--format=${format}`, '.');
    expect([read('first'), read('sub/second'), read('third')]).toEqual(['one', 'two', undefined]);
  });

  test.each(['gnu', 'posix'])('by names longer than a header holds, in the format %s', (format) => {
    const name = `${'d'.repeat(120)}/${'f'.repeat(200)}`;
    mkdirSync(input('d'.repeat(120)));
    writeFileSync(input(name), 'long');
    pack(`--format=${format}`, '.');
    expect(read(name)).toBe('long');
  });

  test('through links inside the archive', () => {
    mkdirSync(input('id'));
    writeFileSync(input('layer.tar'), 'bytes');
    execFileSync('ln', ['-s', '../layer.tar', input('id/soft')]);
    execFileSync('ln', [input('layer.tar'), input('hard')]);
    pack('--sort=name', 'id', 'layer.tar', 'hard');
    expect([read('id/soft'), read('hard')]).toEqual(['bytes', 'bytes']);
  });

  test('never outside of it', () => {
    execFileSync('ln', ['-s', '/etc/passwd', input('absolute')]);
    execFileSync('ln', ['-s', '../../../../../../etc/passwd', input('relative')]);
    pack('.');
    expect([read('absolute'), read('relative'), read('../a.tar')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('without an end mark', () => {
    writeFileSync(input('only'), 'x');
    pack('only');
    truncateSync(tarFile, 1024);
    expect(read('only')).toBe('x');
  });
});

describe('an archive is refused', () => {
  const message = (name = 'x') => {
    try {
      return read(name);
    } catch (error) {
      return String(error);
    }
  };

  test('when it is truncated', () => {
    writeFileSync(input('x'), Buffer.alloc(4096));
    pack('x');
    truncateSync(tarFile, 2048);
    expect(message()).toMatch(/ImageError: import .*a.tar: it is truncated at byte 2048/);
  });

  test('when it is no tar', () => {
    writeFileSync(tarFile, '<html>'.repeat(1000));
    expect(message()).toMatch(/wrong checksum/);
  });

  test('when a size lies', () => {
    writeFileSync(input('x'), 'x');
    pack('--format=ustar', 'x');
    const bytes = readFileSync(tarFile);
    bytes.write('77777777777', 124, 'latin1');
    let sum = 0;
    for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 32 : (bytes[i] ?? 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    writeFileSync(tarFile, bytes);
    expect(message()).toMatch(/truncated/);
  });

  test('when links lead in a circle', () => {
    execFileSync('ln', ['-s', 'y', input('x')]);
    execFileSync('ln', ['-s', 'x', input('y')]);
    pack('.');
    expect(message()).toMatch(/too many links/);
  });
});
