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

/** A mutable pod whose apps may do all that root may. */
async function sandbox(...flags: readonly string[]) {
  const uuidFile = join(box.folder(), 'uuid');
  const running = box.local.start([
    'app',
    'sandbox',
    '--net=none',
    '--insecure-options=capabilities',
    `--uuid-file-save=${uuidFile}`,
    ...flags,
  ]);
  await expect.poll(() => existsSync(uuidFile) && readFileSync(uuidFile, 'utf8')).toBeTruthy();
  const uuid = readFileSync(uuidFile, 'utf8');
  await box.ok(['status', '--wait-ready', uuid]);
  const add = (name: string, script: string, ...more: readonly string[]) =>
    box.local.rkt(['app', 'add', uuid, BOX, `--name=${name}`, ...more, '--', '-c', script]);
  const start = async (name: string, script: string) => {
    expect(await add(name, script)).toMatchObject({ code: 0 });
    await box.ok(['app', 'start', uuid, `--app=${name}`]);
  };
  return {
    uuid,
    add,
    start,
    /** Has an app do something in the pod's own root, and stay. */
    trace: async (name: string, script: string) => {
      await start(name, `cd /proc/1/root && ${script} && echo ${name} is ready; exec sleep 1000`);
      await running.printed(new RegExp(`${name} is ready`));
    },
    end: async () => {
      await box.local.rkt(['stop', '--force', uuid]);
      await running.done;
    },
  };
}

test('nor those commands that change its apps, nor do FIFOs hold up those that look at them', async () => {
  const { folder, file } = outside();
  for (const name of ['victim', 'victim/rootfs']) mkdirSync(join(folder, name));
  const { uuid, add, start, trace, end } = await sandbox();
  expect(await add('victim', 'true')).toMatchObject({ code: 0 });
  await start('sleeper', 'exec sleep 1000');
  const link = (name: string) => `ln -sf ${file} ${name}`;
  await trace(
    'tracer',
    `${['', '-started', '_stopping', '_last'].map((end) => link(`rkt/status/victim${end}`)).join(' && ')} && ${link('rkt/enter/late')} && ${link('rkt/units/late.service')} && mkfifo rkt/status/fifo rkt/status/sleeper && { while :; do cat rkt/status/sleeper; done & } && mv opt/stage2 opt/old && ln -s ${folder} opt/stage2`,
  );
  await box.local.rkt(['app', 'start', uuid, '--app=victim']);
  await box.local.rkt(['app', 'rm', uuid, '--app=victim']);
  await box.ok(['app', 'rm', uuid, '--app=sleeper']);
  expect(await box.ok(['list'])).toContain('tracer');
  await end();
  expect(readFileSync(file, 'utf8')).toBe('kept');
  expect(existsSync(join(folder, 'victim/rootfs'))).toBe(true);
});

test.each([['with overlays'], ['without', '--no-overlay']])(
  'nor the one that adds an app, %s',
  async (_, ...flags) => {
    const { folder, file } = outside();
    const { uuid, add, trace, end } = await sandbox(...flags);
    await trace('first', `ln -s ${folder} opt/stage2/late`);
    expect(await add('late', 'true')).toMatchObject({ code: 0 });
    await box.ok(['app', 'start', uuid, '--app=late']);
    await trace('second', `mv opt/stage2 opt/old && ln -s ${folder} opt/stage2`);
    expect((await add('later', 'true')).stderr).toContain('is not a folder');
    await end();
    expect(readdirSync(folder)).toEqual(['file']);
    expect(readFileSync(file, 'utf8')).toBe('kept');
  },
);
