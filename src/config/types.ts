/** What `auth.d` gives for one domain: how a request over https is authorised. */
export type HttpCredentials =
  | { readonly type: 'basic'; readonly user: string; readonly password: string }
  | { readonly type: 'oauth'; readonly token: string }
  | {
      readonly type: 'aws';
      readonly accessKeyID: string;
      readonly secretAccessKey: string;
      readonly awsRegion?: string | undefined;
    };

export interface DockerCredentials {
  readonly user: string;
  readonly password: string;
}

/** The folders of the configuration, lowest precedence first. Absolute paths. */
export interface ConfigRoots {
  readonly system: string;
  readonly local: string;
  readonly user?: string | undefined;
}

/** The merged configuration. */
export interface Config {
  /** By host, or host:port, exactly as in a URL. */
  readonly auth: ReadonlyMap<string, HttpCredentials>;
  /** By registry host, as written in references. */
  readonly dockerAuth: ReadonlyMap<string, DockerCredentials>;
  /** Absolute paths. */
  readonly paths: { readonly data?: string; readonly stage1Images?: string };
  readonly stage1: {
    readonly image?: { readonly name: string; readonly version: string };
    /** Absolute path, or URL (file, docker, http, https). */
    readonly location?: string;
  };
}
