import { flagError } from './error.ts';

/**
 * The bytes of a key sequence such as `ctrl-p,ctrl-q` or `ctrl-a,d`; empty for none.
 *
 * @throws CliError for what is no key
 */
export function parseDetachKeys(text: string): Buffer {
  const keys = text === '' ? [] : text.split(',');
  return Buffer.from(
    keys.map((key) => {
      const [, letter] = /^ctrl-([a-z@[\\\]^_])$/.exec(key) ?? [];
      if (letter) return letter.toUpperCase().charCodeAt(0) & 0x1f;
      if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
      throw flagError('detach-keys', `"${key}" is neither a letter nor ctrl-LETTER`);
    }),
  );
}

/**
 * Looks for a key sequence in what is typed. What may be its beginning is held back until it is clear
 * that it is not, so that the app sees all of it or nothing.
 */
export class KeyWatch {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What of the input is the app's, and whether the sequence was completed behind it. */
  feed(input: Buffer): { pass: Buffer; detached: boolean } {
    if (this.#keys.length === 0) return { pass: input, detached: false };
    const pass: number[] = [];
    for (const byte of input) {
      while (this.#matched > 0 && byte !== this.#keys[this.#matched]) {
        // The longest end of what was held back that may begin the sequence anew.
        const held = this.#keys.subarray(0, this.#matched);
        let keep = this.#matched - 1;
        while (keep > 0 && !held.subarray(-keep).equals(this.#keys.subarray(0, keep))) keep--;
        pass.push(...held.subarray(0, this.#matched - keep));
        this.#matched = keep;
      }
      if (byte !== this.#keys[this.#matched]) pass.push(byte);
      else if (++this.#matched === this.#keys.length)
        return { pass: Buffer.from(pass), detached: true };
    }
    return { pass: Buffer.from(pass), detached: false };
  }
}
