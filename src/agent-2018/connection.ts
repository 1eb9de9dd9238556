import type { Static } from 'typebox';
import { agent2018Type } from '../didcomm/agent-2018-types.ts';
import { writeOffer } from '../didcomm/offer-2018.ts';
import { AppError } from '../errors.ts';
import { EndpointUrl } from '../kernel/addresses.ts';
import { isAutomatic } from '../kernel/decisions.ts';
import { id2018 } from '../kernel/key-owners.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import { AnyObject } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';
import { givenOffer, invited, offered } from './connection-offers.ts';
import {
  byEndpoint,
  bySamePeer,
  byTag,
  DAY,
  Id,
  itself,
  merge,
  NAME,
  OFFER_LIFE,
  Offer,
  ownEndpoint,
  ownPairwise,
  problem,
  Request,
  Response,
  refuse,
  routed,
  routedBy,
  unrouted,
} from './connection-parts.ts';
import { requesting, requestReceived, requestTaken, responseOf, responseReceived, sendRequest } from './connection-requests.ts';
import { URI_2018 } from './format.ts';
import { networkDids, type Resolved } from './key-trust.ts';

/**
 * Connections of the 2018 Agent Protocol: offer, request, response, acknowledgement, on the same record as every other handshake. An offer's nonce, a request's
 * nonce and then the peer's pairwise DID are what messages are addressed by; each has a stored key owner while it means something.
 */
export const connection2018 = defineProtocol<ConnectionValue>({
  name: NAME,
  uris: [URI_2018],
  binds: connection,
  messages: {
    connection_offer: {
      schema: Offer,
      from: [NEW],
      inner: 'clear',
      handshake: true,
      load: ({ thid, body }) => ({ same: byTag('invitation_msg_id', thid), earlier: byEndpoint(String(body.did)) }),
      step(ctx, message) {
        // a nonce that was used names one connection, whoever offers under it again
        if (ctx.loaded.same) refuse('out-of-order');
        return offered(ctx, message.thid, message.body as Static<typeof Offer>, { profile: message.profile });
      },
    },
    connection_request: {
      schema: Request,
      from: [NEW, 'invitation', 'request', 'response', 'active'],
      role: 'inviter',
      inner: 'clear',
      handshake: true,
      about: ({ thid }) => byTag('invitation_msg_id', thid),
      load: ({ body }) => ({
        known: bySamePeer(String(body.did)),
        earlier: byEndpoint(String(body.endpoint_did ?? body.endpointDid ?? '')),
      }),
      step: requestReceived,
    },
    connection_response: {
      schema: Response,
      from: ['request'],
      role: 'invitee',
      inner: 'anon',
      handshake: true,
      about: itself,
      load: ({ body }) => ({ known: bySamePeer(String(body.did)) }),
      step: responseReceived,
    },
    connection_acknowledgement: {
      schema: Type.Object({ text: Type.String({ pattern: '^[sS][uU][cC][cC][eE][sS][sS]$' }) }),
      from: ['response'],
      role: 'inviter',
      about: itself,
      step: () => ({ record: { states: ['active'] } }),
    },
  },
  failed(ctx, failure) {
    // a failed look-up leaves no trace; a pending offer or request is not used up by it
    if (ctx.record!.state === 'init')
      return { record: { remove: true, silent: true }, emit: ctx.record!.role === 'inviter' ? problem(ctx, failure.text) : [] };
    return { emit: problem(ctx, failure.text) };
  },
  results: {
    'offer-located': {
      from: ['init'],
      step: (ctx, { found, echo }: { found: Resolved; echo: { offer: Static<typeof Offer>; auto: boolean; encoding?: 'any' } }) =>
        invited(ctx, echo.offer, found, echo),
    },
    'request-located': {
      from: ['init', 'invitation'],
      load: ({ echo }) => {
        const { did, endpoint_did } = (echo as { request: Request }).request;
        return { known: bySamePeer(did), earlier: byEndpoint(endpoint_did ?? '') };
      },
      step: (ctx, { found, echo }: { found: Resolved; echo: { request: Request; nonce: string; profile?: string } }) =>
        requestTaken(ctx, echo.request, echo.nonce, found, echo.profile),
    },
    'peer-located': {
      from: ['init'],
      step: (ctx, { found, echo }: { found: Resolved; echo: { did: string; verkey?: string; endpoint?: string } }) =>
        requesting(ctx, echo, found),
    },
  },
  commands: {
    'create-offer': command({
      route: 'POST /legacy/connections/offers',
      tag: 'legacy',
      summary: 'Create a connection offer of the 2018 Agent Protocol',
      body: Type.Object({
        alias: Type.Optional(Type.String()),
        my_label: Type.Optional(Type.String()),
        auto_accept: Type.Optional(Type.Boolean()),
        expires_in: Type.Optional(Type.Integer({ minimum: 1, maximum: 90 * DAY })),
        metadata: Type.Optional(Type.Object({})),
        legacy_encoding: Type.Optional(Type.Boolean()),
      }),
      from: [NEW],
      step(ctx, { body }) {
        const { did, verkey, endpoint } = ownEndpoint(ctx);
        const nonce = ctx.newToken();
        const id = ctx.newId();
        const key = ctx.newKey();
        const offer = {
          id: nonce,
          type: agent2018Type('connection_offer'),
          message: { did, verkey, endpoint, offer_nonce: nonce, label: body.my_label ?? ctx.settings.label, offer_verkey: key.verkey },
        };
        const { text, url } = writeOffer(offer, endpoint);
        const expires = ctx.now + (body.expires_in ?? OFFER_LIFE) * 1000;
        return {
          record: {
            id,
            role: 'inviter',
            states: ['invitation'],
            patch: {
              protocol: NAME,
              accept: isAutomatic(ctx.settings, 'connection-request', body.auto_accept) ? 'auto' : 'manual',
              alias: body.alias,
              invitation_key: key.verkey,
              invitation_mode: 'once',
              invitation_msg_id: nonce,
              offer,
              offer_expires: expires,
              ...routedBy(ctx),
              encoding: body.legacy_encoding ? 'any' : undefined,
              metadata: body.metadata,
            },
          },
          keys: [key.write],
          keyOwners: routed(ctx, 'offer-nonce', [{ kid: id2018(nonce), kind: 'invitation', target: id }], expires),
          answer: compact({ connection_id: id, alias: body.alias, offer, offer_text: text, offer_url: url }),
        };
      },
    }),
    'receive-offer': command({
      route: 'POST /legacy/connections/receive-offer',
      tag: 'legacy',
      summary: 'Receive a connection offer of the 2018 Agent Protocol, as JSON, as text or as a URL',
      body: Type.Object({
        offer: Type.Union([AnyObject, Type.String({ maxLength: 20_000 })]),
        alias: Type.Optional(Type.String()),
        auto_accept: Type.Optional(Type.Boolean()),
        legacy_encoding: Type.Optional(Type.Boolean()),
      }),
      from: [NEW],
      load: ({ body }) => {
        const { id, message } = givenOffer(body.offer);
        return { same: byTag('invitation_msg_id', id), earlier: byEndpoint(message.did) };
      },
      step(ctx, { body }) {
        ownEndpoint(ctx);
        const { id, message } = givenOffer(body.offer);
        if (ctx.loaded.same) throw new AppError('bad-request', 'This offer was received before, or is our own');
        const { alias, auto_accept: auto, legacy_encoding: lax } = body;
        return offered(ctx, id, message, { alias, auto, encoding: lax ? 'any' : undefined });
      },
    }),
    request: command({
      route: 'POST /legacy/connections/requests',
      tag: 'legacy',
      summary: 'Ask the owner of an Endpoint DID for a connection, without an offer',
      body: Type.Object({
        did: Id,
        verkey: Type.Optional(Id),
        endpoint: Type.Optional(EndpointUrl),
        alias: Type.Optional(Type.String()),
      }),
      from: [NEW],
      load: ({ body }) => ({ earlier: byEndpoint(body.did) }),
      step(ctx, { body }) {
        ownEndpoint(ctx);
        const patch = { protocol: NAME, invitation_mode: 'once' as const, alias: body.alias, accept: 'auto' as const };
        const dids = networkDids(body.did);
        const begun = { role: 'invitee', patch };
        if (dids.length === 0) return merge(begun, requesting(ctx, body, {}));
        return {
          record: { ...begun, states: ['init'], silent: true },
          work: [{ op: 'agent-2018/resolve', input: { dids, echo: body }, result: 'peer-located' }],
        };
      },
    }),
    // the names that other handshakes have for it: a controller that accepts by their routes is understood
    'accept-invitation': {
      route: 'POST /legacy/connections/{conn_id}/accept-offer',
      tag: 'legacy',
      summary: 'Accept a connection offer: send the request',
      from: ['invitation'],
      role: 'invitee',
      step: sendRequest,
    },
    'accept-request': {
      route: 'POST /legacy/connections/{conn_id}/accept-request',
      tag: 'legacy',
      summary: 'Accept a connection request: send the response',
      from: ['request'],
      role: 'inviter',
      step(ctx) {
        const mine = ownPairwise(ctx);
        const id = ctx.record!.id;
        return {
          record: { states: ['response'], patch: { my_did: mine.did, my_verkey: mine.verkey, ...routedBy(ctx) } },
          keys: mine.keys,
          keyOwners: routed(ctx, 'did', [{ kid: id2018(ctx.record!.value.their_did!), kind: 'connection', target: id }]),
          send: [responseOf(ctx, mine)],
        };
      },
    },
    // the wire of 2018 has no message that refuses
    decline: {
      from: ['invitation', 'request'],
      step: () => ({ record: { states: ['error'], patch: { error_msg: 'The request was declined' } } }),
    },
    'repeat-response': {
      from: ['response', 'active'],
      role: 'inviter',
      step: (ctx) => ({ send: [responseOf(ctx, { did: ctx.record!.value.my_did!, verkey: ctx.record!.value.my_verkey! })] }),
    },
    'give-up': {
      from: ['request'],
      role: 'invitee',
      step: (ctx) => ({
        record: { states: ['error'], patch: { error_msg: 'The peer did not answer the request' } },
        removedKeyOwners: [id2018(ctx.record!.value.request_id!)],
        ...unrouted(ctx.record!, [id2018(ctx.record!.value.request_id!)]),
      }),
    },
  },
});
