import { resolvedContact } from '../../dids/contact.ts';
import { shortPeerDid } from '../../dids/did-peer.ts';
import { AppError } from '../../errors.ts';
import { command, defineProtocol, type Load, NEW } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import { destinationOf } from '../../kernel/seal.ts';
import { linkNames } from '../../kernel/short-links.ts';
import Type from '../../kernel/type.ts';
import type { ResolvedDid } from '../../ports/ledger.ts';
import type { Lookup } from '../../ports/store.ts';
import { connection } from '../../records/connection.ts';
import { did, keyLookups, ofKey } from '../../records/did.ts';
import { mediationLookup, ownService } from '../../records/mediation.ts';
import { Invitation, isOurs, type OutOfBandValue, outOfBand, usedAgain } from '../../records/out-of-band.ts';
import { attachedRequests, checkInvitation, handshake, proceed, serviceOf } from './out-of-band-receiver.ts';
import { createInvitation, URIS, Wishes } from './out-of-band-sender.ts';

/** How long a peer has to accept a reuse before a new connection is made. */
const REUSE_MS = 14_000;
/** How long the key of a deleted invitation stays, so that whoever answers the invitation learns that it is not open. */
const CLOSED_MS = 30 * 24 * 3600_000;

const Bool = Type.Boolean();
const isTrue = (text: string | undefined): boolean | undefined => (text === undefined ? undefined : text === 'true');

/** RFC 0434, versions 1.0 and 1.1: an invitation spawns a did-exchange, or reuses the connection that its DID names. */
export const outOfBandProtocol = defineProtocol<OutOfBandValue>({
  name: 'out-of-band',
  uris: URIS,
  roles: ['sender', 'receiver'],
  binds: outOfBand,
  messages: {
    'handshake-reuse': {
      schema: Type.Object({}),
      from: ['await-response'],
      role: 'sender',
      step(ctx, message) {
        const record = ctx.record!;
        const { multi_use } = record.value;
        return {
          record: multi_use ? undefined : { states: ['done'], patch: { connection_id: ctx.connection?.id } },
          send: [{ type: 'handshake-reuse-accepted', thid: message.thid, pthid: message.pthid, minor: message.minor }],
          emit: [
            ...(multi_use ? [usedAgain(ctx, record, ctx.connection?.id)] : []),
            {
              topic: 'connection_reuse',
              payload: {
                thread_id: message.thid,
                connection_id: ctx.connection?.id ?? null,
                comment: `Connection ${ctx.connection?.id} is being reused`,
              },
            },
          ],
        };
      },
    },
    'handshake-reuse-accepted': {
      schema: Type.Object({}),
      from: ['await-response'],
      role: 'receiver',
      step: (ctx, message) => ({
        record: { states: ['reuse-accepted'] },
        emit: [
          {
            topic: 'connection_reuse_accepted',
            payload: {
              thread_id: message.thid,
              connection_id: ctx.connection?.id ?? null,
              state: 'accepted',
              comment: `Connection ${ctx.connection?.id} reused`,
            },
          },
        ],
      }),
    },
  },
  problem: {
    schema: Type.Object({}),
    from: ['await-response'],
    role: 'receiver',
    step: (ctx) => proceed(ctx, ['reuse-not-accepted']),
  },
  results: {
    resolved: {
      from: ['initial', 'reuse-not-accepted'],
      step: (ctx, output: ResolvedDid) => handshake(ctx, resolvedContact(output)),
    },
  },
  failed: () => ({ record: { remove: true } }),
  commands: {
    'create-invitation': command({
      route: 'POST /out-of-band/create-invitation',
      tag: 'out-of-band',
      summary: 'Create a new connection invitation',
      query: Type.Object({ auto_accept: Type.Optional(Bool), multi_use: Type.Optional(Bool), create_unique_did: Type.Optional(Bool) }),
      body: Wishes,
      from: [NEW],
      load: ({ body }, _record, _connection, declared) => ({
        ...mediationLookup(body.mediation_id),
        ...Object.fromEntries(
          (body.attachments ?? []).flatMap(({ id, type }, i) =>
            declared
              .attachable(type)
              .map(({ def }): [string, Lookup] => [`attachment ${i} ${def.category}`, { category: def.category, id }]),
          ),
        ),
        own: body.use_did
          ? { category: did.category, tag: 'did', equals: body.use_did }
          : body.use_did_method
            ? { category: did.category, tag: 'invitation_reuse', equals: body.use_did_method }
            : { category: did.category, tag: 'posture', equals: body.use_public_did ? 'public' : 'none' },
      }),
      step: (ctx, { body, query }) =>
        createInvitation(ctx, body, isTrue(query.auto_accept), query.multi_use === 'true', query.create_unique_did === 'true'),
    }),
    'receive-invitation': command({
      // its route takes URLs too, which are fetched before the command is called
      query: Type.Object({
        alias: Type.Optional(Type.String()),
        auto_accept: Type.Optional(Bool),
        use_existing_connection: Type.Optional(Bool),
        mediation_id: Type.Optional(Type.String()),
      }),
      body: Invitation,
      from: [NEW],
      waitWhile: ['await-response'],
      load: ({ body, query }): Record<string, Load> => {
        const named = serviceOf(body);
        return {
          ...mediationLookup(query.mediation_id),
          ours: { category: outOfBand.category, tag: 'invi_msg_id', equals: body['@id'], among: isOurs },
          ...(typeof named === 'string'
            ? {
                known: { category: connection.category, tag: 'reusable', equals: shortPeerDid(named) },
                own: { category: did.category, tag: 'did', equals: named },
              }
            : {}),
        };
      },
      step(ctx, { body, query, unmediated }) {
        if (ctx.settings.noReceiveInvites && !unmediated)
          throw new AppError('forbidden', 'Configuration does not allow receipt of invitations');
        checkInvitation(ctx, body);
        // one with its id would be taken for it
        if (ctx.loaded.ours || ctx.loaded.own) throw new AppError('bad-request', 'The invitation is one of this wallet itself');
        const row = query.use_existing_connection === 'false' ? undefined : ctx.loaded.known;
        const known = row?.state === 'active' ? connection.of(row) : undefined;
        const value: Partial<OutOfBandValue> = {
          invi_msg_id: body['@id'],
          invitation: body,
          multi_use: false,
          auto_accept: isTrue(query.auto_accept),
          alias: query.alias,
          mediator: query.mediation_id ? ownService(ctx, query).mediator : undefined,
          unmediated,
        };
        const attached = attachedRequests(body);
        if (known) {
          if (attached.length > 0) {
            return {
              record: { role: 'receiver', states: ['initial', 'done'], patch: { ...value, connection_id: known.id }, connection: known.id },
              dispatch: attached.map((message) => ({ connection: known.id, message })),
            };
          }
          const id = ctx.newId();
          const record = ctx.newId();
          return {
            record: {
              id: record,
              role: 'receiver',
              states: ['initial', 'await-response'],
              connection: known.id,
              patch: { ...value, connection_id: known.id, reuse_msg_id: id },
            },
            send: [{ type: 'handshake-reuse', id, thid: id, pthid: body['@id'], to: destinationOf(known) }],
            next: [{ command: 'end-reuse', record: { category: outOfBand.category, id: record }, after: REUSE_MS }],
          };
        }
        return proceed({ ...ctx, record: { value } as LoadedRecord<OutOfBandValue> }, ['initial']);
      },
    }),
    // its first answer came on a connection that was there before
    taken: command({
      body: Type.Object({ connection: Type.String() }),
      from: ['await-response'],
      role: 'sender',
      step: (_ctx, { body }) => ({ record: { states: ['done'], patch: { connection_id: body.connection } } }),
    }),
    // a controller deletes the invitation; `verkey` is the key that it is answered to
    remove: command({
      body: Type.Object({ verkey: Type.Optional(Type.String()) }),
      from: '*',
      load: ({ body: { verkey } }): Record<string, Load> => (verkey === undefined ? {} : keyLookups(verkey)),
      step(ctx, { body: { verkey } }) {
        const { id, role, value } = ctx.record!;
        // the key of a DID serves other invitations and connections too
        const keys = verkey !== undefined && role === 'sender' && !ofKey(ctx.loaded) ? [verkey] : [];
        return {
          record: { remove: true },
          removedKeyOwners: linkNames(value.short),
          // its slot at a mediator is given up at once; here it stays for a while, so that who answers the invitation learns that it is not open
          deregisterKeys: value.mediated ? keys : undefined,
          next: keys.map((key) => ({
            command: 'remove-key',
            record: { category: outOfBand.category, id },
            input: { verkey: key },
            after: CLOSED_MS,
          })),
        };
      },
    }),
    // the key of a deleted invitation: until now an answer to the invitation got a problem report
    'remove-key': command({
      body: Type.Object({ verkey: Type.String() }),
      from: [NEW],
      step: (_ctx, { body }) => ({ removedKeyOwners: [body.verkey], removedKeys: [body.verkey] }),
    }),
    // an accepted reuse leaves no record; it goes only now, since the call that asked for it still reads it
    'end-reuse': {
      from: ['await-response', 'reuse-accepted'],
      role: 'receiver',
      step: (ctx) => (ctx.record!.state === 'reuse-accepted' ? { record: { remove: true } } : proceed(ctx, ['reuse-not-accepted'])),
    },
  },
});
