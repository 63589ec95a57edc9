import { describe, expect, it } from 'vitest';
import { manPages } from '../../../src/cli/man.ts';

const pages = manPages('2.0.0');

function page(file: string): string {
  const found = pages.find((one) => one.file === file);
  if (!found) throw new Error(`no page ${file}`);
  return found.text;
}

describe('the man pages', () => {
  it('are one for rkt and one for each command', () => {
    expect(pages.map(({ file }) => file)).toContain('rkt.1');
    expect(pages.map(({ file }) => file)).toContain('rkt-image-cat-manifest.1');
  });
  it('list every flag that is not hidden', () => {
    expect(page('rkt-run.1')).toContain('\\-\\-uuid\\-file\\-save=FILE');
    expect(page('rkt-run.1')).not.toContain('store\\-only');
  });
  it('never begin a line of text with a control character', () => {
    const requests = /^\.(TH|SH|TP|PP|B|BR)( |$)/;
    const stray = pages.flatMap(({ text }) =>
      text.split('\n').filter((line) => /^[.']/.test(line) && !requests.test(line)),
    );
    expect(stray).toEqual([]);
  });
});
