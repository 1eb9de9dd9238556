import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import { isoTime } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import { type ReservationValue, reservation } from '../records/reservation.ts';

/** How many wishes wait for the operator at a time: anyone may make them. */
const MAX_OPEN = 500;
const PASSWORD_MS = 48 * 3600_000;
const Note = Type.Object({ note: Type.Optional(Type.String({ maxLength: 1000 })) });

/** Wishes for wallets: from the wish over the operator's answer to the wallet. */
export const reservations = defineProtocol<ReservationValue>({
  name: 'reservation',
  uris: [],
  binds: reservation,
  messages: {},
  commands: {
    request: command({
      body: Type.Object({ wallet_name: Type.String(), contact: Type.Optional(Type.String()), reason: Type.Optional(Type.String()) }),
      from: [NEW],
      pages: () => ({ open: { category: reservation.category, query: { state: 'requested', limit: 1 } } }),
      step(ctx, { body: { wallet_name, contact, reason } }) {
        if ((ctx.pages.open?.total ?? 0) >= MAX_OPEN) throw new AppError('busy', 'Too many reservations wait for the operator already');
        return { record: { states: ['requested'], patch: { wallet_name, contact, reason } } };
      },
    }),
    approve: command({
      body: Note,
      from: ['requested', 'approved'],
      step(ctx, { body: { note } }) {
        // approved again, it has another password, and the one before is void
        const password = ctx.newToken();
        const ends = ctx.now + PASSWORD_MS;
        const hash = createHash('sha256').update(password).digest('hex');
        return {
          record: { states: ['approved'], patch: { note, password: hash, ends } },
          answer: { reservation_id: ctx.record!.id, state: 'approved', reservation_pwd: password, expires_at: isoTime(ends) },
        };
      },
    }),
    deny: command({
      body: Note,
      from: ['requested', 'approved'],
      step: (_ctx, { body: { note } }) => ({ record: { states: ['denied'], patch: { note, password: undefined, ends: undefined } } }),
    }),
    'check-in': command({
      body: Type.Object({ wallet_id: Type.String() }),
      from: ['approved'],
      step: (_ctx, { body }) => ({
        record: { states: ['checked-in'], patch: { wallet_id: body.wallet_id, password: undefined, ends: undefined } },
      }),
    }),
  },
});
