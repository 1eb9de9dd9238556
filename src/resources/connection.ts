import Type from 'typebox';
import { looksLikeVerkey, toBase58, verkeyBytes } from '../didcomm/encoding.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { seedBytes } from '../dids/seed.ts';
import { AppError } from '../errors.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import { loadedRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';

const Text = Type.Optional(Type.String());
/** The DID that ACA-Py gives a key by which no method is named: its first 16 bytes. */
const bareDid = (verkey: string): string => toBase58(verkeyBytes(verkey).slice(0, 16));

/** Commands on connections of any protocol, and connections without one. */
export const connectionCommands = defineProtocol<ConnectionValue>({
  name: 'connection',
  uris: [],
  binds: connection,
  stateless: true,
  messages: {},
  commands: {
    metadata: command({
      route: 'POST /connections/{conn_id}/metadata',
      tag: 'connection',
      summary: 'Set connection metadata',
      body: Type.Object({ metadata: Type.Object({}) }),
      from: '*',
      step(ctx, { body }) {
        const metadata = { ...ctx.record!.value.metadata, ...body.metadata };
        return { record: { patch: { metadata } }, answer: { results: metadata as JsonObject } };
      },
    }),
    static: command({
      route: 'POST /connections/create-static',
      tag: 'connection',
      summary: 'Create a new static connection',
      body: Type.Object({
        my_seed: Text,
        my_did: Text,
        their_seed: Text,
        their_did: Text,
        their_verkey: Text,
        their_endpoint: Text,
        their_label: Text,
        alias: Text,
      }),
      from: [NEW],
      step(ctx, { body }) {
        if (!body.their_seed && !(body.their_did && body.their_verkey))
          throw new AppError('bad-request', 'Either a verkey or seed must be provided for the other party');
        const mine = ctx.newKey(body.my_seed ? seedBytes(body.my_seed) : undefined);
        const theirs: string = body.their_verkey || newKeyPair(seedBytes(body.their_seed!)).verkey;
        if (!looksLikeVerkey(theirs)) throw new AppError('bad-request', 'their_verkey is not a key in base58');
        const value: ConnectionValue = {
          invitation_mode: 'static',
          alias: body.alias,
          connection_protocol: 'connections/1.0',
          my_did: body.my_did || bareDid(mine.verkey),
          my_verkey: mine.verkey,
          their_did: body.their_did || bareDid(theirs),
          their_label: body.their_label,
          their_keys: [theirs],
          their_endpoint: body.their_endpoint || undefined,
        };
        const id = ctx.newId();
        return {
          record: { id, states: ['active'], patch: value },
          keys: [mine.write],
          keyOwners: [{ kid: mine.verkey, kind: 'connection', target: id }],
          answer: {
            my_did: value.my_did!,
            my_verkey: mine.verkey,
            my_endpoint: ctx.settings.endpoint,
            their_did: value.their_did!,
            their_verkey: theirs,
            record: connection.view(
              loadedRecord({
                category: 'connection',
                id,
                version: 1,
                state: 'active',
                created: ctx.now,
                updated: ctx.now,
                value: value as JsonObject,
              }),
            ),
          },
        };
      },
    }),
  },
});
