// Programs of Debian 12 and 13 under the default confinement, as they come.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { Box, type PodOptions } from './box.ts';

const PROGRAMS = 'example.org/programs';
const makeImage = fileURLToPath(new URL('../../hosts/image', import.meta.url));

const NGINX = `
  nginx
  curl --silent --head http://localhost/ | head -n 1`;

const POSTGRES = `
  export PGDATA=/tmp/data PGHOST=/tmp PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
  initdb > /tmp/log
  pg_ctl --wait --log=/tmp/log --options="-k /tmp -h ''" start > /tmp/log2 || cat /tmp/log
  psql --no-align --tuples-only --command='select sum(n) from generate_series(1, 10) as s(n)' postgres
  pg_ctl --mode=fast stop > /tmp/log2`;

const REDIS = `
  redis-server --unixsocket /tmp/redis --port 0 --daemonize yes --dir /tmp > /tmp/log
  until redis-cli -s /tmp/redis ping > /tmp/log 2>&1; do :; done
  redis-cli -s /tmp/redis set key value
  redis-cli -s /tmp/redis get key`;

const NODE = `exec node -e "
  const { Worker } = require('worker_threads');
  require('fs').promises.readFile('/etc/hostname');
  const child = require('child_process').execFileSync('echo', ['child']).toString().trim();
  new Worker('require(\\"worker_threads\\").parentPort.postMessage(6 * 7)', { eval: true })
    .on('message', (answer) => { console.log(child, answer); });"`;

const PYTHON = `exec python3 -c "
import asyncio, mmap, multiprocessing, subprocess, tempfile, threading
def square(n): return n * n
with multiprocessing.Pool(2) as pool: print(pool.map(square, [2, 3]))
threading.Thread(target=lambda: print('thread')).start()
print(subprocess.check_output(['echo', 'child']).decode().strip())
print(asyncio.run(asyncio.sleep(0, 'loop')))
with tempfile.TemporaryFile() as file:
  file.write(b'x' * 4096); file.flush()
  print(len(mmap.mmap(file.fileno(), 0)))"`;

/** What the kernel answers: numbers of errors, 0 for success. */
const GCC = String.raw`
  cat > /tmp/try.c << 'END'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void *thread(void *text) { puts(text); return 0; }
static void say(const char *what, long result) { printf("%s %s\n", what, result >= 0 ? "works" : errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : "fails"); }
int main(void) {
  pthread_t id;
  pthread_create(&id, 0, thread, "thread");
  pthread_join(id, 0);
  say("mount", mount("none", "/tmp", "tmpfs", 0, ""));
  say("bpf", syscall(SYS_bpf, 0, 0, 0));
  say("unshare", unshare(CLONE_NEWUSER));
  say("clone", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
  say("clone3", syscall(SYS_clone3, 0, 0));
  say("newer than the filter", syscall(5000));
  say("getpid", syscall(SYS_getpid));
}
END
  gcc -O2 -pthread -o /tmp/try /tmp/try.c
  exec /tmp/try`;

const FORBIDDEN = `thread
mount EPERM
bpf EPERM
unshare EPERM
clone EPERM
clone3 ENOSYS
newer than the filter ENOSYS
getpid works
`;

describe.each(['bookworm', 'trixie'])('of %s', (suite) => {
  const box = new Box();
  beforeAll(async () => {
    const file = execFileSync(makeImage, ['programs', suite]).toString().trim();
    await box.ok(['--insecure-options=image', 'image', 'import', file], { timeout: 120_000 });
  }, 300_000);

  const run = (script: string, options: PodOptions = {}) =>
    box.run(script, { image: PROGRAMS, ...options });

  test.concurrent.each([
    ['nginx', NGINX, 'HTTP/1.1 200 OK\r\n'],
    ['redis', REDIS, 'OK\nvalue\n'],
    ['node', NODE, 'child 42\n'],
    ['python', PYTHON, '[4, 9]\nthread\nchild\nloop\n4096\n'],
    ['a C program, which is told what is forbidden and what is unknown,', GCC, FORBIDDEN],
  ])('%s works as root', async (_, script, output) => {
    expect(await run(script)).toMatchObject({ code: 0, stdout: output });
  });

  test.concurrent.each([
    ['postgres', POSTGRES, 'postgres', '55\n'],
    ['redis', REDIS, 'redis', 'OK\nvalue\n'],
    ['python', PYTHON, '1000', '[4, 9]\nthread\nchild\nloop\n4096\n'],
    ['gcc', GCC, '1000', FORBIDDEN],
  ])('%s works as a user of its own', async (_, script, user, output) => {
    const app = [`--user=${user}`, `--group=${user}`];
    expect(await run(script, { app })).toMatchObject({ code: 0, stdout: output });
  });
});
