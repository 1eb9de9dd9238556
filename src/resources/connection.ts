import { looksLikeVerkey, toBase58, verkeyBytes } from '../didcomm/encoding.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { seedBytes } from '../dids/seed.ts';
import { AppError } from '../errors.ts';
import { command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import { loadedRecord } from '../kernel/record.ts';
import { AnyObject } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { type ConnectionValue, connection, ownerConnection } from '../records/connection.ts';

const Text = Type.Optional(Type.String());
/** Names of message families that a connection's peer may order from this agent. */
const Grants = Type.Array(Type.String({ maxLength: 100 }), { maxItems: 50 });
/** The DID that ACA-Py gives a key by which no method is named: its first 16 bytes. */
const bareDid = (verkey: string): string => toBase58(verkeyBytes(verkey).slice(0, 16));

/** Grants by their names, each once. @throws AppError `bad-request` for one that no protocol asks for */
function granted({ declared }: StepContext, names: readonly string[] = []): readonly string[] {
  const unknown = names.find((name) => !declared.grants.has(name));
  if (unknown !== undefined)
    throw new AppError('bad-request', `There is no grant ${unknown.slice(0, 100)}: ${[...declared.grants].sort().join(', ')}`);
  return [...new Set(names)].sort();
}

/** A connection that no handshake makes: both keys are known beforehand. */
const staticPeer = (mine: string, peer: string, dids: { my_did?: string; their_did?: string }): ConnectionValue => ({
  invitation_mode: 'static',
  connection_protocol: 'connections/1.0',
  my_did: dids.my_did || bareDid(mine),
  my_verkey: mine,
  their_did: dids.their_did || bareDid(peer),
  their_keys: [peer],
});

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
    /** The only way to them beside the creation of a static connection. All of them are given at once; none is the end of every right. */
    grants: command({
      route: 'PUT /connections/{conn_id}/grants',
      tag: 'connection',
      summary: 'Set what the peer of a connection may order by messages',
      body: Type.Object({ grants: Grants }),
      from: '*',
      step(ctx, { body }) {
        const grants = granted(ctx, body.grants);
        const { id, state, value } = ctx.record!;
        if (grants.length > 0 && state !== 'active')
          throw new AppError('bad-request', `Connection ${id} is not active: its peer is not known yet`);
        const patch = { grants: grants.length > 0 ? grants : undefined, ...(value.configured && { granted_by_call: true as const }) };
        return { record: { patch }, answer: { grants: [...grants] } };
      },
    }),
    /** An owner of the configuration: with every grant unless a call has set them, under the key that it had before. */
    owner: command({
      body: Type.Object({ verkey: Type.String() }),
      from: [NEW, 'active'],
      about: ({ body }) => ({ category: connection.category, id: ownerConnection(body.verkey) }),
      step(ctx, { body: { verkey } }) {
        const grants = [...ctx.declared.grants].sort();
        if (ctx.record?.value.dismissed) return {};
        // what its operator has taken from it stays taken
        if (ctx.record?.value.granted_by_call) return {};
        if (ctx.record) return { record: { patch: { grants, configured: true } } };
        const [id, mine] = [ownerConnection(verkey), ctx.newKey()];
        const patch = { ...staticPeer(mine.verkey, verkey, {}), alias: 'owner', grants, configured: true as const };
        return {
          record: { id, states: ['active'], patch },
          keys: [mine.write],
          keyOwners: [{ kid: mine.verkey, kind: 'connection', target: id }],
        };
      },
    }),
    /** A former owner of the configuration: nothing is left to it but the connection, for good. */
    dismiss: command({
      body: Type.Object({}),
      from: '*',
      step: () => ({ record: { patch: { grants: undefined, configured: undefined, dismissed: true } } }),
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
        metadata: Type.Optional(AnyObject),
        grants: Type.Optional(Grants),
      }),
      from: [NEW],
      step(ctx, { body }) {
        if (!body.their_seed && !body.their_verkey)
          throw new AppError('bad-request', 'Either a verkey or seed must be provided for the other party');
        const mine = ctx.newKey(body.my_seed ? seedBytes(body.my_seed) : undefined);
        const theirs: string = body.their_verkey || newKeyPair(seedBytes(body.their_seed!)).verkey;
        if (!looksLikeVerkey(theirs)) throw new AppError('bad-request', 'their_verkey is not a key in base58');
        const grants = granted(ctx, body.grants);
        const value: ConnectionValue = {
          ...staticPeer(mine.verkey, theirs, body),
          alias: body.alias,
          their_label: body.their_label,
          their_endpoint: body.their_endpoint || undefined,
          ...(body.metadata && { metadata: body.metadata }),
          ...(grants.length > 0 && { grants }),
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
