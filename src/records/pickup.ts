import { defineRecord } from '../kernel/record.ts';

/** How far a peer has come that fetches its mail by messagepickup 1.0, which has no message to confirm it. Its id is the connection's. */
export interface PickupValue {
  [member: string]: unknown;
  /** The last request, and what was in its answer. */
  request: string;
  ids: readonly string[];
  /** The socket that the answer went on. */
  socket?: string;
}

export const pickup = defineRecord<PickupValue>({
  category: 'pickup',
  idField: 'id',
  states: [],
  view: ({ value }) => ({ ids: [...value.ids] }),
  tags: () => ({}),
});
