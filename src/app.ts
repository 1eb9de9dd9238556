import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { algorandLedger } from './adapters/algorand.ts';
import { openAnonCreds } from './adapters/anoncreds.ts';
import { egressGuard } from './adapters/egress.ts';
import { httpInbound } from './adapters/http-inbound.ts';
import { httpOutbound } from './adapters/http-outbound.ts';
import { openPostgres } from './adapters/postgres.ts';
import { rotatePostgres } from './adapters/postgres-rotate.ts';
import { openSqlite } from './adapters/sqlite.ts';
import { rotateSqlite } from './adapters/sqlite-rotate.ts';
import { webDocuments } from './adapters/web-documents.ts';
import { createAuthority } from './admin/auth.ts';
import type { Admin } from './admin/route.ts';
import { operationsOf, startAdmin } from './admin/server.ts';
import { type Config, ConfigError, dataDir, liveConfig } from './config.ts';
import { acapySettings } from './config-acapy.ts';
import { signBytes } from './didcomm/keys.ts';
import { sendMediaType } from './didcomm/media-types.ts';
import { resolver } from './dids/resolver.ts';
import { AppError } from './errors.ts';
import { agent2018Work } from './formats/agent-2018.ts';
import { anoncredsWork, matchHeld } from './formats/anoncreds.ts';
import { checkPresentation } from './formats/anoncreds-checks.ts';
import { createCalls } from './kernel/calls.ts';
import { followClock } from './kernel/clock.ts';
import { createKeyRing, type Kernel } from './kernel/context.ts';
import { createEndpoints } from './kernel/endpoints.ts';
import { createEngine } from './kernel/engine.ts';
import { deliverLane } from './kernel/jobs.ts';
import { mergedWork, migrate, type Plugin } from './kernel/plugin.ts';
import { createRegistry, type Registry } from './kernel/registry.ts';
import { createTally, type Tally } from './kernel/tally.ts';
import { createTurns } from './kernel/turns.ts';
import type { WorkContext } from './kernel/work.ts';
import { loadPlugin } from './plugins.ts';
import type { JsonObject } from './ports/json.ts';
import type { Ledger } from './ports/ledger.ts';
import type { Log } from './ports/log.ts';
import type { Database } from './ports/store.ts';
import { NO_TRACE, type Trace } from './ports/trace.ts';
import type { Outbound } from './ports/transport.ts';
import { type TenantProfiles, tenantProfiles } from './profiles.ts';
import { legacyEndpoints } from './protocols/legacy-endpoint.ts';
import { multitenancy } from './protocols/multitenancy.ts';
import { EXTRA_RECORDS, PROTOCOLS } from './spoken.ts';
import { chooseMediator, followMediator, mediatorInvitation, publishLater, seedDid } from './startup.ts';
import { startSweeper } from './workers/sweeper.ts';
import { startWorkers } from './workers/workers.ts';

export const VERSION = '0.1.0';
/** How long the server of a did:web has to answer. */
const WEB_MS = 5000;
/** The tenant of a single-tenant agent. */
export const BASE = 'base';

export interface Agent {
  /** For tests: what the agent is made of. */
  readonly kernel: Kernel;
  readonly adminPort?: number;
  readonly inboundPort?: number;
  /** Resolves when the agent was told to stop by the admin API. */
  readonly stopped: Promise<void>;
  /** Says that it is not ready any more, and serves on for a while: whoever sends it work has time to hear of that. */
  drain(): Promise<void>;
  /** Takes nothing new, finishes what is in hand, closes everything. */
  close(): Promise<void>;
}

/**
 * Builds the agent from its configuration and starts it: the only place that knows every adapter.
 * @throws ConfigError, or AppError where the database or a port cannot be had
 */
export async function startAgent(config: Config, shown: Record<string, unknown>, log: Log): Promise<Agent> {
  const inbound = inboundOf(config);
  const admin = adminOf(config, log);
  if (!inbound && !admin)
    throw new ConfigError(
      'nothing could reach this agent: give --admin HOST PORT for controllers, --inbound-transport http HOST PORT for peers',
    );
  const plugins: Plugin[] = [];
  for (const name of config.plugins) plugins.push(...(await loadPlugin(name)));
  const { registry, ops } = asSetting('--plugin', () => {
    const protocols = plugins.flatMap((plugin) => plugin.protocols ?? []);
    const records = plugins.flatMap((plugin) => plugin.records ?? []);
    const registry = createRegistry([...PROTOCOLS, ...protocols] as never, [...EXTRA_RECORDS, ...records] as never);
    operationsOf(registry, plugins, { multitenant: true, managesWallets: true });
    return { registry, ops: mergedWork({ ...anoncredsWork, ...agent2018Work }, plugins) };
  });
  // what the configuration alone can refuse comes before the database is touched
  const mediator = mediatorInvitation(config);
  const plainLedger = ledgerOf(config);
  // no id of the ordered kind: the clock that those follow is the store's, which is not open yet
  const owner = randomUUID();
  const { trace, database, ledgered, cryptographic, outgoing } = await tracing(config, owner, log);
  const ledger = ledgered(plainLedger);
  const db = database(await openDatabase(config, log));
  followClock(db.now);
  const started = Date.now();
  const counters: Record<string, number> = {};
  const tallies = { messages_received: createTally(Date.now), admin_calls: createTally(Date.now) };
  const anoncreds = cryptographic(
    openAnonCreds({ libraryPath: process.env.LIB_ANONCREDS_PATH, checkPresentation, workers: config.anoncredsWorkers }),
  );
  if (!anoncreds.status().on) log.warn({}, anoncreds.status().text);
  await db.admin.ensureTenant(BASE, config.walletName);
  for (const plugin of plugins) {
    await migrate(db, BASE, plugin, registry.records).catch(async (error: unknown) => {
      await db.admin.close();
      if (error instanceof AppError) throw error;
      throw new ConfigError(`--plugin ${plugin.name}: ${(error as Error).message}`);
    });
  }

  const { kernel, change } = kernelOf(config, registry, db, log, { counters, tallies, trace });
  const { endpoints } = kernel;
  function rereadEndpoints(): void {
    if (config.legacy !== 'off')
      endpoints.refresh().catch((error: unknown) => log.warn({ err: error }, 'the Endpoint DIDs could not be read'));
  }
  let adminPort = admin?.port;
  const guard = asSetting('--egress-allow', () => egressGuard(config.egressAllow, () => adminPort));
  const web = webDocuments(guard, WEB_MS);
  const dids = resolver({ ledger, web, webOverHttp: config.didWebHttp });
  db.jobs.subscribe(({ forget }) => {
    const written = forget.filter((name) => name.startsWith('did:'));
    for (const did of written) dids.forget(did);
    if (written.length > 0) rereadEndpoints();
  });
  const requireLedger = (): Ledger => {
    if (!ledger) throw new AppError('ledger-none');
    return ledger;
  };
  const work = (tenant: string): WorkContext => ({ tenant, store: db.store, anoncreds, resolver: dids, ledger: requireLedger });
  const engine = createEngine(kernel);
  const calls = createCalls(kernel, engine, ops, work);
  const mediaType = sendMediaType(config.oldMimeType);
  const outbound = outgoing(httpOutbound(guard, mediaType, config.outboundTimeout * 1000));

  const workers = startWorkers({
    kernel,
    engine,
    calls,
    outbound,
    owner,
    ledger: requireLedger,
    sign: (tenant) => async (verkey, bytes) => {
      const pair = await kernel.keys.pair(tenant, verkey);
      if (!pair) throw new AppError('internal', 'the key of a DID is missing');
      return signBytes(bytes, pair);
    },
  });
  const expiry = setInterval(() => {
    void db.admin.expire(db.now()).catch((error: unknown) => log.warn({ err: error }, 'old rows could not be removed'));
  }, 60_000);
  expiry.unref();
  const stopSweeping = config.multitenant ? startSweeper(db, calls, BASE, log) : () => {};
  const rereading = setInterval(rereadEndpoints, 5000);
  rereading.unref();

  try {
    if (config.legacy !== 'off') {
      await endpoints.refresh();
      if (endpoints.all().length === 0) await calls.call(BASE, legacyEndpoints.name, 'make', { input: { body: {}, query: {} } });
      await endpoints.refresh();
    }
    const made = await seedDid(kernel, calls, BASE, config);
    if (made && ledger && config.sponsorMnemonic && !config.readOnlyLedger && !config.walletLocalDid) publishLater(calls, BASE, made, log);
    await chooseMediator(calls, BASE, config, log);
  } catch (error) {
    // a start that fails here must let go of the database, as one that fails before it
    await workers.stop();
    await Promise.allSettled([outbound.close(), web.close(), anoncreds.close()]);
    await db.admin.close();
    throw error;
  }

  const leaving = new AbortController();

  let draining = false;
  let closing = false;
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const ready = async (): Promise<{ ok: boolean; reason?: string }> => {
    if (draining || closing) return { ok: false, reason: 'Shutdown in progress' };
    try {
      await db.admin.check();
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
    const health = ledger ? await ledger.health() : { ok: true };
    return health.ok ? { ok: true } : { ok: false, reason: `The ledger is not ready: ${health.reason ?? 'no reason given'}` };
  };

  const sink = {
    async receive(body: Uint8Array) {
      if (closing) return { status: 503 };
      const received = await engine.receive(body, { canReply: true });
      if (received.refused === 'envelope') return { status: 400 };
      if (received.reply !== undefined) return { status: 200, reply: received.reply, sent: received.sent };
      const mail = received.session ? await takeMail(db, owner, received.session) : undefined;
      return mail ? { status: 200, ...mail } : { status: 202 };
    },
  };
  const messages = inbound
    ? await httpInbound(sink, {
        ...inbound,
        maxBytes: config.maxMessageSize,
        maxInFlight: 1000,
        perSecond: config.messageRate,
        mediaType,
        // off or not: a payload of the 2018 Agent Protocol is then answered like everything that is no envelope, as for a tenant that has it off
        plain: true,
        log,
      })
    : undefined;
  const authority = createAuthority(kernel, {
    apiKey: admin?.apiKey,
    base: BASE,
    multitenant: config.multitenant ? { secret: config.jwtSecret!, baseRoutes: config.baseWalletRoutes } : undefined,
  });
  const api: Admin = {
    kernel,
    base: BASE,
    engine,
    calls,
    work,
    matchHeld: (tenant, request) => matchHeld(work(tenant), request as never),
    authority: () => authority,
    acapySettings(given) {
      const settings = acapySettings(given);
      try {
        liveConfig(settings);
      } catch (error) {
        throw new AppError('bad-request', (error as Error).message);
      }
      return settings;
    },
    plugins,
    version: VERSION,
    started,
    config: shown as JsonObject,
    async changeSettings(tenant, given) {
      try {
        // what cannot be understood is refused before anything is written
        const changes = acapySettings(given);
        liveConfig(changes);
        if (tenant === BASE) change(changes);
        else {
          const input = { body: { extra_settings: changes }, query: {} };
          await calls.call(BASE, multitenancy.name, 'update', { record: tenant, input });
          kernel.profiles.forget(tenant);
        }
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw new AppError('bad-request', error.message);
      }
    },
    ready,
    counters: () => ({ ...counters, ...db.admin.stats() }),
    busiest: () => Object.fromEntries(Object.entries(tallies).map(([name, tally]) => [name, tally.busiest(config.metricsTenants)])),
    resetCounters() {
      for (const name of Object.keys(counters)) delete counters[name];
    },
    shutdown: stop,
  };
  const server = admin
    ? await startAdmin(api, {
        ...admin,
        maxBytes: Math.round(config.adminMaxRequestSize * 1_048_576),
        managesWallets: config.multitenantAdmin,
      })
    : undefined;
  adminPort = server?.port;
  // only now: the mediator's answers may come at once
  const following = mediator ? followMediator(kernel, calls, BASE, mediator, log, leaving.signal) : undefined;

  return {
    kernel,
    adminPort: server?.port,
    inboundPort: messages?.port,
    stopped,
    async drain() {
      draining = true;
      await new Promise((resolve) => setTimeout(resolve, config.drainTime * 1000));
    },
    async close() {
      closing = true;
      clearInterval(expiry);
      clearInterval(rereading);
      stopSweeping();
      leaving.abort();
      calls.end();
      await following;
      await Promise.allSettled([messages?.close(), server?.close()]);
      await workers.stop();
      await outbound.close();
      await web.close();
      await anoncreds.close();
      await db.admin.close();
      await trace.close();
    },
  };
}

/** What puts spans around the ports: nothing at all, unless `--otlp-endpoint` says where they go. */
async function tracing(config: Config, instance: string, log: Log) {
  const same = <T>(port: T): T => port;
  if (config.otlpEndpoint === undefined)
    return {
      trace: NO_TRACE,
      database: same<Database>,
      ledgered: same<Ledger | undefined>,
      cryptographic: same<Cryptographer>,
      outgoing: same<Outbound>,
    };
  const { otlpEndpoint: endpoint, otlpShare: share } = config;
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) throw new ConfigError('--otlp-endpoint takes a URL, http or https');
  if (share > 1) throw new ConfigError('--otlp-share takes a number from 0 to 1');
  // loaded here, not above: the SDK is larger than all the rest, and most agents run without it
  const [{ otlpTrace }, traced] = await Promise.all([import('./adapters/otlp.ts'), import('./adapters/traced.ts')]);
  const trace = otlpTrace({ endpoint, share, version: VERSION, instance, log });
  return {
    trace,
    database: (db: Database) => traced.tracedDatabase(db, trace),
    ledgered: (ledger: Ledger | undefined) => ledger && traced.tracedLedger(ledger, trace),
    cryptographic: (anoncreds: Cryptographer) => traced.tracedAnonCreds(anoncreds, trace),
    outgoing: (outbound: Outbound) => traced.tracedOutbound(outbound, trace),
  };
}

type Cryptographer = ReturnType<typeof openAnonCreds>;

/** Creates the database, or brings it to this version's schema, and with `--seed` creates the DID. @returns the DID where it was not public yet */
export async function provision(config: Config, log: Log): Promise<string | undefined> {
  ledgerOf(config);
  const db = await openDatabase(config, log);
  try {
    await db.admin.ensureTenant(BASE, config.walletName);
    const { kernel } = kernelOf(config, createRegistry(PROTOCOLS as never, EXTRA_RECORDS as never), db, log);
    const calls = createCalls(kernel, createEngine(kernel), {}, () => {
      throw new AppError('internal', 'provisioning has no work');
    });
    return await seedDid(kernel, calls, BASE, config);
  } finally {
    await db.admin.close();
  }
}

/** Puts `--new-wallet-key`, or a generated key, in the place of the wallet key. @returns how many tenants there are */
export async function rotateKey({ store, walletKey: masterKey, newWalletKey: nextKey, ...config }: Config): Promise<number> {
  if (store !== undefined && /^postgres(ql)?:/.test(store)) return await rotatePostgres({ url: store, masterKey, nextKey });
  return rotateSqlite({ path: sqlitePath(store, config as Config).path, masterKey, nextKey });
}

function kernelOf(
  config: Config,
  registry: Registry,
  db: Database,
  log: Log,
  measures: {
    readonly counters: Record<string, number>;
    readonly tallies: Readonly<Record<string, Tally>>;
    readonly trace: Trace;
  } = { counters: {}, tallies: {}, trace: NO_TRACE },
): { kernel: Kernel; change: TenantProfiles['change'] } {
  if (config.multitenant && !config.jwtSecret) throw new ConfigError('--multitenant needs --jwt-secret');
  if (config.multitenantAdmin && !config.multitenant) throw new ConfigError('--multitenant-admin needs --multitenant');
  const { counters, tallies, trace } = measures;
  const endpoints = createEndpoints(db, BASE, () => profiles.reset());
  const { profiles, change } = tenantProfiles({ db, base: BASE, config, inbound: inboundOf(config), endpoints });
  const kernel: Kernel = {
    db,
    registry,
    now: db.now,
    base: BASE,
    profiles,
    keys: createKeyRing(db),
    endpoints,
    turns: config.multitenant ? createTurns(config.tenantAtOnce) : undefined,
    count(name, tenant) {
      counters[name] = (counters[name] ?? 0) + 1;
      if (tenant !== undefined) tallies[name]?.add(tenant);
    },
    trace,
    log,
  };
  return { kernel, change };
}

/** Mail that waits for a peer without an endpoint: one envelope for one request on return-route. */
async function takeMail(
  db: Database,
  owner: string,
  session: { tenant: string; connection: string },
): Promise<{ reply: string; sent: () => Promise<void> } | undefined> {
  const lane = deliverLane(session.tenant, { envelope: '', connection: session.connection });
  const [claimed] = await db.jobs.claim({ owner, lanes: 1, perLane: 1, leaseMs: 10_000, lane });
  const job = claimed?.jobs[0];
  if (!claimed || !job) return undefined;
  return {
    reply: job.payload.envelope as string,
    sent: () => db.jobs.settle([{ lane: claimed.lane, lease: claimed.lease, done: [job.id] }]),
  };
}

function inboundOf(config: Config): { host: string; port: number } | undefined {
  const http = config.inbound.filter(([module]) => module === 'http');
  const other = config.inbound.find(([module]) => module !== 'http');
  if (other) throw new ConfigError(`--inbound-transport ${other[0]} is not supported yet: use http`);
  const outward = config.outbound.find((module) => module !== 'http');
  if (outward) throw new ConfigError(`--outbound-transport ${outward} is not supported yet: use http`);
  if (http.length > 1) throw new ConfigError('one --inbound-transport http is supported');
  if (!http[0] || config.noTransport) return undefined;
  return { host: http[0][1]!, port: portOf(http[0][2]!, '--inbound-transport') };
}

function adminOf(config: Config, log: Log): { host: string; port: number; apiKey?: string } | undefined {
  if (!config.admin) return undefined;
  if (Boolean(config.adminApiKey) === config.adminInsecureMode)
    throw new ConfigError('--admin needs either --admin-api-key or --admin-insecure-mode');
  const [host, port] = config.admin as [string, string];
  const loopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  if (config.adminInsecureMode && !loopback) {
    log.warn(
      { host },
      'THE ADMIN API IS OPEN TO EVERYONE WHO CAN REACH THIS MACHINE: --admin-insecure-mode on an address that is not loopback',
    );
  }
  return { host, port: portOf(port, '--admin'), apiKey: config.adminApiKey };
}

/** What an adapter cannot make of a setting is the operator's to mend. @throws ConfigError */
function asSetting<T>(name: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new ConfigError(`${name}: ${(error as Error).message}`);
  }
}

function portOf(text: string, name: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new ConfigError(`${name}: ${text} is not a port`);
  return port;
}

function sqlitePath(store: string | undefined, config: Config): { path: string; limit?: string } {
  const [given, limit] = store?.slice('sqlite:'.length).split(/\?max_page_count=(?=\d+$)/) ?? [];
  return { path: given || join(dataDir(config), `${config.walletName}.db`), limit };
}

async function openDatabase(config: Config, log: Log): Promise<Database> {
  const report = (error: unknown): void => log.error({ err: error }, 'a listener failed');
  const { store, walletKey } = config;
  if (store === undefined || store.startsWith('sqlite:')) {
    const { path, limit } = sqlitePath(store, config);
    const db = await openSqlite({ path, masterKey: walletKey, maxPageCount: limit === undefined ? undefined : Number(limit), report });
    if (walletKey === undefined)
      log.warn({ file: `${path}.key` }, 'the wallet key lies beside the database: back it up apart from it, or give --wallet-key');
    return db;
  }
  if (/^postgres(ql)?:\/\//.test(store)) return await openPostgres({ url: store, masterKey: walletKey, poolSize: config.poolSize, report });
  throw new ConfigError(`--store ${store.split(':')[0]}: is not supported: use postgres://... or sqlite:PATH`);
}

function ledgerOf(config: Config): Ledger | undefined {
  if (config.noLedger || config.algodUrl === undefined) return undefined;
  const { algodUrl, algorandNetwork: network, algorandAppId } = config;
  if (network !== 'mainnet' && network !== 'testnet' && network !== 'betanet' && network !== 'custom')
    throw new ConfigError(`--algorand-network ${network} is unknown`);
  if (algorandAppId === undefined) throw new ConfigError('--algod-url needs --algorand-app-id');
  return asSetting('--algod-url, --sponsor-mnemonic', () =>
    algorandLedger({
      algodUrl,
      token: config.algodToken,
      appId: BigInt(algorandAppId),
      network,
      genesisHash: config.algorandGenesisHash,
      sponsorMnemonic: config.readOnlyLedger ? undefined : config.sponsorMnemonic,
    }),
  );
}
