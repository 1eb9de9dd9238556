import { looksLikeVerkey } from '../didcomm/encoding.ts';
import { certifies, keysOf } from '../dids/self-certifying.ts';
import { compact } from '../kernel/record.ts';
import type { Settings } from '../kernel/settings.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Agent2018Peer, ConnectionValue } from '../records/connection.ts';
import { refuse } from './connection-parts.ts';

/** DIDs as the ledger, or any other network, holds them; `null` for one that it does not have. */
export type Resolved = Readonly<Record<string, { readonly verkey: string; readonly endpoint?: string } | null>>;
/** An endpoint whose key somebody vouches for. */
export type Located = { readonly verkey: string; readonly endpoint?: string; readonly trust: Agent2018Peer['trust'] };

/** DIDs that only a network resolves. */
export const isNetworkDid = (did: string): boolean => /^did:(?:algo|web):/.test(did);
export const networkDids = (...dids: (string | undefined)[]): string[] => [
  ...new Set(dids.filter((did) => did !== undefined).filter(isNetworkDid)),
];

/**
 * The key and the address of a DID that a peer names. Believed are, in this order: the ledger, the operator's configuration, the DID itself where it is made of the
 * key, and an earlier connection under the same key. A key that differs from that of a better source is refused: there is no choice between them.
 * @throws AppError `bad-request` with `<what>-key-mismatch` or `<what>-key-unknown`
 */
export function locate(
  configured: Settings['agent2018Peers'],
  what: 'endpoint' | 'requester',
  named: { readonly did: string; readonly verkey?: string; readonly endpoint?: string },
  resolved: Resolved,
  earlier?: ConnectionValue,
): Located {
  if (named.verkey !== undefined && !looksLikeVerkey(named.verkey)) refuse(`${what}-key-unknown`);
  const known = (resolved[named.did] && { ...resolved[named.did]!, trust: 'ledger' as const }) || configuredPeer(configured, named.did);
  if (known) {
    if (named.verkey !== undefined && named.verkey !== known.verkey) refuse(`${what}-key-mismatch`);
    return { ...known, endpoint: known.endpoint ?? named.endpoint };
  }
  const before = earlier?.agent2018 as Agent2018Peer | undefined;
  const verkey = named.verkey ?? keysOf(named.did)[0] ?? before?.endpoint_verkey ?? refuse(`${what}-key-unknown`);
  if (!certifies(named.did, verkey) && before?.endpoint_verkey !== verkey)
    refuse(named.verkey ? `${what}-key-mismatch` : `${what}-key-unknown`);
  return { verkey, endpoint: named.endpoint ?? earlier?.their_endpoint, trust: 'self-certified' };
}

const configuredPeer = (peers: Settings['agent2018Peers'], did: string): Located | undefined => {
  const peer = Object.hasOwn(peers, did) ? peers[did] : undefined;
  return peer && { ...peer, trust: 'configuration' };
};

export const peerIn2018 = (located: Located, did: string | undefined, profile: string, encoding: 'any' | undefined): JsonObject =>
  compact({ profile, trust: located.trust, endpoint_verkey: located.verkey, endpoint_did: did, encoding });
