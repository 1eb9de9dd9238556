import { createPeer4, shortPeerDid } from '../../dids/did-peer.ts';
import { ownPeer2, peer4Document } from '../../dids/own-documents.ts';
import { unqualifiedDid } from '../../dids/unqualified.ts';
import { AppError } from '../../errors.ts';
import { isAutomatic } from '../../kernel/decisions.ts';
import type { Effects } from '../../kernel/effects.ts';
import type { Incoming, Load, StepContext } from '../../kernel/protocol.ts';
import { destinationOf } from '../../kernel/seal.ts';
import { type ConnectionValue, type Peer, theirs } from '../../records/connection.ts';
import { did, hasKey, ofKey } from '../../records/did.ts';
import { keyOwnerFor, type OwnService, servedBy } from '../../records/mediation.ts';
import { used } from '../../records/out-of-band.ts';
import type { Asked } from './did-exchange-peers.ts';
import { nextOfRequest, requested } from './invited.ts';

const PING = 'https://didcomm.org/trust_ping/1.0/ping';

export const ownLookup = (name: string | undefined): Record<string, Load> =>
  name ? { own: { category: did.category, tag: 'did', equals: name } } : {};
export const publicLookup: Record<string, Load> = { own: { category: did.category, tag: 'posture', equals: 'public' } };

/** A controller's choices for a request that waits for the keys of its DID. */
export interface Wanted {
  readonly endpoint?: string;
  readonly label?: string;
  readonly goal?: string;
  readonly goal_code?: string;
  readonly own?: { readonly did: string; readonly verkey: string };
  readonly method?: string;
}

/** Sends the request of our DID to the service of the invitation, or of the other side's DID. */
export function ask(
  ctx: StepContext<ConnectionValue>,
  patch: Partial<ConnectionValue>,
  mine: Own,
  words: { label?: string; goal?: string; goal_code?: string; pthid?: string },
): Effects {
  const record = ctx.record!;
  const minor = minorOf(record.value);
  const id = ctx.newId();
  const service = (patch.invitation_service ?? record.value.invitation_service)!;
  const about = {
    request_id: id,
    connection_protocol: versionOf(minor),
    my_did: mine.did,
    my_verkey: mine.verkey,
    my_did_shared: mine.shared,
    ...mine.served,
  };
  return {
    record: { states: ['request'], patch: { ...patch, ...about } },
    ...mine.keys(record.id),
    send: [
      {
        type: 'request',
        id,
        thid: id,
        pthid: words.pthid,
        minor,
        body: { label: words.label ?? ctx.settings.label, did: mine.did, goal: words.goal, goal_code: words.goal_code },
        signed: mine.document && { field: 'did_doc', text: JSON.stringify(mine.document), verkey: mine.verkey },
        to: { ...service, sender: mine.verkey },
      },
    ],
  };
}

/** Whether an invitation's key is, or was, of the DID whose key a request came to: its sender may have resolved the DID before or after its key was rotated. */
export function isOfSameDid({ loaded }: StepContext, key: string | undefined): boolean {
  const own = ofKey(loaded);
  return own !== undefined && hasKey(own, key);
}

/** The key of our DID that a request without an invitation came to. @throws AppError where that DID invites nobody by itself */
export function implicitKey(ctx: StepContext, recipient: string | undefined): string {
  const own = ofKey(ctx.loaded);
  if (!own || own.posture === 'wallet_only' || !ctx.settings.publicInvites || !ctx.settings.requestsThroughPublicDid)
    throw new AppError('invitation-closed', 'the request is for no open invitation');
  return recipient ?? own.verkey;
}

/** The connection of a request without an invitation, before anything is known of its sender. */
export function unasked(
  ctx: StepContext,
  key: string | undefined,
  options: { auto?: boolean; alias?: string; mediator?: ConnectionValue['mediator'] } = {},
): { record: NonNullable<Effects['record']> } {
  const patch: ConnectionValue = {
    accept: isAutomatic(ctx.settings, 'connection-request', options.auto) ? 'auto' : 'manual',
    alias: options.alias,
    invitation_key: key,
    invitation_mode: 'once',
    protocol: 'did-exchange',
    mediator: options.mediator,
  };
  return { record: { id: ctx.newId(), role: 'inviter', states: ['init'], silent: true, patch } };
}

/** A request, once its sender's keys are known. `begun`: its record, where there was none before. */
export function received(ctx: StepContext<ConnectionValue>, peer: Peer, asked: Asked, begun?: Effects['record']): Effects {
  if (!asked.unsealed && !peer.recipientKeys.includes(asked.sender))
    throw new AppError('message-invalid', 'the request is not sealed by the key it names');
  const patch: Partial<ConnectionValue> = {
    protocol: 'did-exchange',
    connection_protocol: versionOf(asked.minor),
    request_id: asked.thid,
    their_label: asked.label,
    ...(asked.recipient === undefined ? {} : { invitation_key: asked.recipient }),
    ...theirs(peer, asked.sender),
  };
  if (ctx.record?.state === 'invitation') return requested(ctx, patch, used(ctx, ctx.record.value.oob_id));
  const id = ctx.record?.id ?? begun!.id!;
  const value: Partial<ConnectionValue> = ctx.record?.value ?? begun!.patch!;
  const effects = { record: { id, role: 'inviter', states: ['request'], patch: { ...value, ...patch } } };
  return { ...effects, next: nextOfRequest(ctx, value, id) };
}

/** A response, once its sender's keys are known: the connection is complete on our side. */
export function answered(ctx: StepContext<ConnectionValue>, peer: Peer, asked: Asked): Effects {
  const mine = ctx.record!;
  // ACA-Py answers on the connection that the request came on under the key that the request was for
  if (![...peer.recipientKeys, mine.value.invitation_key].includes(asked.sender))
    throw new AppError('message-invalid', 'the response is sealed neither by a key that it names nor by that of the invitation');
  const patch = theirs(peer, asked.sender);
  const to = destinationOf({ role: mine.role, value: { ...mine.value, ...patch } });
  const minor = minorOf(mine.value);
  const attached = mine.value.attached ?? [];
  return {
    record: {
      states: ['response', 'active'],
      patch: { ...patch, attached: undefined, my_did: shortPeerDid(mine.value.my_did!), reusable: true },
    },
    send: [
      { type: 'complete', thid: asked.thid, pthid: mine.value.invitation_msg_id, minor, to },
      ...(ctx.settings.autoPingConnection
        ? [{ type: PING, id: ctx.newId(), thid: undefined, body: { response_requested: false }, to }]
        : []),
    ],
    dispatch: attached.map((json) => ({ connection: mine.id, message: json as Incoming['raw'] })),
  };
}

const versionOf = (minor: number): string => `didexchange/1.${minor === 0 ? 0 : 1}`;
export const minorOf = (value: ConnectionValue): number => (value.connection_protocol === 'didexchange/1.0' ? 0 : 1);

export interface Own {
  readonly did: string;
  readonly verkey: string;
  readonly shared?: boolean;
  /** In version 1.0: the document that must go with it. */
  readonly document?: object;
  readonly served: Partial<ConnectionValue>;
  /** The rows of a new one that serves this connection. */
  keys(connection: string): Pick<Effects, 'keys' | 'keyOwners'>;
}

/** Our DID for a connection: the one of the wallet that was asked for, else a new pairwise one with one key. */
export function ownDid(ctx: StepContext, minor: number, service: OwnService, own?: { did: string; verkey: string }, method?: string): Own {
  if (own) return { did: own.did, verkey: own.verkey, shared: true, served: { pulls: service.pulls }, keys: () => ({}) };
  const key = ctx.newKey();
  const spec = { verkey: key.verkey, endpoint: service.endpoint, more: service.more, routingKeys: service.routingKeys };
  const made =
    method === 'did:peer:2'
      ? { did: ownPeer2(spec) }
      : minor === 0 && !method
        ? unqualifiedDid(spec)
        : { did: createPeer4(peer4Document(spec)).did };
  return {
    ...made,
    verkey: key.verkey,
    served: servedBy(service),
    keys: (connection) => ({ keys: [key.write], keyOwners: [keyOwnerFor(service, key.verkey, 'connection', connection)] }),
  };
}
