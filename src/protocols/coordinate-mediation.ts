import Type from 'typebox';
import { didKeyToVerkey, looksLikeVerkey, verkeyToDidKey } from '../didcomm/encoding.ts';
import { routingReference } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import { EndpointUrl } from '../kernel/addresses.ts';
import { MEDIATION, mediatedRoute, mediationId } from '../kernel/mediated.ts';
import { composeMessage } from '../kernel/message.ts';
import { type Change, defineProtocol, type Effects, NEW, type OwnRoute, type StepContext } from '../kernel/protocol.ts';
import { type Exchange, toExchange } from '../kernel/record.ts';
import { OFFSET } from '../kernel/schema.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Lookup } from '../ports/store.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';
import { type KeylistValue, keylist } from '../records/keylist.ts';
import { defaultMediation, type MediationValue, mediation, mediationLookup, ONLY, ownService, routingKey } from '../records/mediation.ts';

const URIS = ['https://didcomm.org/coordinate-mediation/1.0'];
/** How many updates of one message are carried out, and keys told in one answer. */
const MAX_UPDATES = 1000;
const MAX_LISTED = 1000;
/** How many keys may be forwarded for one connection, unless the configuration says otherwise. */
const MAX_KEYS = 10_000;
/** How many keys go in one commit, where all of a connection go. */
const PURGED = 500;
/** A mediator that has not answered an update for so long is told again. */
const AGAIN_MS = 60_000;

const Key = Type.String({ maxLength: 300 });
const Terms = Type.Optional(Type.Array(Type.String({ maxLength: 1000 }), { maxItems: 100 }));
const Action = Type.Union([Type.Literal('add'), Type.Literal('remove')]);
const Count = Type.Integer({ minimum: -1, maximum: 1_000_000_000 });

type Ctx = StepContext<MediationValue>;

interface Update {
  readonly recipient_key: string;
  readonly action: string;
}

/** A key of ours that a mediator is to know, and what it serves. */
interface Registered {
  readonly verkey: string;
  readonly connection?: string;
  readonly wallet?: string;
}

/** RFC 0211: mail for keys that are registered goes to whoever registered them. The mediator's side is `server`, the recipient's `client`, as in ACA-Py. */
export const coordinateMediation = defineProtocol<MediationValue>({
  name: 'coordinate-mediation',
  uris: URIS,
  roles: ['mediator', 'recipient'],
  binds: mediation,
  messages: {
    // asked again it is answered again: an answer may have been lost
    'mediate-request': {
      schema: Type.Object({ mediator_terms: Terms, recipient_terms: Terms }),
      from: [NEW, 'request', 'granted', 'denied'],
      role: 'server',
      about: (_message, connection) => of('server', connection),
      step(ctx, message) {
        const peer = ctx.connection!;
        const { thid: thread_id } = message;
        if (ctx.record?.state === 'granted')
          return { record: { patch: { thread_id } }, send: [granting(ctx, ctx.record.value.routing_key!)] };
        const id = mediationId('server', peer.id);
        const value: MediationValue = {
          connection_id: peer.id,
          role: 'server',
          thread_id,
          mediator_terms: message.body.mediator_terms as string[] | undefined,
          recipient_terms: message.body.recipient_terms as string[] | undefined,
        };
        return {
          record: {
            id,
            role: 'server',
            connection: peer.id,
            states: ctx.record?.state === 'request' ? undefined : ['request'],
            patch: value,
          },
          others: bound(ctx, 'server'),
          next: ctx.settings.openMediation ? [{ command: 'grant' }] : [],
        };
      },
    },
    'keylist-update': {
      schema: Type.Object({
        updates: Type.Array(Type.Object({ recipient_key: Key, action: Type.String({ maxLength: 50 }) }), { maxItems: 10_000 }),
      }),
      from: ['granted'],
      role: 'server',
      about: (_message, connection) => of('server', connection),
      load: (message) => keyLookups(message.body.updates, 'server'),
      pages: (_message, connection) => ({ keys: { category: keylist.category, query: { connection, role: 'server', limit: 1 } } }),
      step: (ctx, message) => updated(ctx, message.body.updates as unknown as Update[]),
    },
    'keylist-query': {
      schema: Type.Object({
        filter: Type.Optional(Type.Union([Type.Object({}), Type.Null()])),
        paginate: Type.Optional(
          Type.Union([
            Type.Object({
              limit: Type.Optional(Type.Union([Count, Type.Null()])),
              offset: Type.Optional(Type.Union([Count, Type.Null()])),
            }),
            Type.Null(),
          ]),
        ),
      }),
      from: ['granted'],
      role: 'server',
      about: (_message, connection) => of('server', connection),
      pages(message, connection) {
        const { limit, offset } = window(message.body.paginate);
        return { keys: { category: keylist.category, query: { connection, role: 'server', limit: limit ?? MAX_LISTED, offset } } };
      },
      step(ctx, message) {
        const { limit, offset } = window(message.body.paginate);
        const { rows, total } = ctx.pages.keys!;
        const remaining = Math.max(0, total - offset - rows.length);
        // ACA-Py cannot read what it has not asked for
        const told = limit !== undefined || offset > 0 || remaining > 0;
        return {
          send: [
            {
              type: 'keylist',
              body: {
                keys: rows.map(({ value }) => ({ recipient_key: verkeyToDidKey(String(value.verkey)) })),
                pagination: told ? { count: rows.length, offset, remaining } : undefined,
              },
            },
          ],
        };
      },
    },
    'mediate-grant': {
      schema: Type.Object({
        endpoint: EndpointUrl,
        routing_keys: Type.Array(Key, { minItems: 1, maxItems: 20 }),
      }),
      from: ['request', 'granted', 'denied'],
      role: 'client',
      about: (_message, connection) => of('client', connection),
      step(ctx, { body }) {
        const keys = (body.routing_keys as string[]).map((key) => {
          const verkey = verkeyOf(key);
          if (!verkey) throw new AppError('message-invalid', 'a routing key is no key');
          return verkey;
        });
        return {
          record: {
            states: ctx.record!.state === 'granted' ? undefined : ['granted'],
            patch: { endpoint: body.endpoint as string, routing_keys: keys.map(routingReference), routing_verkeys: keys },
          },
          forget: [ctx.tenant],
        };
      },
    },
    'mediate-deny': {
      schema: Type.Object({}),
      from: ['request', 'granted'],
      role: 'client',
      about: (_message, connection) => of('client', connection),
      step: (ctx) => ({ record: { states: ['denied'] }, forget: [ctx.tenant] }),
    },
    'keylist-update-response': {
      schema: Type.Object({
        updated: Type.Array(
          Type.Object({ recipient_key: Key, action: Type.String({ maxLength: 50 }), result: Type.String({ maxLength: 50 }) }),
          {
            maxItems: 10_000,
          },
        ),
      }),
      from: ['granted'],
      role: 'client',
      about: (_message, connection) => of('client', connection),
      load: (message) => ({ ...keyLookups(message.body.updated, 'client'), ...invitedLookups(message.body.updated) }),
      step: (ctx, message) => answered(ctx, message.body.updated as unknown as Answered[], message.thid),
    },
    keylist: {
      schema: Type.Object({ keys: Type.Array(Type.Object({ recipient_key: Key }), { maxItems: 10_000 }) }),
      from: ['granted'],
      role: 'client',
      about: (_message, connection) => of('client', connection),
      step: () => ({}),
    },
  },
  commands: {
    request: {
      route: 'POST /mediation/request/{conn_id}',
      tag: 'mediation',
      summary: 'Request mediation from connection',
      status: 201,
      body: Type.Object({}),
      from: [NEW],
      connection: 'conn_id',
      load: (_input, _record, connection): Record<string, Lookup> => (connection ? { known: of('client', connection)! } : {}),
      step(ctx) {
        const peer = ctx.connection!;
        if (!['active', 'response'].includes(peer.state ?? '')) throw new AppError('bad-request', 'requested connection is not ready');
        if (ctx.loaded.known) throw new AppError('bad-request', `MediationRecord already exists for connection ${peer.id}`);
        const id = ctx.newId();
        return {
          record: {
            id: mediationId('client', peer.id),
            role: 'client',
            connection: peer.id,
            states: ['request'],
            patch: { connection_id: peer.id, role: 'client', thread_id: id },
          },
          others: bound(ctx, 'client'),
          send: [{ type: 'mediate-request', id, thid: id }],
        };
      },
    },
    grant: {
      route: 'POST /mediation/requests/{mediation_id}/grant',
      tag: 'mediation',
      summary: 'Grant received mediation',
      status: 201,
      from: ['request', 'granted', 'denied'],
      role: 'server',
      load: () => ({ routing: { category: routingKey.category, id: ONLY } }),
      step(ctx) {
        const row = ctx.loaded.routing;
        const fresh = row ? undefined : ctx.newKey();
        const verkey = fresh?.verkey ?? String(row!.value.verkey);
        return {
          record: { states: ctx.record!.state === 'granted' ? undefined : ['granted'], patch: { routing_key: verkey } },
          ...(fresh && {
            others: [{ def: routingKey as never, id: ONLY, patch: { verkey } }],
            keys: [fresh.write],
            routes: [{ kid: verkey, kind: MEDIATION, target: ONLY }],
          }),
          send: [granting(ctx, verkey)],
        };
      },
    },
    deny: {
      route: 'POST /mediation/requests/{mediation_id}/deny',
      tag: 'mediation',
      summary: 'Deny a stored mediation request',
      status: 201,
      body: Type.Object({}),
      from: ['request', 'granted', 'denied'],
      role: 'server',
      step: (ctx) => ({
        record: { states: ctx.record!.state === 'denied' ? undefined : ['denied'] },
        send: [{ type: 'mediate-deny' }],
        // what was granted is over
        next: [purging(ctx)],
      }),
    },
    remove: {
      route: 'DELETE /mediation/requests/{mediation_id}',
      tag: 'mediation',
      summary: 'Delete mediation request by ID',
      from: ['request', 'granted', 'denied'],
      step: (ctx) => ({ record: { remove: true }, next: [purging(ctx)], forget: [ctx.tenant], answer: mediation.view(ctx.record!) }),
    },
    // the keys of a mediation that is over, some at a time; with its connection the mediation itself goes too
    purge: {
      from: [NEW, 'request', 'granted', 'denied'],
      pages: ({ body }) => ({
        keys: { category: keylist.category, query: { connection: body.connection, role: body.role, limit: PURGED } },
      }),
      step(ctx, { body }) {
        const { rows, total } = ctx.pages.keys!;
        const before = (body.before as number | undefined) ?? ctx.now;
        const gone = rows.filter(({ created }) => created <= before);
        const over = body.before === undefined && ctx.record !== undefined;
        return {
          ...(over && { record: { remove: true }, forget: [ctx.tenant] }),
          others: gone.map((row) => ({ def: keylist as never, base: toExchange(row), remove: true })),
          unroutes: body.role === 'server' ? gone.map(({ value }) => mediatedRoute(ctx.tenant, String(value.verkey))) : [],
          next:
            gone.length > 0 && total > gone.length
              ? [
                  {
                    command: 'purge',
                    record: { category: mediation.category, id: mediationId(body.role, body.connection) },
                    input: { ...body, before },
                  },
                ]
              : [],
        };
      },
    },
    'update-keylist': {
      route: 'POST /mediation/keylists/{mediation_id}/send-keylist-update',
      tag: 'mediation',
      summary: 'Send keylist update to mediator',
      status: 201,
      body: Type.Object({
        updates: Type.Optional(Type.Array(Type.Object({ recipient_key: Key, action: Action }), { maxItems: MAX_UPDATES })),
      }),
      from: ['granted'],
      role: 'client',
      step(ctx, { body }) {
        const given = (body.updates ?? []) as Update[];
        if (given.length === 0) throw new AppError('bad-request', 'Updates cannot be empty.');
        const updates = given.map(({ recipient_key, action }) => {
          const verkey = verkeyOf(recipient_key);
          if (!verkey) throw new AppError('unprocessable', `recipient_key: ${recipient_key.slice(0, 100)} is no key`);
          return { recipient_key: verkeyToDidKey(verkey), action };
        });
        const message = updating(ctx.newId(), updates);
        return { send: [{ message }], answer: message };
      },
    },
    'query-keylist': {
      route: 'POST /mediation/keylists/{mediation_id}/send-keylist-query',
      tag: 'mediation',
      summary: 'Send keylist query to mediator',
      status: 201,
      body: Type.Object({ filter: Type.Optional(Type.Union([Type.Object({}), Type.Null()])) }),
      query: Type.Object({
        paginate_limit: Type.Optional(Type.Integer({ minimum: -1, maximum: 999_999_999 })),
        paginate_offset: OFFSET,
      }),
      from: ['granted'],
      role: 'client',
      step(ctx, { body, query }) {
        const paginate = { limit: Number(query.paginate_limit ?? -1), offset: Number(query.paginate_offset ?? 0) };
        const message = composeMessage(
          { uris: URIS },
          { type: 'keylist-query', id: ctx.newId(), body: { filter: body.filter ?? undefined, paginate } },
        );
        return { send: [{ message }], answer: message };
      },
    },
    'route-connection': {
      route: 'POST /mediation/update-keylist/{conn_id}',
      tag: 'mediation',
      summary: 'Update keylist for a connection',
      body: Type.Object({ mediation_id: Type.Optional(Type.String()) }),
      from: [NEW],
      connection: 'conn_id',
      load: ({ body }) => mediationLookup(body.mediation_id),
      step(ctx, { body }) {
        const { value, id, state } = ctx.connection as Exchange<ConnectionValue>;
        const { mediation: through } = ownService(ctx, { mediation_id: body.mediation_id });
        const verkey = value.my_verkey ?? (state === 'invitation' && ctx.connection!.role === 'invitee' ? value.invitation_key : undefined);
        // a mediation of the base wallet is told of keys when they are made
        if (!through || through.tenant !== ctx.tenant || !verkey) return { answer: {} };
        const message = updating(ctx.newId(), [{ recipient_key: verkeyToDidKey(verkey), action: 'add' }]);
        return {
          next: [
            {
              command: 'register',
              record: { category: mediation.category, id: through.id },
              input: { keys: [{ verkey, connection: id }], id: message['@id']! },
            },
          ],
          answer: message,
        };
      },
    },
    default: {
      route: 'GET /mediation/default-mediator',
      tag: 'mediation',
      summary: 'Get default mediator',
      from: [NEW],
      load: () => ({ current: defaultMediation }),
      step: (ctx) => ({ answer: currentView(ctx) }),
    },
    'set-default': {
      route: 'PUT /mediation/{mediation_id}/default-mediator',
      tag: 'mediation',
      summary: 'Set default mediator',
      status: 201,
      from: [NEW, 'request', 'granted'],
      role: 'client',
      load: () => ({ current: defaultMediation }),
      step(ctx) {
        // ACA-Py answers 400 here, where its other calls say 404
        if (!ctx.record) throw new AppError('bad-request', 'Record not found: there is no such mediation');
        return {
          record: { patch: { is_default: true } },
          others: ctx.loaded.current?.id === ctx.record.id ? [] : undefaulted(ctx),
          forget: [ctx.tenant],
        };
      },
    },
    // what --mediator-invitation does once: a default that a controller has changed since stays as it is
    adopt: {
      from: ['granted'],
      role: 'client',
      load: () => ({ current: defaultMediation }),
      step: (ctx) =>
        ctx.record!.value.adopted
          ? {}
          : {
              record: { patch: { is_default: true, adopted: true } },
              others: ctx.loaded.current?.id === ctx.record!.id ? [] : undefaulted(ctx),
              forget: [ctx.tenant],
            },
    },
    'clear-default': {
      route: 'DELETE /mediation/default-mediator',
      tag: 'mediation',
      summary: 'Clear default mediator',
      status: 201,
      from: [NEW],
      load: () => ({ current: defaultMediation }),
      step: (ctx) => ({ others: undefaulted(ctx), forget: [ctx.tenant], answer: currentView(ctx) }),
    },
    // tells the mediator of keys, unless it knows them, or was told a moment ago
    register: {
      from: ['granted'],
      role: 'client',
      load: ({ body }) =>
        Object.fromEntries(
          (body.keys as Registered[]).map(({ verkey }) => [`key ${verkey}`, { category: keylist.category, tag: 'client', equals: verkey }]),
        ),
      step(ctx, { body }) {
        const id = (body.id as string | undefined) ?? ctx.newId();
        const peer = ctx.record!.connection!;
        const told: string[] = [];
        const others: Change<KeylistValue>[] = [];
        for (const { verkey, connection: target, wallet } of body.keys as Registered[]) {
          const row = ctx.loaded[`key ${verkey}`];
          const base = row?.connection === peer ? toExchange<KeylistValue>(row) : undefined;
          if (base?.value.confirmed || (base?.value.thread_id && !base.value.refused && ctx.now - base.updated < AGAIN_MS)) continue;
          told.push(verkey);
          const patch: KeylistValue = {
            connection_id: peer,
            recipient_key: verkeyToDidKey(verkey),
            role: 'client',
            verkey,
            wallet_id: wallet,
            target,
            confirmed: false,
            thread_id: id,
            refused: undefined,
          };
          others.push({ def: keylist, base, role: 'client', connection: peer, patch });
        }
        if (told.length === 0) return {};
        const updates = told.map((verkey) => ({ recipient_key: verkeyToDidKey(verkey), action: 'add' }));
        return { others: others as Change[], send: [{ message: updating(id, updates) }] };
      },
    },
    // keys that nobody writes to any more
    unregister: {
      from: ['granted'],
      role: 'client',
      step: (ctx, { body }) => ({
        send: [
          {
            message: updating(
              ctx.newId(),
              (body.keys as string[]).map((verkey) => ({ recipient_key: verkeyToDidKey(verkey), action: 'remove' })),
            ),
          },
        ],
      }),
    },
  },
});

/** The mediation of a connection, in a role. */
const of = (role: 'server' | 'client', connection: string | undefined): Lookup | undefined =>
  connection === undefined ? undefined : { category: mediation.category, tag: role, equals: connection };

/** A verkey of whatever form of it a message has. */
const verkeyOf = (key: string): string | undefined =>
  key.startsWith('did:key:') ? didKeyToVerkey(key.split('#')[0]!) : looksLikeVerkey(key) ? key : undefined;

/** The keys of what may be a list of updates: nothing was checked yet. */
function* keysOf(updates: unknown): Generator<string> {
  if (!Array.isArray(updates)) return;
  for (const update of updates.slice(0, MAX_UPDATES)) {
    const key: unknown = update?.recipient_key;
    const verkey = typeof key === 'string' && key.length <= 300 ? verkeyOf(key) : undefined;
    if (verkey) yield verkey;
  }
}

const keyLookups = (updates: unknown, role: 'server' | 'client'): Record<string, Lookup> =>
  Object.fromEntries([...keysOf(updates)].map((verkey) => [`key ${verkey}`, { category: keylist.category, tag: role, equals: verkey }]));

const invitedLookups = (updates: unknown): Record<string, Lookup> =>
  Object.fromEntries(
    [...keysOf(updates)].map((verkey) => [`invited ${verkey}`, { category: connection.category, tag: 'invitation_key', equals: verkey }]),
  );

const updating = (id: string, updates: readonly Update[]): JsonObject =>
  composeMessage({ uris: URIS }, { type: 'keylist-update', id, body: { updates } });

/** A connection knows what roles it has in mediation, so that what is of that goes with it. */
function bound(ctx: Ctx, role: 'server' | 'client'): Change[] {
  const peer = ctx.connection!;
  const { mediation: roles = [] } = peer.value as ConnectionValue;
  return roles.includes(role) ? [] : [{ def: connection as never, base: peer, patch: { mediation: [...roles, role] } }];
}

function granting(ctx: Ctx, verkey: string): NonNullable<Effects['send']>[number] {
  const { endpoint } = ctx.settings;
  if (!endpoint) throw new AppError('bad-request', 'This agent has no endpoint that mail could be sent to');
  return { type: 'mediate-grant', body: { endpoint, routing_keys: [routingReference(verkey)] } };
}

const purging = (ctx: Ctx) => {
  const { connection_id, role } = ctx.record!.value;
  // another mediation of the same connection begins with keys of its own
  return {
    command: 'purge',
    record: { category: mediation.category, id: mediationId(role, connection_id) },
    input: { connection: connection_id, role, before: ctx.now },
  };
};

const currentView = (ctx: Ctx): JsonObject => (ctx.loaded.current ? mediation.view(toExchange(ctx.loaded.current)) : {});

const undefaulted = (ctx: Ctx): Change[] =>
  ctx.loaded.current ? [{ def: mediation as never, base: toExchange(ctx.loaded.current), patch: { is_default: undefined } }] : [];

/** What is asked for of a keylist: without a limit as many as go in one answer. */
function window(given: unknown): { limit?: number; offset: number } {
  const { limit, offset } = (typeof given === 'object' && given !== null ? given : {}) as { limit?: unknown; offset?: unknown };
  return {
    limit: Number.isInteger(limit) && (limit as number) > 0 ? Math.min(limit as number, MAX_LISTED) : undefined,
    offset: Number.isInteger(offset) && (offset as number) > 0 ? (offset as number) : 0,
  };
}

/** A mediator's answer to an update: each is told what became of it, in the words in which it was asked. */
function updated(ctx: Ctx, updates: readonly Update[]): Effects {
  const peer = ctx.connection!;
  const max = ctx.settings.mediatorMaxKeys ?? MAX_KEYS;
  let count = ctx.pages.keys!.total;
  /** Whether a key is ours to forward for this connection, as far as the message has come. */
  const held = new Map<string, boolean>();
  const carryOut = ({ recipient_key, action }: Update, index: number): string => {
    if (index >= MAX_UPDATES) return 'server_error';
    const verkey = verkeyOf(recipient_key);
    if (!verkey || (action !== 'add' && action !== 'remove')) return 'client_error';
    const row = ctx.loaded[`key ${verkey}`];
    // whose key it is cannot be seen, so who was first has it
    if (row && row.connection !== peer.id) return action === 'add' ? 'client_error' : 'no_change';
    const has = held.get(verkey) ?? row !== undefined;
    const wanted = action === 'add';
    if (has === wanted) return 'no_change';
    if (wanted && count >= max) return 'server_error';
    count += wanted ? 1 : -1;
    held.set(verkey, wanted);
    return 'success';
  };
  const results = updates.map((update, index) => ({
    recipient_key: update.recipient_key,
    action: update.action,
    result: carryOut(update, index),
  }));
  const others: Change<KeylistValue>[] = [];
  const routes: OwnRoute[] = [];
  const unroutes: string[] = [];
  // a peer that can be written to has its mail sent on; another fetches it
  const kind = peer.value.their_endpoint ? 'relay' : 'keylist';
  for (const [verkey, wanted] of held) {
    const row = ctx.loaded[`key ${verkey}`];
    const kid = mediatedRoute(ctx.tenant, verkey);
    if (wanted && !row) {
      const patch: KeylistValue = { connection_id: peer.id, recipient_key: verkey, role: 'server', verkey };
      others.push({ def: keylist, role: 'server', connection: peer.id, patch });
      routes.push({ kid, kind, target: peer.id });
    } else if (!wanted && row) {
      others.push({ def: keylist, base: toExchange(row), remove: true });
      unroutes.push(kid);
    }
  }
  return {
    // the version of the mediation guards the count
    record: others.length > 0 ? { patch: {} } : undefined,
    others: others as Change[],
    routes,
    unroutes,
    send: [{ type: 'keylist-update-response', body: { updated: results } }],
  };
}

interface Answered extends Update {
  readonly result: string;
}

/** What a mediator has made of our update: the keys that it knows now, and those that it would not have. */
function answered(ctx: Ctx, results: readonly Answered[], thread: string): Effects {
  const peer = ctx.connection!;
  const changes = new Map<string, Change<KeylistValue>>();
  const mediated: Record<string, string> = {};
  const told = results.map(({ recipient_key, action, result }) => {
    const verkey = verkeyOf(recipient_key);
    if (!verkey) return { recipient_key, action, result };
    const key = verkeyToDidKey(verkey);
    const row = ctx.loaded[`key ${verkey}`];
    const base = row?.connection === peer.id ? toExchange<KeylistValue>(row) : undefined;
    const target = (base?.value.target as string | undefined) ?? ctx.loaded[`invited ${verkey}`]?.id;
    if (target) mediated[key] = target;
    const taken = result === 'success' || result === 'no_change';
    if (action === 'remove') {
      if (taken && base) changes.set(verkey, { def: keylist, base, remove: true });
    } else if (taken || base) {
      const patch = {
        ...(base ? {} : { connection_id: peer.id, recipient_key: key, role: 'client' as const, verkey }),
        ...(taken ? { confirmed: true, refused: undefined } : base?.value.confirmed ? {} : { refused: result }),
      };
      changes.set(verkey, { def: keylist, base, role: 'client', connection: peer.id, patch });
    }
    return { recipient_key: key, action, result };
  });
  return {
    others: [...changes.values()] as Change[],
    emit: [{ topic: 'keylist', payload: { connection_id: peer.id, thread_id: thread, updated: told, mediated_connections: mediated } }],
  };
}
