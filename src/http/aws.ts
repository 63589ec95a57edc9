import { createHash, createHmac } from 'node:crypto';
import type { HttpCredentials } from '../config/types.ts';

type AwsCredentials = Extract<HttpCredentials, { type: 'aws' }>;

/**
 * The headers that authorise a request without a body for S3: AWS Signature Version 4 ("Authenticating
 * Requests: Using the Authorization Header" in the S3 API reference).
 */
export function signForS3(
  method: string,
  url: URL,
  credentials: AwsCredentials,
  now = new Date(),
): Record<string, string> {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const emptyBody = sha256('');
  const signed = { host: url.host, 'x-amz-content-sha256': emptyBody, 'x-amz-date': time };
  const names = Object.keys(signed).join(';');
  const canonical = [
    method,
    canonicalPath(url),
    canonicalQuery(url),
    ...Object.entries(signed).map(([name, value]) => `${name}:${value}`),
    '',
    names,
    emptyBody,
  ].join('\n');

  const region = credentials.awsRegion || regionOf(url.hostname);
  const scope = [time.slice(0, 8), region, 's3', 'aws4_request'];
  const key = scope.reduce<string | Buffer>(
    (secret, part) => hmac(secret, part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  );
  const toSign = ['AWS4-HMAC-SHA256', time, scope.join('/'), sha256(canonical)].join('\n');
  const signature = hmac(key, toSign).digest('hex');
  return {
    'x-amz-content-sha256': emptyBody,
    'x-amz-date': time,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyID}/${scope.join('/')},SignedHeaders=${names},Signature=${signature}`,
  };
}

/** The region in `s3-REGION.amazonaws.com` and `s3.REGION.amazonaws.com`, also below a bucket. */
function regionOf(host: string): string {
  return /(?:^|\.)s3[.-]([a-z0-9-]+)\.amazonaws\.com(\.cn)?$/.exec(host)?.[1] ?? 'us-east-1';
}

function canonicalPath(url: URL): string {
  return url.pathname
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/');
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}

/** RFC 3986: all but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string) {
  return createHmac('sha256', key).update(text);
}
