// vm-client.mjs SOCKET SECONDS BUSYFILE CMD... — runs one command in the VM as if it were a child:
// streams and exit code pass through. BUSYFILE exists for as long as the port is in use, so that a
// port whose client was killed is not used again.
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Frames, frame } from './vm-frames.mjs';

const [socketPath, seconds, busy, ...argv] = process.argv.slice(2);
const env = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TERM: process.env.TERM ?? 'dumb',
};
const frames = new Frames();
const socket = connect(socketPath);
const timer = setTimeout(() => fail(`no answer in ${seconds} s`), Number(seconds) * 1000);

function fail(why) {
  process.stderr.write(`vm: ${why}\n`);
  process.exit(125);
}

writeFileSync(busy, '');
socket.on('error', (error) => fail(error.message));
socket.on('close', () => fail('it went away'));
socket.write(frame('R', JSON.stringify({ argv, env })));
process.stdin.on('data', (data) => {
  if (!socket.write(frame('I', data))) {
    process.stdin.pause();
    socket.once('drain', () => process.stdin.resume());
  }
});
process.stdin.on('end', () => socket.write(frame('E', '')));
process.stdin.on('error', () => {});
socket.on('data', (chunk) => {
  for (const { type, data } of frames.feed(chunk)) {
    if (type === 'O') process.stdout.write(data);
    else if (type === 'e') process.stderr.write(data);
    else {
      clearTimeout(timer);
      process.exitCode = Number(data.toString());
      rmSync(busy, { force: true });
      socket.removeAllListeners('close').destroy();
      process.stdin.destroy();
    }
  }
});
