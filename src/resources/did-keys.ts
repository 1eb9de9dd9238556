import Type from 'typebox';
import { verkeysFor } from '../dids/did-doc.ts';
import { algoDocument } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import type { Effects } from '../kernel/effects.ts';
import { changed, command, defineProtocol, type StepContext } from '../kernel/protocol.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';
import { type DidValue, did } from '../records/did.ts';
import { didRotation } from '../records/did-rotation.ts';
import { keyOwnerFor, ledgerService, mediatorIn } from '../records/mediation.ts';

/** Keys that a document may name beside the present one: each locks about 0.1 ALGO. */
const MAX_FORMER = 30;
/** Connections whose peers are notified in one commit. */
const PAGE = 100;

const view = (value: DidValue): JsonObject => ({ ...did.view({ id: value.did, version: 0, created: 0, updated: 0, value }) });

/** What a write that ended leaves behind no longer. */
const SETTLED = { next_metadata: undefined, next_mediator: undefined, error_msg: undefined };

type Ctx = StepContext<DidValue>;
type Keys = NonNullable<DidValue['next_keys']>;

const presentKeys = ({ verkey, key_number: number = 1, former_keys: former = [] }: DidValue): Keys => ({ verkey, number, former });

/** The keys that follow the present ones. @throws AppError `bad-request` where the document would have too many */
function followingKeys({ verkey, number, former }: Keys, next: string, withoutFormer: boolean): Keys {
  const all = [{ verkey, number }, ...former];
  if (withoutFormer) return { verkey: next, number: number + 1, former: all.map((key) => ({ ...key, removed: true })) };
  if (all.filter(({ removed }) => !removed).length > MAX_FORMER)
    throw new AppError('bad-request', `The document has ${MAX_FORMER} former keys already: remove_former_keys=true leaves them out`);
  return { verkey: next, number: number + 1, former: all };
}

/** A DID of this wallet before its document is on the ledger: only the wallet knows its keys, which change at once. */
function rotateLocal(ctx: Ctx): Effects {
  const { value, state } = ctx.record!;
  if (value.posture !== 'wallet_only') throw new AppError('bad-request', `DID ${value.did} is posted to the ledger`);
  // every other method makes the DID of its key
  if (value.method !== 'algo') throw new AppError('bad-request', `DID method '${value.method}' does not support key rotation.`);
  if (state === 'publishing') throw new AppError('wrong-state', `DID ${value.did} is being written to the ledger`);
  const key = ctx.newKey();
  const { verkey, number, former } = followingKeys(presentKeys(value), key.verkey, false);
  return {
    record: { states: ['stored'], patch: { verkey, key_number: number, former_keys: former } },
    keys: [key.write],
    keyOwners: [{ kid: verkey, kind: 'public', target: value.did }],
    answer: {},
  };
}

/**
 * A new key for the document of a DID on the ledger. Its secret is stored by the commit that orders the write, and the wallet uses it when the ledger has the document:
 * whoever dies in between, the wallet holds the key that the ledger names. A key whose write failed is the next rotation's.
 */
function rotatePosted(ctx: Ctx, withoutFormer: boolean): Effects {
  const { value, state } = ctx.record!;
  if (value.method !== 'algo' || value.posture === 'wallet_only')
    throw new AppError('bad-request', `DID ${value.did} is not posted to the ledger`);
  if (state === 'publishing' && !value.next_keys) throw new AppError('wrong-state', `DID ${value.did} is being written to the ledger`);
  const service = ledgerService(ctx, value);
  const key = value.next_keys ? undefined : ctx.newKey();
  const next =
    state === 'publishing' ? value.next_keys! : followingKeys(presentKeys(value), key?.verkey ?? value.next_keys!.verkey, withoutFormer);
  const document = algoDocument({ did: value.did, ...next, endpoint: service.endpoint, routingKeys: service.routingKeys });
  const metadata = service.endpoint ? { ...value.metadata, endpoint: service.endpoint } : value.metadata;
  return {
    record: { states: ['publishing'], patch: { next_keys: next, next_metadata: metadata, next_mediator: mediatorIn(ctx, service) } },
    ...(key && { keys: [key.write], keyOwners: [keyOwnerFor(service, key.verkey, 'public', value.did)] }),
    ledger: [{ write: { kind: 'did-put', did: value.did, document }, verkey: value.verkey, result: 'rotated' }],
    answer: { result: view(value) },
  };
}

/** Keys of DIDs of the ledger: the DID stays when they change. */
export const didKeys = defineProtocol<DidValue>({
  name: 'did-keys',
  uris: [],
  binds: did,
  messages: {},
  commands: {
    'rotate-local': {
      route: 'PATCH /wallet/did/local/rotate-keypair',
      tag: 'wallet',
      summary: 'Rotate keypair for a DID not posted to the ledger',
      query: Type.Object({ did: Type.String() }),
      from: ['stored', 'publishing'],
      about: ({ query }) => ({ category: did.category, id: query.did ?? '' }),
      step: rotateLocal,
    },
    rotate: {
      route: 'PATCH /ledger/rotate-public-did-keypair',
      tag: 'ledger',
      summary: 'Rotate key pair for public DID',
      query: Type.Object({ did: Type.Optional(Type.String()), remove_former_keys: Type.Optional(Type.Boolean()) }),
      from: ['stored', 'publishing'],
      about: ({ query }) =>
        query.did ? { category: did.category, id: query.did } : { category: did.category, tag: 'posture', equals: 'public' },
      step: (ctx, { query }) => rotatePosted(ctx, query.remove_former_keys === 'true'),
    },
    /** Peers of connections under the DID are notified, a page at a time (RFC 0794): they resolve it anew, and know its key from then on. */
    notify: command({
      body: Type.Object({ cursor: Type.Optional(Type.String()) }),
      from: ['stored', 'publishing'],
      pages: ({ body }, record) => ({
        connections: { category: connection.category, query: { tags: { my_did: record! }, limit: PAGE, cursor: body.cursor } },
      }),
      step(ctx: Ctx) {
        const { did: name, verkey } = ctx.record!.value;
        const { rows, next } = ctx.pages.connections!;
        const others = rows.flatMap(({ id, state, value }) => {
          const { my_did_shared, my_verkey } = value as unknown as ConnectionValue;
          if ((state !== 'active' && state !== 'response') || !my_did_shared || my_verkey === verkey) return [];
          const patch = { protocol: 'did-rotate', connection_id: id, new_did: name, verkey, shared: true };
          return [changed({ def: didRotation, id: ctx.newId(), role: 'rotating', connection: id, states: ['due'], patch, silent: true })];
        });
        return {
          others,
          next: [
            ...others.map(({ id }) => ({
              protocol: 'did-rotate',
              command: 'announce',
              record: { category: didRotation.category, id: id! },
            })),
            ...(next === undefined ? [] : [{ command: 'notify', input: { cursor: next } }]),
          ],
        };
      },
    }),
  },
  results: {
    rotated: {
      from: ['stored', 'publishing'],
      step(ctx, { write }: { write: Extract<LedgerWrite, { kind: 'did-put' }> }) {
        const { value: before } = ctx.record!;
        const { next_keys: next } = before;
        // what was asked for twice is written once
        if (!next || verkeysFor(write.document, 'authentication')[0] !== next.verkey) return { answer: { result: view(before) } };
        const patch = {
          verkey: next.verkey,
          key_number: next.number,
          former_keys: next.former,
          next_keys: undefined,
          metadata: before.next_metadata ?? before.metadata,
          mediator: before.next_mediator,
          ...SETTLED,
        };
        return {
          record: { states: ['stored'], patch },
          invalidate: [before.did],
          next: [{ command: 'notify' }],
          answer: { result: view({ ...before, ...patch }) },
        };
      },
    },
  },
  // the key that was made is used by the next rotation
  failed: (_ctx, failure) => ({ record: { states: ['stored'], patch: { ...SETTLED, error_msg: failure.text } } }),
  answer: ({ value }) => ({ result: view(value) }),
});
