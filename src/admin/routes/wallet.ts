import { toBase58 } from '../../didcomm/encoding.ts';
import { fromMultikey } from '../../dids/did-key.ts';
import { AppError } from '../../errors.ts';
import { checkedAs } from '../../kernel/json.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type DidValue, did, keyLookups } from '../../records/did.ts';
import { walletKey } from '../../records/wallet-key.ts';
import type { AdminRoute } from '../route.ts';

const Text = Type.Optional(Type.String());

/** Reading the wallet's DIDs; creating and publishing them are commands. */
export const walletRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /wallet/did',
    tag: 'wallet',
    summary: 'List wallet DIDs',
    query: Type.Object({
      did: Text,
      verkey: Text,
      posture: Type.Optional(Type.Union(['public', 'posted', 'wallet_only'].map((name) => Type.Literal(name)))),
      method: Text,
      key_type: Type.Optional(Type.Union(['ed25519', 'bls12381g2', 'p256'].map((name) => Type.Literal(name)))),
    }),
    async handle(admin, { tenant, query }) {
      const { sovAsAlgo } = (await admin.kernel.profiles.of(tenant)).settings;
      const tags = query.method === 'sov' && sovAsAlgo ? { ...query, method: 'algo' } : query;
      const { rows } = await admin.kernel.db.store.find(tenant, did.category, { tags, limit: 10_000 });
      return { results: rows.map((row) => did.view(did.of(row))) };
    },
  },
  {
    route: 'POST /did/indy/create',
    tag: 'did',
    summary: 'Create a did:indy',
    body: Type.Object({
      options: Type.Optional(Type.Object({ did: Text, seed: Text, key_type: Text })),
      features: Type.Optional(Type.Object({})),
    }),
    async handle(admin, { tenant, body, key }) {
      const { seed, ...options } = (body.options ?? {}) as { seed?: string };
      // the same DID that method sov asks for, or the same refusal
      const input = { body: { method: 'sov', ...(seed === undefined ? {} : { seed }), options }, query: {} };
      const { did: made, verkey } = checkedAs<DidValue>((await admin.calls.call(tenant, 'wallet-did', 'create', { input, key })).result);
      return { did: made, verkey };
    },
  },
  {
    route: 'GET /wallet/did/public',
    tag: 'wallet',
    summary: 'Fetch the current public DID',
    async handle(admin, { tenant }) {
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: did.category, tag: 'posture', equals: 'public' }]);
      const row = rows?.[0];
      return { result: row ? did.view(did.of(row)) : null } satisfies JsonObject;
    },
  },
  {
    route: 'GET /wallet/did/control',
    tag: 'wallet',
    summary: 'Who has authority over a DID on the ledger, and whether that is this wallet',
    query: Type.Object({ did: Text }),
    async handle(admin, { tenant, query }) {
      const lookup = query.did ? { category: did.category, id: query.did } : { category: did.category, tag: 'posture', equals: 'public' };
      const row = (await admin.kernel.db.store.load(tenant, [lookup]))[0]?.[0];
      if (!row) throw new AppError('not-found', did.admin?.notFound);
      const { value } = did.of(row);
      const { controls, operators = [] } = value;
      if (value.method !== 'algo') throw new AppError('bad-request', `DID ${value.did} is none of the ledger`);
      const { account, authority, balance, operator } = await admin.work(tenant).ledger().authority(value.did, { controls });
      return {
        result: {
          ...{ did: value.did, account, authority: authority.address, balance },
          ...(authority.control && { threshold: authority.control.threshold, verkeys: [...authority.control.verkeys] }),
          in_wallet: authority.control !== undefined,
          operator: operator ?? null,
          operator_in_wallet: operator !== undefined && operators.includes(operator),
        },
      };
    },
  },
  {
    route: 'GET /wallet/get-did-endpoint',
    tag: 'wallet',
    summary: 'Query DID endpoint in wallet',
    query: Type.Object({ did: Type.String() }),
    async handle(admin, { tenant, query }) {
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: did.category, tag: 'did', equals: query.did! }]);
      if (!rows?.[0]) throw new AppError('not-found', `Unknown DID: ${query.did}`);
      const { metadata } = did.of(rows[0]).value;
      return { did: query.did!, endpoint: typeof metadata.endpoint === 'string' ? metadata.endpoint : null };
    },
  },
  {
    route: 'GET /wallet/keys/{multikey}',
    tag: 'wallet',
    summary: 'Fetch key info.',
    async handle(admin, { tenant, params }) {
      const multikey = params.multikey!;
      const key = fromMultikey(multikey);
      if (key?.type !== 'ed25519') throw new AppError('bad-request', 'Unsupported key algorithm for multikey');
      const { own: present, formerly } = keyLookups(toBase58(key.bytes));
      const [own, ofDid, ofFormer] = await admin.kernel.db.store.load(tenant, [
        { category: walletKey.category, id: multikey },
        present,
        formerly,
      ]);
      if (own?.[0]) return walletKey.view(walletKey.of(own[0]));
      if (!ofDid?.[0] && !ofFormer?.[0]) throw new AppError('not-found', 'No key of this multikey is in the wallet');
      return { kid: null, multikey };
    },
  },
];
