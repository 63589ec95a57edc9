import type { ProgressDisplay } from '../http/download.ts';
import { sizeText } from './output.ts';
import type { Writer } from './writer.ts';

/** Milliseconds between two drawings. */
const interval = 100;
const labelWidth = 40;
const barWidth = 20;

interface Bar {
  readonly label: string;
  received: number;
  total: number | undefined;
}

/** Downloads on stderr: a bar for each on a terminal, else a line at the start and one at the end. */
export function showProgress(stderr: Writer, say: (line: string) => void): ProgressDisplay {
  const shown = stderr.terminal ? new Bars(stderr) : new Lines(say);
  return stderr.progress ? both(shown, stderr.progress) : shown;
}

function both(one: ProgressDisplay, other: ProgressDisplay): ProgressDisplay {
  return {
    start(label) {
      const each = [one.start(label), other.start(label)];
      return {
        update: (received, total) => {
          for (const display of each) display.update(received, total);
        },
        end: () => {
          for (const display of each) display.end();
        },
      };
    },
  };
}

class Lines implements ProgressDisplay {
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  start(label: string) {
    let received: number | undefined;
    return {
      update: (now: number, total: number | undefined) => {
        if (received === undefined)
          this.#say(`downloading ${label}${total === undefined ? '' : ` (${sizeText(total)})`}`);
        received = now;
      },
      end: () => {
        if (received !== undefined) this.#say(`downloaded ${sizeText(received)} of ${label}`);
      },
    };
  }
}

/** The bars that move stand at the end of what was printed; one that is done stays where it is. */
class Bars implements ProgressDisplay {
  readonly #stderr: Writer;
  readonly #bars: Bar[] = [];
  #drawn = 0;
  #last = 0;

  constructor(stderr: Writer) {
    this.#stderr = stderr;
  }

  start(label: string) {
    const bar: Bar = { label, received: -1, total: undefined };
    return {
      update: (received: number, total: number | undefined) => {
        if (bar.received < 0) this.#bars.push(bar);
        bar.received = received;
        bar.total = total;
        this.#draw(false);
      },
      end: () => {
        if (bar.received < 0) return;
        this.#bars.splice(this.#bars.indexOf(bar), 1);
        this.#bars.unshift(bar);
        this.#draw(true);
        this.#bars.shift();
        this.#drawn--;
      },
    };
  }

  #draw(now: boolean): void {
    if (!now && Date.now() - this.#last < interval) return;
    this.#last = Date.now();
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    this.#stderr.write(`${up}${this.#bars.map((bar) => `\x1b[2K${barText(bar)}\n`).join('')}`);
    this.#drawn = this.#bars.length;
  }
}

/** `LABEL [=====>    ] 12MiB/60MiB`; without a total only what has come. At most 79 columns. */
function barText({ label, received, total }: Bar): string {
  const name = label.length > labelWidth ? `…${label.slice(1 - labelWidth)}` : label;
  const done = sizeText(received);
  if (total === undefined) return `${name.padEnd(labelWidth)} ${done}`;
  const full = total === 0 ? barWidth : Math.floor((received / total) * barWidth);
  const bar = `${'='.repeat(full)}${full < barWidth ? '>' : ''}`.padEnd(barWidth);
  return `${name.padEnd(labelWidth)} [${bar}] ${done}/${sizeText(total)}`;
}
