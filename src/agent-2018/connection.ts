import Type, { type Static } from 'typebox';
import { agent2018Type } from '../didcomm/agent-2018-types.ts';
import { looksLikeVerkey } from '../didcomm/encoding.ts';
import { verifyBytes } from '../didcomm/keys.ts';
import { OfferRefused, readOffer, writeOffer } from '../didcomm/offer-2018.ts';
import { certifies, didOfKey, keysOf } from '../dids/self-certifying.ts';
import { bareDid } from '../dids/unqualified.ts';
import { AppError } from '../errors.ts';
import { EndpointUrl } from '../kernel/addresses.ts';
import type { Change, Effects } from '../kernel/effects.ts';
import { shownKeys } from '../kernel/identity.ts';
import { command, defineProtocol, type Incoming, type Load, NEW, type StepContext } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import { AnyObject } from '../kernel/schema.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Lookup } from '../ports/store.ts';
import { type Agent2018Peer, type ConnectionValue, connection, id2018 } from '../records/connection.ts';
import { URI_2018 } from './format.ts';

const NAME = 'connection-2018';
const DAY = 24 * 3600;
const OFFER_LIFE = 7 * DAY;
const RESPONSE_LIFE = DAY;

const Id = Type.String({ minLength: 1, maxLength: 256 });
const Text = Type.Optional(Type.Union([Type.String({ maxLength: 1000 }), Type.Null()]));
const Endpoint = Type.Union([
  Type.String({ minLength: 1, maxLength: 2000 }),
  Type.Object({ url: Type.String({ minLength: 1, maxLength: 2000 }), verkey: Type.Optional(Id) }),
]);

const Offer = Type.Object({
  did: Id,
  verkey: Type.Optional(Id),
  endpoint: Type.Optional(Endpoint),
  offer_nonce: Id,
  label: Text,
  offer_verkey: Type.Optional(Id),
});
const Request = Type.Object({
  did: Id,
  nonce: Type.Optional(Id),
  request_nonce: Type.Optional(Id),
  endpoint_did: Type.Optional(Id),
  endpointDid: Type.Optional(Id),
  endpoint: Type.Optional(Endpoint),
  verkey: Type.Optional(Id),
  endpoint_verkey: Type.Optional(Id),
  label: Text,
});
const Response = Type.Object({
  did: Id,
  verkey: Id,
  request_nonce: Type.Optional(Id),
  nonce: Type.Optional(Id),
  sig: Type.Optional(Type.Object({ verkey: Id, signature: Type.String({ maxLength: 200 }) })),
});

type Ctx = StepContext<ConnectionValue>;
type Request = Static<typeof Request>;

/** What the ledger, or any other network, holds of DIDs; `null` for one that it does not have. */
type Resolved = Readonly<Record<string, { readonly verkey: string; readonly endpoint?: string } | null>>;
/** An endpoint whose key somebody vouches for. */
type Located = { readonly verkey: string; readonly endpoint?: string; readonly trust: Agent2018Peer['trust'] };

const refuse = (reason: string): never => {
  throw new AppError('bad-request', reason);
};

// -- whose key is it ------------------------------------------------------------------------------------------------------------------------------------

/** DIDs that only a network can tell about. */
const isNetworkDid = (did: string): boolean => /^did:(?:algo|web):/.test(did);
const networkDids = (...dids: (string | undefined)[]): string[] => [
  ...new Set(dids.filter((did) => did !== undefined).filter(isNetworkDid)),
];

/**
 * The key and the address of a DID that a peer told. Believed are, in this order: the ledger, the operator's configuration, the DID itself where it is made of the
 * key, and an earlier connection under the same key. A key that differs from what a better source says is refused: it is never a matter of choosing.
 * @throws AppError `bad-request` with `<what>-key-mismatch` or `<what>-key-unknown`
 */
function locate(
  ctx: Ctx,
  what: 'endpoint' | 'requester',
  named: { readonly did: string; readonly verkey?: string; readonly endpoint?: string },
  resolved: Resolved,
  earlier?: ConnectionValue,
): Located {
  if (named.verkey !== undefined && !looksLikeVerkey(named.verkey)) refuse(`${what}-key-unknown`);
  const known = (resolved[named.did] && { ...resolved[named.did]!, trust: 'ledger' as const }) || configured(ctx, named.did);
  if (known) {
    if (named.verkey !== undefined && named.verkey !== known.verkey) refuse(`${what}-key-mismatch`);
    return { ...known, endpoint: known.endpoint ?? named.endpoint };
  }
  const before = earlier?.wire as Agent2018Peer | undefined;
  const verkey = named.verkey ?? keysOf(named.did)[0] ?? before?.endpoint_verkey ?? refuse(`${what}-key-unknown`);
  if (!certifies(named.did, verkey) && before?.endpoint_verkey !== verkey)
    refuse(named.verkey ? `${what}-key-mismatch` : `${what}-key-unknown`);
  return { verkey, endpoint: named.endpoint ?? earlier?.their_endpoint, trust: 'self-certified' };
}

const configured = (ctx: Ctx, did: string): Located | undefined => {
  const peer = Object.hasOwn(ctx.settings.agent2018Peers, did) ? ctx.settings.agent2018Peers[did] : undefined;
  return peer && { ...peer, trust: 'configuration' };
};

const urlOf = (endpoint: Static<typeof Endpoint> | undefined): string | undefined =>
  typeof endpoint === 'object' ? endpoint.url : endpoint;
const keyOf = (endpoint: Static<typeof Endpoint> | undefined): string | undefined =>
  typeof endpoint === 'object' ? endpoint.verkey : undefined;

/** Our own Endpoint DID. @throws AppError where this protocol is off */
function ownEndpoint(ctx: Ctx): { did: string; verkey: string; endpoint: string } {
  const { agent2018, agent2018Endpoint, endpoint } = ctx.settings;
  if (agent2018 === 'off' || !agent2018Endpoint)
    throw new AppError('bad-request', 'The 2018 Agent Protocol is off: start with --legacy on');
  return { ...agent2018Endpoint, endpoint };
}

/** A pairwise key of ours and its DID. */
function ownPairwise(ctx: Ctx): { did: string; verkey: string; keys: NonNullable<Effects['keys']> } {
  const key = ctx.newKey();
  return { did: didOfKey(key.verkey), verkey: key.verkey, keys: [key.write] };
}

/** The connection that the message is addressed to, whatever its `id` is. */
const itself = (_message: Incoming, id: string | undefined): Lookup | undefined =>
  id === undefined ? undefined : { category: connection.category, id };
const byTag = (tag: string, equals: string): Lookup => ({ category: connection.category, tag, equals });
/** The connection of this protocol that has a pairwise DID: what others call theirs does not count. */
const bySamePeer = (did: string): Load => ({ ...byTag('their_did', bareDid(did)), among: (row) => row.value.wire !== undefined });
/** An earlier connection under an Endpoint DID whose peer has shown its key: what it says of its address is its own. */
const byEndpoint = (did: string): Load => ({ ...byTag('endpoint_did', did), among: ({ value }) => shownKeys(value).length > 0 });
const loadedValue = (ctx: Ctx, name: string): ConnectionValue | undefined => ctx.loaded[name]?.value as ConnectionValue | undefined;
const problem = (ctx: Ctx, reason: string): NonNullable<Effects['emit']> => [
  { topic: 'legacy_problem', payload: compact({ reason, connection_id: ctx.record?.id }) },
];

// -- the literal ---------------------------------------------------------------------------------------------------------------------------------------------

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
      role: 'invitee',
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
      role: 'inviter',
      inner: 'anon',
      handshake: true,
      about: itself,
      load: ({ body }) => ({ known: bySamePeer(String(body.did)) }),
      step: responseReceived,
    },
    connection_acknowledgement: {
      schema: Type.Object({ text: Type.String({ pattern: '^[sS][uU][cC][cC][eE][sS][sS]$' }) }),
      from: ['response'],
      role: 'invitee',
      about: itself,
      step: () => ({ record: { states: ['active'] } }),
    },
  },
  failed(ctx, failure) {
    // what was only looked at leaves no trace; an offer or a request that waits is not used up by what came to nothing
    if (ctx.record!.state === 'init')
      return { record: { remove: true, silent: true }, emit: ctx.record!.role === 'invitee' ? problem(ctx, failure.text) : [] };
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
        return {
          record: {
            id,
            role: 'invitee',
            states: ['invitation'],
            patch: {
              protocol: NAME,
              accept: (body.auto_accept ?? ctx.settings.autoAcceptRequests) ? 'auto' : 'manual',
              alias: body.alias,
              invitation_key: key.verkey,
              invitation_mode: 'once',
              invitation_msg_id: nonce,
              offer,
              offer_expires: ctx.now + (body.expires_in ?? OFFER_LIFE) * 1000,
              encoding: body.legacy_encoding ? 'any' : undefined,
              metadata: body.metadata,
            },
          },
          keys: [key.write],
          keyOwners: [{ kid: id2018(nonce), kind: 'invitation', target: id }],
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
        const begun = { role: 'inviter', patch };
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
      role: 'inviter',
      step: sendRequest,
    },
    'accept-request': {
      route: 'POST /legacy/connections/{conn_id}/accept-request',
      tag: 'legacy',
      summary: 'Accept a connection request: send the response',
      from: ['request'],
      role: 'invitee',
      step(ctx) {
        const mine = ownPairwise(ctx);
        const id = ctx.record!.id;
        return {
          record: { states: ['response'], patch: { my_did: mine.did, my_verkey: mine.verkey } },
          keys: mine.keys,
          keyOwners: [{ kid: id2018(ctx.record!.value.their_did!), kind: 'connection', target: id }],
          send: [responseOf(ctx, mine)],
        };
      },
    },
    'say-again': {
      from: ['response', 'active'],
      role: 'invitee',
      step: (ctx) => ({ send: [responseOf(ctx, { did: ctx.record!.value.my_did!, verkey: ctx.record!.value.my_verkey! })] }),
    },
    'give-up': {
      from: ['request'],
      role: 'inviter',
      step: (ctx) => ({
        record: { states: ['error'], patch: { error_msg: 'The peer did not answer the request' } },
        removedKeyOwners: [id2018(ctx.record!.value.request_id!)],
      }),
    },
  },
});

// -- offers ---------------------------------------------------------------------------------------------------------------------------------------------------

/** An offer as a controller gives it. @throws AppError `bad-request` */
function givenOffer(given: JsonObject | string): { id: string; message: Static<typeof Offer> } {
  try {
    const { id, message } = readOffer(given);
    return { id, message: message as Static<typeof Offer> };
  } catch (error) {
    if (error instanceof OfferRefused) throw new AppError('bad-request', error.message);
    throw error;
  }
}

interface Wishes {
  readonly alias?: string;
  readonly auto?: boolean;
  readonly profile?: string;
  readonly encoding?: 'any';
}

function offered(ctx: Ctx, id: string, offer: Static<typeof Offer>, wishes: Wishes): Effects {
  if (offer.offer_nonce !== id) refuse('offer-nonce-mismatch');
  const auto = wishes.auto ?? ctx.settings.autoAcceptInvites;
  const begun = {
    role: 'inviter',
    patch: {
      protocol: NAME,
      accept: auto ? ('auto' as const) : ('manual' as const),
      alias: wishes.alias,
      invitation_mode: 'once' as const,
      invitation_msg_id: id,
      their_label: offer.label ?? undefined,
      invitation_key: offer.offer_verkey,
    },
  };
  const keyOwners = [{ kid: id2018(`offer ${id}`), kind: 'offer', target: id }];
  const dids = networkDids(offer.did);
  const echo = { offer, auto, encoding: wishes.encoding };
  if (dids.length === 0) return { ...merge(begun, invited(ctx, offer, {}, echo)), keyOwners };
  return {
    record: { ...begun, states: ['init'], silent: true },
    keyOwners,
    work: [{ op: 'agent-2018/resolve', input: { dids, echo: JSON.parse(JSON.stringify(echo)) }, result: 'offer-located' }],
  };
}

/** An offer whose sender is found: it waits to be accepted. */
function invited(ctx: Ctx, offer: Static<typeof Offer>, found: Resolved, wishes: { auto: boolean; encoding?: 'any' }): Effects {
  const named = { did: offer.did, verkey: offer.verkey ?? keyOf(offer.endpoint), endpoint: urlOf(offer.endpoint) };
  const located = locate(ctx, 'endpoint', named, found, loadedValue(ctx, 'earlier'));
  if (located.endpoint === undefined) refuse('endpoint-unknown');
  return {
    record: {
      states: ['invitation'],
      patch: {
        invitation_key: offer.offer_verkey ?? located.verkey,
        their_public_did: isNetworkDid(offer.did) ? offer.did : undefined,
        their_endpoint: located.endpoint,
        wire: peerIn2018(located, offer.did, 'spec', wishes.encoding),
      },
    },
    next: wishes.auto ? [{ command: 'accept-invitation' }] : [],
  };
}

const peerIn2018 = (located: Located, did: string | undefined, profile: string, encoding: 'any' | undefined): JsonObject =>
  compact({ profile, trust: located.trust, endpoint_verkey: located.verkey, endpoint_did: did, encoding });

/** What a new record begins with, and what was found out about it. */
function merge(begun: Omit<Change, 'def' | 'base'>, effects: Effects): Effects {
  return { ...effects, record: { ...begun, ...effects.record, patch: { ...begun.patch, ...effects.record?.patch } } };
}

// -- requests -------------------------------------------------------------------------------------------------------------------------------------------------

/** A request to an Endpoint DID that nobody offered: sent as soon as the key is known. */
function requesting(ctx: Ctx, named: { did: string; verkey?: string; endpoint?: string }, found: Resolved): Effects {
  const located = locate(ctx, 'endpoint', named, found, loadedValue(ctx, 'earlier'));
  if (located.endpoint === undefined) refuse('endpoint-unknown');
  return {
    record: {
      states: ['invitation'],
      patch: {
        invitation_key: located.verkey,
        their_public_did: isNetworkDid(named.did) ? named.did : undefined,
        their_endpoint: located.endpoint,
        wire: peerIn2018(located, named.did, 'spec', undefined),
      },
    },
    next: [{ command: 'accept-invitation' }],
  };
}

function sendRequest(ctx: Ctx): Effects {
  const { value, id } = ctx.record!;
  const { did, verkey, endpoint } = ownEndpoint(ctx);
  const mine = ownPairwise(ctx);
  const nonce = ctx.newToken();
  return {
    record: { states: ['request'], patch: { request_id: nonce, my_did: mine.did, my_verkey: mine.verkey } },
    keys: mine.keys,
    // the reference implementation of 2018 addresses its response by our DID
    keyOwners: [nonce, mine.did].map((name) => ({ kid: id2018(name), kind: 'connection', target: id })),
    send: [
      {
        type: 'connection_request',
        id: value.invitation_msg_id ?? nonce,
        body: {
          did: mine.did,
          nonce,
          request_nonce: nonce,
          endpoint_did: did,
          endpoint,
          verkey: mine.verkey,
          endpoint_verkey: verkey,
          label: ctx.settings.label,
        },
      },
    ],
    next: [{ command: 'give-up', after: RESPONSE_LIFE * 1000 }],
  };
}

function requestReceived(ctx: Ctx, message: Incoming): Effects {
  const asked = message.body as unknown as Request;
  const nonce = asked.nonce ?? asked.request_nonce ?? refuse('malformed');
  if (asked.nonce !== undefined && asked.request_nonce !== undefined && asked.nonce !== asked.request_nonce) refuse('nonce-mismatch');
  const mine = ctx.record;
  if (mine && mine.state !== 'invitation') {
    // the same request again, because its answer may have been lost; any other finds the offer used
    if (mine.value.their_did !== bareDid(asked.did) || mine.value.request_id !== nonce) refuse('out-of-order');
    return mine.state === 'request' ? {} : { next: [{ command: 'say-again', record: { category: connection.category, id: mine.id } }] };
  }
  if (!mine && message.thid !== nonce) refuse('unknown-id');
  if (mine && ctx.now >= Number(mine.value.offer_expires)) refuse('offer-expired');
  const request: Request = { ...asked, endpoint_did: asked.endpoint_did ?? asked.endpointDid };
  const dids = networkDids(request.did, request.endpoint_did);
  if (dids.length === 0) return requestTaken(ctx, request, nonce, {}, message.profile);
  return {
    record: mine ? {} : { role: 'invitee', states: ['init'], silent: true, patch: { protocol: NAME, invitation_mode: 'once' } },
    work: [
      {
        op: 'agent-2018/resolve',
        input: { dids, echo: { request: request as unknown as JsonObject, nonce, profile: message.profile ?? null } },
        result: 'request-located',
      },
    ],
  };
}

/** A request whose sender is found: it uses the offer up, in the commit that makes it the connection's. */
function requestTaken(ctx: Ctx, asked: Request, nonce: string, found: Resolved, profile: string | undefined): Effects {
  const did = bareDid(asked.did);
  // a DID is one relationship's, and nobody takes over one that exists
  if (ctx.loaded.known) refuse('did-in-use');
  const earlier = loadedValue(ctx, 'earlier');
  const requester = locate(ctx, 'requester', { did: asked.did, verkey: asked.verkey }, found);
  const endpointDid = asked.endpoint_did ?? (earlier?.wire as Agent2018Peer | undefined)?.endpoint_did;
  const endpoint =
    endpointDid === undefined
      ? // no Endpoint DID: the ledger may tell where the pairwise DID is reached
        requester.trust !== 'self-certified' && requester.endpoint !== undefined
        ? requester
        : refuse('no-return-endpoint')
      : locate(
          ctx,
          'endpoint',
          { did: endpointDid, verkey: asked.endpoint_verkey ?? keyOf(asked.endpoint), endpoint: urlOf(asked.endpoint) },
          found,
          earlier,
        );
  if (endpoint.endpoint === undefined) refuse('no-return-endpoint');
  const accept = ctx.record?.value.accept ?? (ctx.settings.autoAcceptRequests ? 'auto' : 'manual');
  return {
    record: {
      role: 'invitee',
      states: ['request'],
      patch: {
        protocol: NAME,
        invitation_mode: 'once',
        accept,
        request_id: nonce,
        their_did: did,
        // what came in clear proves nothing of who has the key
        their_keys: [requester.verkey],
        shown_keys: [],
        their_label: asked.label ?? undefined,
        their_endpoint: endpoint.endpoint,
        wire: peerIn2018(
          { ...endpoint, trust: requester.trust },
          endpointDid,
          profile ?? 'spec',
          ctx.record?.value.encoding as 'any' | undefined,
        ),
      },
    },
    next: accept === 'auto' ? [{ command: 'accept-request' }] : [],
  };
}

// -- responses ------------------------------------------------------------------------------------------------------------------------------------------------

/** What the offerer signs, so that nobody who only holds its Endpoint DID answers in its place. */
const signedText = (did: string, verkey: string, nonce: string): string => `legacy-response/1|${did}|${verkey}|${nonce}`;

function responseOf(ctx: Ctx, mine: { did: string; verkey: string }): NonNullable<Effects['send']>[number] {
  const { value } = ctx.record!;
  const nonce = value.request_id!;
  const signer = value.invitation_key ?? ctx.settings.agent2018Endpoint?.verkey;
  return {
    type: 'connection_response',
    id: nonce,
    body: { did: mine.did, verkey: mine.verkey, request_nonce: nonce, nonce },
    signature: signer === undefined ? undefined : { field: 'sig', value: signedText(mine.did, mine.verkey, nonce), verkey: signer },
  };
}

function responseReceived(ctx: Ctx, message: Incoming): Effects {
  const { value, id } = ctx.record!;
  const response = message.body as unknown as Static<typeof Response>;
  const nonce = value.request_id!;
  if ((response.request_nonce ?? response.nonce) !== nonce || (response.nonce ?? nonce) !== nonce) refuse('nonce-mismatch');
  if (message.thid !== nonce && !(message.profile === 'indy-node' && message.thid === value.my_did)) refuse('nonce-mismatch');
  const did = bareDid(response.did);
  if (!looksLikeVerkey(response.verkey) || !certifies(response.did, response.verkey)) refuse('responder-key-mismatch');
  const wired = value.wire as unknown as Agent2018Peer;
  if (did === wired.endpoint_did || response.verkey === wired.endpoint_verkey) refuse('not-pairwise');
  if (ctx.loaded.known) refuse('did-in-use');
  if (response.sig) {
    const text = Buffer.from(signedText(response.did, response.verkey, nonce));
    const signature = Buffer.from(response.sig.signature, 'base64');
    if (response.sig.verkey !== value.invitation_key || !verifyBytes(signature, text, response.sig.verkey)) refuse('signature-invalid');
  } else if (ctx.settings.agent2018RequireSigned) refuse('signature-missing');
  return {
    record: {
      states: ['response', 'active'],
      patch: { their_did: did, their_keys: [response.verkey], wire: { ...wired, profile: message.profile ?? 'spec' }, shown_keys: [] },
    },
    removedKeyOwners: [id2018(nonce)],
    keyOwners: [{ kid: id2018(did), kind: 'connection', target: id }],
    send: [{ type: 'connection_acknowledgement', text: 'success' }],
  };
}
