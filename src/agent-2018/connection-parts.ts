import type { Static } from 'typebox';
import { didOfKey } from '../dids/self-certifying.ts';
import { bareDid } from '../dids/unqualified.ts';
import { AppError } from '../errors.ts';
import type { Change, Effects, NewKeyOwner } from '../kernel/effects.ts';
import { shownKeys } from '../kernel/identity.ts';
import type { Incoming, Load, StepContext } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import type { Lookup } from '../ports/store.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';

export const NAME = 'connection-2018';
export const DAY = 24 * 3600;
export const OFFER_LIFE = 7 * DAY;
export const RESPONSE_LIFE = DAY;

export const Id = Type.String({ minLength: 1, maxLength: 256 });
export const Text = Type.Optional(Type.Union([Type.String({ maxLength: 1000 }), Type.Null()]));
export const Endpoint = Type.Union([
  Type.String({ minLength: 1, maxLength: 2000 }),
  Type.Object({ url: Type.String({ minLength: 1, maxLength: 2000 }), verkey: Type.Optional(Id) }),
]);

export const Offer = Type.Object({
  did: Id,
  verkey: Type.Optional(Id),
  endpoint: Type.Optional(Endpoint),
  offer_nonce: Id,
  label: Text,
  offer_verkey: Type.Optional(Id),
});
export const Request = Type.Object({
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
export const Response = Type.Object({
  did: Id,
  verkey: Id,
  request_nonce: Type.Optional(Id),
  nonce: Type.Optional(Id),
  sig: Type.Optional(Type.Object({ verkey: Id, signature: Type.String({ maxLength: 200 }) })),
});

export type Ctx = StepContext<ConnectionValue>;
export type Request = Static<typeof Request>;

export const refuse = (reason: string): never => {
  throw new AppError('bad-request', reason);
};

export const urlOf = (endpoint: Static<typeof Endpoint> | undefined): string | undefined =>
  typeof endpoint === 'object' ? endpoint.url : endpoint;
export const keyOf = (endpoint: Static<typeof Endpoint> | undefined): string | undefined =>
  typeof endpoint === 'object' ? endpoint.verkey : undefined;

/** The Endpoint DID that peers write to: our own, or our agency's. @throws AppError where this protocol is off, or nobody could write to us */
export function ownEndpoint(ctx: Ctx): { did: string; verkey: string; endpoint: string } {
  const { agent2018, agent2018Endpoint, endpoint, cloudAgent } = ctx.settings;
  if (agent2018 === 'off' || !agent2018Endpoint)
    throw new AppError('bad-request', 'The 2018 Agent Protocol is off: start with --legacy on');
  if (cloudAgent?.superseded) throw new AppError('bad-request', 'A newer copy of this wallet is in use');
  if (cloudAgent) return { did: cloudAgent.did, verkey: cloudAgent.verkey, endpoint: cloudAgent.endpoint };
  if (!endpoint)
    throw new AppError('bad-request', 'Nobody can write to this agent: it has no --endpoint, and no agency has answered it yet');
  return { ...agent2018Endpoint, endpoint };
}

/** Names of ours. Where mail comes through an agency, it must know them before anybody else does. */
export function routed(
  ctx: Ctx,
  kind: 'offer-nonce' | 'request-nonce' | 'did',
  owners: readonly NewKeyOwner[],
  expires?: number,
): NewKeyOwner[] {
  const { cloudAgent } = ctx.settings;
  if (!cloudAgent) return [...owners];
  const mediation = { tenant: cloudAgent.tenant, id: cloudAgent.mediation };
  return owners.map((owner) => ({ ...owner, mediation, route: { kind, expires } }));
}

/** The members of a connection for it. */
export const routedBy = (ctx: Ctx): { mediated?: true } => (ctx.settings.cloudAgent ? { mediated: true } : {});

/** Names that an agency need not know any more. */
export const unrouted = ({ value }: NonNullable<Ctx['record']>, names: readonly string[]): { deregisterKeys?: string[] } =>
  value.mediated ? { deregisterKeys: [...names] } : {};

/** A pairwise key of ours and its DID. */
export function ownPairwise(ctx: Ctx): { did: string; verkey: string; keys: NonNullable<Effects['keys']> } {
  const key = ctx.newKey();
  return { did: didOfKey(key.verkey), verkey: key.verkey, keys: [key.write] };
}

/** The connection that the message is addressed to, whatever its `id` is. */
export const itself = (_message: Incoming, id: string | undefined): Lookup | undefined =>
  id === undefined ? undefined : { category: connection.category, id };
export const byTag = (tag: string, equals: string): Lookup => ({ category: connection.category, tag, equals });
/** The connection of this protocol that has a pairwise DID: what others call theirs does not count. */
export const bySamePeer = (did: string): Load => ({
  ...byTag('their_did', bareDid(did)),
  among: (row) => row.value.agent2018 !== undefined,
});
/** An earlier connection under an Endpoint DID whose peer has shown its key: the address that it gives is its own. */
export const byEndpoint = (did: string): Load => ({ ...byTag('endpoint_did', did), among: ({ value }) => shownKeys(value).length > 0 });
export const loadedValue = (ctx: Ctx, name: string): ConnectionValue | undefined => connection.of(ctx.loaded[name])?.value;
export const problem = (ctx: Ctx, reason: string): NonNullable<Effects['emit']> => [
  { topic: 'legacy_problem', payload: compact({ reason, connection_id: ctx.record?.id }) },
];

/** The first values of a new record, and the findings about it. */
export function merge(begun: Omit<Change, 'def' | 'base'>, effects: Effects): Effects {
  return { ...effects, record: { ...begun, ...effects.record, patch: { ...begun.patch, ...effects.record?.patch } } };
}
