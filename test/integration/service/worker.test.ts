import { afterEach, describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { installHelper, shell } from './installed.ts';
import { fetchInWorker, IMAGE, serveImage } from './served.ts';

const host = await startHost();
installHelper(host);
serveImage(host);

describe('a fetch in the worker', () => {
  test('leaves no mount and no work behind, and tells the journal of the image', async () => {
    expect(await fetchInWorker(host)).toMatch(/^done sha512-/);
    expect(await shell(host, 'ls /var/lib/rkt/cas/tmp; grep /cas/ /proc/self/mounts || :')).toBe(
      '',
    );
    const entries = await shell(
      host,
      'journalctl --sync; journalctl -o cat MESSAGE_ID=d5103fc4301c4145b3113c43f7444e5f _SYSTEMD_SLICE=system-rkt\\\\x2dtransfer.slice',
    );
    expect(entries).toMatch(/\/all/);
  });

  test('gives tar no more than unpacking takes', async () => {
    await shell(
      host,
      `rkt image list --no-legend --fields=id | xargs -r rkt image rm
       touch "$(ls -S /srv/registry/v2/all/blobs/* | head -n 1).gated"`,
    );
    // The tar of the layer that has not come yet waits; others come and go.
    const files = '$(pgrep -x tar | sed "s,.*,/proc/&/status,") /dev/null';
    const script = `until grep -hsE "^(Cap|NoNew)" ${files}; do sleep 0.1; done; touch /srv/registry/open`;
    const meanwhile = `print(subprocess.run('${script}', shell=True, capture_output=True, text=True).stdout)`;
    const told = await fetchInWorker(host, meanwhile);
    const [, permitted] = /^CapPrm:\t(\w+)$/m.exec(told) ?? [];
    // chown, dac_override, fowner, fsetid, mknod, setfcap
    expect(permitted).toBe('000000008800001b');
    expect(told).toContain(`CapInh:\t${'0'.repeat(16)}\n`);
    expect(told).toContain(`CapEff:\t${permitted}\n`);
    expect(told).toMatch(/^NoNewPrivs:\t1$/m);
    expect(told).toMatch(/^done /m);
  });
});

describe('a data folder elsewhere', () => {
  afterEach(async () => {
    await shell(host, 'rm /etc/rkt/paths.d/data.json; systemctl stop rkt-helper.service');
  });
  const useFolder = async (path: string) => {
    const paths = { rktKind: 'paths', rktVersion: 'v1', data: path };
    await host.writeFile('/etc/rkt/paths.d/data.json', JSON.stringify(paths));
    await shell(host, 'systemctl stop rkt-helper.service');
  };

  test.for(['/srv/data', '/home/some/data'])(
    'is fetched to without a drop-in: %s',
    async (path) => {
      await shell(host, `mkdir -p ${path}`);
      await useFolder(path);
      expect(await fetchInWorker(host)).toMatch(/^done sha512-/);
      expect(await shell(host, `ls ${path}/cas/image`)).toMatch(/^sha512-/);
    },
  );

  test('that services do not see is an error that says what to do', async () => {
    await useFolder('/srv/none');
    expect(await fetchInWorker(host)).toMatch(/\/srv\/none: make it by "mkdir -p/);
    await shell(host, 'mkdir /tmp/data');
    await useFolder('/tmp/data');
    expect(await fetchInWorker(host)).toMatch(/\/tmp\/data: put it elsewhere, not below \/tmp/);
  });
});

test('a host without tar is told so', async () => {
  const script = `mv /usr/bin/tar /usr/bin/tar.away
    rkt --insecure-options=http,image --dir=/tmp/none fetch ${IMAGE}
    status=$?
    mv /usr/bin/tar.away /usr/bin/tar
    exit $status`;
  const { code, stderr } = await host.run(['sh', '-c', script]);
  expect(stderr).toMatch(/unpacking needs GNU tar/);
  expect(code).toBe(254);
});
