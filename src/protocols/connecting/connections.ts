import { didKeyToVerkey, looksLikeVerkey } from '../../didcomm/encoding.ts';
import { urlOfInvitation } from '../../didcomm/invitation-url.ts';
import { verifyDecorator } from '../../didcomm/signature-decorator.ts';
import type { Contact } from '../../dids/contact.ts';
import { QUEUE_ENDPOINT } from '../../dids/did-peer.ts';
import { attachedContact, bareDid, unqualifiedDid } from '../../dids/unqualified.ts';
import { AppError, errorRow } from '../../errors.ts';
import { EndpointUrl } from '../../kernel/addresses.ts';
import { isAutomatic } from '../../kernel/decisions.ts';
import type { Effects } from '../../kernel/effects.ts';
import { composeMessage, problemText } from '../../kernel/message.ts';
import { command, defineProtocol, type Incoming, type Load, NEW, type StepContext } from '../../kernel/protocol.ts';
import { compact } from '../../kernel/record.ts';
import { destinationOf } from '../../kernel/seal.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type ConnectionValue, connection, type Peer, theirs } from '../../records/connection.ts';
import { hasKey, keyLookups, ofKey } from '../../records/did.ts';
import { keyOwnerFor, mediationLookup, type OwnService, ownService, servedBy } from '../../records/mediation.ts';
import { invitationLookups, used } from '../../records/out-of-band.ts';
import { completed, decline, nextOfInvitation, requested } from './invited.ts';

const URI = 'https://didcomm.org/connections/1.0';
const PING = 'https://didcomm.org/trust_ping/1.0/ping';
const ACK = 'https://didcomm.org/notification/1.0/ack';
const Bool = Type.Boolean();
const isTrue = (text: string | undefined): boolean | undefined => (text === undefined ? undefined : text === 'true');

const Keys = Type.Array(Type.String({ maxLength: 200 }), { minItems: 1, maxItems: 20 });
const Connection = Type.Object({ DID: Type.String({ minLength: 1, maxLength: 5000 }), DIDDoc: Type.Optional(Type.Object({})) });

/** An invitation of RFC 0160: with keys and an address, or with a DID. */
const Invitation = Type.Object({
  '@id': Type.Optional(Type.String({ minLength: 1, maxLength: 256, pattern: '^[!-~]+$' })),
  '@type': Type.Optional(
    Type.String({ pattern: '^(https://didcomm\\.org/|did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/)connections/1\\.\\d+/invitation$' }),
  ),
  label: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  imageUrl: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  did: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  recipientKeys: Type.Optional(Type.Union([Keys, Type.Null()])),
  routingKeys: Type.Optional(Type.Union([Type.Array(Type.String({ maxLength: 200 }), { maxItems: 20 }), Type.Null()])),
  serviceEndpoint: Type.Optional(Type.Union([Type.String({ maxLength: 2000 }), Type.Null()])),
});

/**
 * RFC 0160: the handshake from before did-exchange, on the same record. The request has a DID and its document; the response has the inviter's, signed by the
 * invitation's key; a ping or an ack completes it.
 */
export const connections = defineProtocol<ConnectionValue>({
  name: 'connections',
  uris: [URI],
  roles: ['inviter', 'invitee'],
  binds: connection,
  handshake: { names: ['connection', 'connections', 'conn', 'conns', 'rfc160', '160', 'old'] },
  // RFC 0160 spells it with an underscore, as ACA-Py
  problemName: 'problem_report',
  messages: {
    request: {
      schema: Type.Object({ label: Type.Optional(Type.String()), connection: Connection }),
      from: ['invitation'],
      role: 'inviter',
      handshake: true,
      load: (message) => ({ ...invitationLookups(message.pthid, message.recipient), ...keyLookups(message.recipient ?? '') }),
      // the key identifies an invitation of this version: requests need not name it
      about: (message) => ({ category: connection.category, tag: 'open_key', equals: message.recipient ?? '' }),
      step(ctx, message) {
        const invited = ctx.record!;
        const own = ofKey(ctx.loaded);
        // the DID that invites may have had its key rotated since
        const moved = own !== undefined && hasKey(own, invited.value.invitation_key);
        if (!message.sender || (message.recipient !== invited.value.invitation_key && !moved))
          throw new AppError('invitation-closed', 'the request is not for this invitation');
        if (![undefined, 'connections/1.0'].includes(invited.value.connection_protocol))
          throw new AppError('invitation-closed', 'the invitation offers another handshake');
        const peer = peerOf(message.body.connection as JsonObject, message);
        const patch: Partial<ConnectionValue> = {
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          request_id: message.thid,
          ...(message.recipient === invited.value.invitation_key ? {} : { invitation_key: message.recipient }),
          their_label: message.body.label as string | undefined,
          ...theirs(peer, message.sender),
        };
        return requested(ctx, patch, used(ctx, invited.value.oob_id));
      },
      refuse(_ctx, message) {
        const { recipientKeys, routingKeys, endpoint } = peerOf(message.body.connection as JsonObject, message);
        const { report: code, peer: en } = errorRow('invitation-closed');
        const to = { recipientKeys, routingKeys, endpoint, sender: message.recipient };
        return {
          send: [{ type: 'problem_report', thid: message.thid, pthid: message.pthid, body: { description: { code, en } }, to, back: true }],
        };
      },
    },
    response: {
      schema: Type.Object({}),
      from: ['request'],
      role: 'invitee',
      handshake: true,
      step(ctx, message) {
        const mine = ctx.record!;
        if (message.thid !== mine.value.request_id || message.recipient !== mine.value.my_verkey)
          throw new AppError('message-invalid', 'the response belongs to another request');
        const peer = peerOf(signedConnection(message, mine.value.invitation_key), message, mine.value.invitation_key);
        const patch = theirs(peer, message.sender);
        const to = destinationOf({ role: mine.role, value: { ...mine.value, ...patch } });
        const attached = mine.value.attached ?? [];
        return {
          record: { states: ['response', 'active'], patch: { ...patch, attached: undefined, reusable: true } },
          send: [
            ctx.settings.autoPingConnection
              ? { type: PING, id: ctx.newId(), thid: undefined, body: { response_requested: false }, to }
              : { type: ACK, thid: message.thid, body: { status: 'OK' }, to },
          ],
          dispatch: attached.map((json) => ({ connection: mine.id, message: json as Incoming['raw'] })),
        };
      },
    },
  },
  acked: {
    schema: Type.Object({}),
    from: ['response'],
    role: 'inviter',
    step(ctx) {
      const { patch, deregisterKeys } = completed(ctx.record!);
      return { record: { states: ['active'], patch }, deregisterKeys };
    },
  },
  problem: {
    schema: Type.Object({}),
    from: ['request', 'response', 'active'],
    // a completed connection stays complete
    step: (ctx, message) => ({
      record: { states: ctx.record!.state === 'active' ? undefined : ['error'], patch: { error_msg: problemText(message) } },
    }),
  },
  commands: {
    'create-invitation': command({
      route: 'POST /connections/create-invitation',
      tag: 'connection',
      summary: 'Create a new connection invitation',
      query: Type.Object({
        alias: Type.Optional(Type.String()),
        auto_accept: Type.Optional(Bool),
        multi_use: Type.Optional(Bool),
        public: Type.Optional(Bool),
      }),
      body: Type.Object({
        my_label: Type.Optional(Type.String()),
        recipient_keys: Type.Optional(Keys),
        routing_keys: Type.Optional(Type.Array(Type.String())),
        service_endpoint: Type.Optional(EndpointUrl),
        mediation_id: Type.Optional(Type.String()),
        metadata: Type.Optional(Type.Object({})),
      }),
      from: [NEW],
      load: ({ body }) => mediationLookup(body.mediation_id),
      step(ctx, { body, query }) {
        if (query.public === 'true' || body.recipient_keys || body.routing_keys)
          throw new AppError('not-implemented', 'Invitations by a public DID or by given keys are out-of-band invitations here');
        const id = ctx.newId();
        const connectionId = ctx.newId();
        const key = ctx.newKey();
        const service = ownService(ctx, { mediation_id: body.mediation_id, my_endpoint: body.service_endpoint });
        const { endpoint, routingKeys } = service;
        const members = {
          label: body.my_label ?? ctx.settings.label,
          imageUrl: ctx.settings.imageUrl,
          recipientKeys: [key.verkey],
          routingKeys: routingKeys.length > 0 ? routingKeys : undefined,
          serviceEndpoint: endpoint || QUEUE_ENDPOINT,
        };
        const invitation = composeMessage(connections, { type: 'invitation', id, body: members });
        const auto = isAutomatic(ctx.settings, 'connection-request', isTrue(query.auto_accept));
        const url = urlOfInvitation(endpoint, invitation, 'c_i');
        return {
          record: {
            id: connectionId,
            role: 'inviter',
            states: ['invitation'],
            patch: {
              protocol: 'connections',
              connection_protocol: 'connections/1.0',
              accept: auto ? 'auto' : 'manual',
              alias: query.alias,
              invitation_key: key.verkey,
              invitation_mode: query.multi_use === 'true' ? 'multi' : 'once',
              invitation_msg_id: id,
              metadata: body.metadata,
              mediator: service.mediator,
              ...servedBy(service),
              invitation_mediated: service.mediation && query.multi_use !== 'true' ? true : undefined,
            },
          },
          keys: [key.write],
          keyOwners: [keyOwnerFor(service, key.verkey, 'invitation', connectionId)],
          answer: compact({ connection_id: connectionId, invitation, invitation_url: url, alias: query.alias }),
        };
      },
    }),
    'receive-invitation': command({
      route: 'POST /connections/receive-invitation',
      tag: 'connection',
      summary: 'Receive a new connection invitation',
      query: Type.Object({
        alias: Type.Optional(Type.String()),
        auto_accept: Type.Optional(Bool),
        mediation_id: Type.Optional(Type.String()),
      }),
      body: Invitation,
      from: [NEW],
      load: ({ body, query }): Record<string, Load> => ({
        ...mediationLookup(query.mediation_id),
        ours: {
          category: connection.category,
          tag: 'invitation_msg_id',
          equals: body['@id'] ?? '',
          among: (row) => row.role === 'inviter',
        },
      }),
      step(ctx, { body, query, unmediated }) {
        const mediator = query.mediation_id ? ownService(ctx, query).mediator : undefined;
        if (body.did) throw new AppError('not-implemented', 'An invitation by a DID must be an out-of-band invitation');
        if (ctx.loaded.ours) throw new AppError('bad-request', 'The invitation is one of this wallet itself');
        if (!body.recipientKeys || !body.serviceEndpoint)
          throw new AppError('bad-request', 'Invitation must contain recipient key(s) and an endpoint');
        const service: Contact = {
          recipientKeys: body.recipientKeys.map(toVerkey),
          routingKeys: (body.routingKeys ?? []).map(toVerkey),
          endpoint: body.serviceEndpoint,
        };
        const id = ctx.newId();
        const auto = isAutomatic(ctx.settings, 'connection-invitation', isTrue(query.auto_accept));
        return {
          record: {
            id,
            role: 'invitee',
            states: ['invitation'],
            patch: {
              protocol: 'connections',
              connection_protocol: 'connections/1.0',
              accept: auto ? 'auto' : 'manual',
              alias: query.alias,
              invitation_key: service.recipientKeys[0],
              invitation_mode: 'once',
              invitation_msg_id: body['@id'] ?? ctx.newId(),
              invitation_service: service,
              mediator,
              unmediated,
              their_label: body.label ?? undefined,
            },
          },
          next: nextOfInvitation(ctx, auto),
        };
      },
    }),
    'accept-invitation': {
      route: 'POST /connections/{conn_id}/accept-invitation',
      tag: 'connection',
      summary: 'Accept a stored connection invitation',
      query: Type.Object({
        my_endpoint: Type.Optional(EndpointUrl),
        my_label: Type.Optional(Type.String()),
        mediation_id: Type.Optional(Type.String()),
      }),
      from: ['invitation'],
      role: 'invitee',
      load: ({ query }) => mediationLookup(query.mediation_id),
      step(ctx, { query }) {
        const { value } = ctx.record!;
        const service = value.invitation_service;
        if (!service) throw new AppError('bad-request', 'The invitation names no service');
        const { mediator, unmediated } = value;
        const { mediation_id, my_endpoint } = query;
        const through = ownService(ctx, { mediation_id, my_endpoint, mediator, unmediated });
        const mine = ownDid(ctx, through);
        const id = ctx.newId();
        return {
          record: { states: ['request'], patch: { request_id: id, my_did: mine.did, my_verkey: mine.verkey, ...servedBy(through) } },
          keys: mine.keys,
          keyOwners: [keyOwnerFor(through, mine.verkey, 'connection', ctx.record!.id)],
          send: [
            {
              type: 'request',
              id,
              thid: id,
              pthid: value.invitation_msg_id,
              body: { label: query.my_label ?? ctx.settings.label, connection: { DID: mine.did, DIDDoc: mine.document } },
              to: { ...service, sender: mine.verkey },
            },
          ],
        };
      },
    },
    decline,
    'accept-request': {
      route: 'POST /connections/{conn_id}/accept-request',
      tag: 'connection',
      summary: 'Accept a stored connection request',
      query: Type.Object({ my_endpoint: Type.Optional(EndpointUrl) }),
      from: ['request'],
      role: 'inviter',
      step(ctx, { query }) {
        const { value } = ctx.record!;
        const through = ownService(ctx, { my_endpoint: query.my_endpoint, mediator: value.mediator });
        const mine = ownDid(ctx, through);
        return {
          record: { states: ['response'], patch: { my_did: mine.did, my_verkey: mine.verkey, ...servedBy(through) } },
          keys: mine.keys,
          keyOwners: [keyOwnerFor(through, mine.verkey, 'connection', ctx.record!.id)],
          send: [
            {
              type: 'response',
              thid: value.request_id,
              signature: {
                field: 'connection',
                value: { DID: mine.did, DIDDoc: mine.document },
                verkey: value.invitation_key!,
              },
              to: destinationOf({ role: 'inviter', value: { ...value, my_verkey: mine.verkey } }),
            },
          ],
        };
      },
    },
  },
});

function ownDid(
  ctx: StepContext,
  { endpoint, more, routingKeys }: OwnService,
): { did: string; document: object; verkey: string; keys: NonNullable<Effects['keys']> } {
  const key = ctx.newKey();
  return { ...unqualifiedDid({ verkey: key.verkey, endpoint, more, routingKeys }), verkey: key.verkey, keys: [key.write] };
}

/**
 * The sender by a `connection` member; the message must be sealed by a key that it names. ACA-Py seals a response on the connection that the request
 * came on by the `invited` key.
 */
function peerOf(content: JsonObject, message: Incoming, invited?: string): Peer {
  const { DID: did, DIDDoc: document } = content;
  if (typeof did !== 'string' || typeof document !== 'object' || document === null)
    throw new AppError('message-invalid', 'the connection has no DID or no document');
  const contact = attachedContact(document as JsonObject, did);
  if (!message.sender || ![...contact.recipientKeys, invited].includes(message.sender))
    throw new AppError('message-invalid', 'the message is not sealed by a key that it names');
  return { did: bareDid(did), ...contact };
}

function signedConnection(message: Incoming, signer: string | undefined): JsonObject {
  try {
    const { value } = verifyDecorator(message.signatures.connection, signer ?? '');
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch (error) {
    throw new AppError('message-invalid', 'the connection is not signed by the invitation key', { cause: error });
  }
  throw new AppError('message-invalid', 'what is signed is no connection');
}

function toVerkey(key: string): string {
  const verkey = key.startsWith('did:key:') ? didKeyToVerkey(key) : looksLikeVerkey(key) ? key : undefined;
  if (!verkey) throw new AppError('bad-request', 'The invitation has a key that is neither a did:key nor a base58 Ed25519 key');
  return verkey;
}
