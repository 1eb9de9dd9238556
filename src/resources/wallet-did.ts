import { verkeyBytes } from '../didcomm/encoding.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { createDidKey } from '../dids/did-key.ts';
import { createPeer4 } from '../dids/did-peer.ts';
import { algoDocument, ownPeer2, peer4Document } from '../dids/own-documents.ts';
import { seedBytes } from '../dids/seed.ts';
import { AppError } from '../errors.ts';
import { EndpointUrl } from '../kernel/addresses.ts';
import type { Change, LedgerOrder } from '../kernel/effects.ts';
import { endorserIn, endorserQuery } from '../kernel/endorsement.ts';
import { command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { DidDocument } from '../ports/ledger.ts';
import type { Lookup } from '../ports/store.ts';
import { type DidValue, did, keyLookups, ofKey } from '../records/did.ts';
import { keyOwnerFor, ledgerService, mediationLookup, mediatorIn, type OwnService, ownService, routedFirst } from '../records/mediation.ts';

const view = (value: DidValue): JsonObject => ({ ...did.view({ id: value.did, version: 0, created: 0, updated: 0, value }) });

/** ACA-Py's kinds of endpoint, and the member of the DID's metadata that keeps each. */
const ENDPOINT_TYPES: Readonly<Record<string, string>> = { Endpoint: 'endpoint', Profile: 'profile', LinkedDomains: 'linked_domains' };

/** The document of a DID, with its present key and its former ones. */
const documentOf = (
  { did, verkey, key_number: number, former_keys: former }: DidValue,
  at: Pick<OwnService, 'routingKeys'> & { endpoint?: string },
) => algoDocument({ did, verkey, number, former, endpoint: at.endpoint, routingKeys: at.routingKeys });

/** The endorser that a call asks for. @throws AppError `bad-request` where there is none to ask */
const endorserOf = (ctx: StepContext, query: Readonly<Record<string, string>>): LedgerOrder['endorser'] =>
  endorserIn(endorserQuery(query.create_transaction_for_endorser, query.conn_id, ctx.settings.endorsement));

/** Writes the document of a DID, which its own key signs. */
const put = (value: DidValue, document: DidDocument, result: string, endorser: LedgerOrder['endorser']): LedgerOrder => ({
  write: { kind: 'did-put', did: value.did, document },
  verkey: value.verkey,
  result,
  ...(endorser && { endorser }),
});

const SETTLED = { next_metadata: undefined, next_mediator: undefined, error_msg: undefined };

/** DIDs of the wallet: created at once, published by a ledger write. A published DID stays usable when another becomes the public one. */
export const walletDid = defineProtocol<DidValue>({
  name: 'wallet-did',
  uris: [],
  binds: did,
  messages: {},
  commands: {
    create: command({
      route: 'POST /wallet/did/create',
      tag: 'wallet',
      summary: 'Create a local DID',
      body: Type.Object({
        method: Type.Optional(Type.String()),
        seed: Type.Optional(Type.String()),
        options: Type.Optional(
          Type.Object({
            key_type: Type.Optional(Type.String()),
            did: Type.Optional(Type.String()),
            mediation_id: Type.Optional(Type.String()),
          }),
        ),
      }),
      from: [NEW],
      load: ({ body }): Record<string, Lookup> => ({
        ...mediationLookup(body.options?.mediation_id),
        ...(body.seed === undefined ? {} : keyLookups(newKeyPair(seedBytes(body.seed)).verkey)),
      }),
      step(ctx, { body }) {
        // controllers written for Indy ask for `sov`, where they need a DID of the ledger
        const asAlgo = body.method === 'sov' && ctx.settings.sovAsAlgo;
        const method = asAlgo ? 'algo' : (body.method ?? (ctx.settings.algoPrefix ? 'algo' : 'key'));
        const type = body.options?.key_type ?? 'ed25519';
        if (type !== 'ed25519') throw new AppError('bad-request', `Unsupported key type ${type} for DID method ${method}`);
        if (body.options?.did) throw new AppError('bad-request', `DID method ${method} does not support a user-defined DID`);
        const known = ofKey(ctx.loaded);
        if (known && known.method !== method) throw new AppError('bad-request', `The key of this seed is that of ${known.did}`);
        if (known) return { answer: { result: view(known) } };
        const key = ctx.newKey(body.seed === undefined ? undefined : seedBytes(body.seed));
        const bytes = verkeyBytes(key.verkey);
        let made: string;
        // only a DID with a document of its own has a service
        const service = method.startsWith('did:peer:') ? ownService(ctx, { mediation_id: body.options?.mediation_id }) : undefined;
        const spec = { verkey: key.verkey, endpoint: service?.endpoint, more: service?.more, routingKeys: service?.routingKeys };
        if (method === 'key') made = createDidKey({ type: 'ed25519', bytes });
        else if (method === 'algo') {
          if (!ctx.settings.algoPrefix) throw new AppError('ledger-none', 'DID method algo needs a ledger');
          made = `${ctx.settings.algoPrefix}${Buffer.from(bytes).toString('hex')}`;
        } else if (method === 'did:peer:2') made = ownPeer2(spec);
        else if (method === 'did:peer:4') made = createPeer4(peer4Document(spec)).did;
        else throw new AppError('bad-request', `Unsupported DID method: ${method}`);
        const value: DidValue = { did: made, verkey: key.verkey, method, key_type: 'ed25519', posture: 'wallet_only', metadata: {} };
        return {
          record: { id: made, states: ['stored'], patch: value },
          keys: [key.write],
          // invitations may name any DID of the wallet, and any number of them
          keyOwners: [service ? keyOwnerFor(service, key.verkey, 'public', made) : { kid: key.verkey, kind: 'public', target: made }],
          answer: { result: view(value) },
          ...(asAlgo
            ? { warn: 'DIDs of method sov are asked for: the ledger has none, and DIDs of its own are made (--sov-as-algo)' }
            : {}),
        };
      },
    }),
    publish: {
      route: 'POST /wallet/did/public',
      tag: 'wallet',
      summary: 'Assign the current public DID',
      query: Type.Object({
        did: Type.String(),
        conn_id: Type.Optional(Type.String()),
        mediation_id: Type.Optional(Type.String()),
        create_transaction_for_endorser: Type.Optional(Type.Boolean()),
      }),
      from: ['stored', 'publishing'],
      about: ({ query }) => ({ category: did.category, id: query.did ?? '' }),
      load: ({ query }) => ({
        ...mediationLookup(query.mediation_id),
        public: { category: did.category, tag: 'posture', equals: 'public' },
      }),
      step(ctx, { query }) {
        const endorser = endorserOf(ctx, query);
        const { value } = ctx.record!;
        if (value.method !== 'algo')
          throw new AppError('bad-request', `A DID of method ${value.method} cannot be public: it is not on the ledger`);
        if (value.posture === 'public') return { answer: { result: view(value) } };
        if (ctx.record!.state === 'publishing' && value.next_keys)
          throw new AppError('wrong-state', `The keys of DID ${value.did} are being rotated`);
        const service = ledgerService(ctx, value, query.mediation_id);
        const { endpoint } = service;
        const document = documentOf(value, service);
        const metadata = endpoint ? { ...value.metadata, endpoint } : value.metadata;
        return {
          record: { states: ['publishing'], patch: { next_metadata: metadata, next_mediator: mediatorIn(ctx, service) } },
          ...routedFirst(service, value.verkey, value.did),
          ledger: [put(value, document, 'published', endorser)],
          answer: { result: view(value) },
        };
      },
    },
    endpoint: command({
      route: 'POST /wallet/set-did-endpoint',
      tag: 'wallet',
      summary: 'Update endpoint in wallet and on ledger if posted to it',
      query: Type.Object({ conn_id: Type.Optional(Type.String()), create_transaction_for_endorser: Type.Optional(Type.Boolean()) }),
      body: Type.Object({
        did: Type.String(),
        endpoint: Type.Optional(EndpointUrl),
        endpoint_type: Type.Optional(Type.Union(Object.keys(ENDPOINT_TYPES).map((name) => Type.Literal(name)))),
        mediation_id: Type.Optional(Type.String()),
      }),
      from: ['stored'],
      about: ({ body }) => ({ category: did.category, id: body.did }),
      load: ({ body }) => mediationLookup(body.mediation_id),
      step(ctx, { body, query }) {
        const endorser = endorserOf(ctx, query);
        const { value } = ctx.record!;
        const kind = body.endpoint_type ?? 'Endpoint';
        // a mediator that is named, or else the default one where no endpoint is given, stands for the endpoint
        const mediated = body.mediation_id || (!body.endpoint && kind === 'Endpoint' && ctx.settings.mediator);
        const service: OwnService = mediated
          ? ownService(ctx, { mediation_id: body.mediation_id })
          : { endpoint: body.endpoint ?? '', routingKeys: [] };
        const endpoint = mediated ? service.endpoint : body.endpoint;
        const metadata = { ...value.metadata, [ENDPOINT_TYPES[kind]!]: endpoint };
        if (value.posture === 'wallet_only') return { record: { patch: { metadata } }, answer: {} };
        if (kind !== 'Endpoint') throw new AppError('bad-request', `The document of a DID on the ledger has no endpoint of type ${kind}`);
        const document = documentOf(value, { ...service, endpoint });
        return {
          record: { states: ['publishing'], patch: { next_metadata: metadata, next_mediator: mediatorIn(ctx, service) } },
          ...routedFirst(service, value.verkey, value.did),
          ledger: [put(value, document, 'moved', endorser)],
          answer: {},
        };
      },
    }),
    /** Writes a DID through an endorser, which makes it the public one only with the author's flag. */
    register: command({
      body: Type.Object({ did: Type.String(), conn_id: Type.Optional(Type.String()) }),
      from: ['stored', 'publishing'],
      about: ({ body }) => ({ category: did.category, id: body.did }),
      load: () => ({ ...mediationLookup(undefined), public: { category: did.category, tag: 'posture', equals: 'public' } }),
      step(ctx, { body }) {
        const { value } = ctx.record!;
        const service = ledgerService(ctx, value, undefined);
        const { endpoint } = service;
        const document = documentOf(value, service);
        const metadata = endpoint ? { ...value.metadata, endpoint } : value.metadata;
        const result = ctx.settings.endorsement.autoPromote ? 'published' : 'registered';
        return {
          record: { states: ['publishing'], patch: { next_metadata: metadata, next_mediator: mediatorIn(ctx, service) } },
          ...routedFirst(service, value.verkey, value.did),
          ledger: [put(value, document, result, body.conn_id ? { connection: body.conn_id } : {})],
          answer: {},
        };
      },
    }),
  },
  results: {
    moved: {
      from: ['stored', 'publishing'],
      step(ctx) {
        const { next_metadata: metadata, next_mediator: mediator } = ctx.record!.value;
        return {
          record: { states: ['stored'], patch: { metadata, mediator, ...SETTLED } },
          invalidate: [ctx.record!.value.did],
          answer: {},
        };
      },
    },
    registered: {
      from: ['stored', 'publishing'],
      step(ctx) {
        const { posture, metadata: before, next_metadata, next_mediator: mediator, did: written } = ctx.record!.value;
        const metadata = next_metadata ?? before;
        return {
          record: { states: ['stored'], patch: { posture: posture === 'public' ? posture : 'posted', metadata, mediator, ...SETTLED } },
          invalidate: [written],
          answer: {},
        };
      },
    },
    published: {
      from: ['stored', 'publishing'],
      load: () => ({ public: { category: did.category, tag: 'posture', equals: 'public' } }),
      step(ctx) {
        const { value: before } = ctx.record!;
        const metadata = before.next_metadata ?? before.metadata;
        const patch = { posture: 'public' as const, metadata, mediator: before.next_mediator, ...SETTLED };
        const value: DidValue = { ...before, ...patch };
        return {
          record: { states: ['stored'], patch },
          others: formerPublic(ctx),
          invalidate: [before.did],
          answer: { result: view(value) },
        };
      },
    },
  },
  failed: (_ctx, failure) => ({ record: { states: ['stored'], patch: { ...SETTLED, error_msg: failure.text } } }),
  answer: ({ value }) => ({ result: view(value) }),
});

/** The DID that was public until now stays on the ledger. */
function formerPublic(ctx: StepContext<DidValue>): Change<DidValue>[] {
  const row = ctx.loaded.public;
  return row && row.id !== ctx.record!.id ? [{ def: did, base: did.of(row), patch: { posture: 'posted' } }] : [];
}
