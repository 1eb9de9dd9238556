import type { Static } from 'typebox';
import { looksLikeVerkey } from '../didcomm/encoding.ts';
import { verifyBytes } from '../didcomm/keys.ts';
import { certifies } from '../dids/self-certifying.ts';
import { bareDid } from '../dids/unqualified.ts';
import { isAutomatic } from '../kernel/decisions.ts';
import type { Effects } from '../kernel/effects.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
import { id2018 } from '../kernel/key-owners.ts';
import type { Incoming } from '../kernel/protocol.ts';
import { type Agent2018Peer, connection } from '../records/connection.ts';
import {
  type Ctx,
  keyOf,
  loadedValue,
  NAME,
  ownEndpoint,
  ownPairwise,
  RESPONSE_LIFE,
  type Request,
  type Response,
  refuse,
  routed,
  routedBy,
  unrouted,
  urlOf,
} from './connection-parts.ts';
import { isNetworkDid, locate, networkDids, peerIn2018, type Resolved } from './key-trust.ts';

/** A request to an Endpoint DID that nobody offered: sent as soon as the key is known. */
export function requesting(ctx: Ctx, named: { did: string; verkey?: string; endpoint?: string }, found: Resolved): Effects {
  const located = locate(ctx.settings.agent2018Peers, 'endpoint', named, found, loadedValue(ctx, 'earlier'));
  if (located.endpoint === undefined) refuse('endpoint-unknown');
  return {
    record: {
      states: ['invitation'],
      patch: {
        invitation_key: located.verkey,
        their_public_did: isNetworkDid(named.did) ? named.did : undefined,
        their_endpoint: located.endpoint,
        agent2018: peerIn2018(located, named.did, 'spec', undefined),
      },
    },
    next: [{ command: 'accept-invitation' }],
  };
}

export function sendRequest(ctx: Ctx): Effects {
  const { value, id } = ctx.record!;
  const { did, verkey, endpoint } = ownEndpoint(ctx);
  const mine = ownPairwise(ctx);
  const nonce = ctx.newToken();
  const peer = checkedAs<Agent2018Peer | undefined>(value.agent2018);
  // an agency that serves both gives the name of our DID to the peer, as the owner of our messages to it
  const isNeighbour = peer !== undefined && peer.endpoint_verkey === ctx.settings.cloudAgent?.verkey;
  return {
    record: { states: ['request'], patch: { request_id: nonce, my_did: mine.did, my_verkey: mine.verkey, ...routedBy(ctx) } },
    keys: mine.keys,
    // the reference implementation of 2018 addresses its response by our DID
    keyOwners: routed(
      ctx,
      'request-nonce',
      (isNeighbour ? [nonce] : [nonce, mine.did]).map((name) => ({ kid: id2018(name), kind: 'connection', target: id })),
    ),
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

export function requestReceived(ctx: Ctx, message: Incoming): Effects {
  const asked = checkedAs<Request>(message.body);
  const nonce = asked.nonce ?? asked.request_nonce ?? refuse('malformed');
  if (asked.nonce !== undefined && asked.request_nonce !== undefined && asked.nonce !== asked.request_nonce) refuse('nonce-mismatch');
  const mine = ctx.record;
  if (mine && mine.state !== 'invitation') {
    // the same request again, because its answer may have been lost; any other finds the offer used
    if (mine.value.their_did !== bareDid(asked.did) || mine.value.request_id !== nonce) refuse('out-of-order');
    return mine.state === 'request'
      ? {}
      : { next: [{ command: 'repeat-response', record: { category: connection.category, id: mine.id } }] };
  }
  if (!mine && message.thid !== nonce) refuse('unknown-id');
  if (mine && ctx.now >= Number(mine.value.offer_expires)) refuse('offer-expired');
  const request: Request = { ...asked, endpoint_did: asked.endpoint_did ?? asked.endpointDid };
  const dids = networkDids(request.did, request.endpoint_did);
  if (dids.length === 0) return requestTaken(ctx, request, nonce, {}, message.profile);
  return {
    record: mine ? {} : { role: 'inviter', states: ['init'], silent: true, patch: { protocol: NAME, invitation_mode: 'once' } },
    work: [
      {
        op: 'agent-2018/resolve',
        input: { dids, echo: { request: jsonOf(request), nonce, profile: message.profile ?? null } },
        result: 'request-located',
      },
    ],
  };
}

/** A request whose sender is found: it uses the offer up, in the commit that makes it the connection's. */
export function requestTaken(ctx: Ctx, asked: Request, nonce: string, found: Resolved, profile: string | undefined): Effects {
  const did = bareDid(asked.did);
  // a DID is one relationship's, and nobody takes over one that exists
  if (ctx.loaded.known) refuse('did-in-use');
  const earlier = loadedValue(ctx, 'earlier');
  const requester = locate(ctx.settings.agent2018Peers, 'requester', { did: asked.did, verkey: asked.verkey }, found);
  const endpointDid = asked.endpoint_did ?? (earlier?.agent2018 as Agent2018Peer | undefined)?.endpoint_did;
  const endpoint =
    endpointDid === undefined
      ? // no Endpoint DID: the ledger may have the address of the pairwise DID
        requester.trust !== 'self-certified' && requester.endpoint !== undefined
        ? requester
        : refuse('no-return-endpoint')
      : locate(
          ctx.settings.agent2018Peers,
          'endpoint',
          { did: endpointDid, verkey: asked.endpoint_verkey ?? keyOf(asked.endpoint), endpoint: urlOf(asked.endpoint) },
          found,
          earlier,
        );
  if (endpoint.endpoint === undefined) refuse('no-return-endpoint');
  const automatic = isAutomatic(ctx.settings, 'connection-request', ctx.record?.value.accept && ctx.record.value.accept === 'auto');
  return {
    record: {
      role: 'inviter',
      states: ['request'],
      patch: {
        protocol: NAME,
        invitation_mode: 'once',
        accept: automatic ? 'auto' : 'manual',
        request_id: nonce,
        their_did: did,
        // a message in clear does not prove possession of the key
        their_keys: [requester.verkey],
        shown_keys: [],
        their_label: asked.label ?? undefined,
        their_endpoint: endpoint.endpoint,
        agent2018: peerIn2018(
          { ...endpoint, trust: requester.trust },
          endpointDid,
          profile ?? 'spec',
          ctx.record?.value.encoding as 'any' | undefined,
        ),
      },
    },
    next: ctx.auto('connection-request', { message: 'connection_request', automatic, accept: 'accept-request', reject: 'decline' }),
  };
}

/** The text that the offerer signs, so that nobody who only holds its Endpoint DID answers in its place. */
const signedText = (did: string, verkey: string, nonce: string): string => `legacy-response/1|${did}|${verkey}|${nonce}`;

export function responseOf(ctx: Ctx, mine: { did: string; verkey: string }): NonNullable<Effects['send']>[number] {
  const { value } = ctx.record!;
  const nonce = value.request_id!;
  // an agency's key is not ours to sign by
  const signer = value.invitation_key ?? (ctx.settings.cloudAgent ? undefined : ctx.settings.agent2018Endpoint?.verkey);
  return {
    type: 'connection_response',
    id: nonce,
    body: { did: mine.did, verkey: mine.verkey, request_nonce: nonce, nonce },
    signature: signer === undefined ? undefined : { field: 'sig', value: signedText(mine.did, mine.verkey, nonce), verkey: signer },
  };
}

export function responseReceived(ctx: Ctx, message: Incoming): Effects {
  const { value, id } = ctx.record!;
  const response = checkedAs<Static<typeof Response>>(message.body);
  const nonce = value.request_id!;
  if ((response.request_nonce ?? response.nonce) !== nonce || (response.nonce ?? nonce) !== nonce) refuse('nonce-mismatch');
  if (message.thid !== nonce && !(message.profile === 'indy-node' && message.thid === value.my_did)) refuse('nonce-mismatch');
  const did = bareDid(response.did);
  if (!looksLikeVerkey(response.verkey) || !certifies(response.did, response.verkey)) refuse('responder-key-mismatch');
  const wired = checkedAs<Agent2018Peer>(value.agent2018);
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
      patch: { their_did: did, their_keys: [response.verkey], agent2018: { ...wired, profile: message.profile ?? 'spec' }, shown_keys: [] },
    },
    removedKeyOwners: [id2018(nonce)],
    ...unrouted(ctx.record!, [id2018(nonce)]),
    keyOwners: routed(ctx, 'did', [{ kid: id2018(did), kind: 'connection', target: id }]),
    send: [{ type: 'connection_acknowledgement', text: 'success' }],
  };
}
