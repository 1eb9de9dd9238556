import { AppError, asAppError } from '../../errors.ts';
import type { Effects, NextCommand, WorkOrder } from '../../kernel/effects.ts';
import { changed, command, defineProtocol, NEW } from '../../kernel/protocol.ts';
import { loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { WorkContext, WorkOps } from '../../kernel/work.ts';
import type { JsonObject } from '../../ports/json.ts';
import {
  type BatchRowValue,
  batchRow,
  batchRowId,
  CONNECTION_COLUMN,
  type CredentialBatchValue,
  credentialBatch,
  MAX_BATCH_ROWS,
} from '../../records/credential-batch.ts';

const ERASED_AT_ONCE = 500;
const HANDSHAKE = ['https://didcomm.org/didexchange/1.1'];

/** The outcome of a row. */
interface Outcome {
  readonly number: number;
  readonly cred_ex_id?: string;
  readonly link?: string;
  readonly error?: string;
}

const order = (batch: string, number: number): readonly WorkOrder[] => [
  { op: 'credential-batch/row', input: { batch, number }, result: 'row' },
];

/** By itself, so that the call that orders it does not wait for the rows. */
const BEGIN: readonly NextCommand[] = [{ command: 'begin', after: 0 }];

/**
 * Credentials from a table: a row is a call of issue-credential under the key of its batch and number, so that whatever ends in between, each row is offered once.
 * The rows of a batch go one after the other in the lane of their batch, so that a batch takes no more than one place of the workers.
 */
export const credentialBatches = defineProtocol<CredentialBatchValue>({
  name: 'credential-batch',
  uris: [],
  binds: credentialBatch,
  messages: {},
  commands: {
    create: command({
      body: Type.Object({
        name: Type.Optional(Type.String()),
        cred_def_id: Type.String(),
        comment: Type.Optional(Type.String()),
        columns: Type.Array(Type.String()),
        rows: Type.Array(Type.Array(Type.String()), { minItems: 1, maxItems: MAX_BATCH_ROWS }),
      }),
      from: [NEW],
      step(ctx, { body: { rows, ...body } }) {
        const id = ctx.newId();
        const patch: CredentialBatchValue = { ...body, total: rows.length, offered: 0, failed: 0, next: 0, busy: false };
        return {
          record: { id, states: ['running'], patch },
          others: rows.map((cells, number) =>
            changed<BatchRowValue>({
              ...{ def: batchRow, id: batchRowId(id, number), states: ['waiting'], silent: true },
              patch: { batch: id, number, cells },
            }),
          ),
          next: BEGIN,
          answer: credentialBatch.view({
            ...{ id, version: 1, state: 'running', created: ctx.now, updated: ctx.now, value: patch },
          }),
        };
      },
    }),
    begin: {
      from: ['running'],
      step(ctx) {
        const { id, value } = ctx.record!;
        return value.busy ? {} : { record: { patch: { busy: true } }, work: order(id, value.next) };
      },
    },
    pause: {
      route: 'POST /credential-batches/{batch_id}/pause',
      tag: 'credential-batch',
      summary: 'Pause a batch: the row in work comes to its end, and no other begins',
      from: ['running'],
      step: () => ({ record: { states: ['paused'] } }),
    },
    resume: {
      route: 'POST /credential-batches/{batch_id}/resume',
      tag: 'credential-batch',
      summary: 'Go on with a batch that was paused, where it stopped',
      from: ['paused'],
      step: () => ({ record: { states: ['running'], patch: { error_msg: undefined } }, next: BEGIN }),
    },
    cancel: {
      route: 'POST /credential-batches/{batch_id}/cancel',
      tag: 'credential-batch',
      summary: 'End a batch: rows that have not begun are not offered',
      from: ['running', 'paused'],
      step: () => ({ record: { states: ['cancelled'] } }),
    },
    erase: {
      route: 'DELETE /credential-batches/{batch_id}',
      tag: 'credential-batch',
      summary: 'Delete a batch and the values of its rows; the exchanges stay',
      from: ['paused', 'cancelled', 'done'],
      pages: (_input, batch) => ({ rows: { category: batchRow.category, query: { tags: { batch: batch! }, limit: ERASED_AT_ONCE } } }),
      step(ctx) {
        const { rows, total } = ctx.pages.rows!;
        const others = rows.map((row) => changed<BatchRowValue>({ def: batchRow, base: batchRow.of(row), remove: true, silent: true }));
        if (total <= rows.length) return { record: { remove: true }, others, answer: {} };
        return { record: { states: ['cancelled'], silent: true }, others, next: [{ command: 'erase' }], answer: {} };
      },
    },
  },
  results: {
    row: {
      from: ['running', 'paused', 'cancelled'],
      load: (output) => ({ row: { category: batchRow.category, id: batchRowId(String(output.batch), Number(output.number)) } }),
      step(ctx, output: Outcome): Effects {
        const { id, state, value } = ctx.record!;
        const row = ctx.loaded.row;
        // a result that comes again
        if (output.number !== value.next || row?.state !== 'waiting') return {};
        const { cred_ex_id, link, error } = output;
        const next = value.next + 1;
        const patch = {
          ...{ next, busy: state === 'running' && next < value.total },
          ...(error === undefined ? { offered: value.offered + 1 } : { failed: value.failed + 1 }),
        };
        const done = next >= value.total && state !== 'cancelled';
        return {
          record: { states: done ? ['done'] : undefined, patch },
          others: [
            changed<BatchRowValue>({
              ...{ def: batchRow, base: batchRow.of(loadedRecord(row)), silent: true },
              states: [error === undefined ? 'offered' : 'failed'],
              patch: { cred_ex_id, link, error },
            }),
          ],
          work: patch.busy ? order(id, next) : [],
        };
      },
    },
  },
  /** A row that could not be finished at all stops its batch: it begins with this row when it is resumed. */
  failed: (ctx, { text }) => ({
    record: { states: ctx.record?.state === 'running' ? ['paused'] : undefined, patch: { busy: false, error_msg: text } },
  }),
});

async function offer(
  ctx: WorkContext,
  batch: CredentialBatchValue,
  { cells }: BatchRowValue,
  key: string,
): Promise<Omit<Outcome, 'number'>> {
  const cellOf = (i: number): string => cells[i] ?? '';
  const named = batch.columns.map((name, i) => ({ name, value: cellOf(i) }));
  const connection = named.find(({ name }) => name === CONNECTION_COLUMN)?.value;
  const body: JsonObject = {
    ...{ auto_issue: true, auto_remove: false, filter: { anoncreds: { cred_def_id: batch.cred_def_id } } },
    ...(batch.comment === undefined ? {} : { comment: batch.comment }),
    credential_preview: {
      '@type': 'issue-credential/2.0/credential-preview',
      attributes: named.filter(({ name }) => name !== CONNECTION_COLUMN),
    },
  };
  const protocol = 'issue-credential-2.0';
  if (connection !== undefined) {
    const { cred_ex_id: id } = await ctx.call(protocol, 'send-free-offer', { body: { ...body, connection_id: connection } }, key);
    return { cred_ex_id: String(id) };
  }
  const { cred_ex_id: id } = await ctx.call(protocol, 'create-offer', { body }, key);
  const invitation = { handshake_protocols: HANDSHAKE, attachments: [{ id: String(id), type: 'credential-offer' }] };
  const made = await ctx.call('out-of-band', 'create-invitation', { body: invitation, query: { auto_accept: 'true' } }, `${key} link`);
  return { cred_ex_id: String(id), link: String(made.short_url ?? made.invitation_url) };
}

/** The work that batches order. */
export const batchWork: WorkOps = {
  async 'credential-batch/row'(ctx, { batch: id, number }: { batch: string; number: number }) {
    const [[batch] = [], [row] = []] = await ctx.store.load(ctx.tenant, [
      { category: credentialBatch.category, id },
      { category: batchRow.category, id: batchRowId(id, number) },
    ]);
    if (!batch || !row) throw new AppError('not-found', 'The batch, or its row, was deleted');
    try {
      const made = await offer(ctx, credentialBatch.of(batch).value, batchRow.of(row).value, `batch ${id} ${number}`);
      return { batch: id, number, ...made };
    } catch (thrown) {
      const error = asAppError(thrown);
      // what will pass is tried again; what will not is the end of this row, and of no other
      if (error.row.retry || error.row.status >= 500) throw thrown;
      return { batch: id, number, error: error.message.slice(0, 1000) };
    }
  },
};
