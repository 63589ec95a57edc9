import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { Stage1Error } from '../../src/stage1/error.ts';
import { POD_FILES } from '../../src/stage1/pod-files.ts';

/** Says a line to a pod's relay and hears whether it was done: relay-program.ts. */
export async function tellRelay(podFolder: string, words: readonly string[]): Promise<void> {
  const answer = await new Promise<string>((resolve, reject) => {
    // The address of a socket has room for 107 bytes only, whatever folder the pods are in.
    const folder = openSync(podFolder, 'r');
    const socket = connect(`/proc/self/fd/${folder}/${POD_FILES.attach}`);
    socket.on('close', () => closeSync(folder));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write(`${words.map((word) => word.replace(/\s/g, '_')).join(' ')}\n`);
  });
  // What a killed command was about to add may not have got there.
  if (answer === 'ok\n' || (words[0] === 'remove' && answer.includes('no such app'))) return;
  throw new Stage1Error(
    'app-setup',
    `the relay of the pod's output refused to ${words[0]} app "${words[1]}": ${answer.trim()}`,
  );
}
