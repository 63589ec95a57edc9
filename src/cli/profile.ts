import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { Session } from 'node:inspector';

/** Starts the profiles that were asked for; the result writes them. */
export function startProfiles(
  cpuFile: string | undefined,
  heapFile: string | undefined,
): () => void {
  const session = new Session();
  session.connect();
  if (cpuFile !== undefined) {
    session.post('Profiler.enable');
    session.post('Profiler.start');
  }
  return () => {
    if (cpuFile !== undefined)
      session.post('Profiler.stop', (_, { profile }) =>
        writeFileSync(cpuFile, JSON.stringify(profile)),
      );
    if (heapFile !== undefined) writeHeap(session, heapFile);
  };
}

function writeHeap(session: Session, file: string): void {
  const fd = openSync(file, 'w');
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => writeSync(fd, params.chunk));
  session.post('HeapProfiler.takeHeapSnapshot');
  closeSync(fd);
}
