import type { Static } from 'typebox';
import type { Effects } from '../kernel/effects.ts';
import { renamed } from '../kernel/former-names.ts';
import { changed, type Load, type StepContext } from '../kernel/protocol.ts';
import { compact, defineRecord, type LoadedRecord, viewHead } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import type { StoredRecord } from '../ports/store.ts';

/** An out-of-band invitation made or received (RFC 0434), under the names of ACA-Py's OobRecord. */
export interface OutOfBandValue {
  [member: string]: unknown;
  invi_msg_id: string;
  invitation: { readonly [member: string]: unknown };
  connection_id?: string;
  attach_thread_id?: string;
  our_recipient_key?: string;
  multi_use: boolean;
  /** As a receiver of a reuse: the id of our handshake-reuse. */
  reuse_msg_id?: string;
  auto_accept?: boolean;
  protocol?: string;
  /** The code of its short link. */
  short?: string;
  /** A mediator knows its key. */
  mediated?: boolean;
  /** As a receiver: the mediator that was asked for; or none at all, since the inviter is to be one. */
  mediator?: { readonly [member: string]: unknown };
  unmediated?: boolean;
}

export const outOfBand = defineRecord<OutOfBandValue>({
  category: 'oob_record',
  idField: 'oob_id',
  topic: 'out_of_band',
  upgrade: (value) => renamed(value, 'direct', 'unmediated'),
  states: ['initial', 'prepare-response', 'await-response', 'reuse-not-accepted', 'reuse-accepted', 'done', 'deleted'],
  view(record) {
    const { value } = record;
    return compact({
      ...viewHead(record),
      trace: false,
      oob_id: record.id,
      invi_msg_id: value.invi_msg_id,
      invitation: value.invitation,
      connection_id: value.connection_id,
      attach_thread_id: value.attach_thread_id,
      our_recipient_key: value.our_recipient_key,
      role: record.role,
      multi_use: value.multi_use,
    });
  },
  // the id of an invitation that was received is its maker's choice, and may be that of one of ours
  tags: (value) => ({
    thread: value.protocol ? value.invi_msg_id : value.reuse_msg_id,
    invi_msg_id: value.invi_msg_id,
    our_recipient_key: value.our_recipient_key,
  }),
  admin: { list: '/out-of-band/records', tag: 'out-of-band', filters: { invi_msg_id: 'invi_msg_id' } },
});

/** An invitation that this wallet made, where one that it received may have the same id. */
export const isOurs = (row: StoredRecord): boolean => row.role === 'sender';

/** The lookups of a step that takes a request: the invitation that it names, or that it was sealed for. */
export const invitationLookups = (pthid: string | undefined, key: string | undefined): Record<string, Load> => ({
  ...(pthid === undefined ? {} : { invitation: { category: outOfBand.category, tag: 'invi_msg_id', equals: pthid, among: isOurs } }),
  ...(key === undefined ? {} : { keyed: { category: outOfBand.category, tag: 'our_recipient_key', equals: key, among: isOurs } }),
});

/**
 * A use of the invitation of ours with this id, among what `invitationLookups` found. One of one use is done with; one of many stays as it is, and only its controller
 * gets a webhook for each use, as of ACA-Py's: `done` each time.
 */
export function used(ctx: StepContext, id: unknown, connection?: string): Pick<Effects, 'others' | 'emit'> {
  const row = [ctx.loaded.invitation, ctx.loaded.keyed].find((one) => one !== undefined && one.id === id);
  if (row?.state !== 'await-response') return {};
  const base = outOfBand.of(row as StoredRecord);
  if (!base.value.multi_use) return { others: [changed({ def: outOfBand, base, states: ['done'] })] };
  return { emit: [usedAgain(ctx, base, connection)] };
}

/** The webhook of a use of an invitation of many. */
export function usedAgain(
  ctx: StepContext,
  base: LoadedRecord<OutOfBandValue>,
  connection = base.value.connection_id,
): NonNullable<Effects['emit']>[number] {
  const payload = outOfBand.view({ ...base, state: 'done', updated: ctx.now, value: { ...base.value, connection_id: connection } });
  return { topic: outOfBand.topic!, payload, about: { category: outOfBand.category, id: base.id } };
}

export type InlineServiceForm = Static<typeof InlineService>;

const InlineService = Type.Object({
  id: Type.Optional(Type.String()),
  type: Type.Optional(Type.String()),
  recipientKeys: Type.Array(Type.String({ maxLength: 200 }), { minItems: 1, maxItems: 20 }),
  routingKeys: Type.Optional(Type.Union([Type.Array(Type.String({ maxLength: 200 }), { maxItems: 20 }), Type.Null()])),
  serviceEndpoint: Type.String({ maxLength: 2000 }),
});

/** An invitation as received, from a controller or in another message: outside input, whoever made it. */
export const Invitation = Type.Object({
  '@id': Type.String({ minLength: 1, maxLength: 256 }),
  '@type': Type.String({ pattern: '^(https://didcomm\\.org|did:sov:BzCbsNYhMrjHiqZDTUASHg;spec)/out-of-band/1\\.\\d+/invitation$' }),
  label: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  goal: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  goal_code: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  accept: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
  handshake_protocols: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
  services: Type.Array(Type.Union([Type.String({ maxLength: 20_000 }), InlineService]), { maxItems: 20 }),
  'requests~attach': Type.Optional(
    Type.Union([Type.Array(Type.Object({ data: Type.Object({}) }), { maxItems: 20 }), Type.Object({ data: Type.Object({}) }), Type.Null()]),
  ),
});
