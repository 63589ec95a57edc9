import { readdirSync, readlinkSync } from 'node:fs';
import { DomainError } from './error.ts';
import { loadLibrary, type Native } from './syscalls.ts';

/** nftables refused a ruleset; the message is its own. */
export class NftablesError extends DomainError<'refused'> {}

interface Nftables {
  readonly newContext: Native;
  readonly bufferErrors: Native;
  readonly run: Native;
  readonly errors: Native;
}

let known: Nftables | undefined;

/** libnftables(3), when the host has it. */
function library(): Nftables | undefined {
  if (known) return known;
  const nftables = loadLibrary('libnftables.so.1');
  if (!nftables) return undefined;
  known = {
    newContext: nftables.func('void *nft_ctx_new(uint32_t flags)'),
    bufferErrors: nftables.func('int nft_ctx_buffer_error(void *ctx)'),
    run: nftables.func('int nft_run_cmd_from_buffer(void *ctx, const char *buffer)'),
    errors: nftables.func('const char *nft_ctx_get_error_buffer(void *ctx)'),
  };
  return known;
}

/**
 * Applies a ruleset whose tables have the flag `owner`, in one transaction, and gives the descriptor
 * of the netlink socket that owns them: the kernel removes the tables when it is closed for the last
 * time (nft(8), "flags owner"). Whoever inherits it across execve keeps them alive, and whatever
 * ends that process ends them.
 *
 * @returns undefined where the host has no libnftables
 * @throws NftablesError with the library's message
 */
export function ownRuleset(ruleset: string): number | undefined {
  const nft = library();
  if (!nft) return undefined;
  const before = new Set(sockets());
  const context = nft.newContext(0);
  nft.bufferErrors(context);
  if (nft.run(context, ruleset) !== 0) {
    const [why = ''] = String(nft.errors(context)).split('\n');
    throw new NftablesError('refused', `nftables refused the rules: ${why}`);
  }
  const [owner] = sockets().filter((fd) => !before.has(fd));
  if (owner === undefined) throw new NftablesError('refused', 'nftables keeps no socket open');
  return owner;
}

function sockets(): number[] {
  return readdirSync('/proc/self/fd')
    .filter((name) => linkOf(name).startsWith('socket:'))
    .map(Number);
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
