import { openStore, type StoredImage } from '../../image/store.ts';
import type { Context } from '../context.ts';
import { flagError } from '../error.ts';
import type { Flags } from '../flags.ts';
import {
  agoText,
  briefKey,
  jsonFormat,
  jsonText,
  sizeText,
  tableText,
  timeText,
} from '../output.ts';

interface Column {
  readonly title: string;
  readonly brief: (image: StoredImage) => string;
  readonly full: (image: StoredImage) => string;
  /** Absent: the images can't be sorted by it. */
  readonly compare?: (a: StoredImage, b: StoredImage) => number;
}

const columns: ReadonlyMap<string, Column> = new Map<string, Column>([
  ['id', { title: 'ID', brief: ({ key }) => briefKey(key), full: ({ key }) => key }],
  [
    'name',
    {
      title: 'NAME',
      brief: fullName,
      full: fullName,
      compare: (a, b) => compareText(fullName(a), fullName(b)),
    },
  ],
  [
    'size',
    {
      title: 'SIZE',
      brief: ({ size }) => sizeText(size),
      full: ({ size }) => String(size),
      compare: (a, b) => a.size - b.size,
    },
  ],
  ['importtime', timeColumn('IMPORT TIME', ({ importTime }) => importTime)],
  ['lastused', timeColumn('LAST USED', ({ lastUsed }) => lastUsed)],
]);

/** Lists the images of the store. */
export async function run({ flags, globals, stdout }: Context): Promise<number> {
  const shown = named(flags, 'fields').map(([, column]) => column);
  const images = sorted(flags, openStore(globals.dataDir).list());
  const format = jsonFormat(flags);
  if (format) {
    stdout.write(jsonText(images.length === 0 ? null : images.map(asJson), format));
    return 0;
  }
  const form = flags.bool('full') ? 'full' : 'brief';
  stdout.write(
    tableText([
      ...(flags.bool('no-legend') ? [] : [shown.map(({ title }) => title)]),
      ...images.map((image) => shown.map((column) => column[form](image))),
    ]),
  );
  return 0;
}

function sorted(flags: Flags, images: StoredImage[]): StoredImage[] {
  const orders = named(flags, 'sort').map(([name, { compare }]) => {
    if (!compare) throw flagError('sort', `cannot sort by "${name}"`);
    return compare;
  });
  const sign = flags.value('order') === 'desc' ? -1 : 1;
  return images.sort(
    (a, b) => sign * (orders.map((compare) => compare(a, b)).find((order) => order !== 0) ?? 0),
  );
}

function named(flags: Flags, flag: string): [string, Column][] {
  return (flags.value(flag) ?? '').split(',').map((name) => {
    const column = columns.get(name);
    if (!column)
      throw flagError(
        flag,
        `unknown field "${name}", must be among ${[...columns.keys()].join(', ')}`,
      );
    return [name, column];
  });
}

function timeColumn(title: string, nanoseconds: (image: StoredImage) => number): Column {
  const milliseconds = (image: StoredImage) => nanoseconds(image) / 1e6;
  return {
    title,
    brief: (image) => agoText(milliseconds(image)),
    full: (image) => timeText(milliseconds(image)),
    compare: (a, b) => nanoseconds(a) - nanoseconds(b),
  };
}

function fullName({ name, version }: StoredImage): string {
  return version === undefined ? name : `${name}:${version}`;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function asJson(image: StoredImage) {
  const { key, importTime, lastUsed, size } = image;
  return {
    id: key,
    name: fullName(image),
    import_time: importTime,
    last_used_time: lastUsed,
    size,
  };
}
