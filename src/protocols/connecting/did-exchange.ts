import { isRemote, resolvedContact } from '../../dids/contact.ts';
import { didcommServices } from '../../dids/did-doc.ts';
import { shortPeerDid } from '../../dids/did-peer.ts';
import { AppError } from '../../errors.ts';
import { EndpointUrl } from '../../kernel/addresses.ts';
import { checkedAs } from '../../kernel/json.ts';
import { problemText } from '../../kernel/message.ts';
import { command, defineProtocol, type Load, NEW } from '../../kernel/protocol.ts';
import { destinationOf } from '../../kernel/seal.ts';
import Type from '../../kernel/type.ts';
import type { ResolvedDid } from '../../ports/ledger.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { contactDid, did, keyLookups } from '../../records/did.ts';
import { mediationLookup, ownService } from '../../records/mediation.ts';
import { invitationLookups } from '../../records/out-of-band.ts';
import {
  type Asked,
  again,
  checkProof,
  peerOf,
  type Resolved,
  readGiven,
  refused,
  remotePeer,
  resolved,
  unsealedPeer,
} from './did-exchange-peers.ts';
import {
  answered,
  ask,
  implicitKey,
  isOfSameDid,
  minorOf,
  ownDid,
  ownLookup,
  publicLookup,
  received,
  unasked,
  type Wanted,
} from './did-exchange-steps.ts';
import { completed, decline } from './invited.ts';

const URIS = ['https://didcomm.org/didexchange/1.1', 'https://didcomm.org/didexchange/1.0'];
const Text = Type.String({ minLength: 1, maxLength: 20_000 });
const OptionalText = Type.Optional(Type.String());
const Flag = Type.Boolean();
const PeerMethod = Type.Union([Type.Literal('did:peer:2'), Type.Literal('did:peer:4')]);

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
  handshake: { names: ['didexchange', 'did-exchange', 'didx', 'didex', 'rfc23', 'rfc-23', '23', 'new'] },
  // RFC 0023 spells it with an underscore, and ACA-Py knows no other
  problemName: 'problem_report',
  messages: {
    request: {
      schema: Type.Object({
        label: Type.Optional(Type.String()),
        did: Text,
        goal: Type.Optional(Type.String()),
        goal_code: Type.Optional(Type.String()),
      }),
      from: ['invitation', NEW],
      role: 'inviter',
      handshake: true,
      load: (message): Record<string, Load> => ({
        ...invitationLookups(message.pthid, message.recipient),
        ...keyLookups(message.recipient ?? ''),
      }),
      step(ctx, message) {
        // the key that opened it must be the invitation's own: knowing an invitation's id alone is not enough
        const key = ctx.record ? ctx.record.value.invitation_key : implicitKey(ctx, message.recipient);
        const moved = key !== message.recipient && isOfSameDid(ctx, key);
        if (!message.sender || (message.recipient !== key && !moved))
          throw new AppError('invitation-closed', 'the request is not for this invitation');
        const asked: Asked = {
          sender: message.sender,
          thid: message.thid,
          pthid: message.pthid,
          minor: message.minor,
          label: message.body.label as string | undefined,
          ...(moved ? { recipient: message.recipient } : {}),
        };
        const did = message.body.did as string;
        // the document of a DID on a ledger or a server comes from there alone, not from the message
        if (isRemote(did)) return { ...(ctx.record ? {} : unasked(ctx, key)), ...resolved(did, 'requested', asked) };
        return received(ctx, peerOf(message, message.sender), asked, ctx.record ? undefined : unasked(ctx, key).record);
      },
      refuse(_ctx, message) {
        const { sender = '', recipient, thid, pthid, minor } = message;
        const asked: Asked = { sender, recipient, thid, pthid, minor };
        const did = message.body.did as string;
        return isRemote(did) ? resolved(did, 'refused', asked) : refused(peerOf(message, sender), asked);
      },
    },
    response: {
      schema: Type.Object({ did: Text }),
      from: ['request'],
      role: 'invitee',
      handshake: true,
      step(ctx, message) {
        const mine = ctx.record!;
        if (message.thid !== mine.value.request_id || message.recipient !== mine.value.my_verkey) {
          throw new AppError('message-invalid', 'the response belongs to another request');
        }
        const asked: Asked = { sender: message.sender ?? '', thid: message.thid, minor: message.minor };
        const did = message.body.did as string;
        if (isRemote(did)) {
          // the DID that the invitation named needs no other proof than its own keys
          checkProof(message, mine.value.invitation_key, did !== mine.value.their_public_did);
          return resolved(did, 'responded', asked);
        }
        return answered(ctx, peerOf(message, mine.value.invitation_key, true), asked);
      },
    },
    complete: {
      schema: Type.Object({}),
      from: ['response'],
      role: 'inviter',
      step(ctx) {
        const { patch, deregisterKeys } = completed(ctx.record!);
        return { record: { states: ['active'], patch: { ...patch, my_did: shortPeerDid(ctx.record!.value.my_did!) } }, deregisterKeys };
      },
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
  results: {
    requested: {
      from: ['invitation', 'init'],
      load: (output) => invitationLookups(checkedAs<Asked>(output.about).pthid, undefined),
      step: (ctx, output: Resolved) => again(output, 'requested') ?? received(ctx, remotePeer(output), output.about),
    },
    // a request for an invitation that is not open: of no record
    refused: { from: [NEW], step: (_ctx, output: Resolved) => refused(remotePeer(output), output.about) },
    // the DID that a controller wants a connection with, without an invitation
    found: {
      from: ['init'],
      step(ctx, output: ResolvedDid) {
        const { value } = ctx.record!;
        const contact = resolvedContact(output);
        const { wanted, ...rest } = value as ConnectionValue & { wanted: Wanted };
        const service = didcommServices(output.document)[0]!.id;
        const pthid = service.startsWith('#') ? `${value.their_public_did}${service}` : service;
        const asked = { ...rest, invitation_service: contact, invitation_key: contact.recipientKeys[0] };
        const through = ownService(ctx, { my_endpoint: wanted.endpoint, mediator: value.mediator });
        const mine = ownDid(ctx, minorOf(value), through, wanted.own, wanted.method);
        return ask(ctx, { ...asked, wanted: undefined }, mine, { ...wanted, pthid });
      },
    },
    responded: {
      from: ['request'],
      step: (ctx, output: Resolved) =>
        ctx.record!.value.request_id === output.about.thid
          ? (again(output, 'responded', ctx.record!.value.invitation_key) ?? answered(ctx, remotePeer(output), output.about))
          : {},
    },
  },
  // a request whose DID does not resolve gets no answer: there is no address
  failed(ctx, { result, text }) {
    // of what was not begun yet nothing stays
    if (ctx.record?.state === 'init') return { record: { remove: true, silent: true } };
    return result === 'responded' && ctx.record?.state === 'request' ? { record: { states: ['error'], patch: { error_msg: text } } } : {};
  },
  commands: {
    'accept-invitation': {
      route: 'POST /didexchange/{conn_id}/accept-invitation',
      tag: 'did-exchange',
      summary: 'Accept a stored connection invitation',
      query: Type.Object({
        my_endpoint: Type.Optional(EndpointUrl),
        my_label: OptionalText,
        use_did: OptionalText,
        use_did_method: Type.Optional(PeerMethod),
      }),
      from: ['invitation'],
      role: 'invitee',
      load: ({ query }) => ownLookup(query.use_did),
      step(ctx, { query }) {
        if (query.use_did && query.use_did_method) throw new AppError('bad-request', 'use_did and use_did_method are mutually exclusive');
        const { value } = ctx.record!;
        const service = value.invitation_service;
        if (!service) throw new AppError('bad-request', 'The invitation names no service');
        const own = query.use_did ? contactDid(ctx.loaded.own, query.use_did) : undefined;
        const { mediator, unmediated } = value;
        const through = ownService(ctx, { my_endpoint: query.my_endpoint, mediator, unmediated });
        const mine = ownDid(ctx, minorOf(value), through, own, query.use_did_method);
        return ask(ctx, { protocol: 'did-exchange' }, mine, { label: query.my_label, pthid: value.invitation_msg_id });
      },
    },
    'create-request': {
      route: 'POST /didexchange/create-request',
      tag: 'did-exchange',
      summary: "Create and send a request against public DID's implicit invitation",
      query: Type.Object({
        their_public_did: Text,
        alias: OptionalText,
        auto_accept: Type.Optional(Flag),
        goal: OptionalText,
        goal_code: OptionalText,
        mediation_id: OptionalText,
        my_endpoint: Type.Optional(EndpointUrl),
        my_label: OptionalText,
        protocol: Type.Optional(Type.Union([Type.Literal('didexchange/1.0'), Type.Literal('didexchange/1.1')])),
        use_did: OptionalText,
        use_did_method: Type.Optional(PeerMethod),
        use_public_did: Type.Optional(Flag),
      }),
      from: [NEW],
      load: ({ query }) => ({
        ...mediationLookup(query.mediation_id),
        ...(query.use_public_did === 'true' ? publicLookup : ownLookup(query.use_did)),
      }),
      step(ctx, { query }) {
        const open = query.use_public_did === 'true';
        if ([open, query.use_did, query.use_did_method].filter(Boolean).length > 1)
          throw new AppError('bad-request', 'use_public_did, use_did and use_did_method are mutually exclusive');
        const own = open || query.use_did ? contactDid(ctx.loaded.own, query.use_did ?? 'the public DID') : undefined;
        const their = query.their_public_did!;
        if (own?.did === their) throw new AppError('bad-request', 'Cannot connect to yourself through public DID');
        const wanted: Wanted = {
          endpoint: query.my_endpoint,
          label: query.my_label,
          goal: query.goal,
          goal_code: query.goal_code,
          own: own && { did: own.did, verkey: own.verkey },
          method: query.use_did_method,
        };
        return {
          record: {
            role: 'invitee',
            states: ['init'],
            silent: true,
            patch: {
              accept: query.auto_accept === 'true' ? 'auto' : 'manual',
              alias: query.alias,
              invitation_mode: 'once',
              their_did: shortPeerDid(their),
              their_public_did: shortPeerDid(their),
              connection_protocol: query.protocol ?? 'didexchange/1.0',
              protocol: 'did-exchange',
              mediator: query.mediation_id ? ownService(ctx, query).mediator : undefined,
              wanted,
            },
          },
          work: [{ op: 'dids/resolve', input: { did: their }, result: 'found' }],
        };
      },
    },
    'receive-request': command({
      route: 'POST /didexchange/receive-request',
      tag: 'did-exchange',
      summary: "Receive request against public DID's implicit invitation",
      query: Type.Object({
        alias: OptionalText,
        auto_accept: Type.Optional(Flag),
        mediation_id: OptionalText,
        my_endpoint: Type.Optional(EndpointUrl),
      }),
      body: Type.Object({
        '@type': Type.String({ pattern: '^(https://didcomm\\.org|did:sov:BzCbsNYhMrjHiqZDTUASHg;spec)/didexchange/1\\.\\d+/request$' }),
        '@id': Type.String({ minLength: 1, maxLength: 256 }),
        '~thread': Type.Object({ pthid: Text }),
        did: Text,
        label: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      }),
      from: [NEW],
      load: ({ body, query }) => ({ ...mediationLookup(query.mediation_id), ...ownLookup(body['~thread'].pthid.split('#')[0]) }),
      step(ctx, { body, query }) {
        const own = did.of(ctx.loaded.own)?.value;
        if (query.my_endpoint) throw new AppError('not-implemented', 'my_endpoint is not supported here yet');
        if (!ctx.settings.publicInvites)
          throw new AppError('bad-request', 'Public invitations are not enabled: connection request refused');
        if (!ctx.settings.requestsThroughPublicDid)
          throw new AppError('bad-request', 'Unsolicited connection requests to public DID is not enabled');
        if (!own || own.posture === 'wallet_only') throw new AppError('bad-request', 'The request is for no public DID of this wallet');
        const message = readGiven(body);
        const { thid, minor } = message;
        const asked: Asked = { sender: '', thid, minor, label: (body.label as string | null) ?? undefined, unsealed: true };
        const auto = query.auto_accept === undefined ? undefined : query.auto_accept === 'true';
        const mediator = query.mediation_id ? ownService(ctx, query).mediator : undefined;
        const begun = unasked(ctx, own.verkey, { auto, alias: query.alias, mediator });
        if (isRemote(body.did)) return { ...begun, ...resolved(body.did, 'requested', asked) };
        return received(ctx, unsealedPeer(message), asked, begun.record);
      },
    }),
    'accept-request': {
      route: 'POST /didexchange/{conn_id}/accept-request',
      tag: 'did-exchange',
      summary: 'Accept a stored connection request',
      query: Type.Object({ my_endpoint: Type.Optional(EndpointUrl), mediation_id: OptionalText, use_public_did: Type.Optional(Flag) }),
      from: ['request'],
      role: 'inviter',
      load: ({ query }) => ({ ...mediationLookup(query.mediation_id), ...(query.use_public_did === 'true' ? publicLookup : {}) }),
      step(ctx, { query }) {
        const { value } = ctx.record!;
        const minor = minorOf(value);
        const own = query.use_public_did === 'true' ? contactDid(ctx.loaded.own, 'the public DID') : undefined;
        const { mediation_id, my_endpoint } = query;
        const mine = ownDid(ctx, minor, ownService(ctx, { mediation_id, my_endpoint, mediator: value.mediator }), own);
        const proof = mine.document ? { field: 'did_doc', text: JSON.stringify(mine.document) } : { field: 'did_rotate', text: mine.did };
        return {
          record: { states: ['response'], patch: { my_did: mine.did, my_verkey: mine.verkey, my_did_shared: mine.shared, ...mine.served } },
          ...mine.keys(ctx.record!.id),
          send: [
            {
              type: 'response',
              thid: value.request_id,
              pthid: value.invitation_msg_id,
              minor,
              body: { did: mine.did },
              signed: { ...proof, verkey: value.invitation_key! },
              to: destinationOf({ role: 'inviter', value: { ...value, my_verkey: mine.verkey, my_did_shared: mine.shared } }),
            },
          ],
        };
      },
    },
    decline,
    reject: command({
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
    }),
  },
});
