import { AppError } from '../errors.ts';
import type { Change, Effects } from '../kernel/effects.ts';
import { changed, command, defineProtocol, type StepContext } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import { Members } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Lookup } from '../ports/store.ts';
import { actionMenuRecord } from '../records/action-menu.ts';
import { connection } from '../records/connection.ts';

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const Flag = Type.Optional(Type.Union([Type.Boolean(), Type.Null()]));
const Name = Type.String({ minLength: 1 });
const Param = Type.Object({ name: Name, title: Name, default: Text, description: Text, type: Text, required: Flag });
const Form = Type.Object({
  title: Text,
  description: Text,
  params: Type.Optional(Type.Array(Param, { maxItems: 100 })),
  'submit-label': Text,
});
const Option = Type.Object({
  name: Name,
  title: Name,
  description: Text,
  disabled: Flag,
  form: Type.Optional(Type.Union([Form, Type.Null()])),
});
const Menu = Type.Object({ title: Text, description: Text, errormsg: Text, options: Type.Array(Option, { maxItems: 100 }) });
const Params = Type.Optional(Type.Union([Members(Type.String()), Type.Null()]));

const menuOf = (id: string): Record<string, Lookup> => ({ menu: { category: actionMenuRecord.category, id } });

/**
 * RFC 0509. The menu is the controller's: it gets requests and performed actions by webhook, and answers with `send-menu`.
 * A peer's menu is stored for each connection.
 */
export const actionMenu = defineProtocol({
  name: 'action-menu',
  uris: ['https://didcomm.org/action-menu/1.0'],
  roles: ['requester', 'responder'],
  binds: connection,
  stateless: true,
  messages: {
    menu: {
      schema: Menu,
      from: '*',
      load: (_message, id) => menuOf(id ?? ''),
      step: (ctx, message) => ({ others: [shown(ctx, message.raw)], emit: [menuEvent(ctx, message.raw)] }),
    },
    'menu-request': {
      schema: Type.Object({}),
      from: '*',
      step: (ctx, message) => ({
        emit: [{ topic: 'get-active-menu', payload: { connection_id: ctx.connection!.id, thread_id: message.thid } }],
      }),
    },
    perform: {
      schema: Type.Object({ name: Name, params: Params }),
      from: '*',
      step: (ctx, message) => ({
        emit: [
          {
            topic: 'perform-menu-action',
            payload: {
              connection_id: ctx.connection!.id,
              thread_id: message.thid,
              action_name: message.body.name as Json,
              action_params: (message.body.params ?? {}) as Json,
            },
          },
        ],
      }),
    },
  },
  commands: {
    close: {
      ...ofMenu('close', 'Close the active menu associated with a connection'),
      load: (_input, id) => menuOf(id ?? ''),
      step(ctx) {
        const row = ctx.loaded.menu;
        if (!row) throw new AppError('not-found', `No action menu found for connection ID ${ctx.connection!.id}`);
        return {
          others: [changed({ def: actionMenuRecord, base: actionMenuRecord.of(row), remove: true })],
          emit: [menuEvent(ctx, null)],
          answer: {},
        };
      },
    },
    fetch: {
      ...ofMenu('fetch', 'Fetch the active menu'),
      load: (_input, id) => menuOf(id ?? ''),
      step: (ctx) => ({ answer: { result: (ctx.loaded.menu?.value.menu ?? null) as Json } }),
    },
    perform: command({
      ...ofMenu('perform', 'Perform an action associated with the active menu'),
      body: Type.Object({ name: Type.Optional(Name), params: Params }),
      step: (ctx, { body }) => sending(ctx, 'perform', compact({ name: body.name, params: body.params ?? {} })),
    }),
    request: {
      ...ofMenu('request', 'Request the active menu'),
      step: (ctx) => sending(ctx, 'menu-request', {}),
    },
    'send-menu': command({
      ...ofMenu('send-menu', 'Send an action menu to a connection'),
      body: Type.Object({ menu: Menu }),
      step: (ctx, { body }) => sending(ctx, 'menu', body.menu),
    }),
  },
});

function ofMenu(name: string, summary: string): { route: string; tag: string; summary: string; from: '*' } {
  return { route: `POST /action-menu/{conn_id}/${name}`, tag: 'action-menu', summary, from: '*' };
}

function sending(ctx: StepContext, type: string, body: JsonObject): Effects {
  const { state, id } = ctx.connection!;
  if (state !== 'active' && state !== 'response') throw new AppError('forbidden', `Connection ${id} not ready`);
  return { send: [{ type, body }], answer: {} };
}

/** The menu in the place of the one before. */
function shown(ctx: StepContext, menu: JsonObject): Change {
  const row = ctx.loaded.menu;
  const id = ctx.connection!.id;
  const patch = { connection_id: id, menu };
  return changed({ def: actionMenuRecord, base: actionMenuRecord.of(row), id, connection: id, states: ['active'], patch });
}

const menuEvent = (ctx: StepContext, menu: JsonObject | null) => ({
  topic: 'actionmenu',
  payload: { connection_id: ctx.connection!.id, menu },
});
