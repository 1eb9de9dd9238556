import { didKeyToVerkey, looksLikeVerkey } from '../../didcomm/encoding.ts';
import type { Change } from '../../kernel/effects.ts';
import { composeMessage } from '../../kernel/message.ts';
import { changed, type StepContext } from '../../kernel/protocol.ts';
import { mediationId } from '../../mediation/names.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Lookup } from '../../ports/store.ts';
import { connection } from '../../records/connection.ts';
import { keylist } from '../../records/keylist.ts';
import { type MediationValue, mediation } from '../../records/mediation.ts';

export const URIS = ['https://didcomm.org/coordinate-mediation/1.0'];
/** How many updates of one message are carried out. */
export const MAX_UPDATES = 1000;

export type Ctx = StepContext<MediationValue>;

export interface Update {
  readonly recipient_key: string;
  readonly action: string;
}

/** The mediation of a connection, in a role. */
export const mediationOf = (role: 'server' | 'client', connection: string | undefined): Lookup | undefined =>
  connection === undefined ? undefined : { category: mediation.category, tag: role, equals: connection };

/** A verkey of whatever form of it a message has. */
export const verkeyOf = (key: string): string | undefined =>
  key.startsWith('did:key:') ? didKeyToVerkey(key.split('#')[0]!) : looksLikeVerkey(key) ? key : undefined;

/** The keys of what may be a list of updates: nothing was checked yet. */
export function* keysOf(updates: unknown): Generator<string> {
  if (!Array.isArray(updates)) return;
  for (const update of updates.slice(0, MAX_UPDATES)) {
    const key: unknown = update?.recipient_key;
    const verkey = typeof key === 'string' && key.length <= 300 ? verkeyOf(key) : undefined;
    if (verkey) yield verkey;
  }
}

export const keyLookups = (updates: unknown, role: 'server' | 'client'): Record<string, Lookup> =>
  Object.fromEntries([...keysOf(updates)].map((verkey) => [`key ${verkey}`, { category: keylist.category, tag: role, equals: verkey }]));

export const updating = (id: string, updates: readonly Update[]): JsonObject =>
  composeMessage({ uris: URIS }, { type: 'keylist-update', id, body: { updates } });

/** A connection knows what roles it has in mediation, so that what is of that goes with it. */
export function bound(ctx: Ctx, role: 'server' | 'client'): Change[] {
  const peer = ctx.connection!;
  const { mediation: roles = [] } = connection.of(peer).value;
  return roles.includes(role) ? [] : [changed({ def: connection, base: connection.of(peer), patch: { mediation: [...roles, role] } })];
}

export const purging = (ctx: Ctx) => {
  const { connection_id, role } = ctx.record!.value;
  // another mediation of the same connection begins with keys of its own
  return {
    command: 'purge',
    record: { category: mediation.category, id: mediationId(role, connection_id) },
    input: { connection: connection_id, role, before: ctx.now },
  };
};
