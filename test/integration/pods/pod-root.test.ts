// An app that may trace others reaches the pod's own root, where its root may write.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();
const TRACER = '--caps-retain=CAP_SYS_PTRACE,CAP_DAC_OVERRIDE';

/** A folder of the host that a pod is not to reach. */
function outside(): { folder: string; file: string } {
  const folder = box.folder();
  const file = join(folder, 'file');
  writeFileSync(file, 'kept');
  return { folder, file };
}

test('links that it puts there do not lead `stop` out', async () => {
  const { folder, file } = outside();
  const script = `cd /proc/1/root/rkt && ln -s ${folder} units/service.d && ln -s ${file} status/zz && ln -s ${file} status/box_signal && echo ready; trap "exit 0" TERM; while :; do sleep 0.05; done`;
  const pod = box.start(script, { app: [TRACER] });
  await pod.running.printed(/ready/);
  const stopped = await box.local.rkt(['stop', '--timeout=100s', pod.uuid]);
  expect(stopped.stderr).toMatch(/stopped|is not a folder/);
  expect(readdirSync(folder)).toEqual(['file']);
  await box.ok(['stop', '--force', pod.uuid]);
  await pod.running.done;
  expect(await box.ok(['status', pod.uuid])).not.toContain('zz');
});

test('nor those commands that change its apps, nor do FIFOs hold up those that look at them', async () => {
  const { folder, file } = outside();
  for (const name of ['victim', 'victim/rootfs']) mkdirSync(join(folder, name));
  const uuidFile = join(box.folder(), 'uuid');
  const running = box.local.start([
    'app',
    'sandbox',
    '--net=none',
    '--insecure-options=capabilities',
    `--uuid-file-save=${uuidFile}`,
  ]);
  await expect.poll(() => existsSync(uuidFile) && readFileSync(uuidFile, 'utf8')).toBeTruthy();
  const uuid = readFileSync(uuidFile, 'utf8');
  await box.ok(['status', '--wait-ready', uuid]);
  const app = (name: string, script: string) =>
    box.ok(['app', 'add', uuid, BOX, `--name=${name}`, '--', '-c', script]);
  await app('victim', 'true');
  const link = (name: string) => `ln -sf ${file} ${name}`;
  await app(
    'tracer',
    `cd /proc/1/root && ${['', '-started', '_stopping', '_last'].map((end) => link(`rkt/status/victim${end}`)).join(' && ')} && ${link('rkt/enter/late')} && ${link('rkt/units/late.service')} && mkfifo rkt/status/fifo && mv opt/stage2 opt/old && ln -s ${folder} opt/stage2 && echo ready; exec sleep 1000`,
  );
  await box.ok(['app', 'start', uuid, '--app=tracer']);
  await running.printed(/ready/);
  await box.local.rkt(['app', 'start', uuid, '--app=victim']);
  await box.local.rkt(['app', 'rm', uuid, '--app=victim']);
  expect(await box.ok(['list'])).toContain('tracer');
  await box.local.rkt(['stop', '--force', uuid]);
  await running.done;
  expect(readFileSync(file, 'utf8')).toBe('kept');
  expect(existsSync(join(folder, 'victim/rootfs'))).toBe(true);
});
