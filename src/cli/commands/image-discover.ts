import { discoverImage, discoverKeys } from '../../image/discovery.ts';
import { notDiscovered } from '../../image/fetch-named.ts';
import { withHostLabels } from '../../image/named.ts';
import { parseNameReference } from '../../image/reference.ts';
import type { Context } from '../context.ts';
import { httpClient } from '../image-source.ts';
import { jsonFormat, jsonText, tableText } from '../output.ts';

/** Shows where `rkt fetch NAME` would look for an image and the keys to its signature. */
export async function run(context: Context): Promise<number> {
  const { args, flags, stdout } = context;
  const client = httpClient(context);
  const { name, labels } = parseNameReference(args[0] ?? '');
  const wanted = { name, labels: withHostLabels(labels) };
  const images = await discoverImage(client, name, wanted.labels);
  const keys = await discoverKeys(client, name);
  await client.close();
  if (images.found.length === 0) throw notDiscovered(wanted, 0, images.attempts);

  const format = jsonFormat(flags);
  if (format) {
    const found = { name, labels: wanted.labels, endpoints: images.found, keys: keys.found };
    stdout.write(jsonText(found, format));
    return 0;
  }
  stdout.write(
    tableText([
      ...(flags.bool('no-legend') ? [] : [['TYPE', 'URL']]),
      ...images.found.flatMap(({ aci, signature }) => [
        ['image', aci],
        ['signature', signature],
      ]),
      ...keys.found.map(({ url }) => ['key', url]),
    ]),
  );
  return 0;
}
