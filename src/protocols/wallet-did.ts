import Type from 'typebox';
import { verkeyBytes } from '../didcomm/encoding.ts';
import { createDidKey } from '../dids/did-key.ts';
import { algoDocument } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import { type Change, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import { toExchange } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import { type DidValue, did } from '../records/did.ts';

const view = (value: DidValue): JsonObject => ({ ...did.view({ id: value.did, version: 0, created: 0, updated: 0, value }) });

/** ACA-Py's seeds are 32 characters, or base64 of 32 bytes. */
export function seedBytes(seed: string): Uint8Array {
  const bytes = seed.endsWith('=') ? Buffer.from(seed, 'base64') : Buffer.from(seed, 'utf8');
  if (bytes.length !== 32) throw new AppError('bad-request', 'Seed value must be 32 bytes in length');
  return bytes;
}

/** DIDs of the wallet: created at once, published by a ledger write. A published DID stays usable when another becomes the public one. */
export const walletDid = defineProtocol<DidValue>({
  name: 'wallet-did',
  uris: [],
  binds: did,
  messages: {},
  commands: {
    create: {
      route: 'POST /wallet/did/create',
      tag: 'wallet',
      summary: 'Create a local DID',
      body: Type.Object({
        method: Type.Optional(Type.String()),
        seed: Type.Optional(Type.String()),
        options: Type.Optional(Type.Object({ key_type: Type.Optional(Type.String()), did: Type.Optional(Type.String()) })),
      }),
      from: [NEW],
      step(ctx, { body }) {
        const method = body.method ?? (ctx.settings.algoPrefix ? 'algo' : 'key');
        const type = body.options?.key_type ?? 'ed25519';
        if (type !== 'ed25519') throw new AppError('bad-request', `Unsupported key type ${type} for DID method ${method}`);
        if (body.options?.did) throw new AppError('bad-request', `DID method ${method} does not support a user-defined DID`);
        const key = ctx.newKey(body.seed === undefined ? undefined : seedBytes(body.seed));
        const bytes = verkeyBytes(key.verkey);
        let made: string;
        if (method === 'key') made = createDidKey({ type: 'ed25519', bytes });
        else if (method === 'algo') {
          if (!ctx.settings.algoPrefix) throw new AppError('ledger-none', 'DID method algo needs a ledger');
          made = `${ctx.settings.algoPrefix}${Buffer.from(bytes).toString('hex')}`;
        } else throw new AppError('bad-request', `Unsupported DID method: ${method}`);
        const value: DidValue = { did: made, verkey: key.verkey, method, key_type: 'ed25519', posture: 'wallet_only', metadata: {} };
        return {
          record: { id: made, states: ['stored'], patch: value },
          keys: [key.write],
          // invitations may name any DID of the wallet, and any number of them
          routes: [{ kid: key.verkey, kind: 'public', target: made }],
          answer: { result: view(value) },
        };
      },
    },
    publish: {
      route: 'POST /wallet/did/public',
      tag: 'wallet',
      summary: 'Assign the current public DID',
      query: Type.Object({
        did: Type.String(),
        conn_id: Type.Optional(Type.String()),
        mediation_id: Type.Optional(Type.String()),
        create_transaction_for_endorser: Type.Optional(Type.String()),
      }),
      from: ['stored', 'publishing'],
      about: ({ query }) => ({ category: did.category, id: query.did ?? '' }),
      load: () => ({ public: { category: did.category, tag: 'posture', equals: 'public' } }),
      step(ctx) {
        const { value } = ctx.record!;
        if (value.method !== 'algo')
          throw new AppError('bad-request', `A DID of method ${value.method} cannot be public: it is not on the ledger`);
        if (value.posture === 'public') return { answer: { result: view(value) } };
        const document = algoDocument({ did: value.did, verkeys: [value.verkey], endpoint: ctx.settings.endpoint });
        return {
          record: { states: ['publishing'] },
          ledger: [{ write: { kind: 'did-put', did: value.did, document }, verkey: value.verkey, result: 'published' }],
          answer: { result: view(value) },
        };
      },
    },
  },
  results: {
    published: {
      from: ['stored', 'publishing'],
      load: () => ({ public: { category: did.category, tag: 'posture', equals: 'public' } }),
      step(ctx) {
        const value: DidValue = { ...ctx.record!.value, posture: 'public', error_msg: undefined };
        return {
          record: { states: ['stored'], patch: { posture: 'public', error_msg: undefined } },
          others: formerPublic(ctx),
          answer: { result: view(value) },
        };
      },
    },
  },
  failed: (_ctx, failure) => ({ record: { states: ['stored'], patch: { error_msg: failure.text } } }),
  answer: ({ value }) => ({ result: view(value) }),
});

/** The DID that was public until now stays on the ledger. */
function formerPublic(ctx: StepContext<DidValue>): Change<DidValue>[] {
  const row = ctx.loaded.public;
  return row && row.id !== ctx.record!.id ? [{ def: did, base: toExchange<DidValue>(row), patch: { posture: 'posted' } }] : [];
}
