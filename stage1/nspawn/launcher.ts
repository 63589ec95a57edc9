import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NameValue } from '../../src/appc/index.ts';
import { type Code, code, headers, headersSize } from '../../src/os/elf.ts';
import type { Bind } from './service.ts';

/**
 * systemd drops variables whose names are not shell names without a word, the spec allows `.` and
 * `-` in them. An app that has such gets them from a program of 200 bytes, which its unit starts as
 *
 *     LAUNCHER PROGRAM ARGUMENT... "" NAME=VALUE...
 *
 * and which becomes PROGRAM, with the variables in front of the environment that it has. It is made
 * here, since nothing of the host's is to be reachable from inside, and an image need not have env(1).
 */
export function dropsVariable({ name }: NameValue): boolean {
  return !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Whether there is a launcher for the processor that rkt runs on. */
export const hasLauncher: boolean = process.arch === 'x64' || process.arch === 'arm64';

/** The command line that starts `exec` with the variables that systemd drops, if there are any. */
export function launched(
  exec: readonly string[],
  environment: readonly NameValue[],
  launcher: string,
): readonly string[] {
  const dropped = environment.filter(dropsVariable);
  if (dropped.length === 0 || !hasLauncher) return exec;
  return [launcher, ...exec, '', ...dropped.map(({ name, value }) => `${name}=${value}`)];
}

/** Writes the launcher into the stage1 root; its mount at `target` in an app's root. */
export function launcherBind(stage1Root: string, target: string): Bind {
  const path = '/rkt/launcher';
  mkdirSync(join(stage1Root, 'rkt'), { recursive: true, mode: 0o755 });
  writeFileSync(join(stage1Root, path), executable(process.arch === 'arm64' ? ARM64 : X64), {
    mode: 0o755,
  });
  return { source: path, target, readOnly: true };
}

/**
 * A new process finds on its stack: argc, argv, NULL, environment, NULL. From the end of argv down to
 * the empty string each pointer moves up by one, over the NULL, so that the variables join the
 * environment; the empty string's place gets the NULL that ends the program's argv.
 */
const X64: Code = {
  machine: 62,
  bytes: code(`
    48 8b 0c 24           mov (%rsp),%rcx             argc
    48 8d 14 cc           lea (%rsp,%rcx,8),%rdx      last of argv
    48 8b 02          1:  mov (%rdx),%rax
    80 38 00              cmpb $0,(%rax)
    74 0a                 je 2f
    48 89 42 08           mov %rax,8(%rdx)
    48 83 ea 08           sub $8,%rdx
    eb ee                 jmp 1b
    48 c7 02 00 00 00 00  2: movq $0,(%rdx)
    48 83 c2 10           add $16,%rdx                environment
    48 8d 74 24 10        lea 16(%rsp),%rsi           argv without the launcher
    48 8b 3e              mov (%rsi),%rdi             program
    b8 3b 00 00 00        mov $59,%eax                execve
    0f 05                 syscall
    bf cb 00 00 00        mov $203,%edi               EXIT_EXEC: systemd.exec(5)
    b8 e7 00 00 00        mov $231,%eax               exit_group
    0f 05                 syscall`),
};

const ARM64: Code = {
  machine: 183,
  bytes: code(`
    e2 03 40 f9           ldr x2,[sp]
    e2 6f 22 8b           add x2,sp,x2,lsl #3
    43 00 40 f9       1:  ldr x3,[x2]
    64 00 40 39           ldrb w4,[x3]
    84 00 00 34           cbz w4,2f
    43 04 00 f9           str x3,[x2,#8]
    42 20 00 d1           sub x2,x2,#8
    fb ff ff 17           b 1b
    5f 04 01 f8       2:  str xzr,[x2],#16
    e1 43 00 91           add x1,sp,#16
    20 00 40 f9           ldr x0,[x1]
    a8 1b 80 d2           mov x8,#221
    01 00 00 d4           svc #0
    60 19 80 d2           mov x0,#203
    c8 0b 80 d2           mov x8,#94
    01 00 00 d4           svc #0`),
};

/** The smallest executable for the code: one segment, which is the whole file. */
function executable({ machine, bytes }: Code): Buffer {
  const size = headersSize(1) + bytes.length;
  const head = headers(machine, [{ flags: 5, at: 0, address: 0x40_0000, size }]);
  return Buffer.concat([head, bytes]);
}
