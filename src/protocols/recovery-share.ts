import { OWN_PREFIX } from '../didcomm/message-types.ts';
import { AppError } from '../errors.ts';
import type { Effects } from '../kernel/effects.ts';
import { composeMessage } from '../kernel/message.ts';
import { mostOfConnection } from '../kernel/most-of-connection.ts';
import { command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import { type RecoveryShareValue, recoveryShare } from '../records/recovery-share.ts';

/** A share as docs/Backup.md has it. */
const Share = Type.String({ minLength: 20, maxLength: 400, pattern: '^[A-Za-z0-9._-]+$' });
const Label = Type.Optional(Type.String({ maxLength: 200 }));
const Explain = Type.Optional(Type.String({ maxLength: 500 }));
/** Shares that a trustee keeps for one connection, and requests of one that wait for its owner. */
const MAX_OF_ONE = 16;

const most = (role: string, state: string) =>
  mostOfConnection(
    MAX_OF_ONE,
    { category: recoveryShare.category, role, state },
    'This connection has as many shares or requests here as it may',
  );
const kept = most('trustee', 'kept');
const requested = most('guardian', 'requested');

/**
 * Shares of a recovery secret at trustees, encrypted to the connection as every message. A share goes back only by a command of the trustee's owner: the request comes
 * from a new wallet on a new connection, which proves no identity.
 */
export const recoveryShares = defineProtocol<RecoveryShareValue>({
  name: 'recovery-share',
  uris: [`${OWN_PREFIX}recovery-share/1.0`],
  roles: ['owner', 'trustee'],
  binds: recoveryShare,
  messages: {
    store: {
      schema: Type.Object({ share: Share, label: Label }),
      from: [NEW],
      pages: kept.pages,
      step(ctx, { thid, body: { share, label } }): Effects {
        const full = kept.full(ctx);
        if (full) return full;
        const value = { thread_id: thid, share: share as string, label: label as string | undefined };
        return {
          record: { role: 'trustee', connection: ctx.connection!.id, states: ['kept'], patch: value },
          send: [{ message: composeMessage(recoveryShares, { type: 'stored', id: ctx.newId(), thid, body: {} }) }],
        };
      },
    },
    stored: {
      schema: Type.Object({}),
      from: ['sent'],
      role: 'owner',
      step: () => ({ record: { states: ['stored'] } }),
    },
    'release-request': {
      schema: Type.Object({ label: Label }),
      from: [NEW],
      pages: requested.pages,
      step(ctx, { thid, body: { label } }): Effects {
        const full = requested.full(ctx);
        if (full) return full;
        const patch = { thread_id: thid, label: label as string | undefined };
        return { record: { role: 'guardian', connection: ctx.connection!.id, states: ['requested'], patch } };
      },
    },
    release: {
      schema: Type.Object({ share: Share }),
      from: ['requested'],
      role: 'claimant',
      step: (_ctx, { body: { share } }) => ({ record: { states: ['released'], patch: { share: share as string } } }),
    },
    decline: {
      schema: Type.Object({ explain: Explain }),
      from: ['requested'],
      role: 'claimant',
      step: (_ctx, { body: { explain } }) => ({ record: { states: ['declined'], patch: { explain: explain as string | undefined } } }),
    },
  },
  commands: {
    store: command({
      route: 'POST /recovery-shares/{conn_id}/store',
      tag: 'recovery',
      summary: 'Give a share of a recovery secret to the peer of a connection',
      body: Type.Object({ share: Share, label: Label }),
      from: [NEW],
      connection: 'conn_id',
      step(ctx, { body: { share, label } }): Effects {
        const [connection, id] = [ready(ctx), ctx.newId()];
        const body = { share, ...(label !== undefined && { label }) };
        return {
          // the share is not stored: a stolen device has none
          record: { role: 'owner', connection, states: ['sent'], patch: { thread_id: id, label } },
          send: [{ message: composeMessage(recoveryShares, { type: 'store', id, body }) }],
        };
      },
    }),
    'request-release': command({
      route: 'POST /recovery-shares/{conn_id}/request-release',
      tag: 'recovery',
      summary: 'Ask a trustee for a share that it keeps',
      body: Type.Object({ label: Label }),
      from: [NEW],
      connection: 'conn_id',
      step(ctx, { body: { label } }): Effects {
        const [connection, id] = [ready(ctx), ctx.newId()];
        const body = label === undefined ? {} : { label };
        return {
          record: { role: 'claimant', connection, states: ['requested'], patch: { thread_id: id, label } },
          send: [{ message: composeMessage(recoveryShares, { type: 'release-request', id, body }) }],
        };
      },
    }),
    release: command({
      route: 'POST /recovery-shares/{share_id}/release',
      tag: 'recovery',
      summary: 'Confirm a request: send the share that is named',
      body: Type.Object({ kept: Type.String({ minLength: 1, maxLength: 100 }) }),
      from: ['requested'],
      role: 'guardian',
      load: ({ body }) => ({ kept: { category: recoveryShare.category, id: body.kept } }),
      step(ctx, { body: { kept: id } }): Effects {
        const share = recoveryShare.of(ctx.loaded.kept);
        if (share?.role !== 'trustee') throw new AppError('not-found', `No share ${id} is kept here`);
        const { thread_id: thid } = ctx.record!.value;
        const body = { share: share.value.share! };
        return {
          record: { states: ['released'], patch: { released: id } },
          send: [{ message: composeMessage(recoveryShares, { type: 'release', id: ctx.newId(), thid, body }) }],
        };
      },
    }),
    decline: command({
      route: 'POST /recovery-shares/{share_id}/decline',
      tag: 'recovery',
      summary: 'Refuse a request for a share',
      body: Type.Object({ explain: Explain }),
      from: ['requested'],
      role: 'guardian',
      step(ctx, { body: { explain } }): Effects {
        const { thread_id: thid } = ctx.record!.value;
        const body = explain === undefined ? {} : { explain };
        return {
          record: { states: ['declined'], patch: { explain } },
          send: [{ message: composeMessage(recoveryShares, { type: 'decline', id: ctx.newId(), thid, body }) }],
        };
      },
    }),
  },
});

function ready(ctx: StepContext): string {
  const { state, id } = ctx.connection!;
  if (state !== 'active' && state !== 'response') throw new AppError('forbidden', `Connection ${id} is not ready`);
  return id;
}
