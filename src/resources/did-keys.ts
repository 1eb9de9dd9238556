import type { Static } from 'typebox';
import { looksLikeVerkey, toBase58 } from '../didcomm/encoding.ts';
import { parseDidAlgo } from '../dids/did-algo.ts';
import { verkeysFor } from '../dids/did-doc.ts';
import { algoDocument } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import type { Effects } from '../kernel/effects.ts';
import { checkedAs } from '../kernel/json.ts';
import { changed, command, defineProtocol, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { Lookup } from '../ports/store.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';
import { type DidValue, did } from '../records/did.ts';
import { didRotation } from '../records/did-rotation.ts';
import { keyOwnerFor, ledgerService, mediatorIn } from '../records/mediation.ts';

/** Keys that a document may name beside the present one: each locks about 0.1 ALGO. */
const MAX_FORMER = 30;
/** Connections whose peers are notified in one commit. */
const PAGE = 100;

const view = (value: DidValue): JsonObject => ({ ...did.view({ id: value.did, version: 0, created: 0, updated: 0, value }) });

/** Members that are removed when a write has ended. */
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
 * after a crash at any point, the wallet holds the key that the ledger names. A key whose write failed is the next rotation's.
 */
function rotatePosted(ctx: Ctx, withoutFormer: boolean): Effects {
  const { state } = ctx.record!;
  const value = postedDid(ctx);
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

const aboutDid = ({ query }: { query: Readonly<Record<string, string>> }): Lookup =>
  query.did ? { category: did.category, id: query.did } : { category: did.category, tag: 'posture', equals: 'public' };

/** The DID on the ledger that an operation is about. @throws AppError `bad-request` for another one */
function postedDid({ record }: Ctx): DidValue {
  const { value } = record!;
  if (value.method !== 'algo' || value.posture === 'wallet_only')
    throw new AppError('bad-request', `DID ${value.did} is not posted to the ledger`);
  return value;
}

/** @throws AppError `bad-request` for what is no key */
function verkeys(given: readonly string[]): string[] {
  for (const verkey of given)
    if (!looksLikeVerkey(verkey)) throw new AppError('bad-request', `${verkey.slice(0, 100)} is not a key in base58`);
  if (new Set(given).size < given.length) throw new AppError('bad-request', 'A key is named twice');
  return [...given];
}

/** The key that makes the DID: it controls the account until that is rekeyed. */
const ownKey = ({ did: name }: DidValue): string => toBase58(parseDidAlgo(name).publicKey);

/** A key for an authority: the one that was made before and never had it, or a new one. */
function keyFor(ctx: Ctx, made: string | undefined): { verkey: string; keys: NonNullable<Effects['keys']> } {
  if (made !== undefined) return { verkey: made, keys: [] };
  const { verkey, write } = ctx.newKey();
  return { verkey, keys: [write] };
}

const ControlBody = Type.Object({
  verkeys: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 16 })),
  threshold: Type.Optional(Type.Integer({ minimum: 1, maximum: 16 })),
  new_key: Type.Optional(Type.Boolean()),
  external: Type.Optional(Type.Boolean()),
});

/**
 * Rekeys the control account: to a new key of this wallet, to given ones, or to so many of several; with neither, back to the key that makes the DID. The authority is
 * stored before anything is on the ledger, and never removed: the ledger decides.
 */
function rekey(ctx: Ctx, body: Static<typeof ControlBody>): Effects {
  const value = postedDid(ctx);
  const given = verkeys(body.verkeys ?? []);
  const made = body.new_key === false ? undefined : keyFor(ctx, value.next_control_key);
  const named = made ? [made.verkey, ...given] : given;
  const control = { threshold: body.threshold ?? 1, verkeys: named.length > 0 ? named : [ownKey(value)] };
  const { threshold } = control;
  if (threshold > control.verkeys.length || control.verkeys.length > 16)
    throw new AppError('bad-request', `No ${threshold} of ${control.verkeys.length} keys can sign`);
  const ours = [ownKey(value), ...(value.control_keys ?? []), ...(made ? [made.verkey] : [])];
  const held = control.verkeys.filter((verkey) => ours.includes(verkey)).length;
  if (held < threshold && !body.external)
    throw new AppError(
      'bad-request',
      `This wallet would have ${held} of the ${threshold} keys that sign, and could not write the document of ${value.did} any more: give "external": true where this is meant`,
    );
  const { controls = [], control_keys = [] } = value;
  return {
    record: {
      patch: {
        control_keys: made ? [...new Set([...control_keys, made.verkey])] : control_keys,
        controls: held < threshold ? controls : [...controls.filter((one) => JSON.stringify(one) !== JSON.stringify(control)), control],
        next_control_key: made?.verkey ?? value.next_control_key,
      },
    },
    keys: made?.keys,
    ledger: [{ write: { kind: 'did-rekey', did: value.did, control }, verkey: value.verkey, result: 'rekeyed' }],
    answer: { result: { did: value.did, ...control, state: 'wait' } },
  };
}

const OperatorBody = Type.Object({ verkey: Type.Optional(Type.String({ maxLength: 100 })), none: Type.Optional(Type.Boolean()) });

/** Appoints the operator, who writes schemas and definitions of the DID and nothing else: a new key of this wallet, a given one, or none. */
function appoint(ctx: Ctx, body: Static<typeof OperatorBody>): Effects {
  const value = postedDid(ctx);
  if (body.none && body.verkey) throw new AppError('bad-request', 'verkey and none are mutually exclusive');
  const made = body.none || body.verkey ? undefined : keyFor(ctx, value.next_operator);
  const operator = made?.verkey ?? (body.verkey && verkeys([body.verkey])[0]);
  return {
    record: made && { patch: { operators: [...new Set([...(value.operators ?? []), made.verkey])], next_operator: made.verkey } },
    keys: made?.keys,
    ledger: [{ write: { kind: 'did-operator', did: value.did, ...(operator && { operator }) }, verkey: value.verkey, result: 'appointed' }],
    answer: { result: { did: value.did, operator: operator ?? null, state: 'wait' } },
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
      about: aboutDid,
      step: (ctx, { query }) => rotatePosted(ctx, query.remove_former_keys === 'true'),
    },
    control: command({
      route: 'PATCH /wallet/did/control',
      tag: 'wallet',
      summary: 'Hand the control of a DID on the ledger to another key, or to several',
      query: Type.Object({ did: Type.Optional(Type.String()) }),
      body: ControlBody,
      from: ['stored', 'publishing'],
      about: aboutDid,
      step: (ctx: Ctx, { body }) => rekey(ctx, body),
    }),
    operator: command({
      route: 'PATCH /wallet/did/operator',
      tag: 'wallet',
      summary: 'Appoint the operator of a DID on the ledger, who writes its schemas and definitions',
      query: Type.Object({ did: Type.Optional(Type.String()) }),
      body: OperatorBody,
      from: ['stored', 'publishing'],
      about: aboutDid,
      step: (ctx: Ctx, { body }) => appoint(ctx, body),
    }),
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
          const { my_did_shared, my_verkey } = checkedAs<ConnectionValue>(value);
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
    rekeyed: {
      from: ['stored', 'publishing'],
      step(ctx, { write }: { write: Extract<LedgerWrite, { kind: 'did-rekey' }> }) {
        const { value } = ctx.record!;
        const used = write.control.verkeys.includes(value.next_control_key ?? '');
        return {
          record: { patch: { next_control_key: used ? undefined : value.next_control_key, error_msg: undefined } },
          answer: {
            result: { did: value.did, threshold: write.control.threshold, verkeys: [...write.control.verkeys], state: 'finished' },
          },
        };
      },
    },
    appointed: {
      from: ['stored', 'publishing'],
      step(ctx, { write }: { write: Extract<LedgerWrite, { kind: 'did-operator' }> }) {
        const { value } = ctx.record!;
        return {
          record: {
            patch: { next_operator: write.operator === value.next_operator ? undefined : value.next_operator, error_msg: undefined },
          },
          answer: { result: { did: value.did, operator: write.operator ?? null, state: 'finished' } },
        };
      },
    },
    rotated: {
      from: ['stored', 'publishing'],
      step(ctx, { write }: { write: Extract<LedgerWrite, { kind: 'did-put' }> }) {
        const { value: before } = ctx.record!;
        const { next_keys: next } = before;
        // a write that was ordered twice is written once
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
  // the key that was made is used by the next try
  failed: (_ctx, { result, text }) => ({
    record: result === 'rotated' ? { states: ['stored'], patch: { ...SETTLED, error_msg: text } } : { patch: { error_msg: text } },
  }),
  answer: ({ value }) => ({ result: view(value) }),
});
