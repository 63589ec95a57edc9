// vm-monitor.mjs SOCKET SECONDS save FILE — stops the VM, writes its memory and devices to FILE, and ends it.
// vm-monitor.mjs SOCKET SECONDS load FILE DEVICE — the other way: FILE into a VM that waits for it, which
// gets one more device, {driver, …}, and runs. SOCKET is qemu's QMP (docs/interop/qmp-spec.txt of qemu).
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [path, seconds, verb, file, device] = process.argv.slice(2);
const uri = `exec:cat ${verb === 'save' ? '>' : '<'} '${file}'`;
setTimeout(() => fail(`no end of ${verb} in ${seconds} s`), Number(seconds) * 1000).unref();

function fail(why) {
  process.stderr.write(`vm: ${why}\n`);
  process.exit(1);
}

const socket = connect(path);
socket.on('error', (error) => fail(error.message));
const lines = createInterface({ input: socket })[Symbol.asyncIterator]();

/** The next message that is the answer sought, or the event; an error ends this program. */
async function next(sought) {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) fail(`qemu went away during ${verb}`);
    const message = JSON.parse(value);
    if (message.error) fail(message.error.desc);
    if (message.event === 'MIGRATION' && message.data.status === 'failed') fail(`${verb} failed`);
    if (sought(message)) return;
  }
}

async function ask(execute, args) {
  socket.write(JSON.stringify({ execute, arguments: args }));
  await next((message) => 'return' in message);
}

/** Migration in qemu's words, to or from the file. */
async function move(command) {
  await ask('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
  const moved = next.bind(undefined, ({ data }) => data?.status === 'completed');
  await ask(command, { uri });
  await moved();
}

await next((message) => 'QMP' in message);
await ask('qmp_capabilities');
if (verb === 'save') {
  await ask('stop');
  await ask('migrate-set-parameters', { 'max-bandwidth': 2 ** 40 });
  await move('migrate');
  await ask('quit');
} else {
  await move('migrate-incoming');
  await ask('device_add', JSON.parse(device));
  await ask('cont');
}
socket.destroy();
