import { stage1Entry } from '../../src/stage1/entry.ts';
import { run } from './run.ts';

void stage1Entry({ run });
