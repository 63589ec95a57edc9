import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { showProgress } from '../../../src/cli/progress.ts';
import type { Writer } from '../../../src/cli/writer.ts';

let said: string[] = [];
let written: string[] = [];
beforeEach(() => {
  said = [];
  written = [];
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function display(terminal: boolean) {
  const stderr: Writer = { terminal, write: (text) => written.push(String(text)) };
  return showProgress(stderr, (line) => said.push(line));
}

const KiB = 1024;

describe('without a terminal', () => {
  it('a download is a line at its start and one at its end', () => {
    const bar = display(false).start('https://h/x.aci');
    for (const received of [0, KiB, 2 * KiB]) bar.update(received, 2 * KiB);
    bar.end();
    expect(said).toEqual([
      'downloading https://h/x.aci (2.0KiB)',
      'downloaded 2.0KiB of https://h/x.aci',
    ]);
    expect(written).toEqual([]);
  });
  it('the size is left out while nobody knows it', () => {
    const bar = display(false).start('x');
    bar.update(0, undefined);
    expect(said).toEqual(['downloading x']);
  });
  it('what never began is not mentioned', () => {
    display(false).start('x').end();
    expect(said).toEqual([]);
  });
});

describe('on a terminal', () => {
  /** What the screen shows at the end: only what moves the cursor up a line, or clears one, counts. */
  function screen(): string[] {
    const lines: string[] = [];
    let at = 0;
    const text = written.join('').replaceAll('\x1b', '^');
    for (const part of text.split(/(\^\[\d+A|\^\[2K|\n)/)) {
      const up = /^\^\[(\d+)A$/.exec(part);
      if (up) at -= Number(up[1]);
      else if (part === '^[2K') lines[at] = '';
      else if (part === '\n') at++;
      else if (part !== '') lines[at] = part;
    }
    return lines.map((line) => line.replace(/\s+/g, ' '));
  }

  it('a download is one bar that grows', () => {
    const bar = display(true).start('x');
    bar.update(0, 2 * KiB);
    expect(screen()).toEqual(['x [> ] 0B/2.0KiB']);
    vi.advanceTimersByTime(100);
    bar.update(KiB, 2 * KiB);
    expect(screen()).toEqual([`x [${'='.repeat(10)}> ] 1.0KiB/2.0KiB`]);
    bar.update(2 * KiB, 2 * KiB);
    bar.end();
    expect(screen()).toEqual([`x [${'='.repeat(20)}] 2.0KiB/2.0KiB`]);
  });
  it('two downloads are two bars; the one that is done stays', () => {
    const all = display(true);
    const [one, two] = [all.start('one'), all.start('two')];
    one.update(0, undefined);
    vi.advanceTimersByTime(100);
    two.update(0, undefined);
    expect(screen()).toEqual(['one 0B', 'two 0B']);
    two.update(5, undefined);
    two.end();
    vi.advanceTimersByTime(100);
    one.update(7, undefined);
    one.end();
    expect(screen()).toEqual(['two 5B', 'one 7B']);
  });
  it('is drawn ten times in a second at most', () => {
    const bar = display(true).start('x');
    for (let received = 0; received < 1000; received++) {
      vi.advanceTimersByTime(1);
      bar.update(received, 1000);
    }
    expect(written.length).toBeLessThanOrEqual(11);
  });
  it('no line is longer than 79 columns', () => {
    const bar = display(true).start(`https://h/${'x'.repeat(200)}.aci`);
    bar.update(1023.9 * KiB, 1023.9 * KiB);
    expect(written.join('').split('\n')[0]?.replace('\x1b[2K', '').length).toBeLessThanOrEqual(79);
  });
});
