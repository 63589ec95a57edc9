import { rkt } from './rkt.ts';
import { descriptorWriter } from './writer.ts';

rkt(process.argv.slice(2), descriptorWriter(1), descriptorWriter(2)).then((code) =>
  process.exit(code),
);
