import type { Config } from '../config/index.ts';
import type { CommandSpec } from './command.ts';
import type { Flags } from './flags.ts';
import type { Writer } from './writer.ts';

/** A protection that `--insecure-options` turns off. */
export type InsecureOption =
  | 'image'
  | 'tls'
  | 'ondisk'
  | 'http'
  | 'pubkey'
  | 'capabilities'
  | 'paths'
  | 'seccomp';

/** The global flags, resolved. Every path is absolute. */
export interface Globals {
  readonly debug: boolean;
  /** `--dir`, or `data` of the configuration, or /var/lib/rkt; symlinks resolved. Need not exist. */
  readonly dataDir: string;
  readonly systemConfig: string;
  readonly localConfig: string;
  readonly userConfig: string | undefined;
  readonly insecure: ReadonlySet<InsecureOption>;
  readonly trustKeysFromHttps: boolean;
}

/** An image of the command line, with the flags and the arguments that follow it. */
export interface ImageArgument {
  readonly reference: string;
  readonly flags: Flags;
  /** What stood between `--` and `---`; undefined when there was no `--`. */
  readonly args: readonly string[] | undefined;
}

/** Everything that a command gets. */
export interface Context {
  readonly command: CommandSpec;
  /** The operands of a plain command. */
  readonly args: readonly string[];
  /** The images of a command that reads the image grammar. */
  readonly images: readonly ImageArgument[];
  /** The command's flags, without the global ones. */
  readonly flags: Flags;
  readonly globals: Globals;
  /** The merged configuration; empty for a standalone command. */
  readonly config: Config;
  /** The global flags with the configuration as it is now, whatever was read before. Throws ConfigError. */
  readonly configured: () => Promise<Globals>;
  /** Results only. */
  readonly stdout: Writer;
  readonly stderr: Writer;
  /** Prints a diagnostic on stderr: `rkt: COMMAND: MESSAGE`. */
  note(message: string): void;
  /** Prints a failure that does not end the command, as `main` prints one that does. */
  report(error: unknown): void;
}
