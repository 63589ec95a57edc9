import type { HttpClient } from '../http/client.ts';
import type { ResolveOptions, VerifyAci } from '../image/resolve.ts';
import type { Context } from './context.ts';

/**
 * Checks signatures against the keyring of the configuration. For an image that is fetched by name and
 * for which no key is trusted yet, the user is offered those that its page names (surface 6.3).
 */
export function aciTrust({ globals, stderr }: Context, client: HttpClient | undefined): VerifyAci {
  const { insecure, systemConfig, localConfig, trustKeysFromHttps } = globals;
  const roots = { system: systemConfig, local: localConfig };
  return async (signed) => {
    const { name } = signed;
    if (client && name !== undefined) {
      const { trustForFetch } = await import('../trust/trust.ts');
      const { terminalDialog } = await import('../trust/terminal.ts');
      const { discoverKeys } = await import('../image/discovery.ts');
      await trustForFetch({
        roots,
        client,
        name,
        discover: async () => (await discoverKeys(client, name)).found,
        acceptHttps: trustKeysFromHttps,
        plainHttp: insecure.has('http') && insecure.has('pubkey'),
        dialog: terminalDialog,
        notice: (text) => stderr.write(text),
      });
    }
    const { aciVerifier } = await import('../trust/verify.ts');
    const { readAciManifest } = await import('../image/aci-manifest.ts');
    const manifestName = async (file: string, where: string) =>
      (await readAciManifest(file, where)).name;
    return aciVerifier({ roots, manifestName })(signed);
  };
}

/** Checks Docker and OCI images against policy.json and the cosign keys of the configuration. */
export function manifestTrust(
  { globals }: Context,
  client: HttpClient,
  info: ResolveOptions['info'],
): Required<Pick<ResolveOptions, 'verifyManifest' | 'verifyLocal' | 'checkSource'>> {
  const trust = {
    roots: { system: globals.systemConfig, local: globals.localConfig },
    http: client,
  };
  const hooks = () => import('../trust/registry-hook.ts');
  return {
    verifyManifest: async (image) => (await hooks()).registryVerifier(trust, info)(image),
    verifyLocal: async (image) => (await hooks()).localVerifier(trust, info)(image),
    checkSource: async (reference) => (await hooks()).registrySourceChecker(trust)(reference),
  };
}
