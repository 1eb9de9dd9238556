import {
  type CommandInput,
  compact,
  definePlugin,
  defineProtocol,
  defineRecord,
  type Effects,
  NEW,
  Type,
  viewHead,
} from '../../src/kernel/plugin.ts';

/**
 * A plug-in in one file: guests sign the book of an agent that they are connected to, and are thanked, whichever protocol the connection is of: DIDComm, or the 2018
 * Agent Protocol. `./flexid start --plugin examples/plugin/guestbook.ts ...` on both sides.
 */

const URI = 'https://example.org/guestbook/1.0';
const Text = Type.String({ minLength: 1, maxLength: 1000 });
const Words = Type.Integer({ minimum: 0 });

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

/** A new entry at the host. A step waits for nothing: what takes time is work, and its result is a step again. */
const received = (connection: string | undefined, text: string, thread_id: string): Effects => ({
  record: { role: 'host', connection, states: ['received'], patch: { text, thread_id } },
  work: [{ op: 'guestbook/count', input: { text }, result: 'counted' }],
});
const thanked = (words: number) => ({ states: ['thanked'], patch: { words } });

const guestbook = defineProtocol<Entry>({
  name: 'guestbook-1.0',
  uris: [URI],
  binds: entry,
  messages: {
    entry: {
      schema: Type.Object({ text: Text }),
      from: [NEW],
      role: 'host',
      step: (ctx, { body, thid }) => received(ctx.connection?.id, body.text as string, thid),
    },
    thanks: {
      schema: Type.Object({ words: Words }),
      from: ['sent'],
      role: 'guest',
      step: (_ctx, { body }) => ({ record: thanked(body.words as number) }),
    },
  },
  results: {
    counted: {
      from: ['received'],
      step: (_ctx, words: number) => ({ record: thanked(words), send: [{ type: 'thanks', body: { words } }] }),
    },
  },
  commands: {
    sign: {
      route: 'POST /guestbook/entries',
      tag: 'guestbook',
      summary: 'Sign the guestbook of a connection',
      body: Type.Object({ connection_id: Type.String(), text: Text }),
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

/**
 * The same on a connection of the 2018 Agent Protocol, where a message names its connection and no thread: so the entry's id is among its content. The controller's
 * command is that of the other protocol, whose message is translated.
 */
const guestbook2018 = defineProtocol<Entry>({
  name: 'guestbook-2018',
  uris: ['urn:indy:sov:agent:message_type:example.org/guestbook/1.0'],
  binds: entry,
  translate: { [`${URI}/entry`]: (message) => ({ type: 'entry', body: { entry: message['@id']!, text: message.text! } }) },
  messages: {
    entry: {
      schema: Type.Object({ entry: Type.String({ minLength: 1, maxLength: 64 }), text: Text }),
      from: [NEW],
      role: 'host',
      step: (ctx, { body }) => received(ctx.connection?.id, body.text as string, body.entry as string),
    },
    thanks: {
      schema: Type.Object({ entry: Type.String({ minLength: 1, maxLength: 64 }), words: Words }),
      from: ['sent'],
      role: 'guest',
      about: ({ body }) => ({ category: entry.category, tag: 'thread_id', equals: String(body.entry) }),
      step: (_ctx, { body }) => ({ record: thanked(body.words as number) }),
    },
  },
  results: {
    counted: {
      from: ['received'],
      step: (ctx, words: number) => ({
        record: thanked(words),
        send: [{ type: 'thanks', body: { entry: ctx.record!.value.thread_id, words } }],
      }),
    },
  },
});

export default definePlugin({
  name: 'guestbook',
  protocols: [guestbook, guestbook2018],
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
