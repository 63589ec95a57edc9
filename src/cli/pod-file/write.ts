import {
  type App,
  type ImageManifest,
  type Isolator,
  isolatorValue,
  type PodManifest,
  type RuntimeApp,
  type Volume,
} from '../../appc/index.ts';
import { iniLine } from './ini.ts';

type Line = readonly [key: string, value: string];

/** What a pod file is made from. */
export interface PodToWrite {
  readonly name: string;
  readonly manifest: PodManifest;
  /** One for each app: its manifest, and what it is to be found by. */
  readonly images: readonly {
    readonly key: string;
    readonly manifest: ImageManifest;
    readonly reference: string;
  }[];
  /** Flags of the pod that its manifest does not have: `net`, `hostname` and the like. */
  readonly flags: readonly Line[];
}

/** A pod file whose apps are images and flags, as far as there are flags for what the manifest says. */
export function podFileOfFlags(pod: PodToWrite): string {
  const { volumes, ports, apps } = pod.manifest;
  const lines: Line[] = [
    ...pod.flags,
    ...volumes.map((volume): Line => ['volume', volumeText(volume)]),
    ...ports.map(({ name, hostIP, hostPort }): Line => {
      const address = hostIP?.includes(':') ? `[${hostIP}]` : hostIP;
      return ['port', [name, ...(address ? [address] : []), hostPort].join(':')];
    }),
  ];
  const sections = apps.map((app, index) => {
    const image = pod.images[index];
    return image ? sectionText(`App ${app.name}`, appLines(app, image)) : '';
  });
  return [...head(pod), sectionText('Pod', lines), ...sections, INSTALL].join('\n');
}

/** A pod file that holds the manifest itself. */
export function podFileOfManifest(pod: PodToWrite): string {
  const manifest: Line = ['pod-manifest', JSON.stringify(pod.manifest)];
  return [...head(pod), sectionText('Pod', [...pod.flags, manifest]), INSTALL].join('\n');
}

function head({ name, manifest }: PodToWrite): string[] {
  const apps = manifest.apps.map((app) => app.name).join(', ');
  return [
    `# Made by "rkt generate ${name}": see rkt-pod(5)\n`,
    sectionText('Unit', [['Description', `rkt pod of ${apps}`]]),
  ];
}

const INSTALL = '[Install]\nWantedBy=multi-user.target\n';

function sectionText(name: string, lines: readonly Line[]): string {
  return `[${name}]\n${lines.map(([key, value]) => iniLine(key, value)).join('')}`;
}

function volumeText(volume: Volume): string {
  const { name, ...settings } = volume;
  return [name, ...Object.entries(settings).map(([key, value]) => `${key}=${value}`)].join(',');
}

function appLines(app: RuntimeApp, image: PodToWrite['images'][number]): Line[] {
  const lines: Line[] = [['image', image.reference]];
  if (app.readOnlyRootFS) lines.push(['readonly-rootfs', 'true']);
  for (const { volume, path } of app.mounts)
    lines.push(['mount', `volume=${volume},target=${path}`]);
  for (const { name, value } of app.annotations)
    lines.push(
      name === 'coreos.com/rkt/stage2/restart'
        ? ['restart', value]
        : ['annotation', `${name}=${value}`],
    );
  return app.app ? [...lines, ...sectionLines(app.app, image.manifest.app)] : lines;
}

/** The flags that make of the image's section the app's. */
function sectionLines(app: App, image: App | undefined): Line[] {
  const lines: Line[] = [];
  const differs = (key: keyof App) => JSON.stringify(app[key]) !== JSON.stringify(image?.[key]);
  if (differs('user')) lines.push(['user', app.user]);
  if (differs('group')) lines.push(['group', app.group]);
  if (differs('supplementaryGIDs'))
    lines.push(['supplementary-gids', app.supplementaryGIDs.join(',')]);
  if (differs('workingDirectory')) lines.push(['working-dir', app.workingDirectory]);
  for (const { name, value } of app.environment)
    if (!image?.environment.some((other) => other.name === name && other.value === value))
      lines.push(['environment', `${name}=${value}`]);
  lines.push(...isolatorLines(app.isolators, image?.isolators ?? []));
  for (const [key, name] of [
    ['userAnnotations', 'user-annotation'],
    ['userLabels', 'user-label'],
  ] as const)
    if (differs(key))
      for (const pair of Object.entries(app[key])) lines.push([name, pair.join('=')]);
  return [...lines, ...execLines(app.exec, image?.exec ?? [])];
}

function execLines(exec: readonly string[], image: readonly string[]): Line[] {
  const isImages = image.length > 0 && image.every((word, index) => exec[index] === word);
  const args = exec.slice(isImages ? image.length : 1);
  const own: Line[] = isImages ? [] : [['exec', exec[0] ?? '']];
  return [...own, ...args.map((arg): Line => ['arg', arg])];
}

/** Where the image's own are missing, or what has no flag is there, no lines say so. */
function isolatorLines(isolators: readonly Isolator[], image: readonly Isolator[]): Line[] {
  const added = isolators.filter(
    (one) => !image.some((other) => JSON.stringify(other) === JSON.stringify(one)),
  );
  const lines: (Line | undefined)[] = [
    amount('memory', isolatorValue(added, 'resource/memory')?.limit),
    amount('cpu', isolatorValue(added, 'resource/cpu')?.limit),
    amount('cpu-shares', isolatorValue(added, 'os/linux/cpu-shares')),
    amount('oom-score-adj', isolatorValue(added, 'os/linux/oom-score-adj')),
    amount('io-weight', isolatorValue(added, 'os/linux/io-weight')),
    amount('tasks', isolatorValue(added, 'os/linux/tasks')),
    ...Object.entries(isolatorValue(added, 'os/linux/rlimits') ?? {}).map(
      ([name, limit]): Line => ['ulimit', `${name}=${limit}`],
    ),
    amount('caps-retain', isolatorValue(added, 'os/linux/capabilities-retain-set')?.set.join(',')),
    amount('caps-remove', isolatorValue(added, 'os/linux/capabilities-remove-set')?.set.join(',')),
    ...(['retain', 'remove'] as const).map((mode) => {
      const filter = isolatorValue(added, `os/linux/seccomp-${mode}-set`);
      const errno = filter?.errno === undefined ? [] : [`errno=${filter.errno}`];
      return amount('seccomp', filter && [`mode=${mode}`, ...errno, ...filter.set].join(','));
    }),
  ];
  return lines.flatMap((line) => (line ? [line] : []));
}

function amount(key: string, value: string | number | undefined): Line | undefined {
  return value === undefined ? undefined : [key, String(value)];
}
