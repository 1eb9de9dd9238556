import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import { LIMIT, OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type ReservationValue, reservation } from '../../records/reservation.ts';
import { listed } from '../operations.ts';
import type { Admin, AdminRoute } from '../route.ts';
import { createWallet } from './multitenancy.ts';

const Note = Type.Object({ note: Type.Optional(Type.String({ maxLength: 1000 })) });

/** @throws AppError `forbidden` where nobody may reserve */
async function mustBeOn({ kernel, base }: Admin): Promise<void> {
  if (!(await kernel.profiles.of(base)).settings.reservations)
    throw new AppError('forbidden', 'This agent takes no reservations: its operator makes wallets (see --reservations)');
}

async function reservationOf(admin: Admin, id: string): Promise<LoadedRecord<ReservationValue>> {
  const [rows] = await admin.kernel.db.store.load(admin.base, [{ category: reservation.category, id }]);
  if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${reservation.category}/${id}`);
  return reservation.of(rows[0]);
}

const command = (admin: Admin, name: string, id: string | undefined, body: JsonObject): Promise<JsonObject> =>
  admin.calls.call(admin.base, 'reservation', name, { record: id, input: { body, query: {} } });

/** Whether a password is the one that was given out. An unknown state and a wrong password are one error: who guesses learns nothing. */
function isPassword({ state, value }: LoadedRecord<ReservationValue>, given: string, now: number): boolean {
  const hash = createHash('sha256').update(given).digest();
  const expected = Buffer.from(value.password ?? '', 'hex');
  return state === 'approved' && expected.length === hash.length && timingSafeEqual(hash, expected) && (value.ends ?? 0) > now;
}

/** From a wish for a wallet to the wallet: anyone asks, the operator answers, and a one-time password makes the wallet. */
export const reservationRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /multitenancy/reservations',
    tag: 'reservations',
    summary: 'Ask for a wallet: no key is needed',
    auth: 'none',
    body: Type.Object({
      wallet_name: Type.String({ minLength: 1, maxLength: 200 }),
      contact: Type.Optional(Type.String({ maxLength: 320 })),
      reason: Type.Optional(Type.String({ maxLength: 2000 })),
    }),
    async handle(admin, { body }) {
      await mustBeOn(admin);
      const { reservation_id: id, state } = await command(admin, 'request', undefined, body);
      return { reservation_id: id!, state: state! };
    },
  },
  {
    route: 'GET /multitenancy/reservations/{reservation_id}',
    tag: 'reservations',
    summary: 'Whether a reservation was answered: no key is needed, the id is one',
    auth: 'none',
    async handle(admin, { params }) {
      await mustBeOn(admin);
      const { id, state, value } = await reservationOf(admin, params.reservation_id!);
      return { reservation_id: id, state: state!, ...(value.note === undefined ? {} : { note: value.note }) };
    },
  },
  {
    route: 'POST /multitenancy/reservations/{reservation_id}/check-in',
    tag: 'reservations',
    summary: 'Make the wallet of an approved reservation, by its one-time password',
    auth: 'none',
    body: Type.Object({ reservation_pwd: Type.String({ maxLength: 200 }) }),
    async handle(admin, { params, body }) {
      await mustBeOn(admin);
      const id = params.reservation_id!;
      const found = await reservationOf(admin, id);
      if (!isPassword(found, String(body.reservation_pwd), admin.kernel.now()))
        throw new AppError('unauthorized', 'The password is not that of an approved reservation');
      const { wallet_name: name } = found.value;
      // repeated after a crash it is the same wallet, with another token
      const made = await createWallet(admin, { wallet_name: name, label: name }, `reservation ${id}`);
      await command(admin, 'check-in', id, { wallet_id: made.wallet_id! });
      return made;
    },
  },
  {
    route: 'GET /multitenancy/reservations',
    tag: 'reservations',
    summary: 'List reservations',
    auth: 'admin',
    query: Type.Object({
      state: Type.Optional(Type.Union(reservation.states.map((state) => Type.Literal(state)))),
      limit: LIMIT,
      offset: OFFSET,
      cursor: Type.Optional(Type.String()),
    }),
    async handle(admin, { query }) {
      const page = await admin.kernel.db.store.find(admin.base, reservation.category, {
        state: query.state,
        limit: Number(query.limit ?? 100),
        offset: Number(query.offset ?? 0),
        cursor: query.cursor,
      });
      return listed(
        page.rows.map((row) => reservation.view(reservation.of(row))),
        page,
      );
    },
  },
  {
    route: 'POST /multitenancy/reservations/{reservation_id}/approve',
    tag: 'reservations',
    summary: 'Approve a reservation: the answer has its one-time password, which is shown once',
    auth: 'admin',
    body: Note,
    handle: (admin, { params, body }) => command(admin, 'approve', params.reservation_id!, body),
  },
  {
    route: 'POST /multitenancy/reservations/{reservation_id}/deny',
    tag: 'reservations',
    summary: 'Deny a reservation',
    auth: 'admin',
    body: Note,
    handle: (admin, { params, body }) => command(admin, 'deny', params.reservation_id!, body),
  },
];
