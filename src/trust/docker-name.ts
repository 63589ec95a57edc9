/** A Docker reference in full, as signatures and policies name it: `docker.io/library/busybox:1`. */
export interface DockerName {
  /** Host, with `:port` when given, and repository. */
  readonly name: string;
  readonly tag?: string;
  /** `algorithm:hex` */
  readonly digest?: string;
}

/** Docker Hub under the names that people and tools use for it; signatures use the first. */
const hubNames = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

const form =
  /^((?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?(?:\/[a-z0-9._-]+)*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@([a-z0-9+._-]+:[0-9a-f]{32,}))?$/;

/** Reads `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`; undefined for what is none. No tag is added. */
export function parseDockerName(text: string): DockerName | undefined {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first === 'localhost';
  const [, path, tag, digest] = form.exec(hasRegistry ? text : `docker.io/${text}`) ?? [];
  if (path === undefined) return undefined;
  const at = path.indexOf('/');
  if (at < 0) return undefined;
  return {
    name: dockerName(path.slice(0, at), path.slice(at + 1)),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** The name of a repository in full. */
export function dockerName(registry: string, repository: string): string {
  if (!hubNames.includes(registry)) return `${registry}/${repository}`;
  return `docker.io/${repository.includes('/') ? repository : `library/${repository}`}`;
}

/** `NAME[:TAG][@DIGEST]` */
export function dockerNameText({ name, tag, digest }: DockerName): string {
  return `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}
