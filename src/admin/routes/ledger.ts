import { looksLikeVerkey, verkeyBytes } from '../../didcomm/encoding.ts';
import { parseDidAlgo } from '../../dids/did-algo.ts';
import { didcommServices, verkeysFor } from '../../dids/did-doc.ts';
import { AppError } from '../../errors.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { DidDocument } from '../../ports/ledger.ts';
import { costOf, Planned, USUAL } from '../ledger-costs.ts';
import type { Admin, AdminRoute } from '../route.ts';
import { Endorsing, endorsingOptions } from './indy-families.ts';

/** ACA-Py's name of the one ledger that an agent has. */
const ONLY = 'default';
const Did = Type.Object({ did: Type.String({ maxLength: 5100 }) });

/** The document of a DID on the ledger. @throws AppError, 404 where the ledger has none or the DID was deactivated */
async function onLedger(admin: Admin, tenant: string, did: string): Promise<DidDocument> {
  const { document, metadata } = await admin.work(tenant).ledger().resolve(did);
  if (metadata.deactivated) throw new AppError('not-found', `DID ${did} was deactivated`);
  return document;
}

/** The type of service that is an endpoint of ACA-Py's kind. */
function endpointOf(document: DidDocument, kind: string): string | null {
  if (kind === 'Endpoint') return didcommServices(document)[0]?.serviceEndpoint ?? null;
  const services = (document.service ?? []) as { type: unknown; serviceEndpoint?: unknown }[];
  const found = services.find(({ type }) => [type].flat().some((one) => String(one).toLowerCase() === kind.toLowerCase()));
  return typeof found?.serviceEndpoint === 'string' ? found.serviceEndpoint : null;
}

/** ACA-Py's questions about a ledger, as a ledger without roles and agreements answers them. */
export const ledgerRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /ledger/did-verkey',
    tag: 'ledger',
    summary: 'Get the verkey for a DID from the ledger',
    query: Did,
    async handle(admin, { tenant, query }) {
      const [verkey] = verkeysFor(await onLedger(admin, tenant, query.did!), 'authentication');
      if (verkey === undefined) throw new AppError('not-found', `DID ${query.did} has no key on the ledger`);
      return { verkey };
    },
  },
  {
    route: 'GET /ledger/did-endpoint',
    tag: 'ledger',
    summary: 'Get the endpoint for a DID from the ledger',
    query: Type.Object({
      ...Did.properties,
      endpoint_type: Type.Optional(Type.Union(['Endpoint', 'Profile', 'LinkedDomains'].map((name) => Type.Literal(name)))),
    }),
    handle: async (admin, { tenant, query }) => ({
      endpoint: endpointOf(await onLedger(admin, tenant, query.did!), query.endpoint_type ?? 'Endpoint'),
    }),
  },
  {
    route: 'GET /ledger/get-nym-role',
    tag: 'ledger',
    summary: 'Get the role from the NYM registration of a public DID',
    query: Did,
    async handle(admin, { tenant, query }) {
      await onLedger(admin, tenant, query.did!);
      // there are no roles: every DID writes its own schemas and credential definitions, which on Indy takes this one
      return { role: 'ENDORSER' };
    },
  },
  {
    route: 'POST /ledger/register-nym',
    tag: 'ledger',
    summary: 'Send a NYM registration to the ledger',
    query: Type.Object({
      ...Did.properties,
      ...Endorsing.properties,
      verkey: Type.String({ maxLength: 100 }),
      alias: Type.Optional(Type.String()),
      role: Type.Optional(Type.Union(['STEWARD', 'TRUSTEE', 'ENDORSER', 'NETWORK_MONITOR', 'reset'].map((name) => Type.Literal(name)))),
    }),
    async handle(admin, { tenant, query }) {
      admin.work(tenant).ledger();
      const { algoPrefix, endorsement } = (await admin.kernel.profiles.of(tenant)).settings;
      const asked = await endorsingOptions(admin, tenant, query);
      const { did, publicKey } = parseDidAlgo(query.did!);
      if (algoPrefix === undefined || !did.startsWith(algoPrefix)) throw new AppError('bad-request', `DID ${did} is none of this ledger`);
      if (!looksLikeVerkey(query.verkey!) || !Buffer.from(verkeyBytes(query.verkey!)).equals(publicKey))
        throw new AppError('bad-request', 'The verkey is not that of the DID: its key makes the DID');
      // nobody registers a DID for another here: its own key signs the write, whoever pays
      if (!asked.create_transaction_for_endorser && endorsement.role !== 'author') return { success: true };
      const input = { body: { did, ...(query.conn_id && { conn_id: query.conn_id }) }, query: {} };
      const { txn } = (await admin.calls.call(tenant, 'wallet-did', 'register', { input })) as JsonObject;
      return { success: true, ...(txn !== undefined && { txn }) };
    },
  },
  {
    route: 'GET /ledger/taa',
    tag: 'ledger',
    summary: 'Fetch the current transaction author agreement, if any',
    async handle(admin, { tenant }) {
      admin.work(tenant).ledger();
      return { result: { aml_record: null, taa_record: null, taa_required: false, taa_accepted: null } };
    },
  },
  {
    route: 'POST /ledger/taa/accept',
    tag: 'ledger',
    summary: 'Accept the transaction author agreement',
    body: Type.Object({
      version: Type.Optional(Type.String()),
      text: Type.Optional(Type.String()),
      mechanism: Type.Optional(Type.String()),
    }),
    async handle(admin, { tenant }) {
      admin.work(tenant).ledger();
      // start scripts accept without asking: there is nothing to accept, so nothing is missing afterwards
      return {};
    },
  },
  {
    route: 'GET /ledger/get-write-ledger',
    tag: 'ledger',
    summary: 'Fetch the current write ledger',
    async handle(admin, { tenant }) {
      admin.work(tenant).ledger();
      return { ledger_id: ONLY };
    },
  },
  {
    route: 'GET /ledger/get-write-ledgers',
    tag: 'ledger',
    summary: 'Fetch list of available write ledgers',
    handle: async () => ({ write_ledgers: [ONLY] }),
  },
  {
    route: 'PUT /ledger/{ledger_id}/set-write-ledger',
    tag: 'ledger',
    summary: 'Set write ledger',
    async handle(admin, { tenant, params }) {
      admin.work(tenant).ledger();
      if (params.ledger_id !== ONLY) throw new AppError('bad-request', `There is one ledger here, ${ONLY}`);
      return { write_ledger: ONLY };
    },
  },
  {
    route: 'GET /ledger/account',
    tag: 'ledger',
    summary: 'Show the account that pays for ledger writes, and how many usual ones it can pay for',
    auth: 'admin',
    async handle(admin) {
      const ledger = admin.work(admin.base).ledger();
      const { address, balance, minimum } = await ledger.account();
      const { endpoint } = (await admin.kernel.profiles.of(admin.base)).settings;
      const spendable = Math.max(0, balance - minimum);
      const costs = await Promise.all(
        Object.entries(USUAL).map(async ([name, write]) => [name, await costOf(ledger, write, endpoint)] as const),
      );
      return {
        address,
        network: ledger.network,
        balance,
        minimum_balance: minimum,
        spendable,
        unit: 'microALGO',
        costs: Object.fromEntries(costs),
        enough_for: Object.fromEntries(costs.map(([name, cost]) => [name, Math.floor(spendable / cost)])),
      };
    },
  },
  {
    route: 'POST /ledger/estimate',
    tag: 'ledger',
    summary: 'Estimate what ledger writes will cost, before they are made',
    body: Type.Object({ writes: Type.Array(Planned, { minItems: 1, maxItems: 20 }) }),
    async handle(admin, { tenant, body }) {
      const ledger = admin.work(tenant).ledger();
      const { endpoint } = (await admin.kernel.profiles.of(tenant)).settings;
      const results: JsonObject[] = [];
      for (const write of body.writes as Planned[]) results.push({ type: write.type, cost: await costOf(ledger, write, endpoint) });
      return { results, total: results.reduce((sum, { cost }) => sum + (cost as number), 0), unit: 'microALGO' };
    },
  },
  {
    route: 'GET /ledger/config',
    tag: 'ledger',
    summary: 'Fetch the ledger configuration list in use',
    async handle() {
      throw new AppError('forbidden', 'Multiple ledger support not enabled');
    },
  },
];
