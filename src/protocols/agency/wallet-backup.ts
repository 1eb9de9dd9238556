import type { TSchema } from 'typebox';
import type { Effects } from '../../kernel/effects.ts';
import { keysInUse } from '../../kernel/identity.ts';
import { problemText } from '../../kernel/message.ts';
import {
  type CommandInput,
  command,
  defineProtocol,
  type Incoming,
  type Load,
  NEW,
  type Pages,
  type StepContext,
} from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import { type BackupTransferValue, backupTransfer } from '../../records/backup-transfer.ts';
import { cloudAgent } from '../../records/cloud-agent.ts';
import { type ConnectionValue, readyConnection } from '../../records/connection.ts';
import { BACKUP_URI, Controller, Data, Described, Get, isProven, List, Open, Put, statement } from './backup-parts.ts';
import { answered, forgotten, listed, opened, partAsked, partKept, partPut, partRead, transferFailed } from './backup-steps.ts';

/** The time for which a request and its answer are there. */
const FORGET_MS = 600_000;
/** Cloud agents in which one wallet has backups, at most. */
const STORES = 100;

const cloudOf = (_message: unknown, connection: string | undefined): Record<string, Load> => ({
  cloud: { category: cloudAgent.category, tag: 'device', equals: connection ?? '' },
});
/** All backups under the words of a message. Nothing is looked up before its signature holds, so that no answer and no delay shows what is there. */
const provenStores = (message: Incoming): Pages =>
  isProven(message)
    ? { stores: { category: cloudAgent.category, query: { tags: { backup: message.body.controller as string }, limit: STORES } } }
    : {};
const ofOwner = { from: ['asked'], role: 'owner' };
const cloudNamed = (id: unknown): Record<string, Load> => ({ cloud: { category: cloudAgent.category, id: String(id) } });

/** A command that sends the message of its name; its answer is in the record. */
const asking = (type: string, answer: string, summary: string, body: TSchema) =>
  command({
    route: `POST /wallet-backups/{conn_id}/${type}`,
    tag: 'recovery',
    summary,
    body,
    from: [NEW],
    connection: 'conn_id',
    waitWhile: ['asked'],
    timeoutMs: 60_000,
    step(ctx: StepContext<BackupTransferValue>, { body: given }: CommandInput): Effects {
      const connection = readyConnection(ctx.connection);
      const id = ctx.newId();
      return {
        record: { role: 'owner', connection, states: ['asked'], patch: { thread_id: id, asked: answer } },
        send: [{ type, id, body: given as object as Record<string, unknown> }],
        next: [{ command: 'forget', after: FORGET_MS }],
      };
    },
  });

/**
 * Backups of wallets at an agency. A device of a cloud agent adds them, part by part, and reads none. Whoever has the words of a backup gets it on any connection, by a
 * signature of the connection's keys.
 */
export const walletBackups = defineProtocol<BackupTransferValue>({
  name: 'wallet-backup',
  uris: [BACKUP_URI],
  roles: ['agency', 'owner'],
  binds: backupTransfer,
  messages: {
    open: { schema: Open, from: [NEW], load: cloudOf, step: opened },
    put: { schema: Put, from: [NEW], load: cloudOf, step: partPut },
    list: { schema: List, from: [NEW], load: cloudOf, pages: provenStores, step: listed },
    get: { schema: Get, from: [NEW], pages: provenStores, step: partAsked },
    opened: {
      schema: Type.Object({ quota: Type.Optional(Type.Object({ bytes: Type.Number(), generations: Type.Number() })) }),
      ...ofOwner,
      step: answered('opened'),
    },
    stored: {
      schema: Type.Object({ generation: Type.Integer(), part: Type.Integer(), complete: Type.Optional(Type.Boolean()) }),
      ...ofOwner,
      step: answered('stored'),
    },
    backups: {
      schema: Type.Object({
        backups: Type.Array(Type.Object({ ...Described.properties, stored: Type.Optional(Type.String({ maxLength: 50 })) }), {
          maxItems: 10_000,
        }),
      }),
      ...ofOwner,
      step: answered('backups'),
    },
    part: { schema: Type.Object({ data: Data }), ...ofOwner, step: answered('part') },
  },
  problem: {
    schema: {},
    ...ofOwner,
    step: (_ctx, message) => ({ record: { states: ['refused'], patch: { error_msg: problemText(message) } } }),
  },
  commands: {
    open: asking('open', 'opened', 'Let the devices of the own cloud agent add backups for words', Open),
    put: asking('put', 'stored', 'Add a part of a backup', Put),
    list: asking('list', 'backups', 'List the backups of a wallet', List),
    get: asking('get', 'part', 'Get a part of a backup, by a signature with the key of its words', Get),
    statement: command({
      route: 'POST /wallet-backups/{conn_id}/statement',
      tag: 'recovery',
      summary: 'The text that the key of the words signs for this connection',
      body: Type.Object({ controller: Controller }),
      from: [NEW],
      connection: 'conn_id',
      step(ctx, { body }) {
        readyConnection(ctx.connection);
        const { my_verkey = '', ...peer } = ctx.connection!.value as Readonly<ConnectionValue>;
        return { answer: { statement: statement(body.controller, my_verkey, keysInUse(peer)[0] ?? '') } };
      },
    }),
    forget: command({
      body: Type.Object({}),
      from: ['asked', 'answered', 'refused'],
      step: () => ({ record: { remove: true } }),
    }),
    'forget-backups': command({
      body: Type.Object({ cloud: Type.String() }),
      from: [NEW],
      load: ({ body }) => cloudNamed(body.cloud),
      step: forgotten,
    }),
  },
  results: {
    kept: { from: ['storing'], load: (output) => cloudNamed(output.cloud), step: partKept },
    read: { from: ['reading'], step: partRead },
    cleared: {
      from: ['storing', 'clearing'],
      step: (ctx) => (ctx.record!.state === 'clearing' ? { record: { remove: true } } : {}),
    },
  },
  failed: transferFailed,
});
