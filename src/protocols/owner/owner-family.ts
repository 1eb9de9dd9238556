import type { TSchema } from 'typebox';
import { OLD_PREFIX, OWN_PREFIX, TOOLBOX_PREFIX } from '../../didcomm/message-types.ts';
import { AppError } from '../../errors.ts';
import type { Effects, WorkOrder } from '../../kernel/effects.ts';
import { isGranted } from '../../kernel/grants.ts';
import {
  defineProtocol,
  type Incoming,
  type MessageStep,
  NEW,
  type Pages,
  type Protocol,
  type StepContext,
} from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { StoredRecord } from '../../ports/store.ts';
import { type OwnerActionValue, ownerAction } from '../../records/owner-action.ts';
import type { OwnerCall } from './work.ts';

type OwnerContext = StepContext<OwnerActionValue>;

/** A message that has something done: it is a record, and one call of work. */
export interface OwnerOrder {
  readonly schema: TSchema;
  /** `message`: its body is unchecked here. */
  readonly load?: MessageStep['load'];
  /** @throws AppError whose text the owner gets */
  order(ctx: OwnerContext, message: Incoming): OwnerCall | Omit<WorkOrder, 'result'>;
  /** Name and members of the answer, from the result of the work. */
  readonly reply: string;
  answer(output: JsonObject): JsonObject;
  /** Members of the answer that the record keeps: identifiers. */
  readonly keeps: readonly string[];
}

/** A message that asks for a list: it is answered at once, and leaves nothing. */
export interface OwnerList {
  readonly schema: TSchema;
  rows(message: Incoming): Pages[string];
  readonly reply: string;
  answer(ctx: OwnerContext, rows: readonly StoredRecord[], message: Incoming): JsonObject;
}

interface OwnerFamily {
  /** The name of the family, and of the grant that a connection needs for it. */
  readonly name: string;
  /** A family of the toolbox, in both of its spellings; else one of this agent's own. */
  readonly toolbox: boolean;
  readonly orders: Readonly<Record<string, OwnerOrder>>;
  readonly lists: Readonly<Record<string, OwnerList>>;
}

/** The same family, in the spelling of the message that is answered. */
const typeOf = (asked: string, name: string): string => `${asked.slice(0, asked.lastIndexOf('/'))}/${name}`;

/** Whether the owner may have an answer: its connection is there, and nobody has taken the grant from it meanwhile. */
const isAnswered = (ctx: OwnerContext, grant: string): boolean => ctx.reachable && isGranted(ctx.connection, grant);

/**
 * A family of messages by which an owner drives this agent. It has no logic of its own: a message is a command that a controller could have called, or a list that it
 * could have read, and is answered when that is finished.
 */
export function ownerFamily({ name, toolbox, orders, lists }: OwnerFamily): Protocol<OwnerActionValue> {
  const ended = (ctx: OwnerContext, { code, text }: { code: string; text: string }): Effects => ({
    record: { states: ['failed'], patch: { error_msg: text } },
    problem: isAnswered(ctx, name) ? { code, text } : undefined,
  });
  const ordering = (order: OwnerOrder): MessageStep<OwnerActionValue> => ({
    schema: order.schema,
    grant: name,
    from: [NEW],
    load: order.load,
    step(ctx, message) {
      const action: NonNullable<Effects['record']> = {
        connection: ctx.connection!.id,
        states: ['requested'],
        patch: { protocol: name, thread_id: message.thid, initiator: 'external', message_type: message.type, message_id: message.id },
      };
      try {
        const ordered = order.order(ctx, message);
        const key = `${ctx.connection!.id} ${message.id}`;
        const work = 'op' in ordered ? ordered : { op: 'owner/call', input: { ...ordered } as JsonObject };
        return { record: action, work: [{ ...work, input: { ...work.input, key }, result: message.name }] };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        const { record, problem } = ended(ctx, { code: error.code, text: error.message });
        return { record: { ...action, states: ['requested', 'failed'], patch: { ...action.patch, ...record!.patch } }, problem };
      }
    },
  });
  const listing = ({ schema, rows, reply, answer }: OwnerList): MessageStep<OwnerActionValue> => ({
    schema,
    grant: name,
    from: [NEW],
    repeatable: true,
    pages: (message) => ({ asked: rows(message) }),
    step(ctx, message) {
      const { rows: found, total } = ctx.pages.asked!;
      return { send: [{ type: typeOf(message.type, reply), body: { ...answer(ctx, found, message), total } }] };
    },
  });
  return defineProtocol<OwnerActionValue>({
    name,
    uris: [toolbox ? `${TOOLBOX_PREFIX}${name}/0.1` : `${OWN_PREFIX}${name}/1.0`],
    spellings: toolbox ? [`${OLD_PREFIX}${name}/0.1`] : [],
    binds: ownerAction,
    messages: {
      ...Object.fromEntries(Object.entries(orders).map(([message, order]) => [message, ordering(order)])),
      ...Object.fromEntries(Object.entries(lists).map(([message, list]) => [message, listing(list)])),
    },
    results: Object.fromEntries(
      Object.entries(orders).map(([message, { reply, answer, keeps }]) => [
        message,
        {
          from: ['requested'],
          step(ctx: OwnerContext, output: unknown): Effects {
            const body = answer(output as JsonObject);
            const result = Object.fromEntries(keeps.flatMap((member) => (body[member] === undefined ? [] : [[member, body[member]]])));
            const { message_type: asked, thread_id: thid } = ctx.record!.value;
            return {
              record: { states: ['done'], patch: { result: result as JsonObject } },
              send: isAnswered(ctx, name) ? [{ type: typeOf(asked, reply), thid, body }] : [],
            };
          },
        },
      ]),
    ),
    failed: (ctx, failure) => ended(ctx, failure),
  });
}
