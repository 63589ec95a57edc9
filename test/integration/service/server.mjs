// server.mjs FOLDER PORT [CERT KEY]: serves files, with ranges, also those of a registry in FOLDER/v2; of
// one below /gated/, or that has another FILE.gated beside it, it sends the half that comes first and the
// rest when FOLDER/open is there. FOLDER/asked gets a line per request.
import { appendFileSync, existsSync, readFileSync, statSync, watch } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';

const [folder, port, cert, key] = process.argv.slice(2);

function listener(request, response) {
  const { url, headers } = request;
  appendFileSync(join(folder, 'asked'), `${request.method} ${url} ${headers.range ?? '-'}\n`);
  if (url === '/v2/') return response.end();
  const path = join(folder, url);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
  const bytes = readFileSync(path);
  const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, {
    ETag: '"1"',
    'Content-Length': bytes.length - from,
    ...(url.includes('/manifests/') && { 'Content-Type': JSON.parse(bytes).mediaType }),
    ...(from > 0 && { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  const isOpen = () => existsSync(join(folder, 'open'));
  const isGated = url.startsWith('/gated/') || existsSync(`${path}.gated`);
  if (!isGated || isOpen()) return response.end(bytes.subarray(from));
  const half = bytes.length >> 1;
  response.write(bytes.subarray(from, half));
  const watcher = watch(folder, () => {
    if (!isOpen()) return;
    watcher.close();
    response.end(bytes.subarray(Math.max(from, half)));
  });
}

const server = cert
  ? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, listener)
  : createServer(listener);
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
