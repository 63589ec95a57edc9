import { notify } from './notify.ts';

/** A service as its manager knows it. */
export interface Service {
  /** Says what it does, in one line. */
  readonly status: (text: string) => void;
  /** Says that it is about to end. */
  readonly stopping: () => void;
}

/** Says that this service is ready, and from then on that it lives: WatchdogSec= of systemd.service(5). */
export function serviceReady(): Service {
  notify('READY=1');
  const period = watchdogPeriod();
  const watchdog = period && setInterval(() => notify('WATCHDOG=1'), period / 2).unref();
  return {
    status: (text) => notify(`STATUS=${text}`),
    stopping: () => {
      clearInterval(watchdog);
      notify('STOPPING=1');
    },
  };
}

/** sd_watchdog_enabled(3): in milliseconds; undefined when nobody watches this process. */
function watchdogPeriod(): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = process.env;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return undefined;
  return Number(WATCHDOG_USEC) / 1000 || undefined;
}
