import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { routingReference } from '../../dids/own-documents.ts';
import { AppError } from '../../errors.ts';
import type { Change, Effects, NewKeyOwner } from '../../kernel/effects.ts';
import { changed, type Incoming } from '../../kernel/protocol.ts';
import { MEDIATION, mediatedName, mediationId } from '../../mediation/names.ts';
import { type KeylistValue, keylist } from '../../records/keylist.ts';
import { type MediationValue, ONLY, routingKey } from '../../records/mediation.ts';
import { bound, type Ctx, MAX_UPDATES, type Update, verkeyOf } from './keylist-updates.ts';

/** Steps of the mediator (RFC 0211). */

/** Keys in one answer to a `keylist-query`. */
export const MAX_LISTED = 1000;
/** Keys that are forwarded for one connection, where the configuration has no other number. */
const MAX_KEYS = 10_000;

/** A `mediate-request`: asked again it is answered again, since an answer may have been lost. */
export function requested(ctx: Ctx, message: Incoming): Effects {
  const peer = ctx.connection!;
  const { thid: thread_id } = message;
  if (ctx.record?.state === 'granted') return { record: { patch: { thread_id } }, send: [granting(ctx, ctx.record.value.routing_key!)] };
  const id = mediationId('server', peer.id);
  const value: MediationValue = {
    connection_id: peer.id,
    role: 'server',
    thread_id,
    mediator_terms: message.body.mediator_terms as string[] | undefined,
    recipient_terms: message.body.recipient_terms as string[] | undefined,
  };
  return {
    record: {
      id,
      role: 'server',
      connection: peer.id,
      states: ctx.record?.state === 'request' ? undefined : ['request'],
      patch: value,
    },
    others: bound(ctx, 'server'),
    next: ctx.settings.openMediation ? [{ command: 'grant' }] : [],
  };
}

/** The answer to a `keylist-query`. */
export function listed(ctx: Ctx, message: Incoming): Effects {
  const { limit, offset } = window(message.body.paginate);
  const { rows, total } = ctx.pages.keys!;
  const remaining = Math.max(0, total - offset - rows.length);
  // ACA-Py cannot read what it has not asked for
  const sentenced = limit !== undefined || offset > 0 || remaining > 0;
  return {
    send: [
      {
        type: 'keylist',
        body: {
          keys: rows.map(({ value }) => ({ recipient_key: verkeyToDidKey(String(value.verkey)) })),
          pagination: sentenced ? { count: rows.length, offset, remaining } : undefined,
        },
      },
    ],
  };
}

/** Grants mediation: the routing key is one for all whom the tenant mediates. */
export function grant(ctx: Ctx): Effects {
  const row = ctx.loaded.routing;
  const fresh = row ? undefined : ctx.newKey();
  const verkey = fresh?.verkey ?? String(row!.value.verkey);
  return {
    record: { states: ctx.record!.state === 'granted' ? undefined : ['granted'], patch: { routing_key: verkey } },
    ...(fresh && {
      others: [changed({ def: routingKey, id: ONLY, patch: { verkey } })],
      keys: [fresh.write],
      keyOwners: [{ kid: verkey, kind: MEDIATION, target: ONLY }],
    }),
    send: [granting(ctx, verkey)],
  };
}

function granting(ctx: Ctx, verkey: string): NonNullable<Effects['send']>[number] {
  const { endpoint } = ctx.settings;
  if (!endpoint) throw new AppError('bad-request', 'This agent has no endpoint that mail could be sent to');
  return { type: 'mediate-grant', body: { endpoint, routing_keys: [routingReference(verkey)] } };
}

/** The page of a keylist query: without a limit as many keys as go in one answer. */
export function window(given: unknown): { limit?: number; offset: number } {
  const { limit, offset } = (typeof given === 'object' && given !== null ? given : {}) as { limit?: unknown; offset?: unknown };
  return {
    limit: Number.isInteger(limit) && (limit as number) > 0 ? Math.min(limit as number, MAX_LISTED) : undefined,
    offset: Number.isInteger(offset) && (offset as number) > 0 ? (offset as number) : 0,
  };
}

/** A mediator's answer to an update: a result for each item, with the key in the form of the request. */
export function updated(ctx: Ctx, updates: readonly Update[]): Effects {
  const peer = ctx.connection!;
  const max = ctx.settings.mediatorMaxKeys ?? MAX_KEYS;
  let count = ctx.pages.keys!.total;
  /** Whether a key is ours to forward for this connection, as far as the message has come. */
  const held = new Map<string, boolean>();
  const carryOut = ({ recipient_key, action }: Update, index: number): string => {
    if (index >= MAX_UPDATES) return 'server_error';
    const verkey = verkeyOf(recipient_key);
    if (!verkey || (action !== 'add' && action !== 'remove')) return 'client_error';
    const row = ctx.loaded[`key ${verkey}`];
    // the holder of a key cannot be seen, so the first client has it
    if (row && row.connection !== peer.id) return action === 'add' ? 'client_error' : 'no_change';
    const has = held.get(verkey) ?? row !== undefined;
    const wanted = action === 'add';
    if (has === wanted) return 'no_change';
    if (wanted && count >= max) return 'server_error';
    count += wanted ? 1 : -1;
    held.set(verkey, wanted);
    return 'success';
  };
  const results = updates.map((update, index) => ({
    recipient_key: update.recipient_key,
    action: update.action,
    result: carryOut(update, index),
  }));
  const others: Change<KeylistValue>[] = [];
  const keyOwners: NewKeyOwner[] = [];
  const removedKeyOwners: string[] = [];
  // a peer that can be written to has its mail sent on; another fetches it
  const kind = peer.value.their_endpoint ? 'relay' : 'keylist';
  for (const [verkey, wanted] of held) {
    const row = ctx.loaded[`key ${verkey}`];
    const kid = mediatedName(ctx.tenant, verkey);
    if (wanted && !row) {
      const patch: KeylistValue = { connection_id: peer.id, recipient_key: verkey, role: 'server', verkey };
      others.push({ def: keylist, role: 'server', connection: peer.id, patch });
      keyOwners.push({ kid, kind, target: peer.id });
    } else if (!wanted && row) {
      others.push({ def: keylist, base: keylist.of(row), remove: true });
      removedKeyOwners.push(kid);
    }
  }
  return {
    // the version of the mediation guards the count
    record: others.length > 0 ? { patch: {} } : undefined,
    others: others as Change[],
    keyOwners,
    removedKeyOwners,
    send: [{ type: 'keylist-update-response', body: { updated: results } }],
  };
}
