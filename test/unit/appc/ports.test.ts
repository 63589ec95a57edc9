import { expect, test } from 'vitest';
import { type ExposedPort, type Port, resolvePorts } from '../../../src/appc/index.ts';
import { app } from './fixtures.ts';

const port = (name: string, number: number, fields: Partial<Port> = {}): Port => ({
  name,
  protocol: 'tcp',
  port: number,
  count: 1,
  socketActivated: false,
  ...fields,
});

const apps = [
  {
    name: 'web',
    app: app({
      ports: [
        port('http', 8080),
        port('dns', 53, { protocol: 'udp' }),
        port('range', 9000, { count: 10 }),
        port('both', 1),
      ],
    }),
  },
  { name: 'api', app: app({ ports: [port('api', 8081), port('both', 2)] }) },
];

const resolve = (...exposed: ExposedPort[]) => resolvePorts(apps, exposed);

test('a host port leads to the app’s port of that name', () => {
  expect(resolve({ name: 'http', hostPort: 80, hostIP: '192.0.2.7' })).toEqual([
    {
      name: 'http',
      protocol: 'tcp',
      hostIP: '192.0.2.7',
      hostPort: 80,
      podPort: 8080,
      count: 1,
    },
  ]);
});

test('a pod port needs no app', () => {
  expect(resolve({ name: 'x', hostPort: 80, podPort: port('x', 7) })[0]?.podPort).toBe(7);
});

test.each<[string, ExposedPort[]]>([
  ['port name "x" could not be found in any apps', [{ name: 'x', hostPort: 80 }]],
  [
    'port name "both" is ambiguous: it is in app "web" and app "api"',
    [{ name: 'both', hostPort: 80 }],
  ],
  [
    'port 80-0.0.0.0:tcp already mapped to pod port 8080',
    [
      { name: 'http', hostPort: 80 },
      { name: 'api', hostPort: 80 },
    ],
  ],
  [
    'port 80-0.0.0.0:tcp already mapped to pod port 8080',
    [
      { name: 'http', hostPort: 80, hostIP: '127.0.0.1' },
      { name: 'api', hostPort: 80, hostIP: '0.0.0.0' },
    ],
  ],
  [
    'already mapped to pod port 9000',
    [
      { name: 'range', hostPort: 9000 },
      { name: 'http', hostPort: 9009 },
    ],
  ],
  ['10 host ports from 65530 on go beyond 65535', [{ name: 'range', hostPort: 65_530 }]],
])('%s', (message, exposed) => {
  expect(() => resolve(...exposed)).toThrow(message);
});

test.each<[string, ExposedPort[]]>([
  [
    'tcp and udp of one number',
    [
      { name: 'http', hostPort: 80 },
      { name: 'dns', hostPort: 80 },
    ],
  ],
  [
    'one number on two addresses',
    [
      { name: 'http', hostPort: 80, hostIP: '127.0.0.1' },
      { name: 'api', hostPort: 80, hostIP: '192.0.2.7' },
    ],
  ],
  [
    'neighbours of a range',
    [
      { name: 'range', hostPort: 9000 },
      { name: 'http', hostPort: 9010 },
    ],
  ],
])('%s do not conflict', (_, exposed) => {
  expect(resolve(...exposed)).toHaveLength(2);
});
