import { compact, defineRecord, isoTime } from '../kernel/record.ts';

/** A wish for a wallet, which the operator approves or denies; a record of the base wallet. */
export interface ReservationValue {
  [member: string]: unknown;
  wallet_name: string;
  contact?: string;
  reason?: string;
  /** The operator's answer in words. */
  note?: string;
  /** SHA-256 of the one-time password, in hex, and its end, ms since 1970. */
  password?: string;
  ends?: number;
  wallet_id?: string;
}

export const reservation = defineRecord<ReservationValue>({
  category: 'reservation',
  idField: 'reservation_id',
  label: 'Reservation',
  states: ['requested', 'approved', 'denied', 'checked-in'],
  view: ({ id, state, created, updated, value }) =>
    compact({
      reservation_id: id,
      state,
      created_at: isoTime(created),
      updated_at: isoTime(updated),
      wallet_name: value.wallet_name,
      contact: value.contact,
      reason: value.reason,
      note: value.note,
      expires_at: value.ends === undefined ? undefined : isoTime(value.ends),
      wallet_id: value.wallet_id,
    }),
  tags: () => ({}),
});
