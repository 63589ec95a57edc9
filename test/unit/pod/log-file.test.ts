import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LogFile } from '../../../src/pod/log-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-log-'));
  path = join(folder, 'app');
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (text: string, tag = 'F') => `2026-01-02T03:04:05.000000006Z stdout ${tag} ${text}\n`;
const texts = (log: LogFile) => [...log.read()].map(({ text }) => text.toString());

describe('the log of an app', () => {
  test('has time, stream, text and whether the line ended', () => {
    writeFileSync(path, line('one') + line('part', 'P'));
    const [first, second] = [...new LogFile(path, 'app').read()];
    expect(first).toEqual({
      time: '2026-01-02T03:04:05.000000006Z',
      app: 'app',
      stream: 'stdout',
      text: Buffer.from('one'),
      endsLine: true,
    });
    expect(second?.endsLine).toBe(false);
  });

  test('is read on from where it was, whole lines only', () => {
    const log = new LogFile(path, 'app');
    expect(texts(log)).toEqual([]);
    writeFileSync(path, line('one') + line('two').slice(0, 20));
    expect(texts(log)).toEqual(['one']);
    appendFileSync(path, line('two').slice(20));
    expect(texts(log)).toEqual(['two']);
    log.close();
  });

  test('goes on in the file that takes its place, and misses nothing of the old one', () => {
    const log = new LogFile(path, 'app');
    writeFileSync(path, line('one'));
    expect(texts(log)).toEqual(['one']);
    appendFileSync(path, line('two'));
    renameSync(path, `${path}.1`);
    writeFileSync(path, line('three'));
    expect(texts(log)).toEqual(['two', 'three']);
    log.close();
  });

  test('begins with the older file', () => {
    writeFileSync(`${path}.1`, line('old'));
    writeFileSync(path, line('new'));
    expect(texts(new LogFile(path, 'app'))).toEqual(['old', 'new']);
  });

  test('leaves out what a full disk or a crash has torn', () => {
    writeFileSync(path, `${line('one')}2026-01-02T03\n\n${line('two')}2026-`);
    expect(texts(new LogFile(path, 'app'))).toEqual(['one', 'two']);
  });

  test('is read across the ends of chunks', () => {
    const long = 'x'.repeat(16_000);
    writeFileSync(path, line(long).repeat(200));
    const all = texts(new LogFile(path, 'app'));
    expect(all.length).toBe(200);
    expect(new Set(all)).toEqual(new Set([long]));
  });
});
