import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { POD_FILES, readPodManifest } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import type { Pod } from './pods.ts';
import { waitReady } from './wait.ts';

/** What of an app one can be attached to (surface 14.4); `stdin-once` closes its stdin at the end. */
export type Endpoint = 'stdin' | 'stdin-once' | 'stdout' | 'stderr' | 'tty-in' | 'tty-out';

/** How long a pod that has just been started may take until it can be attached to, in milliseconds. */
const PATIENCE = 30_000;

/** The relay of a running pod, from which each endpoint is a connection of its own. */
export class Attachment {
  readonly app: string;

  private constructor(app: string) {
    this.app = app;
  }

  /**
   * Finds the relay. The process then works in the pod's folder, since the address of a socket must
   * be short: unix(7).
   *
   * @throws PodError for a pod that does not run, cannot be attached to, or has no such app
   */
  static async open(dataDir: string, pod: Pod, name: string | undefined): Promise<Attachment> {
    if (pod.state !== 'running')
      throw new PodError('wrong-state', `pod "${pod.uuid}" is not running: it is ${pod.state}`);
    const names = readPodManifest(pod.folder).apps.map((app) => app.name);
    const app = name ?? (names.length === 1 ? names[0] : undefined);
    if (app === undefined)
      throw new PodError('no-such-app', `choose an app by --app: it is one of ${names.join(', ')}`);
    if (!names.includes(app))
      throw new PodError('no-such-app', `there is no app "${app}": use one of ${names.join(', ')}`);
    const socket = join(pod.folder, POD_FILES.attach);
    if (!existsSync(socket)) await waitReady(dataDir, pod, PATIENCE);
    if (!existsSync(socket))
      throw new PodError(
        'not-attachable',
        `cannot attach to pod "${pod.uuid}": its apps use the streams of whoever started it`,
      );
    process.chdir(pod.folder);
    return new Attachment(app);
  }

  /** The app's endpoints. */
  async list(): Promise<string[]> {
    const { socket, first } = await this.#ask(`list ${this.app}`);
    const chunks = [first];
    for await (const chunk of socket) chunks.push(chunk);
    return Buffer.concat(chunks).toString().split('\n').filter(Boolean);
  }

  /** Tells the app's terminal its size in characters. */
  async resize(rows: number, columns: number): Promise<void> {
    const { socket } = await this.#ask(`size ${this.app} ${rows} ${columns}`);
    socket.destroy();
  }

  /** A connection that is the endpoint, for writing or for reading; `first` was read already. */
  connect(endpoint: Endpoint): Promise<Connection> {
    return this.#ask(`${endpoint} ${this.app}`);
  }

  #ask(request: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const fail = (why: unknown) => {
        const text = `cannot attach to app "${this.app}"`;
        if (typeof why === 'string') reject(new PodError('not-attachable', `${text}: ${why}`));
        // Nobody listens any more.
        else if (errnoOf(why) === 'ECONNREFUSED') ended();
        else reject(new PodError('not-attachable', text, why));
      };
      const socket = connect(POD_FILES.attach, () => socket.write(`${request}\n`));
      let heard = Buffer.alloc(0);
      const hear = (chunk: Buffer) => {
        heard = Buffer.concat([heard, chunk]);
        const end = heard.indexOf('\n');
        if (end < 0) return;
        socket.off('data', hear).off('error', fail).off('end', ended).pause();
        const answer = heard.subarray(0, end).toString();
        if (answer === 'ok') return resolve({ socket, first: heard.subarray(end + 1) });
        socket.destroy();
        fail(answer.replace(/^no: /, ''));
      };
      const ended = () => fail('the pod has ended');
      socket.on('data', hear).on('error', fail).on('end', ended);
    });
  }
}

export interface Connection {
  readonly socket: Socket;
  readonly first: Buffer;
}
