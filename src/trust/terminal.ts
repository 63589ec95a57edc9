import { createInterface } from 'node:readline';
import { TrustError } from './error.ts';
import type { Dialog } from './types.ts';

/** The user at stdin and stderr, if both are a terminal. */
export const terminalDialog: Dialog = {
  get terminal() {
    return process.stdin.isTTY === true && process.stderr.isTTY === true;
  },
  ask(question) {
    return new Promise((resolve) => {
      const lines = createInterface({ input: process.stdin, terminal: false });
      let answer: string | undefined;
      lines.once('line', (line) => {
        answer = line;
        lines.close();
      });
      lines.once('close', () => {
        process.stdin.pause();
        resolve(answer);
      });
      process.stderr.write(question);
    });
  },
};

/**
 * Asks until the answer is exactly `yes` or `no`.
 *
 * @throws TrustError `not-accepted` when the user has gone
 */
export async function confirm(dialog: Dialog, question: string): Promise<boolean> {
  for (;;) {
    const answer = await dialog.ask(`${question} (yes/no)? `);
    if (answer === 'yes') return true;
    if (answer === 'no') return false;
    if (answer === undefined)
      throw new TrustError('not-accepted', 'no answer on the terminal, so nothing is trusted');
    question = 'Please type "yes" or "no":';
  }
}
