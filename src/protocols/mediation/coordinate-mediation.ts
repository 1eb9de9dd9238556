import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { AppError } from '../../errors.ts';
import { EndpointUrl } from '../../kernel/addresses.ts';
import { checkedAs } from '../../kernel/json.ts';
import { changed, command, defineProtocol, NEW } from '../../kernel/protocol.ts';
import { OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import { mediatedName, mediationId } from '../../mediation/names.ts';
import type { Lookup } from '../../ports/store.ts';
import { keylist } from '../../records/keylist.ts';
import { defaultMediation, type MediationValue, mediation, mediationLookup, ONLY, routingKey } from '../../records/mediation.ts';
import { keyLookups, MAX_UPDATES, mediationOf, purging, type Update, URIS, updating } from './keylist-updates.ts';
import { grant, listed, MAX_LISTED, requested, updated, window } from './mediator-steps.ts';
import {
  type Answered,
  answered,
  currentView,
  granted,
  invitedLookups,
  register,
  request,
  routeConnection,
  sendQuery,
  sendUpdate,
  undefaulted,
} from './recipient-steps.ts';

/** How many keys go in one commit, where all of a connection go. */
const PURGED = 500;

const Key = Type.String({ maxLength: 300 });
const Terms = Type.Optional(Type.Array(Type.String({ maxLength: 1000 }), { maxItems: 100 }));
const Action = Type.Union([Type.Literal('add'), Type.Literal('remove')]);
const Count = Type.Integer({ minimum: -1, maximum: 1_000_000_000 });

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
      about: (_message, connection) => mediationOf('server', connection),
      step: requested,
    },
    'keylist-update': {
      schema: Type.Object({
        updates: Type.Array(Type.Object({ recipient_key: Key, action: Type.String({ maxLength: 50 }) }), { maxItems: 10_000 }),
      }),
      from: ['granted'],
      role: 'server',
      about: (_message, connection) => mediationOf('server', connection),
      load: (message) => keyLookups(message.body.updates, 'server'),
      pages: (_message, connection) => ({ keys: { category: keylist.category, query: { connection, role: 'server', limit: 1 } } }),
      step: (ctx, message) => updated(ctx, checkedAs<Update[]>(message.body.updates)),
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
      about: (_message, connection) => mediationOf('server', connection),
      pages(message, connection) {
        const { limit, offset } = window(message.body.paginate);
        return { keys: { category: keylist.category, query: { connection, role: 'server', limit: limit ?? MAX_LISTED, offset } } };
      },
      step: listed,
    },
    'mediate-grant': {
      schema: Type.Object({
        endpoint: EndpointUrl,
        routing_keys: Type.Array(Key, { minItems: 1, maxItems: 20 }),
      }),
      from: ['request', 'granted', 'denied'],
      role: 'client',
      about: (_message, connection) => mediationOf('client', connection),
      step: granted,
    },
    'mediate-deny': {
      schema: Type.Object({}),
      from: ['request', 'granted'],
      role: 'client',
      about: (_message, connection) => mediationOf('client', connection),
      step: (ctx) => ({ record: { states: ['denied'] }, invalidate: [ctx.tenant] }),
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
      about: (_message, connection) => mediationOf('client', connection),
      load: (message) => ({ ...keyLookups(message.body.updated, 'client'), ...invitedLookups(message.body.updated) }),
      step: (ctx, message) => answered(ctx, checkedAs<Answered[]>(message.body.updated), message.thid),
    },
    keylist: {
      schema: Type.Object({ keys: Type.Array(Type.Object({ recipient_key: Key }), { maxItems: 10_000 }) }),
      from: ['granted'],
      role: 'client',
      about: (_message, connection) => mediationOf('client', connection),
      step: () => ({}),
    },
  },
  commands: {
    request: command({
      route: 'POST /mediation/request/{conn_id}',
      tag: 'mediation',
      summary: 'Request mediation from connection',
      status: 201,
      body: Type.Object({}),
      from: [NEW],
      connection: 'conn_id',
      load: (_input, _record, connection): Record<string, Lookup> => (connection ? { known: mediationOf('client', connection)! } : {}),
      step: request,
    }),
    grant: {
      route: 'POST /mediation/requests/{mediation_id}/grant',
      tag: 'mediation',
      summary: 'Grant received mediation',
      status: 201,
      from: ['request', 'granted', 'denied'],
      role: 'server',
      load: () => ({ routing: { category: routingKey.category, id: ONLY } }),
      step: grant,
    },
    deny: command({
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
        // the grant is over
        next: [purging(ctx)],
      }),
    }),
    remove: {
      route: 'DELETE /mediation/requests/{mediation_id}',
      tag: 'mediation',
      summary: 'Delete mediation request by ID',
      from: ['request', 'granted', 'denied'],
      step: (ctx) => ({ record: { remove: true }, next: [purging(ctx)], invalidate: [ctx.tenant], answer: mediation.view(ctx.record!) }),
    },
    // the keys of a mediation that is over, some at a time; with its connection the mediation itself goes too
    purge: command({
      body: Type.Object({
        connection: Type.String(),
        role: Type.Union([Type.Literal('server'), Type.Literal('client')]),
        before: Type.Optional(Type.Number()),
      }),
      from: [NEW, 'request', 'granted', 'denied'],
      pages: ({ body }) => ({
        keys: { category: keylist.category, query: { connection: body.connection, role: body.role, limit: PURGED } },
      }),
      step(ctx, { body }) {
        const { rows, total } = ctx.pages.keys!;
        const before = body.before ?? ctx.now;
        const removed = rows.filter(({ created }) => created <= before);
        const over = body.before === undefined && ctx.record !== undefined;
        return {
          ...(over && { record: { remove: true }, invalidate: [ctx.tenant] }),
          others: removed.map((row) => changed({ def: keylist, base: keylist.of(row), remove: true })),
          removedKeyOwners: body.role === 'server' ? removed.map(({ value }) => mediatedName(ctx.tenant, String(value.verkey))) : [],
          next:
            removed.length > 0 && total > removed.length
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
    }),
    'update-keylist': command({
      route: 'POST /mediation/keylists/{mediation_id}/send-keylist-update',
      tag: 'mediation',
      summary: 'Send keylist update to mediator',
      status: 201,
      body: Type.Object({
        updates: Type.Optional(Type.Array(Type.Object({ recipient_key: Key, action: Action }), { maxItems: MAX_UPDATES })),
      }),
      from: ['granted'],
      role: 'client',
      step: sendUpdate,
    }),
    'query-keylist': command({
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
      step: sendQuery,
    }),
    'route-connection': command({
      route: 'POST /mediation/update-keylist/{conn_id}',
      tag: 'mediation',
      summary: 'Update keylist for a connection',
      body: Type.Object({ mediation_id: Type.Optional(Type.String()) }),
      from: [NEW],
      connection: 'conn_id',
      load: ({ body }) => mediationLookup(body.mediation_id),
      step: routeConnection,
    }),
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
        // ACA-Py answers 400 here, where its other calls answer 404
        if (!ctx.record) throw new AppError('bad-request', 'Record not found: there is no such mediation');
        return {
          record: { patch: { is_default: true } },
          others: ctx.loaded.current?.id === ctx.record.id ? [] : undefaulted(ctx),
          invalidate: [ctx.tenant],
        };
      },
    },
    // for --mediator-invitation, once: a default that a controller has changed since stays as it is
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
              invalidate: [ctx.tenant],
            },
    },
    'clear-default': {
      route: 'DELETE /mediation/default-mediator',
      tag: 'mediation',
      summary: 'Clear default mediator',
      status: 201,
      from: [NEW],
      load: () => ({ current: defaultMediation }),
      step: (ctx) => ({ others: undefaulted(ctx), invalidate: [ctx.tenant], answer: currentView(ctx) }),
    },
    // registers keys with the mediator, unless they are registered, or under way since a moment
    register: command({
      body: Type.Object({
        keys: Type.Array(
          Type.Object({ verkey: Type.String(), connection: Type.Optional(Type.String()), wallet: Type.Optional(Type.String()) }),
        ),
        id: Type.Optional(Type.String()),
      }),
      from: ['granted'],
      role: 'client',
      load: ({ body }) =>
        Object.fromEntries(body.keys.map(({ verkey }) => [`key ${verkey}`, { category: keylist.category, tag: 'client', equals: verkey }])),
      step: register,
    }),
    // keys that nobody writes to any more
    unregister: command({
      body: Type.Object({ keys: Type.Array(Type.String()) }),
      from: ['granted'],
      role: 'client',
      step: (ctx, { body }) => ({
        send: [
          {
            message: updating(
              ctx.newId(),
              body.keys.map((verkey) => ({ recipient_key: verkeyToDidKey(verkey), action: 'remove' })),
            ),
          },
        ],
      }),
    }),
  },
});
