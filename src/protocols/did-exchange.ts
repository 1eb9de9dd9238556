import Type from 'typebox';
import { verifySignedBy } from '../didcomm/attachments.ts';
import { contactOf } from '../dids/contact.ts';
import { checkDidDocument } from '../dids/did-doc.ts';
import { createPeer4, resolvePeer, shortPeerDid } from '../dids/did-peer.ts';
import { peer4Document } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import { attachedObject, problemText } from '../kernel/message.ts';
import { defineProtocol, type Effects, type Incoming, type StepContext } from '../kernel/protocol.ts';
import { toExchange } from '../kernel/record.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';
import { outOfBand } from '../records/out-of-band.ts';

const URI = 'https://didcomm.org/didexchange/1.1';
const Text = Type.String({ minLength: 1, maxLength: 20_000 });
const OptionalText = Type.Optional(Type.String());

/** What a peer's DID says: where to write and under which keys. The keys stay listed after a move, so that mail under way still opens. */
interface Peer {
  did: string;
  keys: readonly string[];
  routing: readonly string[];
  endpoint?: string;
}

/**
 * RFC 0023, version 1.1: did:peer:4 on both sides; the response proves by a signature of the invitation's key that the DID it moves to is the inviter's.
 * `request` comes to the invitation's key, so it may come from anyone; whoever has the invitation is meant.
 */
export const didExchange = defineProtocol<ConnectionValue>({
  name: 'did-exchange',
  uris: [URI],
  binds: connection,
  messages: {
    request: {
      schema: Type.Object({
        label: Type.Optional(Type.String({ maxLength: 1000 })),
        did: Text,
        goal: Type.Optional(Type.String()),
        goal_code: Type.Optional(Type.String()),
      }),
      from: ['invitation'],
      role: 'invitee',
      handshake: true,
      load: (message) => ({ invitation: { category: outOfBand.category, tag: 'invi_msg_id', equals: message.pthid ?? '' } }),
      step(ctx, message) {
        const invited = ctx.record!;
        // the key that opened it must be the invitation's own: knowing an invitation's id alone is not enough
        if (!message.sender || message.recipient !== invited.value.invitation_key)
          throw new AppError('message-invalid', 'the request is not for this invitation');
        const peer = peerOf(message, undefined);
        if (!peer.keys.includes(message.sender)) throw new AppError('message-invalid', 'the request is not sealed by the key it names');
        const patch: Partial<ConnectionValue> = {
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: message.thid,
          their_label: message.body.label as string | undefined,
          ...theirs(peer),
        };
        const multi = invited.value.invitation_mode === 'multi';
        const id = multi ? ctx.newId() : invited.id;
        const auto = invited.value.accept === 'auto';
        const next = auto ? [{ command: 'accept-request', record: { category: connection.category, id } }] : [];
        if (multi) {
          const value = { ...invited.value, ...patch, invitation_mode: 'once' as const };
          return { others: [{ def: connection, id, role: 'invitee', states: ['request'], patch: value }], next };
        }
        return { record: { states: ['request'], patch }, others: used(ctx), next };
      },
    },
    response: {
      schema: Type.Object({ did: Text }),
      from: ['request'],
      role: 'inviter',
      handshake: true,
      step(ctx, message) {
        const mine = ctx.record!;
        if (message.thid !== mine.value.request_id || message.recipient !== mine.value.my_verkey) {
          throw new AppError('message-invalid', 'the response belongs to another request');
        }
        const peer = peerOf(message, mine.value.invitation_key);
        if (!message.sender || !peer.keys.includes(message.sender))
          throw new AppError('message-invalid', 'the response is not sealed by the key it names');
        const destination = { recipientKeys: peer.keys, routingKeys: peer.routing, endpoint: peer.endpoint, sender: mine.value.my_verkey };
        const attached = mine.value.attached ?? [];
        return {
          record: {
            states: ['response', 'active'],
            patch: { ...theirs(peer), attached: undefined, my_did: shortPeerDid(mine.value.my_did!), reusable: true },
          },
          send: [
            { type: 'complete', thid: message.thid, pthid: mine.value.invitation_msg_id, to: destination },
            ...(ctx.settings.autoPingConnection
              ? [{ type: PING, id: ctx.newId(), thid: undefined, body: { response_requested: false }, to: destination }]
              : []),
          ],
          tell: attached.map((json) => ({ connection: mine.id, message: json as Incoming['raw'] })),
        };
      },
    },
    complete: {
      schema: Type.Object({}),
      from: ['response'],
      role: 'invitee',
      step: (ctx) => ({ record: { states: ['active'], patch: { my_did: shortPeerDid(ctx.record!.value.my_did!) } } }),
    },
  },
  problem: {
    schema: Type.Object({}),
    from: ['request', 'response'],
    step: (_ctx, message) => ({ record: { states: ['error'], patch: { error_msg: problemText(message) } } }),
  },
  commands: {
    'accept-invitation': {
      route: 'POST /didexchange/{conn_id}/accept-invitation',
      tag: 'did-exchange',
      summary: 'Accept a stored connection invitation',
      query: Type.Object({ my_endpoint: OptionalText, my_label: OptionalText, use_did: OptionalText, use_did_method: OptionalText }),
      from: ['invitation'],
      role: 'inviter',
      step(ctx, { query }) {
        ownKeysOnly(query.use_did, query.use_did_method === 'did:peer:4' ? undefined : query.use_did_method);
        const { value } = ctx.record!;
        const service = value.invitation_service;
        if (!service) throw new AppError('bad-request', 'The invitation names no service');
        const mine = ownDid(ctx, query.my_endpoint);
        const id = ctx.newId();
        return {
          record: {
            states: ['request'],
            patch: {
              protocol: 'did-exchange',
              connection_protocol: 'didexchange/1.1',
              request_id: id,
              my_did: mine.did,
              my_verkey: mine.verkey,
            },
          },
          keys: mine.keys,
          routes: [{ kid: mine.verkey, kind: 'connection', target: ctx.record!.id }],
          send: [
            {
              type: 'request',
              id,
              thid: id,
              pthid: value.invitation_msg_id,
              body: { label: query.my_label ?? ctx.settings.label, did: mine.did },
              to: { ...service, sender: mine.verkey },
            },
          ],
        };
      },
    },
    'accept-request': {
      route: 'POST /didexchange/{conn_id}/accept-request',
      tag: 'did-exchange',
      summary: 'Accept a stored connection request',
      query: Type.Object({ my_endpoint: OptionalText, mediation_id: OptionalText, use_public_did: OptionalText }),
      from: ['request'],
      role: 'invitee',
      step(ctx, { query }) {
        ownKeysOnly(query.mediation_id, query.use_public_did === 'true' ? 'the public DID' : undefined);
        const { value } = ctx.record!;
        const mine = ownDid(ctx, query.my_endpoint);
        return {
          record: { states: ['response'], patch: { my_did: mine.did, my_verkey: mine.verkey } },
          keys: mine.keys,
          routes: [{ kid: mine.verkey, kind: 'connection', target: ctx.record!.id }],
          send: [
            {
              type: 'response',
              thid: value.request_id,
              pthid: value.invitation_msg_id,
              body: { did: mine.did },
              signed: { field: 'did_rotate', text: mine.did, verkey: value.invitation_key! },
              to: {
                recipientKeys: value.their_keys ?? [],
                routingKeys: value.their_routing_keys ?? [],
                endpoint: value.their_endpoint,
                sender: mine.verkey,
              },
            },
          ],
        };
      },
    },
    reject: {
      route: 'POST /didexchange/{conn_id}/reject',
      tag: 'did-exchange',
      summary: 'Abandon or reject a DID Exchange',
      body: Type.Object({ reason: Type.Optional(Type.String()) }),
      from: ['invitation', 'request', 'response'],
      step(ctx, { body }) {
        const { value } = ctx.record!;
        const reason = body.reason ?? 'Rejected';
        return {
          record: { states: ['error'], patch: { error_msg: reason } },
          problem: value.their_keys ? { code: 'request_not_accepted', text: reason, thid: value.request_id } : undefined,
        };
      },
    },
  },
});

const PING = 'https://didcomm.org/trust_ping/1.0/ping';

/** What a connection could be made with in ACA-Py is not passed over: the peer would see another DID than the controller asked for. */
function ownKeysOnly(...asked: readonly (string | undefined)[]): void {
  const found = asked.find((one) => one);
  if (found)
    throw new AppError('not-implemented', `A connection has a did:peer:4 of its own here: ${found.slice(0, 100)} is not supported yet`);
}

/** A new did:peer:4 of ours with one key. */
function ownDid(ctx: StepContext, endpoint: string | undefined): { did: string; verkey: string; keys: NonNullable<Effects['keys']> } {
  const key = ctx.newKey();
  const { did } = createPeer4(peer4Document({ verkey: key.verkey, endpoint: endpoint ?? ctx.settings.endpoint }));
  return { did, verkey: key.verkey, keys: [key.write] };
}

/**
 * What the message says of its sender's DID: by an attached document or by the DID itself. With `signer`, the DID or the document must be signed by that key.
 */
function peerOf(message: Incoming, signer: string | undefined): Peer {
  const did = message.body.did as string;
  const attached = message.attachments.did_doc?.[0];
  const rotated = message.attachments.did_rotate?.[0];
  if (signer !== undefined) {
    const proof = attached ?? rotated;
    if (!proof) throw new AppError('message-invalid', 'neither a document nor a rotation is signed by the invitation key');
    let signed: Buffer;
    try {
      signed = verifySignedBy(proof, signer);
    } catch (error) {
      throw new AppError('message-invalid', 'the signature of the invitation key is missing or wrong', { cause: error });
    }
    if (!attached && signed.toString('utf8') !== did) throw new AppError('message-invalid', 'another DID than the named one is signed');
  }
  const document =
    attached && !did.startsWith('did:peer:4') ? checkDidDocument(attachedObject(attached, 'DID document')) : resolvePeer(did);
  if (document.id !== did && document.id !== shortPeerDid(did)) throw new AppError('message-invalid', 'the document is of another DID');
  const { recipientKeys, routingKeys, endpoint } = contactOf(document);
  return { did, keys: recipientKeys, routing: routingKeys, endpoint };
}

const theirs = (peer: Peer): Partial<ConnectionValue> => ({
  their_did: shortPeerDid(peer.did),
  their_keys: peer.keys,
  their_routing_keys: peer.routing,
  their_endpoint: peer.endpoint,
});

/** A single-use invitation is done with its first request. */
function used(ctx: StepContext): Effects['others'] {
  const row = ctx.loaded.invitation;
  if (row?.state !== 'await-response') return [];
  return [{ def: outOfBand, base: toExchange(row), states: ['done'] }];
}
