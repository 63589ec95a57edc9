import { PodError } from '../../pod/error.ts';
import { type AppInfo, podInfo } from '../../pod/info.ts';
import { podRemoved, readPod } from '../../pod/pods.ts';
import { failingWith1, podAndApp } from '../app-commands.ts';
import type { Context } from '../context.ts';
import { jsonFormat, jsonText, timeText } from '../output.ts';
import { appJson } from '../pod-json.ts';

/** Prints the state of one app of a pod. */
export function run(context: Context): Promise<number> {
  const { flags, globals, stdout } = context;
  return failingWith1(async () => {
    const { pod, app: name } = podAndApp(context);
    const info = readPod(globals.dataDir, pod, podInfo);
    if (!info) throw podRemoved(pod);
    const app = info.apps.find((each) => each.name === name);
    if (!app) throw new PodError('wrong-state', `nonexistent app "${name}"`);
    const format = jsonFormat(flags);
    stdout.write(format ? jsonText(appJson(app), format) : statusText(app));
    return 0;
  });
}

function statusText(app: AppInfo): string {
  const mounts = app.mounts.map(
    (mount) => `${mount.hostPath}:${mount.containerPath}:(read_only:${mount.readOnly})`,
  );
  const lines = [
    `name=${app.name}`,
    `state=${app.state}`,
    `image_id=${app.imageId}`,
    app.createdAt && `created_at=${timeText(app.createdAt.getTime())}`,
    app.startedAt && `started_at=${timeText(app.startedAt.getTime())}`,
    app.finishedAt && `finished_at=${timeText(app.finishedAt.getTime())}`,
    app.exitCode !== undefined && `exit_code=${app.exitCode}`,
    mounts.length > 0 && `mounts=${mounts.join(',')}`,
    ...pairs('user_annotations', app.userAnnotations),
    ...pairs('user_labels', app.userLabels),
  ];
  return lines
    .filter((line) => line)
    .map((line) => `${line}\n`)
    .join('');
}

function pairs(name: string, map: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(map).map(([key, value]) => `${key}:${value}`);
  return entries.length > 0 ? [`${name}=${entries.join(',')}`] : [];
}
