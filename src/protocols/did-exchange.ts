import Type from 'typebox';
import { verifySignedBy } from '../didcomm/attachments.ts';
import { contactOf } from '../dids/contact.ts';
import { createPeer4, resolvePeer, shortPeerDid } from '../dids/did-peer.ts';
import { attachedContact, bareDid, createLegacy } from '../dids/legacy.ts';
import { peer4Document } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import { attachedObject, problemText } from '../kernel/message.ts';
import { type Change, defineProtocol, type Effects, type Incoming, type StepContext } from '../kernel/protocol.ts';
import { toExchange } from '../kernel/record.ts';
import { type ConnectionValue, connection, type Peer, requested, theirs } from '../records/connection.ts';
import { outOfBand } from '../records/out-of-band.ts';

const URIS = ['https://didcomm.org/didexchange/1.1', 'https://didcomm.org/didexchange/1.0'];
const Text = Type.String({ minLength: 1, maxLength: 20_000 });
const OptionalText = Type.Optional(Type.String());

/**
 * RFC 0023. Version 1.1: did:peer:4 on both sides; the response proves by a signature of the invitation's key that the DID it moves to is the inviter's.
 * Version 1.0: pairwise DIDs without a method, whose documents are attached and signed, the request's by its own key and the response's by the invitation's.
 * `request` comes to the invitation's key, so it may come from anyone; whoever has the invitation is meant. It is answered in its own version.
 */
export const didExchange = defineProtocol<ConnectionValue>({
  name: 'did-exchange',
  uris: URIS,
  roles: ['requester', 'responder'],
  binds: connection,
  // RFC 0023 spells it with an underscore, and ACA-Py knows no other
  problemName: 'problem_report',
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
        const peer = peerOf(message, message.sender);
        if (!peer.recipientKeys.includes(message.sender))
          throw new AppError('message-invalid', 'the request is not sealed by the key it names');
        const patch: Partial<ConnectionValue> = {
          protocol: 'did-exchange',
          connection_protocol: versionOf(message.minor),
          request_id: message.thid,
          their_label: message.body.label as string | undefined,
          ...theirs(peer),
        };
        return requested(ctx, patch, used(ctx));
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
        const peer = peerOf(message, mine.value.invitation_key, true);
        if (!message.sender || !peer.recipientKeys.includes(message.sender))
          throw new AppError('message-invalid', 'the response is not sealed by the key it names');
        const { recipientKeys, routingKeys, endpoint } = peer;
        const to = { recipientKeys, routingKeys, endpoint, sender: mine.value.my_verkey };
        const minor = minorOf(mine.value);
        const attached = mine.value.attached ?? [];
        return {
          record: {
            states: ['response', 'active'],
            patch: { ...theirs(peer), attached: undefined, my_did: shortPeerDid(mine.value.my_did!), reusable: true },
          },
          send: [
            { type: 'complete', thid: message.thid, pthid: mine.value.invitation_msg_id, minor, to },
            ...(ctx.settings.autoPingConnection
              ? [{ type: PING, id: ctx.newId(), thid: undefined, body: { response_requested: false }, to }]
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
        const minor = minorOf(value);
        const mine = ownDid(ctx, minor, query.my_endpoint);
        const id = ctx.newId();
        return {
          record: {
            states: ['request'],
            patch: {
              protocol: 'did-exchange',
              connection_protocol: versionOf(minor),
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
              minor,
              body: { label: query.my_label ?? ctx.settings.label, did: mine.did },
              signed: mine.document && { field: 'did_doc', text: JSON.stringify(mine.document), verkey: mine.verkey },
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
        const minor = minorOf(value);
        const mine = ownDid(ctx, minor, query.my_endpoint);
        const proof = mine.document ? { field: 'did_doc', text: JSON.stringify(mine.document) } : { field: 'did_rotate', text: mine.did };
        return {
          record: { states: ['response'], patch: { my_did: mine.did, my_verkey: mine.verkey } },
          keys: mine.keys,
          routes: [{ kid: mine.verkey, kind: 'connection', target: ctx.record!.id }],
          send: [
            {
              type: 'response',
              thid: value.request_id,
              pthid: value.invitation_msg_id,
              minor,
              body: { did: mine.did },
              signed: { ...proof, verkey: value.invitation_key! },
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

const versionOf = (minor: number): string => `didexchange/1.${minor === 0 ? 0 : 1}`;
const minorOf = (value: ConnectionValue): number => (value.connection_protocol === 'didexchange/1.0' ? 0 : 1);

/** A new pairwise DID of ours with one key; in version 1.0 with the document that must go with it. */
function ownDid(
  ctx: StepContext,
  minor: number,
  given: string | undefined,
): { did: string; verkey: string; keys: NonNullable<Effects['keys']>; document?: object } {
  const key = ctx.newKey();
  const spec = { verkey: key.verkey, endpoint: given ?? ctx.settings.endpoint };
  const made = minor === 0 ? createLegacy(spec) : { did: createPeer4(peer4Document(spec)).did };
  return { ...made, verkey: key.verkey, keys: [key.write] };
}

/**
 * What the message says of its sender's DID: by an attached document or by the DID itself. An attached document is signed by `signer`. A response must prove that
 * its DID is the inviter's, so one without a document must sign the DID itself (`did_rotate`).
 */
function peerOf(message: Incoming, signer: string | undefined, proven = false): Peer {
  const did = message.body.did as string;
  const attached = message.attachments.did_doc?.[0];
  const rotated = message.attachments.did_rotate?.[0];
  const proof = attached ?? (proven ? rotated : undefined);
  if (proven && !proof) throw new AppError('message-invalid', 'neither a document nor a rotation is signed by the invitation key');
  if (proof) {
    let signed: Buffer;
    try {
      signed = verifySignedBy(proof, signer ?? '');
    } catch (error) {
      throw new AppError('message-invalid', 'the signature of what is attached is missing or by another key', { cause: error });
    }
    if (!attached && signed.toString('utf8') !== did) throw new AppError('message-invalid', 'another DID than the named one is signed');
  }
  // what a did:peer:4 or 2 says of itself cannot be said otherwise; the document of another DID comes with it
  if (attached && !/^did:peer:[24]/.test(did)) {
    return { did: bareDid(did), ...attachedContact(attachedObject(attached, 'DID document'), did) };
  }
  const document = resolvePeer(did);
  return { did: shortPeerDid(did), ...contactOf(document) };
}

/** A single-use invitation is done with its first request. */
function used(ctx: StepContext): Change[] {
  const row = ctx.loaded.invitation;
  if (row?.state !== 'await-response') return [];
  return [{ def: outOfBand, base: toExchange(row), states: ['done'] }];
}
