import { looksLikeVerkey } from '../../didcomm/encoding.ts';
import { AppError } from '../../errors.ts';
import type { Change, Effects } from '../../kernel/effects.ts';
import { checkedAs } from '../../kernel/json.ts';
import { type CommandInput, changed, type Incoming } from '../../kernel/protocol.ts';
import { edgeDeviceId } from '../../mediation/names.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type AgencyRelayValue, agencyRelay } from '../../records/agency-relay.ts';
import { type AgencyRouteValue, agencyRoute } from '../../records/agency-route.ts';
import { DAY_MS } from '../../records/cloud-agent.ts';
import { connection, readyConnection } from '../../records/connection.ts';
import { edgeDevice, type Quotas } from '../../records/edge-device.ts';
import { mediation } from '../../records/mediation.ts';
import type { Ctx, RouteUpdate } from './agency-parts.ts';

/** Steps of the edge. */

/** The time, in ms, after which an unanswered update is sent again. */
const AGAIN_MS = 60_000;
/** The time, in ms, for which a relayed message is remembered: the agency may return it. */
const REMEMBERED_MS = DAY_MS + 3600_000;

/** Requests a cloud agent of the peer of a connection. */
export function askProvision(ctx: Ctx, { body }: CommandInput<{ label?: string; generation?: number; code?: string }>): Effects {
  const peer = ctx.connection!;
  readyConnection(peer);
  const base = edgeDevice.of(ctx.loaded.device);
  const id = edgeDeviceId('edge', peer.id);
  const thread_id = ctx.newId();
  const label = body.label ?? base?.value.label ?? ctx.settings.label;
  const generation = body.generation ?? base?.value.generation ?? 1;
  const raised = base?.state === 'superseded' && generation > base.value.generation;
  return {
    others: [
      changed({
        def: edgeDevice,
        base,
        id,
        role: 'edge',
        connection: peer.id,
        states: !base || raised ? ['request'] : undefined,
        patch: { connection_id: peer.id, role: 'edge', label, generation, thread_id, error_msg: undefined },
      }),
      changed({ def: connection, base: connection.of(peer), patch: { agency: 'edge' }, silent: true }),
    ],
    invalidate: base ? [ctx.tenant] : [],
    send: [{ type: 'provision', id: thread_id, body: { label, generation, code: body.code } }],
    answer: { device_id: id },
  };
}

/** A `provisioned`: the endpoint for peers of the 2018 Agent Protocol. */
export function provisionedHere(ctx: Ctx, { body }: Incoming): Effects {
  const { endpoint, did, verkey, quotas } = checkedAs<{ endpoint: string; did: string; verkey: string; quotas?: Quotas }>(body);
  if (!looksLikeVerkey(verkey)) throw new AppError('message-invalid', 'the endpoint key is no key');
  return {
    record: {
      states: ctx.record!.state === 'provisioned' ? undefined : ['provisioned'],
      patch: { endpoint, did, verkey, quotas, error_msg: undefined },
    },
    invalidate: [ctx.tenant],
  };
}

/** A `superseded`: ends the mediation, since a newer copy of this wallet has the mail. */
export function supersededHere(ctx: Ctx, { body }: Incoming): Effects {
  if (Number(body.generation) <= ctx.record!.value.generation) return {};
  const granted = mediation.of(ctx.loaded.mediation);
  return {
    record: {
      states: ['superseded'],
      patch: { error_msg: `A newer copy of this wallet is in use, of generation ${Number(body.generation)}` },
    },
    others: granted?.state === 'granted' ? [changed({ def: mediation, base: granted, states: ['denied'] })] : [],
    invalidate: [ctx.tenant],
  };
}

/** A name to register with the agency; `wallet`: its tenant, where the agency's connection is another tenant's. */
export interface Registered {
  readonly name: string;
  readonly kind?: string;
  readonly expires?: number;
  readonly wallet?: string;
}

/** Registers names with the agency, except confirmed ones and those of a recent update. */
export function register(ctx: Ctx, { body }: CommandInput<{ routes: readonly Registered[] }>): Effects {
  const thread_id = ctx.newId();
  const { connection: peer, value } = ctx.record!;
  const added: RouteUpdate[] = [];
  const others: Change[] = [];
  for (const { name, kind = 'custom', expires, wallet } of body.routes) {
    const row = ctx.loaded[`route ${name}`];
    const base = row?.connection === peer ? agencyRoute.of(row) : undefined;
    if (base?.value.confirmed || (base?.value.thread_id && !base.value.refused && ctx.now - base.updated < AGAIN_MS)) continue;
    const expires_in = expires === undefined ? undefined : Math.max(1, Math.ceil((expires - ctx.now) / 1000));
    added.push({ kind, value: name, action: 'add', expires_in });
    const patch: AgencyRouteValue = { kind, name, role: 'edge', wallet_id: wallet, confirmed: false, thread_id, refused: undefined };
    others.push(changed({ def: agencyRoute, base, role: 'edge', connection: peer, patch }));
  }
  if (added.length === 0) return {};
  return { others, send: [{ type: 'route-update', id: thread_id, body: { updates: added, generation: value.generation } }] };
}

/** Deregisters names. */
export const unregister = (ctx: Ctx, { body }: CommandInput<{ names: readonly string[] }>): Effects => ({
  send: [
    {
      type: 'route-update',
      body: {
        updates: body.names.map((value) => ({ kind: 'custom', value, action: 'remove' })),
        generation: ctx.record!.value.generation,
      },
    },
  ],
});

/** A `routes-updated`: the result of each update. */
export function answered(ctx: Ctx, { body }: Incoming): Effects {
  const changes = new Map<string, Change>();
  for (const { value, action, result } of checkedAs<(RouteUpdate & { result: string })[]>(body.updated)) {
    const row = ctx.loaded[`route ${value}`];
    const base = row?.connection === ctx.connection!.id ? agencyRoute.of(row) : undefined;
    if (!base) continue;
    const taken = result === 'success' || result === 'no_change';
    if (action !== 'remove')
      changes.set(value, changed({ def: agencyRoute, base, patch: taken ? { confirmed: true, refused: undefined } : { refused: result } }));
    else if (taken) changes.set(value, changed({ def: agencyRoute, base, remove: true }));
  }
  return { others: [...changes.values()] };
}

export interface Relayed {
  readonly id: string;
  readonly endpoint: string;
  readonly media_type?: string;
  readonly envelope: string;
  readonly connection?: string;
  readonly record?: { readonly category: string; readonly id: string };
}

/** Sends a message through the agency. */
export function sendRelay(ctx: Ctx, { body }: CommandInput<Relayed>): Effects {
  const { id, endpoint, media_type, envelope, connection: of, record } = body;
  const patch: AgencyRelayValue = { endpoint, connection: of, record };
  const payload = Buffer.from(envelope).toString('base64');
  return {
    others: [changed({ def: agencyRelay, id, states: ['sent'], patch, silent: true })],
    send: [{ type: 'relay', id, body: { endpoint, media_type, payload, generation: ctx.record!.value.generation } }],
    next: [
      {
        command: 'forget-relay',
        record: { category: edgeDevice.category, id: ctx.record!.id },
        input: { relay: id },
        after: REMEMBERED_MS,
      },
    ],
    answer: {},
  };
}

export const forgetRelay = (ctx: Ctx): Effects => {
  const base = agencyRelay.of(ctx.loaded.relay);
  return base ? { others: [changed({ def: agencyRelay, base, remove: true, silent: true })] } : {};
};

/** A `relayed`: the agency has accepted the message. */
export const relayedThere = (ctx: Ctx): Effects => {
  const base = agencyRelay.of(ctx.loaded.relay);
  return base?.state === 'sent' ? { others: [changed({ def: agencyRelay, base, states: ['relayed'], silent: true })] } : {};
};

/** A `relay-failed`: the message returns to its lane, which writes the reason to the records of the message. */
export function relayReturned(ctx: Ctx, { body }: Incoming): Effects {
  const base = agencyRelay.of(ctx.loaded.relay);
  if (!base) return {};
  const { endpoint, connection: of, record } = base.value;
  return {
    others: [changed({ def: agencyRelay, base, remove: true, silent: true })],
    post: [{ envelope: '', endpoint, connection: of, record, returned: String(body.reason ?? '').slice(0, 500) }],
  };
}

/** A request to the agency; its answer goes into the record. */
export const asking =
  (type: string) =>
  (ctx: Ctx, { body }: CommandInput): Effects => {
    const id = ctx.newId();
    const { generation } = ctx.record!.value;
    const given = type === 'config' ? { set: body as JsonObject } : (body as JsonObject | undefined);
    return {
      record: { patch: { asked: id, thread_id: id, device_code: undefined, error_msg: undefined } },
      send: [{ type, id, body: { ...given, generation } }],
    };
  };

/** The answer to such a request. */
export const answerIn =
  (read: (body: JsonObject) => Readonly<Record<string, unknown>>) =>
  (_ctx: Ctx, { body }: Incoming): Effects => ({ record: { patch: { ...read(body), asked: undefined } } });
