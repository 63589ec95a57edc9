import type { FlagSpec } from './command.ts';
import { flagError } from './error.ts';

/** Go's strconv.ParseBool, as scripts written for rkt use it; undefined for any other word. */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

/** The flags that were given to a command or to one image, in order, checked against the table. */
export class Flags {
  readonly #specs: ReadonlyMap<string, FlagSpec>;
  readonly #given = new Map<string, string[]>();

  constructor(specs: readonly FlagSpec[]) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
  }

  find(name: string): FlagSpec | undefined {
    return this.#specs.get(name);
  }

  findLetter(letter: string): FlagSpec | undefined {
    return [...this.#specs.values()].find((spec) => spec.letter === letter);
  }

  /** Records an occurrence; undefined stands for a flag without `=` and without a value. */
  add(spec: FlagSpec, value: string | undefined): void {
    const text = value ?? (spec.kind === 'bool' ? 'true' : (spec.bare ?? ''));
    if (spec.kind === 'bool' && parseBool(text) === undefined)
      throw flagError(spec.name, `must be true or false, not "${text}"`);
    if (spec.choices && !spec.choices.includes(text))
      throw flagError(spec.name, `must be ${oneOf(spec.choices)}, not "${text}"`);
    const given = this.#given.get(spec.name);
    if (given) given.push(text);
    else this.#given.set(spec.name, [text]);
  }

  given(name: string): boolean {
    this.#spec(name);
    return this.#given.has(name);
  }

  /** Every value in order; the default, if any, when the flag was not given. */
  values(name: string): readonly string[] {
    const { default: fallback } = this.#spec(name);
    return this.#given.get(name) ?? (fallback === undefined ? [] : [fallback]);
  }

  /** The last value, or the default. */
  value(name: string): string | undefined {
    return this.values(name).at(-1);
  }

  bool(name: string): boolean {
    return parseBool(this.value(name) ?? 'false') ?? false;
  }

  #spec(name: string): FlagSpec {
    const spec = this.#specs.get(name);
    if (!spec) throw new Error(`the command table has no flag --${name} here`);
    return spec;
  }
}

function oneOf(words: readonly string[]): string {
  return words.length < 2
    ? words.join('')
    : `${words.slice(0, -1).join(', ')} or ${words.slice(-1).join('')}`;
}
