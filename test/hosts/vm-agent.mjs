// Runs inside the VM: serves the virtio ports named agent0, agent1, …, one command at a time on
// each. See vm-client.mjs for the frames.
import { spawn } from 'node:child_process';
import { open, readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Frames, frame } from './vm-frames.mjs';

const ports = '/sys/class/virtio-ports';
/** The ports that nobody is connected to. */
const idle = new Set();

async function serve(device, number) {
  const port = await open(device, 'r+');
  const buffer = Buffer.alloc(65536);
  for (;;) {
    const frames = new Frames();
    let child;
    for (;;) {
      const { bytesRead } = await port.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      idle.delete(number);
      for (const { type, data } of frames.feed(buffer.subarray(0, bytesRead))) {
        if (type === 'R') child = start(port, JSON.parse(data.toString()));
        else if (type === 'I') child?.stdin.write(data);
        else if (type === 'E') child?.stdin.end();
      }
    }
    // Nobody on the other side reads as end of file, and nothing tells when somebody comes. Looking
    // costs a lot here, and the first free port is the one that is taken.
    child?.kill('SIGKILL');
    idle.add(number);
    await delay(Math.min(...idle) === number ? 100 : 1000);
  }
}

function start(port, { argv, env }) {
  let sent = Promise.resolve();
  const send = (type, data) => {
    sent = sent.then(() => port.writeFile(frame(type, data)));
    return sent;
  };
  const child = spawn(argv[0], argv.slice(1), { env, cwd: '/' });
  child.on('error', (error) =>
    send('e', `vm-agent: ${error.message}\n`).then(() => send('X', '127')),
  );
  child.stdin.on('error', () => {});
  for (const [type, stream] of [
    ['O', child.stdout],
    ['e', child.stderr],
  ])
    stream.on('data', (data) => {
      stream.pause();
      send(type, data).then(() => stream.resume());
    });
  child.on('close', (code, signal) =>
    code === null && !signal ? undefined : send('X', String(code ?? 137)),
  );
  return child;
}

for (const name of await readdir(ports)) {
  const [, number] = /^agent(\d+)/.exec(await readFile(`${ports}/${name}/name`, 'utf8')) ?? [];
  if (number) serve(`/dev/${name}`, Number(number));
}
