import type { AppInfo, PodInfo, PodSummary } from '../pod/info.ts';

/** A pod as `list` and `status` print it in JSON (surface 1.6): times in s, those of apps in ns. */
export function podJson(pod: PodInfo): unknown {
  return {
    name: pod.uuid,
    state: pod.state,
    networks: pod.networks,
    app_names: pod.apps.map((app) => app.name),
    apps: pod.apps.map(appJson),
    created_at: seconds(pod.createdAt),
    started_at: seconds(pod.startedAt),
    user_annotations: pod.userAnnotations,
    user_labels: pod.userLabels,
  };
}

/** An app as it is printed in JSON, alone or within its pod. */
export function appJson(app: AppInfo): unknown {
  return {
    name: app.name,
    state: app.state,
    created_at: nanoseconds(app.createdAt),
    started_at: nanoseconds(app.startedAt),
    finished_at: nanoseconds(app.finishedAt),
    exit_code: app.exitCode,
    exit_signal: app.exitSignal,
    image_id: app.imageId,
    mounts: app.mounts.map(({ name, containerPath, hostPath, readOnly }) => ({
      name,
      container_path: containerPath,
      host_path: hostPath,
      read_only: readOnly,
    })),
    user_annotations: app.userAnnotations,
    user_labels: app.userLabels,
  };
}

function seconds(time: Date | undefined): number | undefined {
  return time && Math.floor(time.getTime() / 1000);
}

function nanoseconds(time: Date | undefined): number | undefined {
  return time && time.getTime() * 1e6;
}

/** `NAME:ip4=ADDRESS` and `NAME:ip6=ADDRESS` of each network. */
export function networksText(pod: PodSummary): string {
  return pod.networks
    .flatMap(({ netName, ip, ip6 }) => [
      ...(ip ? [`${netName}:ip4=${ip}`] : []),
      ...(ip6 ? [`${netName}:ip6=${ip6}`] : []),
    ])
    .join(', ');
}
