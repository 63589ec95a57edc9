import type { ArgumentSpec, InterfaceSpec } from './spec.ts';

/** The introspection data of an object: D-Bus specification, "Introspection Data Format". */
export function introspect(interfaces: readonly InterfaceSpec[], nodes: readonly string[]): string {
  return `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
${[...STANDARD, ...interfaces].map(interfaceXml).join('')}${nodes.map((name) => `  <node name="${name}"/>\n`).join('')}</node>
`;
}

function interfaceXml({ name, methods, signals, properties }: InterfaceSpec): string {
  const arg = (direction: string) => (each: ArgumentSpec) =>
    `      <arg name="${each.name}" type="${each.type}"${direction}/>\n`;
  const method = methods.map(
    (each) =>
      `    <method name="${each.name}">\n${each.in.map(arg(' direction="in"')).join('')}${each.out.map(arg(' direction="out"')).join('')}    </method>\n`,
  );
  const signal = signals.map(
    (each) => `    <signal name="${each.name}">\n${each.args.map(arg('')).join('')}    </signal>\n`,
  );
  const property = properties.map(
    (each) =>
      `    <property name="${each.name}" type="${each.type}" access="read">\n      <annotation name="${EMITS}" value="${each.emits}"/>\n    </property>\n`,
  );
  return `  <interface name="${name}">\n${[...method, ...signal, ...property].join('')}  </interface>\n`;
}

const EMITS = 'org.freedesktop.DBus.Property.EmitsChangedSignal';

/** The interfaces that every object has: D-Bus specification, "Standard Interfaces". */
export const STANDARD: readonly InterfaceSpec[] = [
  standard('org.freedesktop.DBus.Peer', [
    ['Ping', [], []],
    ['GetMachineId', [], [['machine_uuid', 's']]],
  ]),
  standard('org.freedesktop.DBus.Introspectable', [['Introspect', [], [['xml_data', 's']]]]),
  {
    ...standard('org.freedesktop.DBus.Properties', [
      [
        'Get',
        [
          ['interface_name', 's'],
          ['property_name', 's'],
        ],
        [['value', 'v']],
      ],
      ['GetAll', [['interface_name', 's']], [['props', 'a{sv}']]],
      [
        'Set',
        [
          ['interface_name', 's'],
          ['property_name', 's'],
          ['value', 'v'],
        ],
        [],
      ],
    ]),
    signals: [
      {
        name: 'PropertiesChanged',
        args: [
          { name: 'interface_name', type: 's' },
          { name: 'changed_properties', type: 'a{sv}' },
          { name: 'invalidated_properties', type: 'as' },
        ],
      },
    ],
  },
];

/** What the root has besides: D-Bus specification, "org.freedesktop.DBus.ObjectManager". */
export const OBJECT_MANAGER: InterfaceSpec = {
  ...standard('org.freedesktop.DBus.ObjectManager', [
    ['GetManagedObjects', [], [['objects', 'a{oa{sa{sv}}}']]],
  ]),
  signals: [
    {
      name: 'InterfacesAdded',
      args: [
        { name: 'object', type: 'o' },
        { name: 'interfaces', type: 'a{sa{sv}}' },
      ],
    },
    {
      name: 'InterfacesRemoved',
      args: [
        { name: 'object', type: 'o' },
        { name: 'interfaces', type: 'as' },
      ],
    },
  ],
};

type Named = readonly [name: string, type: string];

function standard(
  name: string,
  methods: readonly (readonly [name: string, given: readonly Named[], back: readonly Named[]])[],
): InterfaceSpec {
  const args = (each: readonly Named[]) =>
    each.map(([argument, type]) => ({ name: argument, type }));
  return {
    name,
    methods: methods.map(([method, given, back]) => ({
      name: method,
      in: args(given),
      out: args(back),
    })),
    signals: [],
    properties: [],
  };
}
