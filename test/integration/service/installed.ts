import { readFileSync } from 'node:fs';
import { beforeAll } from 'vitest';
import type { Host } from '../../lib/host.ts';
import type { Result } from '../../lib/running.ts';

const ROOT = '/io/rkt/Rkt1';

/** Puts the helper's units and policies into their places; `member` is a user of group rkt. */
export function installHelper(host: Host): void {
  const script = `
    ln -sfn /src/dist/rkt /usr/bin/rkt
    groupadd --system rkt
    useradd --create-home --groups rkt member
    cd /src
    cp units/rkt-helper.* units/rkt-transfer@.service units/rkt-job@.service /usr/lib/systemd/system
    cp dbus/io.rkt.Rkt1.conf /usr/share/dbus-1/system.d
    cp dbus/io.rkt.Rkt1.service /usr/share/dbus-1/system-services
    cp dbus/io.rkt.Rkt1.policy /usr/share/polkit-1/actions
    mkdir -p /var/lib/rkt /etc/rkt
    systemctl daemon-reload
    systemctl reload dbus
    systemctl start rkt-helper.socket`;
  beforeAll(async () => {
    await host.ok(['sh', '-ec', script]);
  });
}

/** The message buses that Debian has: the usual one, and the one of Fedora and others. */
export const BUSES = ['dbus-daemon', 'dbus-broker'] as const;

/** Has a host served by that bus from now on, and what is on the bus started again. */
export function useBus(host: Host, bus: (typeof BUSES)[number]): void {
  const unit = bus === 'dbus-broker' ? 'dbus-broker.service' : 'dbus.service';
  const script = `
    systemctl stop rkt-helper.service dbus.socket dbus.service dbus-broker.service
    ln -sfn /usr/lib/systemd/system/${unit} /etc/systemd/system/dbus.service
    systemctl daemon-reload
    systemctl start dbus.socket dbus.service
    systemctl restart polkit systemd-machined systemd-logind
    pgrep -x ${bus}`;
  beforeAll(async () => {
    // Not by systemd-run, which would lose its bus.
    const { code, stderr } = await host.exec(['sh', '-ec', script]);
    if (code !== 0) throw new Error(`cannot use ${bus}: ${stderr}`);
  });
}

/** `busctl call` on the manager; a call that fails has its error in stderr. */
export function call(
  host: Host,
  method: string,
  words: readonly string[] = [],
  options: { user?: string; path?: string; iface?: string } = {},
): Promise<Result> {
  const { user, path = ROOT, iface = 'Manager' } = options;
  const argv = ['busctl', '--timeout=60', '--json=short', 'call', 'io.rkt.Rkt1', path];
  return host.run([...argv, `io.rkt.Rkt1.${iface}`, method, ...words], user ? { user } : {});
}

/** The values of a successful call. */
export async function answer(
  host: Host,
  method: string,
  words: readonly string[] = [],
  options: { path?: string; iface?: string } = {},
): Promise<unknown[]> {
  const { code, stdout, stderr } = await call(host, method, words, options);
  if (code !== 0) throw new Error(`${method} failed: ${stderr}`);
  if (stdout.trim() === '') return [];
  const { data }: { data: unknown[] } = JSON.parse(stdout);
  return data;
}

/** A property of an object. */
export async function property(
  host: Host,
  path: string,
  iface: string,
  name: string,
): Promise<unknown> {
  const argv = ['busctl', '--json=short', 'get-property', 'io.rkt.Rkt1', path];
  const text = await host.ok([...argv, `io.rkt.Rkt1.${iface}`, name]);
  const { data }: { data: unknown } = JSON.parse(text);
  return data;
}

/** A shell command of the host. */
export async function shell(host: Host, script: string, user?: string): Promise<string> {
  return host.ok(['sh', '-ec', script], user ? { user } : {});
}

/** A Python script with jeepney, `call(method, signature, *args, path=…, interface=…)` at hand. */
export function python(host: Host, script: string, user?: string): Promise<Result> {
  const head = readFileSync(new URL('./client.py', import.meta.url), 'utf8');
  return host.run(['python3', '-'], { input: `${head}\n${script}`, ...(user ? { user } : {}) });
}

/** Calls by Varlink, one after the other; gives all answers. */
export async function varlink(
  host: Host,
  calls: readonly object[],
  user?: string,
): Promise<Record<string, unknown>[]> {
  const input = calls.map((each) => `${JSON.stringify(each)}\0`).join('');
  const argv = ['socat', '-t30', '-', 'UNIX-CONNECT:/run/rkt/io.rkt.Rkt1'];
  const text = await host.ok(argv, { input, ...(user ? { user } : {}) });
  return text
    .split('\0')
    .filter(Boolean)
    .map((each) => JSON.parse(each));
}
