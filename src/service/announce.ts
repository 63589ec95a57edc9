import type { SystemBus } from '../systemd/bus.ts';
import { toBus } from '../systemd/bus-values.ts';
import { API } from './api.generated.ts';
import { interfacesOf, specOf, wireProperties } from './dispatch.ts';
import { type ApiObject, type ApiObjects, objectPath, ROOT } from './objects.ts';

/** Sends the signals of the API to whoever listens on the bus. */
export class Announcer {
  readonly #bus: SystemBus;
  readonly #objects: ApiObjects;
  /** What was told last of each object, by its path. */
  readonly #told = new Map<string, string>();

  constructor(bus: SystemBus, objects: ApiObjects) {
    this.#bus = bus;
    this.#objects = objects;
  }

  /** An object has come. */
  added(kind: 'Pod' | 'Image' | 'Transfer', id: string | number): void {
    const object = this.#object(kind, id);
    if (!object) return;
    this.#bus.emit(
      { path: ROOT, interface: OBJECT_MANAGER, member: 'InterfacesAdded' },
      'oa{sa{sv}}',
      [object.path, interfacesOf(object)],
    );
    this.signal(ROOT, 'io.rkt.Rkt1.Manager', `${kind}New`, [id, object.path]);
  }

  /** An object has gone; `more` is what its signal has besides. */
  removed(
    kind: 'Pod' | 'Image' | 'Transfer',
    id: string | number,
    more: readonly unknown[] = [],
  ): void {
    const path = pathOf(kind, id);
    this.#told.delete(path);
    this.signal(ROOT, 'io.rkt.Rkt1.Manager', `${kind}Removed`, [id, path, ...more]);
    this.#bus.emit({ path: ROOT, interface: OBJECT_MANAGER, member: 'InterfacesRemoved' }, 'oas', [
      path,
      [`io.rkt.Rkt1.${kind}`],
    ]);
  }

  /** What of an object can change has changed, perhaps. */
  changed(kind: 'Pod' | 'Transfer', id: string | number): void {
    const object = this.#object(kind, id);
    if (!object) return;
    const constant = specOf(object).properties.filter(({ emits }) => emits !== 'true');
    const isConstant = (key: string) => constant.some(({ name }) => name === key);
    const properties = object.properties();
    const now = JSON.stringify(Object.entries(properties).filter(([key]) => !isConstant(key)));
    if (this.#told.get(object.path) === now) return;
    this.#told.set(object.path, now);
    const values = Object.entries(wireProperties(object)).filter(([key]) => !isConstant(key));
    this.#bus.emit(
      {
        path: object.path,
        interface: 'org.freedesktop.DBus.Properties',
        member: 'PropertiesChanged',
      },
      'sa{sv}as',
      [object.interface, Object.fromEntries(values), []],
    );
  }

  signal(path: string, iface: string, member: string, values: readonly unknown[]): void {
    const spec = API.find(({ name }) => name === iface);
    const args = spec?.signals.find(({ name }) => name === member)?.args ?? [];
    this.#bus.emit(
      { path, interface: iface, member },
      args.map(({ type }) => type).join(''),
      args.map(({ type, fields }, at) => toBus(type, values[at], fields)),
    );
  }

  #object(kind: 'Pod' | 'Image' | 'Transfer', id: string | number): ApiObject | undefined {
    return this.#objects.find(pathOf(kind, id));
  }
}

const OBJECT_MANAGER = 'org.freedesktop.DBus.ObjectManager';

function pathOf(kind: 'Pod' | 'Image' | 'Transfer', id: string | number): string {
  const kinds = { Pod: 'pod', Image: 'image', Transfer: 'transfer' } as const;
  return objectPath(kinds[kind], String(id));
}
