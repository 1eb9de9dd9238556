import { didKeyToVerkey, toBase58, verkeyBytes } from '../didcomm/encoding.ts';
import { contactOf } from './contact.ts';
import { parseDidAlgo } from './did-algo.ts';
import { resolvePeer } from './did-peer.ts';
import { bareDid } from './unqualified.ts';

const UNQUALIFIED = /^[1-9A-HJ-NP-Za-km-z]{21,22}$/;

/** The DID that a key has by itself, without method and ledger: its first 16 bytes in base58, as Indy makes them. */
export const didOfKey = (verkey: string): string => toBase58(verkeyBytes(verkey).subarray(0, 16));

/** The keys that a DID names by its own form: of did:key, did:peer and did:algo. Empty for every other. */
export function keysOf(did: string): readonly string[] {
  try {
    if (did.startsWith('did:key:')) return [didKeyToVerkey(did)].filter((key) => key !== undefined);
    if (did.startsWith('did:algo:')) return [toBase58(parseDidAlgo(did).publicKey)];
    if (did.startsWith('did:peer:')) return contactOf(resolvePeer(did)).recipientKeys;
  } catch {}
  return [];
}

/** Whether a DID is of a key by its own form: nobody else could have made this one for that. */
export function certifies(did: string, verkey: string): boolean {
  const bare = bareDid(did);
  return UNQUALIFIED.test(bare) ? bare === didOfKey(verkey) : keysOf(did).includes(verkey);
}
