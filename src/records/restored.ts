import { defineRecord } from '../kernel/record.ts';

/** A wallet that came out of a backup, in its instance: its mediators and peers do not know yet that it is back. Its id is the wallet's. */
export const restored = defineRecord({
  category: 'restored',
  idField: 'id',
  states: ['imported'],
  view: () => ({}),
  tags: () => ({}),
});
