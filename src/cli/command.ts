import type { Context } from './context.ts';

/** A flag as the parser, the help, the man pages and the completion see it. */
export interface FlagSpec {
  /** Without dashes. */
  readonly name: string;
  /** `f` for `-f`. */
  readonly letter?: string;
  /**
   * `bool` takes no word (`--x`, `--x=false`); `value` takes one (`--x=v`, `--x v`); `optional`
   * takes one only behind `=`, and means `bare` without.
   */
  readonly kind: 'bool' | 'value' | 'optional';
  /** What the value is called in help: `FILE`. */
  readonly placeholder?: string;
  /** What `--x` alone means, for `optional`. */
  readonly bare?: string;
  /** The only values that are taken. */
  readonly choices?: readonly string[];
  /** The value when the flag is not given. */
  readonly default?: string;
  /** Every occurrence counts; otherwise the last one wins. */
  readonly repeatable?: boolean;
  /**
   * In the image grammar: `pod` (the default) acts on the pod wherever it stands, `image` on the
   * image before it, `both` on the image before it or, ahead of the first image, on all.
   */
  readonly scope?: 'pod' | 'image' | 'both';
  readonly description: string;
  readonly hidden?: boolean;
  /** The overview only names it. */
  readonly minor?: boolean;
}

/** What a command's operands name, for completion. */
export type OperandKind = 'pod' | 'image' | 'file' | 'folder' | 'command' | 'shell';

export interface CommandSpec {
  /** The words that name it: `image build`. */
  readonly path: string;
  readonly group: 'Pods' | 'Images' | 'General';
  /** One line, without a full stop. */
  readonly summary: string;
  /** The synopsis behind `rkt PATH`. */
  readonly usage: string;
  /** Paragraphs for `--help` and the man page, a string each. */
  readonly description: readonly string[];
  readonly flags: readonly FlagSpec[];
  /** The operands are images with flags and arguments of their own (see images in context.ts). */
  readonly imageGrammar?: boolean;
  readonly operand?: OperandKind;
  /** How many operands are taken, least and most; none by default. Not used by the image grammar. */
  readonly operands?: readonly [least: number, most: number];
  /** Flags end where the operands begin: what follows the first one is another program's. */
  readonly flagsFirst?: boolean;
  readonly rootOnly?: boolean;
  /** Needs neither configuration nor data folder, and works when they are broken. */
  readonly standalone?: boolean;
  readonly hidden?: boolean;
  /** Loads the implementation, and with it everything that only this command needs. */
  load(): Promise<{ run(context: Context): Promise<number> }>;
}
