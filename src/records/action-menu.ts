import { defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** The menu that a peer shows us; one for each connection, as ACA-Py keeps it. Its webhooks are the protocol's. */
export interface ActionMenuValue {
  [member: string]: unknown;
  connection_id: string;
  menu: JsonObject;
}

export const actionMenuRecord = defineRecord<ActionMenuValue>({
  category: 'action-menu',
  idField: 'connection_id',
  states: ['active'],
  view: ({ value }) => ({ result: value.menu }),
  tags: (value) => ({ connection_id: value.connection_id }),
});
