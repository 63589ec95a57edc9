/** A dictionary a{sv}, its values as JavaScript has them. */
export type Dictionary = Readonly<Record<string, unknown>>;

/** An argument, or a property: a D-Bus type, and the names of the fields of the structures in it. */
export interface ArgumentSpec {
  readonly name: string;
  readonly type: string;
  readonly fields?: readonly string[];
  readonly doc?: string;
}

/** A method, and who may call it. */
export interface MethodSpec {
  readonly name: string;
  readonly doc?: string;
  /** The polkit action that the caller needs; without one anybody may call. */
  readonly action?: string;
  /** Whoever may connect to the Varlink socket may call it there. */
  readonly group?: boolean;
  readonly in: readonly ArgumentSpec[];
  readonly out: readonly ArgumentSpec[];
}

/** A property, and how its changes are told. */
export interface PropertySpec extends ArgumentSpec {
  /** `true`, `const`, `invalidates` or `false`: org.freedesktop.DBus.Property.EmitsChangedSignal. */
  readonly emits: string;
}

/** An interface of the bus API, as its XML describes it. */
export interface InterfaceSpec {
  readonly name: string;
  readonly doc?: string;
  readonly methods: readonly MethodSpec[];
  readonly signals: readonly {
    readonly name: string;
    readonly doc?: string;
    readonly args: readonly ArgumentSpec[];
  }[];
  readonly properties: readonly PropertySpec[];
}
