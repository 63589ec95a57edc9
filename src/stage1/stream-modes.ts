import type { RuntimeApp } from '../appc/index.ts';
import { Stage1Error } from './error.ts';

/** Where the streams of an app lead (surface 14.4), kept as its annotations. */
export interface StreamModes {
  readonly stdin: 'null' | 'stream' | 'tty';
  readonly stdout: 'log' | 'null' | 'stream' | 'tty';
  readonly stderr: 'log' | 'null' | 'stream' | 'tty';
}

export const INPUT_MODES = ['null', 'stream', 'tty'] as const;
export const OUTPUT_MODES = ['log', 'null', 'stream', 'tty'] as const;

/** The annotation of an app that holds the mode of a stream. */
export function modeAnnotation(stream: keyof StreamModes): string {
  return `coreos.com/rkt/stage2/${stream}`;
}

/**
 * The modes that an app's annotations say; null and log where they say nothing.
 *
 * @throws Stage1Error for a word that is no mode, and for a terminal beside plain streams
 */
export function streamModes(app: RuntimeApp): StreamModes {
  const mode = <Mode extends string>(stream: keyof StreamModes, modes: readonly Mode[]): Mode => {
    const text = app.annotations.find(({ name }) => name === modeAnnotation(stream))?.value;
    const found = text === undefined ? modes[0] : modes.find((each) => each === text);
    if (found !== undefined) return found;
    throw new Stage1Error(
      'app-setup',
      `cannot run app "${app.name}": invalid ${stream} mode "${text}": use ${modes.join(', ')}`,
    );
  };
  const modes = {
    stdin: mode('stdin', INPUT_MODES),
    stdout: mode('stdout', OUTPUT_MODES),
    stderr: mode('stderr', OUTPUT_MODES),
  };
  const words: readonly string[] = Object.values(modes);
  if (words.includes('tty') && words.includes('stream'))
    throw new Stage1Error(
      'app-setup',
      `cannot run app "${app.name}": streams that are a terminal and plain ones do not go together: use tty or stream`,
    );
  return modes;
}
