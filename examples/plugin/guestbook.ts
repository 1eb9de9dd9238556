import { type CommandInput, compact, definePlugin, defineProtocol, defineRecord, NEW, Type, viewHead } from '../../src/kernel/plugin.ts';

/**
 * A plug-in in one file: guests sign the book of an agent that they are connected to, and are thanked.
 * `./flexid start --plugin examples/plugin/guestbook.ts ...` on both sides.
 */

interface Entry {
  [member: string]: unknown;
  text: string;
  thread_id: string;
  /** Told by the host, with its thanks. */
  words?: number;
}

const entry = defineRecord<Entry>({
  category: 'guestbook_entry',
  idField: 'entry_id',
  label: 'Guestbook entry',
  topic: 'guestbook',
  states: ['sent', 'received', 'thanked', 'deleted'],
  view: (record) =>
    compact({ ...viewHead(record), entry_id: record.id, connection_id: record.connection, role: record.role, ...record.value }),
  tags: ({ thread_id }) => ({ thread: thread_id, thread_id }),
  admin: {
    list: '/guestbook/entries',
    one: '/guestbook/entries/{entry_id}',
    tag: 'guestbook',
    remove: true,
    filters: { thread_id: 'thread_id' },
  },
});

const guestbook = defineProtocol<Entry>({
  name: 'guestbook-1.0',
  uris: ['https://example.org/guestbook/1.0'],
  binds: entry,
  messages: {
    entry: {
      schema: Type.Object({ text: Type.String({ minLength: 1, maxLength: 1000 }) }),
      from: [NEW],
      role: 'host',
      step: (ctx, message) => ({
        record: {
          role: 'host',
          connection: ctx.connection?.id,
          states: ['received'],
          patch: { text: message.body.text as string, thread_id: message.thid },
        },
        // a step waits for nothing: what takes time is work, and its result is a step again
        work: [{ op: 'guestbook/count', input: { text: message.body.text! }, result: 'counted' }],
      }),
    },
    thanks: {
      schema: Type.Object({ words: Type.Integer({ minimum: 0 }) }),
      from: ['sent'],
      role: 'guest',
      step: (_ctx, message) => ({ record: { states: ['thanked'], patch: { words: message.body.words as number } } }),
    },
  },
  results: {
    counted: {
      from: ['received'],
      step: (_ctx, words: number) => ({ record: { states: ['thanked'], patch: { words } }, send: [{ type: 'thanks', body: { words } }] }),
    },
  },
  commands: {
    sign: {
      route: 'POST /guestbook/entries',
      tag: 'guestbook',
      summary: 'Sign the guestbook of a connection',
      body: Type.Object({ connection_id: Type.String(), text: Type.String({ minLength: 1, maxLength: 1000 }) }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }: CommandInput<{ text: string }>) {
        const id = ctx.newId();
        return {
          record: { role: 'guest', connection: ctx.connection?.id, states: ['sent'], patch: { text: body.text, thread_id: id } },
          send: [{ type: 'entry', id, body: { text: body.text } }],
        };
      },
    },
  },
});

export default definePlugin({
  name: 'guestbook',
  protocols: [guestbook],
  work: {
    'guestbook/count': async (_ctx, { text }: { text: string }) => text.split(/\s+/).filter(Boolean).length,
  },
  routes: [
    {
      route: 'GET /guestbook/summary',
      tag: 'guestbook',
      summary: 'How many guests have signed',
      async handle({ store }, { tenant }) {
        const { total } = await store.find(tenant, entry.category, { role: 'host', limit: 1 });
        return { entries: total };
      },
    },
  ],
});
