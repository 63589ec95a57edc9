/** Environment variables of an app: where they come from and which wins. */
import type { NameValue } from './types.ts';

/** Used for what the app does not define itself (spec: ace.md, "Execution Environment"). */
const base: readonly NameValue[] = [
  { name: 'PATH', value: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
  { name: 'SHELL', value: '/bin/sh' },
  { name: 'USER', value: 'root' },
  { name: 'LOGNAME', value: 'root' },
  { name: 'HOME', value: '/root' },
];

/** Later lists win over earlier ones; a name keeps the place where it came first. */
export function mergeEnvironments(...lists: readonly (readonly NameValue[])[]): NameValue[] {
  const merged = new Map(lists.flat().map(({ name, value }) => [name, value]));
  return Array.from(merged, ([name, value]) => ({ name, value }));
}

/**
 * The whole environment that a stage1 gives an app's process.
 *
 * @param app its name, and the environment of its app section in the pod manifest
 * @param metadataUrl of the metadata service, when the pod is registered there
 */
export function appEnvironment(
  app: { name: string; environment: readonly NameValue[] },
  metadataUrl?: string,
): NameValue[] {
  return mergeEnvironments(
    base,
    app.environment,
    [
      { name: 'AC_APP_NAME', value: app.name },
      { name: 'container', value: 'rkt' },
    ],
    metadataUrl === undefined ? [] : [{ name: 'AC_METADATA_URL', value: metadataUrl }],
  );
}
