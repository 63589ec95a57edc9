import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box({
  name: 'example.org/rich',
  app: {
    environment: [{ name: 'A', value: 'image' }],
    ports: [{ name: 'web', protocol: 'tcp', port: 80 }],
    isolators: [{ name: 'os/linux/oom-score-adj', value: 5 }],
  },
});

/** The pod file of a pod, and the manifest of the pod that this file makes. */
async function again(uuid: string): Promise<{ text: string; manifest: string }> {
  const text = await box.ok(['generate', uuid]);
  const uuidFile = box.file('');
  const file = `${box.folder()}/x.pod`;
  await box.local.startProgram('cp', [box.file(text), file]).done;
  const run = ['run-pod-file', `--uuid-file-save=${uuidFile}`, file];
  const { code, stderr } = await box.local.rkt(run);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return { text, manifest: await box.ok(['cat-manifest', readFileSync(uuidFile, 'utf8')]) };
}

test.each([
  ['nothing but an image', [], [BOX, '--', 'true']],
  [
    'flags of many kinds',
    ['--volume=v,kind=empty,mode=0777', '--set-env=B=two words', '--hostname=h'],
    [
      'example.org/rich',
      '--name=x',
      '--mount=volume=v,target=/v',
      '--user=7',
      '--group=8',
      '--supplementary-gids=1,2',
      '--working-dir=/v',
      '--environment=A=flag',
      '--memory=64M',
      '--oom-score-adj=9',
      '--caps-retain=CAP_CHOWN,CAP_KILL',
      '--ulimit=nofile=100:200',
      '--seccomp=mode=remove,errno=EPERM,reboot',
      '--annotation=a/b=c d',
      '--user-label=l=m',
      '--readonly-rootfs=true',
      '--restart=on-failure',
      '--',
      'true # "quoted" \\',
    ],
  ],
  ['two apps', [], [BOX, '--name=a', '--', 'true', '---', BOX, '--name=b', '--exec=/bin/true']],
])('the pod file of a pod with %s makes an equal pod', async (_, pod, args) => {
  const made = await box.runPod(args, { pod });
  const { text, manifest } = await again(made.pod.uuid);
  expect(JSON.parse(manifest)).toEqual(JSON.parse(await box.ok(['cat-manifest', made.pod.uuid])));
  expect(text).toContain('[App ');
  expect(text).toContain('net=none');
  expect(text).toContain('image=example.org/');
  expect(text).not.toContain('ipc=');
});

test('the unit is described by its apps', async () => {
  const args = [BOX, '--name=a', '--', 'true', '---', BOX, '--name=b', '--exec=/bin/true'];
  const made = await box.runPod(args);
  expect(await box.ok(['generate', made.pod.uuid])).toContain('Description=rkt pod of a, b\n');
});

test('a flag that says something else than its default is in the file', async () => {
  const made = await box.run('true', { pod: ['--ipc=private'] });
  expect(await box.ok(['generate', made.pod.uuid])).toContain('ipc=private\n');
});

test('what flags cannot say comes as the manifest itself', async () => {
  const handlers = [{ name: 'pre-start', exec: ['/bin/true'] }];
  const made = await box.runSection({ exec: ['/bin/true'], eventHandlers: handlers });
  const { text, manifest } = await again(made.pod.uuid);
  // The user's own manifest left out what the other one has filled in.
  const given: object = JSON.parse(await box.ok(['cat-manifest', made.pod.uuid]));
  expect(JSON.parse(manifest)).toMatchObject(given);
  expect(text).toContain('pod-manifest={');
});

test('protections that were off are off again', async () => {
  const made = await box.run('true', { global: ['--insecure-options=seccomp'] });
  const { text } = await again(made.pod.uuid);
  expect(text).toContain('insecure-options=seccomp');
});
