/** Which names of system calls mean nothing on an architecture: rules about them only cost time. */

/** Calls of 32-bit programs, and of architectures that are neither amd64 nor arm64. */
const foreign = words(`
  _llseek _newselect arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush chown32
  clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64 clock_settime64
  epoll_ctl_old epoll_wait_old fadvise64_64 fchown32 fcntl64 fstat64 fstatat64 fstatfs64
  ftruncate64 futex_time64 getegid32 geteuid32 getgid32 getgroups32 getresgid32 getresuid32
  getuid32 io_pgetevents_time64 ipc lchown32 lstat64 mmap2 mq_timedreceive_time64
  mq_timedsend_time64 nice oldfstat oldlstat oldolduname oldstat olduname ppoll_time64
  pselect6_time64 readdir recv recvmmsg_time64 riscv_flush_icache riscv_hwprobe
  rt_sigtimedwait_time64 sched_rr_get_interval_time64 semtimedop_time64 send sendfile64 set_tls
  setfsgid32 setfsuid32 setgid32 setgroups32 setregid32 setresgid32 setresuid32 setreuid32
  setuid32 sigaction signal sigpending sigprocmask sigreturn sigsuspend socketcall stat64
  statfs64 stime sync_file_range2 timer_gettime64 timer_settime64 timerfd_gettime64
  timerfd_settime64 truncate64 ugetrlimit umount utimensat_time64 vm86 vm86old waitpid
`);

/** Calls that arm64, being younger, never had. */
const old = words(`
  _sysctl access alarm arch_prctl chmod chown creat create_module dup2 epoll_create epoll_wait
  eventfd fork futimesat get_kernel_syms get_thread_area getdents getpgrp inotify_init ioperm
  iopl lchown link lstat mkdir mknod modify_ldt open pause pipe poll query_module readlink
  rename rmdir select set_thread_area signalfd stat symlink sysfs time uretprobe unlink uselib
  ustat utime utimes vfork
`);

const absent: Partial<Record<NodeJS.Architecture, ReadonlySet<string>>> = {
  x64: new Set(foreign),
  arm64: new Set([...foreign, ...old]),
};

/** The names that 64-bit programs of an architecture can use; those it does not know stay. */
export function nativeCalls(names: readonly string[], arch: NodeJS.Architecture): string[] {
  const without = absent[arch];
  return without === undefined ? [...names] : names.filter((name) => !without.has(name));
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
