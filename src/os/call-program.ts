import { type Code, code, headers, headersSize, PAGE } from './elf.ts';
import { SyscallError } from './syscalls.ts';

/** One system call. A text becomes the address of its C string, bytes become their own address. */
export interface Step {
  readonly call: SystemCall;
  readonly args: readonly Argument[];
  /** What it was for, in a message about its failure: `the mount namespace`. */
  readonly subject?: string;
  /** Its failure is none: the next step is tried. */
  readonly mayFail?: boolean;
}

/** An array is a vector of C strings with a null pointer at its end, such as argv. */
export type Argument = number | bigint | string | Buffer | readonly string[] | Program;

/** struct sock_fprog with the instructions of a filter: seccomp(2). */
export interface Program {
  readonly instructions: Buffer;
}

/** [x86-64, arm64]: the system call tables of the kernel. */
const NUMBERS = {
  capset: [126, 91],
  chdir: [80, 49],
  chroot: [161, 51],
  clone: [56, 220],
  close: [3, 57],
  close_range: [436, 436],
  execve: [59, 221],
  fcntl: [72, 25],
  ioctl: [16, 29],
  openat: [257, 56],
  prctl: [157, 167],
  prlimit64: [302, 261],
  read: [0, 63],
  seccomp: [317, 277],
  setgroups: [116, 159],
  setns: [308, 268],
  setresgid: [119, 149],
  setresuid: [117, 147],
  setsid: [112, 157],
  umask: [95, 166],
  write: [1, 64],
} as const;

export type SystemCall = keyof typeof NUMBERS;

/** The descriptor that a failure is reported to. */
export const REPORT_FD = 3;

/** The address of memory that a step may write to. */
export const SCRATCH = 0x4f_0000;

/** prctl(2). */
export const PR = {
  SET_PDEATHSIG: 1,
  SET_DUMPABLE: 4,
  SET_KEEPCAPS: 8,
  CAPBSET_DROP: 24,
  SET_NO_NEW_PRIVS: 38,
  CAP_AMBIENT: 47,
} as const;

/** capset(2), version 3, of masks; nothing is inheritable. */
export function setCapabilities(effective: bigint, permitted: bigint): Step {
  const header = Buffer.from(Uint32Array.of(0x2008_0522, 0).buffer);
  const half = (mask: bigint, at: bigint) => Number((mask >> at) & 0xffff_ffffn);
  const sets = [0n, 32n].flatMap((at) => [half(effective, at), half(permitted, at), 0]);
  return { call: 'capset', args: [header, Buffer.from(Uint32Array.from(sets).buffer)] };
}

/**
 * An executable that makes these system calls, in this order, and nothing else: no library, no file
 * and no code of anybody's is loaded on its way into an app or a sandbox. The last step is an execve.
 * After a `clone` the new process goes on with the list, while the old one waits for it and
 * ends as it did, 128 + signal for a killed one. A failing step is reported to REPORT_FD, see
 * `failedStep`, and ends the program with 254.
 */
export function callProgram(steps: readonly Step[]): Buffer {
  const { machine, bytes } = codeOf(process.arch);
  const data = new DataSegment(STEPS + steps.length * STEP);
  const table = Buffer.alloc(steps.length * STEP);
  steps.forEach(({ call, args, mayFail }, index) => {
    const [x64, arm64] = NUMBERS[call];
    const flags = (mayFail ? MAY_FAIL : 0) | (call === 'clone' ? FORKS : 0);
    const words = [machine === X64.machine ? x64 : arm64, flags, ...args.map((a) => data.place(a))];
    words.forEach((word, at) => {
      table.writeBigInt64LE(BigInt(word), index * STEP + at * 8);
    });
  });
  const content = Buffer.concat([table, ...data.parts]);
  const file = Buffer.alloc(PAGE + content.length);
  const segments = [
    { flags: 5, at: 0, address: CODE, size: HEADERS + bytes.length },
    { flags: 4, at: PAGE, address: STEPS, size: content.length },
    { flags: 6, at: 0, address: SCRATCH, size: 0, memory: 4096 },
  ] as const;
  headers(machine, segments).copy(file);
  bytes.copy(file, HEADERS);
  content.copy(file, PAGE);
  return file;
}

/** The bytes of a report: the address of the step, and the negative errno. */
export const REPORT_SIZE = 16;

/** What the program has reported: the index of the step that failed, and the errno's number. */
export function failedStep(report: Buffer): { index: number; errno: number } | undefined {
  if (report.length < REPORT_SIZE) return undefined;
  return {
    index: (Number(report.readBigInt64LE(0)) - STEPS) / STEP,
    errno: -Number(report.readBigInt64LE(8)),
  };
}

/** Addresses of the segments. */
const [CODE, STEPS] = [0x40_0000, 0x50_0000];
const HEADERS = headersSize(3);
/** Eight words: number, flags, six arguments. */
const STEP = 64;
const [MAY_FAIL, FORKS] = [1, 2];

/** What arguments point to. */
class DataSegment {
  readonly parts: Buffer[] = [];
  #end: number;

  constructor(start: number) {
    this.#end = start;
  }

  /** The word to pass for an argument. */
  place(argument: Argument): number | bigint {
    if (typeof argument === 'number' || typeof argument === 'bigint') return argument;
    if (typeof argument === 'string') return this.#add(Buffer.from(`${argument}\0`));
    if (Buffer.isBuffer(argument)) return this.#add(argument);
    if ('instructions' in argument) return this.#filter(argument.instructions);
    return this.#words([...argument.map((text) => this.place(text)), 0]);
  }

  #filter(instructions: Buffer): number {
    return this.#words([instructions.length / 8, this.#add(instructions)]);
  }

  #words(words: readonly (number | bigint)[]): number {
    return this.#add(Buffer.from(BigInt64Array.from(words, BigInt).buffer));
  }

  #add(bytes: Buffer): number {
    const address = this.#end;
    const padding = Buffer.alloc((8 - (bytes.length % 8)) % 8);
    this.parts.push(bytes, padding);
    this.#end += bytes.length + padding.length;
    return address;
  }
}

function codeOf(arch: string): Code {
  if (arch === 'x64') return X64;
  if (arch === 'arm64') return ARM64;
  throw new SyscallError('execve', `of a program for this processor (${arch})`, 'ENOEXEC');
}

const X64: Code = {
  machine: 62,
  bytes: code(`
    41 bc 00 00 50 00         mov $STEPS,%r12d
    49 8b 04 24           1:  mov (%r12),%rax         number
    49 8b 7c 24 10            mov 16(%r12),%rdi       arguments
    49 8b 74 24 18            mov 24(%r12),%rsi
    49 8b 54 24 20            mov 32(%r12),%rdx
    4d 8b 54 24 28            mov 40(%r12),%r10
    4d 8b 44 24 30            mov 48(%r12),%r8
    4d 8b 4c 24 38            mov 56(%r12),%r9
    0f 05                     syscall
    41 8b 4c 24 08            mov 8(%r12),%ecx        flags
    48 3d 01 f0 ff ff         cmp $-4095,%rax
    73 0f                     jae 3f
    f6 c1 02                  test $FORKS,%cl
    74 04                     jz 2f
    85 c0                     test %eax,%eax
    75 32                     jnz 4f
    49 83 c4 40           2:  add $STEP,%r12
    eb c0                     jmp 1b
    f6 c1 01              3:  test $MAY_FAIL,%cl
    75 f5                     jnz 2b
    bb 00 00 4f 00            mov $SCRATCH,%ebx       report which step, and its errno
    4c 89 23                  mov %r12,(%rbx)
    48 89 43 08               mov %rax,8(%rbx)
    b8 01 00 00 00            mov $1,%eax             write
    bf 03 00 00 00            mov $REPORT_FD,%edi
    48 89 de                  mov %rbx,%rsi
    ba 10 00 00 00            mov $16,%edx
    0f 05                     syscall
    bf fe 00 00 00            mov $254,%edi
    eb 34                     jmp 6f
    41 89 c5              4:  mov %eax,%r13d          the new process
    b8 3d 00 00 00        5:  mov $61,%eax            wait4
    44 89 ef                  mov %r13d,%edi
    be 00 00 4f 00            mov $SCRATCH,%esi
    ba 00 00 00 40            mov $__WALL,%edx
    45 31 d2                  xor %r10d,%r10d
    0f 05                     syscall
    83 f8 fc                  cmp $-EINTR,%eax
    74 e4                     je 5b
    8b 04 25 00 00 4f 00      mov SCRATCH,%eax
    0f b6 fc                  movzx %ah,%edi          exit status
    83 e0 7f                  and $127,%eax           signal
    74 06                     jz 6f
    8d b8 80 00 00 00         lea 128(%rax),%edi
    b8 e7 00 00 00        6:  mov $231,%eax           exit_group
    0f 05                     syscall
    b8 3c 00 00 00            mov $60,%eax            exit
    0f 05                     syscall`),
};

const ARM64: Code = {
  machine: 183,
  bytes: code(`
    13 0a a0 d2               mov x19,#STEPS
    f5 09 a0 d2               mov x21,#SCRATCH
    68 52 40 a9           1:  ldp x8,x20,[x19]        number, flags
    60 06 41 a9               ldp x0,x1,[x19,#16]     arguments
    62 0e 42 a9               ldp x2,x3,[x19,#32]
    64 16 43 a9               ldp x4,x5,[x19,#48]
    01 00 00 d4               svc #0
    1f fc 3f b1               cmn x0,#4095
    a2 00 00 54               b.hs 3f
    54 00 08 36               tbz w20,#1,2f           FORKS
    80 01 00 b5               cbnz x0,4f
    73 02 01 91           2:  add x19,x19,#STEP
    f6 ff ff 17               b 1b
    d4 ff 07 37           3:  tbnz w20,#0,2b          MAY_FAIL
    b3 02 00 a9               stp x19,x0,[x21]        report which step, and its errno
    08 08 80 d2               mov x8,#64              write
    60 00 80 d2               mov x0,#REPORT_FD
    e1 03 15 aa               mov x1,x21
    02 02 80 d2               mov x2,#16
    01 00 00 d4               svc #0
    c0 1f 80 d2               mov x0,#254
    0f 00 00 14               b 6f
    f6 03 00 aa           4:  mov x22,x0              the new process
    88 20 80 d2           5:  mov x8,#260             wait4
    e0 03 16 aa               mov x0,x22
    e1 03 15 aa               mov x1,x21
    02 00 a8 d2               mov x2,#__WALL
    03 00 80 d2               mov x3,#0
    01 00 00 d4               svc #0
    1f 10 00 b1               cmn x0,#EINTR
    20 ff ff 54               b.eq 5b
    a1 02 40 b9               ldr w1,[x21]
    20 3c 08 53               ubfx w0,w1,#8,#8        exit status
    21 18 00 72               ands w1,w1,#127         signal
    40 00 00 54               b.eq 6f
    20 00 02 11               add w0,w1,#128
    c8 0b 80 d2           6:  mov x8,#94              exit_group
    01 00 00 d4               svc #0
    a8 0b 80 d2               mov x8,#93              exit
    01 00 00 d4               svc #0`),
};
