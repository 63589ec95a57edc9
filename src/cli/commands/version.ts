import { version } from '../../os/version.ts';
import type { Context } from '../context.ts';
import { jsonFormat, jsonText } from '../output.ts';

/** The version of the App Container spec that is implemented. */
const appcVersion = '0.8.11';

/** Prints the versions, in the lines that scripts made for rkt read. */
export async function run({ flags, stdout }: Context): Promise<number> {
  const node = process.versions.node;
  const platform = `${process.platform}/${goArch(process.arch)}`;
  const format = jsonFormat(flags);
  stdout.write(
    format
      ? jsonText({ rkt: version, appc: appcVersion, node, platform }, format)
      : [
          `rkt Version: ${version}`,
          `appc Version: ${appcVersion}`,
          `Node Version: ${node}`,
          `Node OS/Arch: ${platform}`,
          'Features: -TPM -SDJOURNAL\n',
        ].join('\n'),
  );
  return 0;
}

/** The architecture as Go, and so rkt, names it. */
function goArch(arch: string): string {
  return { x64: 'amd64', ia32: '386', arm64: 'arm64' }[arch] ?? arch;
}
