import type { NameValue } from '../appc/types.ts';
import { type HttpClient, readText, statusError } from '../http/client.ts';
import { HttpError } from '../http/error.ts';
import type { MetaTag } from './discovery-page.ts';

const pageLimit = 4 * 1024 * 1024;

/** Where an image and its detached signature may be had. */
export interface Endpoint {
  readonly aci: string;
  readonly signature: string;
}

/** Where keys for the images below a prefix may be had. */
export interface KeyLocation {
  readonly prefix: string;
  readonly url: string;
}

/** Something that was asked in vain, and why. */
export interface Attempt {
  readonly url: string;
  readonly why: string;
}

export interface Discovered<Found> {
  /** In the order of the page; empty: nothing was found. */
  readonly found: readonly Found[];
  readonly attempts: readonly Attempt[];
}

/**
 * Where the image of a name is (spec: discovery.md). Meta discovery asks the name's page, then each
 * of its parents', and takes all fitting tags of the first page that has one; without any, simple
 * discovery's one address counts if something is there. HTTPS first, plain HTTP where it is allowed.
 */
export async function discoverImage(
  client: HttpClient,
  name: string,
  labels: readonly NameValue[],
): Promise<Discovered<Endpoint>> {
  const values = templateValues(name, labels);
  const { found, attempts } = await searchPages(client, name, 'ac-discovery', ({ content }) =>
    endpointOf(content, values),
  );
  if (found.length > 0) return { found, attempts };
  const simple = await searchSimple(client, values);
  return { found: simple.found, attempts: [...attempts, ...simple.attempts] };
}

/** Where the keys for a name, or for a prefix of names, are. */
export function discoverKeys(client: HttpClient, name: string): Promise<Discovered<KeyLocation>> {
  return searchPages(client, name, 'ac-discovery-pubkeys', ({ prefix, content }) => ({
    prefix,
    url: content,
  }));
}

/** Asks the pages of a name and its parents until one has a tag of this kind for the name. */
async function searchPages<Found>(
  client: HttpClient,
  name: string,
  kind: MetaTag['kind'],
  read: (tag: MetaTag) => Found | undefined,
): Promise<Discovered<Found>> {
  const attempts: Attempt[] = [];
  let schemes = schemesOf(client);
  for (let at = name; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    for (const scheme of schemes) {
      const url = `${scheme}://${at}`;
      try {
        const tags = await fetchTags(client, `${url}?ac-discovery=1`);
        const fitting = tags.filter((tag) => tag.kind === kind && covers(tag.prefix, name));
        const found = fitting.flatMap((tag) => read(tag) ?? []);
        if (found.length > 0) return { found, attempts };
        attempts.push({ url, why: `no tag ${kind} for this name` });
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        attempts.push({ url, why: whyOf(error) });
        // The parents are on the same host.
        if (error.code === 'unreachable' || error.code === 'tls')
          schemes = schemes.filter((other) => other !== scheme);
      }
    }
  }
  return { found: [], attempts };
}

async function fetchTags(client: HttpClient, url: string): Promise<MetaTag[]> {
  const answer = await client.request(url);
  if (answer.status !== 200) throw statusError(answer);
  const { metaTags } = await import('./discovery-page.ts');
  return metaTags(await readText(answer, pageLimit));
}

/** The one address that a name itself is. */
async function searchSimple(
  client: HttpClient,
  values: ReadonlyMap<string, string>,
): Promise<Discovered<Endpoint>> {
  const attempts: Attempt[] = [];
  for (const scheme of schemesOf(client)) {
    const template = `${scheme}://{name}-{version}-{os}-{arch}.{ext}`;
    const endpoint = endpointOf(template, values);
    if (!endpoint) continue;
    try {
      const answer = await client.request(endpoint.aci, { method: 'HEAD' });
      if (answer.status !== 200) throw statusError(answer);
      answer.discard();
      return { found: [endpoint], attempts };
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      attempts.push({ url: endpoint.aci, why: whyOf(error) });
    }
  }
  return { found: [], attempts };
}

function schemesOf(client: HttpClient): string[] {
  return client.plainHttp ? ['https', 'http'] : ['https'];
}

/** A prefix ends where an element of the name's path does. */
function covers(prefix: string, name: string): boolean {
  return name === prefix || name.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

function templateValues(name: string, labels: readonly NameValue[]): ReadonlyMap<string, string> {
  return new Map([
    ['version', 'latest'],
    ...labels.map(({ name: label, value }): [string, string] => [label, encodeURIComponent(value)]),
    ['name', name],
  ]);
}

/** Undefined when a variable of the template has no value, or no URL results. */
function endpointOf(template: string, values: ReadonlyMap<string, string>): Endpoint | undefined {
  const aci = render(template, values, 'aci');
  const signature = render(template, values, 'aci.asc');
  return aci !== undefined && signature !== undefined ? { aci, signature } : undefined;
}

function render(
  template: string,
  values: ReadonlyMap<string, string>,
  ext: string,
): string | undefined {
  let whole = true;
  const url = template.replace(/\{([^{}]*)\}/g, (_, variable: string) => {
    const value = variable === 'ext' ? ext : values.get(variable);
    whole &&= value !== undefined;
    return value ?? '';
  });
  return whole && URL.canParse(url) ? url : undefined;
}

/** The failure without the address, which stands beside it. */
function whyOf({ message }: HttpError): string {
  return message.replace(/^cannot get \S+: /, '');
}
