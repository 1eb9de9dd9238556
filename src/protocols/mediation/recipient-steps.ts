import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { routingReference } from '../../dids/own-documents.ts';
import { AppError } from '../../errors.ts';
import type { Change, Effects } from '../../kernel/effects.ts';
import { composeMessage } from '../../kernel/message.ts';
import { type CommandInput, changed, type Incoming } from '../../kernel/protocol.ts';
import { mediationId } from '../../mediation/names.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Lookup } from '../../ports/store.ts';
import { connection } from '../../records/connection.ts';
import { type KeylistValue, keylist } from '../../records/keylist.ts';
import { mediation, ownService } from '../../records/mediation.ts';
import { bound, type Ctx, keysOf, type Update, URIS, updating, verkeyOf } from './keylist-updates.ts';

/** Steps of the recipient (RFC 0211). */

/** A mediator that has not answered an update for so long gets it again. */
const AGAIN_MS = 60_000;

/** A key of ours that a mediator is to know, and what it serves. */
export interface Registered {
  readonly verkey: string;
  readonly connection?: string;
  readonly wallet?: string;
}

/** Invitations whose keys are in an answer. */
export const invitedLookups = (updates: unknown): Record<string, Lookup> =>
  Object.fromEntries(
    [...keysOf(updates)].map((verkey) => [`invited ${verkey}`, { category: connection.category, tag: 'invitation_key', equals: verkey }]),
  );

/** A `mediate-grant`: the endpoint and the routing keys of the mediator. */
export function granted(ctx: Ctx, { body }: Incoming): Effects {
  const keys = (body.routing_keys as string[]).map((key) => {
    const verkey = verkeyOf(key);
    if (!verkey) throw new AppError('message-invalid', 'a routing key is no key');
    return verkey;
  });
  return {
    record: {
      states: ctx.record!.state === 'granted' ? undefined : ['granted'],
      patch: { endpoint: body.endpoint as string, routing_keys: keys.map(routingReference), routing_verkeys: keys },
    },
    invalidate: [ctx.tenant],
  };
}

/** Requests mediation of a connection. */
export function request(ctx: Ctx): Effects {
  const peer = ctx.connection!;
  if (!['active', 'response'].includes(peer.state ?? '')) throw new AppError('bad-request', 'requested connection is not ready');
  if (ctx.loaded.known) throw new AppError('bad-request', `MediationRecord already exists for connection ${peer.id}`);
  const id = ctx.newId();
  return {
    record: {
      id: mediationId('client', peer.id),
      role: 'client',
      connection: peer.id,
      states: ['request'],
      patch: { connection_id: peer.id, role: 'client', thread_id: id },
    },
    others: bound(ctx, 'client'),
    send: [{ type: 'mediate-request', id, thid: id }],
  };
}

/** A `keylist-update` in a controller's words. */
export function sendUpdate(ctx: Ctx, { body }: CommandInput<{ updates?: readonly Update[] }>): Effects {
  const given = body.updates ?? [];
  if (given.length === 0) throw new AppError('bad-request', 'Updates cannot be empty.');
  const updates = given.map(({ recipient_key, action }) => {
    const verkey = verkeyOf(recipient_key);
    if (!verkey) throw new AppError('unprocessable', `recipient_key: ${recipient_key.slice(0, 100)} is no key`);
    return { recipient_key: verkeyToDidKey(verkey), action };
  });
  const message = updating(ctx.newId(), updates);
  return { send: [{ message }], answer: message };
}

/** A `keylist-query` in a controller's words. */
export function sendQuery(ctx: Ctx, { body, query }: CommandInput<{ filter?: object | null }>): Effects {
  const paginate = { limit: Number(query.paginate_limit ?? -1), offset: Number(query.paginate_offset ?? 0) };
  const message = composeMessage(
    { uris: URIS },
    { type: 'keylist-query', id: ctx.newId(), body: { filter: body.filter ?? undefined, paginate } },
  );
  return { send: [{ message }], answer: message };
}

/** Registers the key of a connection with a mediator. */
export function routeConnection(ctx: Ctx, { body }: CommandInput<{ mediation_id?: string }>): Effects {
  const { value, id, state } = connection.of(ctx.connection!);
  const { mediation: through } = ownService(ctx, { mediation_id: body.mediation_id });
  const verkey = value.my_verkey ?? (state === 'invitation' && ctx.connection!.role === 'inviter' ? value.invitation_key : undefined);
  // a mediation of the base wallet registers keys when they are made
  if (!through || through.tenant !== ctx.tenant || !verkey) return { answer: {} };
  const message = updating(ctx.newId(), [{ recipient_key: verkeyToDidKey(verkey), action: 'add' }]);
  return {
    next: [
      {
        command: 'register',
        record: { category: mediation.category, id: through.id },
        input: { keys: [{ verkey, connection: id }], id: message['@id']! },
      },
    ],
    answer: message,
  };
}

/** Registers keys with the mediator, except those that it has confirmed, or that were sent a moment ago. */
export function register(ctx: Ctx, { body }: CommandInput<{ id?: string; keys: readonly Registered[] }>): Effects {
  const id = body.id ?? ctx.newId();
  const peer = ctx.record!.connection!;
  const added: string[] = [];
  const others: Change<KeylistValue>[] = [];
  for (const { verkey, connection: target, wallet } of body.keys) {
    const row = ctx.loaded[`key ${verkey}`];
    const base = row?.connection === peer ? keylist.of(row) : undefined;
    if (base?.value.confirmed || (base?.value.thread_id && !base.value.refused && ctx.now - base.updated < AGAIN_MS)) continue;
    added.push(verkey);
    const patch: KeylistValue = {
      connection_id: peer,
      recipient_key: verkeyToDidKey(verkey),
      role: 'client',
      verkey,
      wallet_id: wallet,
      target,
      confirmed: false,
      thread_id: id,
      refused: undefined,
    };
    others.push({ def: keylist, base, role: 'client', connection: peer, patch });
  }
  if (added.length === 0) return {};
  const updates = added.map((verkey) => ({ recipient_key: verkeyToDidKey(verkey), action: 'add' }));
  return { others: others as Change[], send: [{ message: updating(id, updates) }] };
}

export const currentView = (ctx: Ctx): JsonObject => (ctx.loaded.current ? mediation.view(mediation.of(ctx.loaded.current)) : {});

export const undefaulted = (ctx: Ctx): Change[] =>
  ctx.loaded.current ? [changed({ def: mediation, base: mediation.of(ctx.loaded.current), patch: { is_default: undefined } })] : [];

export interface Answered extends Update {
  readonly result: string;
}

/** The mediator's answer to our update: the keys that it has now, and those that it refused. */
export function answered(ctx: Ctx, results: readonly Answered[], thread: string): Effects {
  const peer = ctx.connection!;
  const changes = new Map<string, Change<KeylistValue>>();
  const mediated: Record<string, string> = {};
  const updated = results.map(({ recipient_key, action, result }) => {
    const verkey = verkeyOf(recipient_key);
    if (!verkey) return { recipient_key, action, result };
    const key = verkeyToDidKey(verkey);
    const row = ctx.loaded[`key ${verkey}`];
    const base = row?.connection === peer.id ? keylist.of(row) : undefined;
    const target = (base?.value.target as string | undefined) ?? ctx.loaded[`invited ${verkey}`]?.id;
    if (target) mediated[key] = target;
    const taken = result === 'success' || result === 'no_change';
    if (action === 'remove') {
      if (taken && base) changes.set(verkey, { def: keylist, base, remove: true });
    } else if (taken || base) {
      const patch = {
        ...(base ? {} : { connection_id: peer.id, recipient_key: key, role: 'client' as const, verkey }),
        ...(taken ? { confirmed: true, refused: undefined } : base?.value.confirmed ? {} : { refused: result }),
      };
      changes.set(verkey, { def: keylist, base, role: 'client', connection: peer.id, patch });
    }
    return { recipient_key: key, action, result };
  });
  return {
    others: [...changes.values()] as Change[],
    emit: [{ topic: 'keylist', payload: { connection_id: peer.id, thread_id: thread, updated: updated, mediated_connections: mediated } }],
  };
}
