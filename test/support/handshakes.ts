import { newKeyPair } from '../../src/didcomm/keys.ts';
import { key, OUR_KEY, PEER_KEY, type Some } from './steps.ts';

/** Records and documents that the step tables of handshakes have in common. */

/** The key of the invitation: `key(103)`. */
export const INVITING = newKeyPair(Buffer.alloc(32, 103));
const ENDPOINT = 'https://peer.example';

/** The record of an invitation that was sent. */
export const INVITED: Some = {
  category: 'oob_record',
  id: 'o1',
  state: 'await-response',
  role: 'sender',
  value: { multi_use: false, invi_msg_id: 'invitation-1' },
};

/**
 * The connection of a handshake in its states: `open` for whoever answers our invitation, `received` by theirs; `asking` with our request, `asked` with theirs.
 * @param base members that all of them have
 */
export function handshake<B extends object>(base: B, { theirDid, ourDid }: { theirDid: string; ourDid: string }) {
  const record = <R extends string, S extends string, V extends object>(role: R, state: S, value: V) => ({ id: 'c1', state, role, value });
  const service = { recipientKeys: [key(103)], routingKeys: [], endpoint: ENDPOINT };
  return {
    open: record('inviter', 'invitation', { ...base, accept: 'manual', invitation_mode: 'once', oob_id: 'o1' }),
    received: record('invitee', 'invitation', { ...base, invitation_mode: 'once', invitation_service: service }),
    asking: record('invitee', 'request', { ...base, request_id: 'request-1', my_verkey: OUR_KEY, my_did: ourDid }),
    asked: record('inviter', 'request', {
      ...base,
      request_id: 'request-1',
      their_did: theirDid,
      their_keys: [PEER_KEY],
      shown_keys: [PEER_KEY],
      their_endpoint: ENDPOINT,
    }),
  };
}

/** The peer's request for the invitation. */
export const requestOf = <B extends object>(body: B) =>
  ({ message: 'request', id: 'request-1', pthid: 'invitation-1', recipient: key(103), connection: null, body }) as const;

/** What a resolver finds of `did:web:peer.example`: one key, and one service with it. */
export const onWeb = (verkey = PEER_KEY, service: object = {}) => ({
  document: {
    '@context': 'https://www.w3.org/ns/did/v1',
    id: 'did:web:peer.example',
    verificationMethod: [{ id: '#k', type: 'Ed25519VerificationKey2018', controller: 'did:web:peer.example', publicKeyBase58: verkey }],
    service: [{ id: '#s', type: 'did-communication', priority: 0, recipientKeys: ['#k'], serviceEndpoint: ENDPOINT, ...service }],
  },
  metadata: {},
});

/** A DID of this wallet on the ledger. */
export const ownDid = (posture = 'public'): Some => ({
  category: 'did',
  id: 'did:algo:own',
  value: { did: 'did:algo:own', verkey: OUR_KEY, method: 'algo', posture, metadata: {} },
});
