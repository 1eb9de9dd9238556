import { AppError } from '../errors.ts';
import { composeMessage } from '../kernel/message.ts';
import { command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { Json } from '../ports/json.ts';
import { type DrpcValue, drpcRecord } from '../records/drpc.ts';

/** How many calls one batch may hold. */
const MAX_BATCH = 1000;
const Version = Type.Literal('2.0');
const Id = Type.Union([Type.Integer(), Type.String({ maxLength: 1000 })]);
const IdOrNull = Type.Union([Id, Type.Null()]);

/** JSON-RPC 2.0 sections 4 to 6. A call without an id asks for no result; methods of `rpc.` are JSON-RPC's own. */
const Call = Type.Object({
  jsonrpc: Version,
  method: Type.String({ minLength: 1, maxLength: 1000, pattern: '^(?!rpc\\.)' }),
  id: Type.Optional(IdOrNull),
  params: Type.Optional(Type.Union([Type.Array(Type.Unknown()), Type.Object({}), Type.Null()])),
});
const Fault = Type.Object({
  code: Type.Integer(),
  message: Type.String(),
  data: Type.Optional(Type.Unknown()),
});
/** Either what came out or what went wrong; the other member may be there as `null`, as ACA-Py writes it. */
const Outcome = Type.Union([
  Type.Object({ jsonrpc: Version, result: Type.Unknown(), error: Type.Optional(Type.Null()), id: Id }),
  Type.Object({ jsonrpc: Version, result: Type.Optional(Type.Null()), error: Fault, id: IdOrNull }),
]);
/** Where nothing asked for a result, the answer is empty (RFC 0804). */
const Nothing = Type.Object({}, { maxProperties: 0, additionalProperties: false });

const Request = Type.Union([Call, Type.Array(Call, { minItems: 1, maxItems: MAX_BATCH })]);
const Response = Type.Union([Outcome, Nothing, Type.Array(Type.Union([Outcome, Type.Null()]), { maxItems: MAX_BATCH })]);

/** RFC 0804: JSON-RPC over a connection. The methods are the controller's: it gets a request by webhook, and answers by `response`. */
export const drpc = defineProtocol<DrpcValue>({
  name: 'drpc',
  uris: ['https://didcomm.org/drpc/1.0'],
  roles: ['client', 'server'],
  binds: drpcRecord,
  messages: {
    request: {
      schema: Type.Object({ request: Request }),
      from: [NEW],
      step(ctx, message) {
        const [state, request, id] = ['request-received', message.body.request as Json, ctx.connection!.id];
        return {
          record: {
            role: 'server',
            connection: id,
            states: [state],
            patch: { connection_id: id, thread_id: message.thid, asked: message.thid, request },
          },
          emit: [{ topic: 'drpc_request', payload: { connection_id: id, thread_id: message.thid, request: { state, request } } }],
        };
      },
    },
    response: {
      schema: Type.Object({ response: Response }),
      from: ['request-sent'],
      role: 'client',
      step(ctx, message) {
        const [state, response] = ['completed', message.body.response as Json];
        const { connection_id, thread_id, request } = ctx.record!.value;
        return {
          record: { states: [state], patch: { response } },
          emit: [{ topic: 'drpc_response', payload: { connection_id, thread_id, response: { state, request, response } } }],
        };
      },
    },
  },
  commands: {
    request: command({
      route: 'POST /drpc/{conn_id}/request',
      tag: 'drpc',
      summary: 'Send a DIDComm RPC request message',
      body: Type.Object({ request: Request }),
      from: [NEW],
      connection: 'conn_id',
      step(ctx, { body }) {
        const connection = ready(ctx);
        const id = ctx.newId();
        const message = composeMessage(drpc, { type: 'request', id, body: { request: body.request } });
        return {
          record: {
            role: 'client',
            connection,
            states: ['request-sent'],
            patch: { connection_id: connection, thread_id: id, request: body.request },
          },
          send: [{ message }],
          answer: message,
        };
      },
    }),
    response: command({
      route: 'POST /drpc/{conn_id}/response',
      tag: 'drpc',
      summary: 'Send a DIDComm RPC response message',
      body: Type.Object({ response: Response, thread_id: Type.String({ minLength: 1, maxLength: 256 }) }),
      from: ['request-received'],
      role: 'server',
      connection: 'conn_id',
      about: ({ body }) => ({ category: drpcRecord.category, tag: 'asked', equals: body.thread_id }),
      step(ctx, { body }) {
        const connection = ready(ctx);
        if (ctx.record!.connection !== connection)
          throw new AppError('not-found', `No request of thread ${body.thread_id} on connection ${connection}`);
        const parts = { type: 'response', id: ctx.newId(), thid: body.thread_id as string };
        const message = composeMessage(drpc, { ...parts, body: { response: body.response } });
        return { record: { states: ['completed'], patch: { response: body.response } }, send: [{ message }], answer: message };
      },
    }),
  },
});

function ready(ctx: StepContext): string {
  const { state, id } = ctx.connection!;
  if (state !== 'active' && state !== 'response') throw new AppError('forbidden', `Connection ${id} is not ready`);
  return id;
}
