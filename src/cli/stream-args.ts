import type { NameValue } from '../appc/index.ts';
import { INPUT_MODES, modeAnnotation, OUTPUT_MODES } from '../stage1/stream-modes.ts';
import { flagError, usageError } from './error.ts';
import type { Flags } from './flags.ts';

const STREAMS = ['stdin', 'stdout', 'stderr'] as const;

/** `--stdin`, `--stdout` and `--stderr` of an image, as the annotations that stage1 reads. */
export function streamAnnotations(flags: Flags): NameValue[] {
  const given = STREAMS.flatMap((stream) => {
    const mode = flags.value(stream);
    if (mode === undefined) return [];
    const modes: readonly string[] = stream === 'stdin' ? INPUT_MODES : OUTPUT_MODES;
    if (!modes.includes(mode))
      throw flagError(stream, `invalid ${stream} mode "${mode}": use ${modes.join(', ')}`);
    return [{ name: modeAnnotation(stream), value: mode }];
  });
  const modes = given.map(({ value }) => value);
  if (modes.includes('tty') && modes.includes('stream'))
    throw usageError('streams of one app are a terminal or plain ones: use tty or stream');
  return given;
}
