import { spawn } from 'node:child_process';
import { collectLines, exitOf } from './decompress.ts';
import { ImageError } from './error.ts';
import { quoteName, sortPax } from './tar-headers.ts';
import { TarWalker } from './tar-walker.ts';

/** Everything that a tree holds as one stream: equal trees give equal bytes. */
const TAR = [
  '--create',
  '--file=-',
  '--format=posix',
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  '--sort=name',
  '--numeric-owner',
  '--xattrs',
  '--xattrs-include=*',
  // The host's policy gives these by place.
  '--xattrs-exclude=security.selinux',
];

/**
 * Compares two trees in all that an image can say of one: names, types, modes, owners, times, content,
 * devices, extended attributes, ACLs and links. Returns the quoted path of the first difference, in the
 * order of names, or undefined.
 *
 * @throws ImageError `io` when a tree can't be read
 */
export async function firstDifference(
  expected: string,
  actual: string,
): Promise<string | undefined> {
  const [ours, theirs] = [packTree(expected), packTree(actual)];
  try {
    return await compare(ours, theirs);
  } finally {
    ours.stop();
    theirs.stop();
  }
}

/** A tree as a stream. */
interface Packed {
  /** The next bytes; none at the end of the whole tree. Throws ImageError `io`. */
  next(): Promise<Buffer>;
  stop(): void;
}

async function compare(ours: Packed, theirs: Packed): Promise<string | undefined> {
  let members = 0;
  let current = 'its root';
  const walker = new TarWalker(({ name }) => {
    members++;
    current = quoteName(name);
    return 'drop';
  });
  let [mine, other] = [await ours.next(), await theirs.next()];
  while (mine.length > 0 && other.length > 0) {
    const length = Math.min(mine.length, other.length);
    const same = sameLength(mine.subarray(0, length), other.subarray(0, length));
    walker.push(mine.subarray(0, same));
    if (same < length) {
      // A difference in headers belongs to the member that they end with.
      const before = members;
      let rest = mine.subarray(same);
      while (rest.length > 0 && !walker.insideContent && members === before) {
        walker.push(rest.subarray(0, 1));
        rest = rest.length > 1 ? rest.subarray(1) : await ours.next();
      }
      return current;
    }
    mine = mine.length > length ? mine.subarray(length) : await ours.next();
    other = other.length > length ? other.subarray(length) : await theirs.next();
  }
  return mine.length === other.length ? undefined : current;
}

/** How many bytes are the same from the start on. */
function sameLength(one: Buffer, other: Buffer): number {
  if (one.equals(other)) return one.length;
  let [from, to] = [0, one.length];
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (one.subarray(from, middle).equals(other.subarray(from, middle))) from = middle;
    else to = middle;
  }
  return from;
}

function packTree(root: string): Packed {
  const child = spawn('tar', [...TAR, `--directory=${root}`, '.'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
  });
  const chunks: AsyncIterator<Buffer> = child.stdout[Symbol.asyncIterator]();
  // Extended attributes come in the order in which somebody has set them.
  const sorter = new TarWalker(() => 'pass', sortPax);
  // Node throws away what nobody has begun to read when the child ends.
  let ahead = chunks.next();
  ahead.catch(() => {});
  const said = collectLines(child);
  const ended = exitOf(child);
  ended.catch(() => {});
  return {
    async next() {
      for (;;) {
        const { value, done } = await ahead;
        if (done) break;
        ahead = chunks.next();
        const sorted = Buffer.concat(sorter.push(value));
        if (sorted.length > 0) return sorted;
      }
      const status = await ended;
      if (status === 0) return Buffer.alloc(0);
      throw new ImageError('io', `cannot read ${root}: ${said()[0] ?? `status ${status}`}`);
    },
    stop: () => child.kill('SIGKILL'),
  };
}
