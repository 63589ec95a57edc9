import { posix } from 'node:path';
import type { App, ImageManifest, NameValue, RuntimeApp } from '../appc/index.ts';
import { isExecutableInRoot, readInRoot, statInRoot } from '../os/inroot.ts';
import { Stage1Error } from './error.ts';

/** An app as a process: everything that its root file system had to be asked for is settled. */
export interface AppProcess {
  readonly name: string;
  /** The first element is an absolute path inside the app's root. */
  readonly exec: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly workingDirectory: string;
}

/** The app section that counts: the pod manifest's, or else the image's. */
export function appSection(app: RuntimeApp, image: ImageManifest): App {
  const section = app.app ?? image.app;
  if (section) return section;
  throw new Stage1Error(
    'app-setup',
    `image ${image.name} of app "${app.name}" has no app section: say what to run with --exec=BINARY`,
  );
}

/**
 * Settles user, groups and executable of an app against its root file system (surface 9.2).
 * `environment` is the app's own, where PATH is looked up.
 */
export function planProcess(
  name: string,
  section: App,
  root: string,
  environment: readonly NameValue[],
): AppProcess {
  const uid = numericId(root, 'user', section.user, name);
  return {
    name,
    exec: commandInRoot(root, section.exec, { name, section, environment }),
    uid,
    gid: groupId(root, section, uid, name),
    groups: section.supplementaryGIDs,
    workingDirectory: posix.normalize(`/${section.workingDirectory}`),
  };
}

/** A Docker image that names a user and no group gets its number as group when none has its name. */
function groupId(root: string, section: App, uid: number, app: string): number {
  if (section.group !== section.user) return numericId(root, 'group', section.group, app);
  return lookUpId(root, 'group', section.group) ?? uid;
}

function numericId(root: string, kind: 'user' | 'group', text: string, app: string): number {
  const id = lookUpId(root, kind, text);
  if (id !== undefined && id <= MAX_ID) return id;
  if (id !== undefined)
    throw new Stage1Error('app-setup', `the ${kind} ${id} of app "${app}" is out of range`);
  const where = text.startsWith('/') ? 'no such path' : `not in its /etc/${databases[kind]}`;
  throw new Stage1Error('app-setup', `cannot find the ${kind} "${text}" of app "${app}": ${where}`);
}

/** The highest number of a user or group; the one above stands for none: credentials(7). */
const MAX_ID = 0xffff_fffe;

const databases = { user: 'passwd', group: 'group' } as const;

function lookUpId(root: string, kind: 'user' | 'group', text: string): number | undefined {
  if (text === 'root') return 0;
  if (/^\d+$/.test(text)) return Number(text);
  if (text.startsWith('/')) {
    const stats = statInRoot(root, text);
    return kind === 'user' ? stats?.uid : stats?.gid;
  }
  const lines = readInRoot(root, `/etc/${databases[kind]}`)?.split('\n') ?? [];
  const id = lines.map((line) => line.split(':')).find((fields) => fields[0] === text)?.[2];
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : undefined;
}

/**
 * A command line of an app, its main one or that of an event handler, with the executable's absolute
 * path inside the app's root.
 */
export function commandInRoot(
  root: string,
  exec: readonly string[],
  app: {
    readonly name: string;
    readonly section: App;
    readonly environment: readonly NameValue[];
  },
): readonly string[] {
  return [findExecutable(root, exec[0], app.section, app.environment, app.name), ...exec.slice(1)];
}

function findExecutable(
  root: string,
  file: string | undefined,
  section: App,
  environment: readonly NameValue[],
  app: string,
): string {
  if (!file)
    throw new Stage1Error('app-setup', `app "${app}" has an empty "exec" (try --exec=BINARY)`);
  if (/["'\\]|\p{Cc}|\/$/u.test(file))
    throw new Stage1Error(
      'app-setup',
      `app "${app}" cannot run ${JSON.stringify(file)}: not a path`,
    );
  if (file.startsWith('/')) return file;
  const cwd = section.workingDirectory || '/';
  if (file.includes('/')) return posix.join(cwd, file);
  const path = environment.find((variable) => variable.name === 'PATH')?.value;
  const folders = path ? path.split(':').filter(Boolean) : [cwd, '/bin', '/usr/bin'];
  const found = folders
    .map((folder) => posix.join('/', folder, file))
    .find((candidate) => isExecutableInRoot(root, candidate));
  if (found) return found;
  throw new Stage1Error(
    'app-setup',
    `unable to find "${file}" of app "${app}" in "${folders.join(':')}"`,
  );
}
