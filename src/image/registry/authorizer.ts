import * as z from 'zod/mini';
import { AppcError } from '../../appc/error.ts';
import { parseJson } from '../../appc/json.ts';
import { object, validate } from '../../appc/schema.ts';
import {
  basicAuthorization,
  type HttpClient,
  type HttpResponse,
  readText,
  statusError,
} from '../../http/client.ts';
import { HttpError, shownUrl } from '../../http/error.ts';
import { ImageError } from '../error.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { RegistryCredentials } from './credentials.ts';

/** What a header may carry. */
const token = z.string().check(z.regex(/^[\x21-\x7e]{1,65536}$/, 'must be a token'));
const tokenAnswer = object({ token: z.optional(token), access_token: z.optional(token) });

/** Makes the header `authorization` for a repository out of what a registry asks for. */
export interface Authorizer {
  readonly client: HttpClient;
  /** What messages call the image. */
  readonly where: string;
  readonly repository: string;
  /** Looked up when a registry asks for them, once. */
  credentials(): Promise<RegistryCredentials | undefined>;
}

/**
 * Answers the challenge of a registry: a token from its token server (distribution: "Token
 * Authentication Specification"), with credentials where there are any, else basic authorisation.
 *
 * @param registry its URL
 * @param header its `www-authenticate`
 * @throws HttpError, ImageError `unsupported` for another kind of challenge
 */
export async function authorise(
  authorizer: Authorizer,
  registry: URL,
  header: string,
): Promise<string> {
  const { where } = authorizer;
  const challenges = parseChallenges(header);
  const bearer = challenges.find(
    ({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'),
  );
  if (bearer) return `Bearer ${await getToken(authorizer, registry, bearer)}`;
  if (!challenges.some(({ scheme }) => scheme === 'basic'))
    throw new ImageError(
      'unsupported',
      `cannot get ${where}: ${registry.host} asks for ${challenges[0]?.scheme ?? 'nothing known'} as authorisation, which is not supported`,
    );
  const credentials = await authorizer.credentials();
  if (credentials && 'user' in credentials) return basicOf(credentials);
  throw await denied(authorizer, 401, registry);
}

async function getToken(
  authorizer: Authorizer,
  registry: URL,
  { parameters }: Challenge,
): Promise<string> {
  const url = realmOf(authorizer, parameters.get('realm') ?? '');
  const service = parameters.get('service');
  const asked = {
    ...(service !== undefined && { service }),
    scope: parameters.get('scope') ?? `repository:${authorizer.repository}:pull`,
  };
  const response = await askTokenServer(authorizer, registry, url, asked);
  if (response.status === 401 || response.status === 403) {
    response.discard();
    throw await denied(authorizer, response.status, url);
  }
  if (response.status !== 200) throw statusError(response);
  return parseToken(await readText(response, 1 << 20), url, authorizer.where);
}

function realmOf({ where }: Authorizer, realm: string): URL {
  if (URL.canParse(realm)) return new URL(realm);
  throw new HttpError(
    'bad-url',
    `cannot get ${where}: its registry names a token server that is no URL: ${JSON.stringify(realm)}`,
  );
}

async function askTokenServer(
  authorizer: Authorizer,
  registry: URL,
  url: URL,
  asked: Readonly<Record<string, string>>,
): Promise<HttpResponse> {
  const { client, credentials } = authorizer;
  const known = await credentials();
  // Whoever runs the registry gets the token: of another server's there must be none to be had.
  const anonymous = url.origin !== registry.origin;
  if (known && 'identityToken' in known) {
    // The client keeps a header off plain HTTP; this is a body.
    if (url.protocol !== 'https:') throw await denied(authorizer, 401, url);
    const form = { grant_type: 'refresh_token', refresh_token: known.identityToken };
    return client.request(url, {
      anonymous,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ ...asked, ...form, client_id: 'rkt' }).toString(),
    });
  }
  for (const [name, value] of Object.entries(asked)) url.searchParams.append(name, value);
  return client.request(url, known ? { authorization: basicOf(known) } : { anonymous });
}

function basicOf({ user, password }: { user: string; password: string }): string {
  return basicAuthorization(user, password);
}

function parseToken(json: string, url: URL, where: string): string {
  const what = `answer of the token server ${shownUrl(url)}`;
  try {
    const answer = validate(tokenAnswer, parseJson(json, what), what);
    const found = answer.token ?? answer.access_token;
    if (found !== undefined) return found;
  } catch (error) {
    if (!(error instanceof AppcError)) throw error;
  }
  throw new ImageError('bad-manifest', `cannot get ${where}: bad ${what}: there is no token in it`);
}

/**
 * HttpError `status` that says by whom access was refused, and what can be done.
 *
 * @param by the registry or its token server
 */
export async function denied(
  { where, credentials }: Authorizer,
  status: number,
  by: URL,
): Promise<HttpError> {
  const tried = await credentials();
  const name = tried && ('user' in tried ? `user ${JSON.stringify(tried.user)}` : 'the token');
  let why = `${by.host} denies it: there is no such repository, or it needs credentials (auth.d of the configuration, podman login, docker login)`;
  if (tried) why = `${by.host} does not accept ${name} from ${tried.origin}`;
  if (by.protocol === 'http:')
    why = `${by.host} wants it authorised, and credentials are not sent over plain HTTP`;
  return new HttpError(
    'status',
    `cannot get ${where}: ${why} (HTTP status code ${status})`,
    undefined,
    status,
  );
}
