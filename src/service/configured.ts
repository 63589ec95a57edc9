import { version } from '../os/version.ts';
import { logEvent } from '../systemd/journal.ts';
import { asServiceError, type ServiceError } from './error.ts';
import type { Backend } from './manager.ts';
import { type ApiObject, type ApiObjects, ROOT } from './objects.ts';
import type { DataWatch } from './watch.ts';

/** What is there as soon as the configuration could be read. */
export interface Opened {
  readonly backend: Backend;
  readonly objects: ApiObjects;
  readonly watch: DataWatch;
}

/**
 * The API, as long as the configuration is good. It is read at each call, so that a file that is bad keeps
 * no helper from starting: it is told to the journal, and to those who call and may know, until it is
 * mended. The data folder is the one of the first time that it was good: another one counts from the next
 * helper on.
 */
export class Configured {
  readonly #dataDir: () => Promise<string>;
  readonly #open: (dataDir: string) => Promise<Opened>;
  readonly #tell: () => void;
  #opening: Promise<Opened> | undefined;
  /** Undefined before the configuration could be read for the first time. */
  opened: Opened | undefined;
  /** What is wrong with the configuration or the data folder, as far as is known. */
  problem: string | undefined;

  /**
   * @param dataDir reads the configuration
   * @param open begins to serve a data folder; called until it has done so once
   * @param tell called when `problem` has changed
   */
  constructor(
    dataDir: () => Promise<string>,
    open: (dataDir: string) => Promise<Opened>,
    tell: () => void,
  ) {
    this.#dataDir = dataDir;
    this.#open = open;
    this.#tell = tell;
  }

  /** Throws ServiceError: `BadConfiguration`, with the file and what is wrong, or why else it fails. */
  async open(): Promise<Opened> {
    try {
      const dataDir = await this.#dataDir();
      this.#opening ??= this.#open(dataDir).catch((error) => {
        this.#opening = undefined;
        throw error;
      });
      this.opened = await this.#opening;
      this.#note(undefined);
      return this.opened;
    } catch (error) {
      const told = asServiceError(error);
      this.#note(told.message);
      throw told;
    }
  }

  /** The objects; where the configuration is bad, those that fail with that. */
  async objects(): Promise<ApiObjects> {
    try {
      return (await this.open()).objects;
    } catch (error) {
      return failingObjects(asServiceError(error));
    }
  }

  #note(problem: string | undefined): void {
    if (problem === this.problem) return;
    this.problem = problem;
    this.#tell();
    if (problem !== undefined)
      logEvent({
        kind: 'configuration-bad',
        message: `Calls of the bus API fail: ${problem}`,
        priority: 'error',
        code: 'src/service/configured.ts:open',
        fields: [],
      });
  }
}

const INTERFACES: Readonly<Record<string, string>> = {
  pod: 'io.rkt.Rkt1.Pod',
  image: 'io.rkt.Rkt1.Image',
  transfer: 'io.rkt.Rkt1.Transfer',
};

/** Objects that can be asked for and fail: whoever asks is checked before they are told why. */
function failingObjects(error: ServiceError): ApiObjects {
  const fail = () => {
    throw error;
  };
  const call = async () => fail();
  const manager: ApiObject = {
    path: ROOT,
    interface: 'io.rkt.Rkt1.Manager',
    properties: () => ({ Version: version }),
    call,
  };
  return {
    find(path) {
      if (path === ROOT) return manager;
      const [, kind = ''] = new RegExp(`^${ROOT}/(\\w+)/\\w+$`).exec(path) ?? [];
      const iface = INTERFACES[kind];
      return iface === undefined ? undefined : { path, interface: iface, properties: fail, call };
    },
    all: fail,
  };
}
