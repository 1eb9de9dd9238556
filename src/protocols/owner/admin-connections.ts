import { compact } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import { connection } from '../../records/connection.ts';
import { PAGE, pageOf } from './members.ts';
import { ownerFamily } from './owner-family.ts';

/** The toolbox's three states, by ours; every other one is pending. */
const STATES: Readonly<Record<string, string>> = { active: 'active', error: 'error' };

/** The toolbox's admin-connections 0.1, as far as it lists: owners issue to connections, by their ids. */
export const adminConnections = ownerFamily({
  name: 'admin-connections',
  toolbox: true,
  orders: {},
  lists: {
    'get-list': {
      schema: Type.Object({ ...PAGE, their_did: Type.Optional(Type.String({ maxLength: 500 })) }),
      rows: (message) => {
        const { their_did } = message.body;
        return {
          category: connection.category,
          query: { ...(their_did !== undefined && { tags: { their_did: their_did as string } }), ...pageOf(message) },
        };
      },
      reply: 'list',
      answer: (_ctx, rows) => ({
        connections: rows.map((row) => {
          const record = connection.of(row);
          const { their_label, alias, my_did, their_did } = record.value;
          return compact({
            ...{ connection_id: record.id, label: their_label ?? alias ?? '', my_did, their_did },
            ...{ state: STATES[record.state ?? ''] ?? 'pending', raw_repr: connection.view(record) },
          });
        }),
      }),
    },
  },
});
