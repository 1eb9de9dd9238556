import { randomUUID } from 'node:crypto';
import { openAnonCreds } from './adapters/anoncreds/anoncreds.ts';
import { publicHttp } from './adapters/transport/public-http.ts';
import { createAuthority } from './admin/auth.ts';
import { invitationAt } from './admin/invitation-link.ts';
import { MAX_QR_BYTES, qrText } from './admin/qr.ts';
import { createReadiness } from './admin/readiness.ts';
import type { Admin } from './admin/route.ts';
import { startAdmin } from './admin/server.ts';
import { agent2018Endpoints } from './agent-2018/endpoint.ts';
import { createEndpoints, type Endpoints } from './agent-2018/endpoints.ts';
import { messageFormats } from './builtin-protocols.ts';
import { rolesOf } from './config/roles.ts';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import { BASE, firstTenant, openDatabase } from './database.ts';
import { signBytes } from './didcomm/keys.ts';
import { resolver } from './dids/resolver.ts';
import { checkEndorserInvitation, createEndorserConnections } from './endorser.ts';
import { AppError } from './errors.ts';
import { checkPresentation } from './formats/anoncreds-checks.ts';
import { openHub, startChunkSweep } from './hub.ts';
import { type Calls, createCalls } from './kernel/calls.ts';
import { followClock } from './kernel/clock.ts';
import { createKeyRing, type Kernel, withFormats } from './kernel/context.ts';
import { createDeliveryLog } from './kernel/delivery-log.ts';
import { createEngine } from './kernel/engine.ts';
import { withFormerNames } from './kernel/former-names.ts';
import { migrate } from './kernel/plugin.ts';
import { createPublicFace } from './kernel/public-face.ts';
import type { Registry } from './kernel/registry.ts';
import { seldom } from './kernel/seldom.ts';
import { createTenantLimiter } from './kernel/tenant-limiter.ts';
import { createTenantMeter, type TenantMeter } from './kernel/tenant-meter.ts';
import { createWebhookSecrets } from './kernel/webhook-secret.ts';
import type { WorkContext } from './kernel/work.ts';
import { ledgerOf } from './ledger.ts';
import { adminOf, inboundOf, walletOf, withEndpoint, withWallet } from './listeners.ts';
import { startDeliverySessions } from './mediation/delivery-sessions.ts';
import { createLines } from './mediation/mediator-lines.ts';
import { createMessageService } from './mediation/message-service.ts';
import { startPickup } from './mediation/pickup-client.ts';
import type { PickupMode } from './mediation/pickup-link.ts';
import { createRelay } from './mediation/relay.ts';
import { openNetwork } from './network.ts';
import { checkOwnerKeys, connectOwners } from './owners.ts';
import type { JsonObject } from './ports/json.ts';
import type { Ledger } from './ports/ledger.ts';
import type { Log } from './ports/log.ts';
import type { Database } from './ports/store.ts';
import { NO_TRACE, type Trace } from './ports/trace.ts';
import type { Door } from './ports/transport.ts';
import { settingsApi, type TenantProfiles, tenantProfiles } from './profiles.ts';
import { deliveryOf } from './protocols/mediation/message-pickup-2.ts';
import { builtIn, type Registered, registered } from './registration.ts';
import { multitenancy } from './resources/multitenancy.ts';
import { chooseMediator, followMediator, mediatorInvitation, publishLater, retentionOf, seedDid, standingInvitation } from './startup.ts';
import { openTails } from './tails.ts';
import { tracing } from './tracing.ts';
import { ACAPY_VERSION, VERSION } from './version.ts';
import { openConsole } from './web/console.ts';
import { readLogin } from './web/oidc.ts';
import { startExpiry } from './workers/expiry.ts';
import { startRestored } from './workers/restored.ts';
import { startRetention } from './workers/retention.ts';
import { startSweeper } from './workers/sweeper.ts';
import { startWorkers } from './workers/workers.ts';

const UNREACHABLE = 'nothing could reach this agent: give --admin HOST PORT for controllers, --inbound-transport http HOST PORT for peers';
/** How often it is looked whether another process has made an Endpoint DID. */
const ENDPOINTS_MS = 5000;

export interface Agent {
  /** For tests: what the agent is made of. */
  readonly kernel: Kernel;
  readonly adminPort?: number;
  readonly inboundPort?: number;
  /** The origin of the web wallet. */
  readonly walletOrigin?: string;
  /** The invitation that every wallet may answer, made once and found again: its URL, the same for old wallets, and as a QR code for terminals. */
  invitation(): Promise<{ url: string; old: string; qr: string }>;
  /** Resolves when the admin API has stopped the agent. */
  readonly stopped: Promise<void>;
  /** Turns readiness off, and serves on for a while: load balancers have time to notice. */
  drain(): Promise<void>;
  /** Takes nothing new, finishes what is in hand, closes everything. */
  close(): Promise<void>;
}

/** Gives the base wallet what the configuration names: a public DID, a mediator, owners. */
async function prepareBase(kernel: Kernel, calls: Calls, config: Config, hasLedger: boolean, log: Log): Promise<void> {
  const made = await seedDid(kernel, calls, BASE, config);
  const isPaid = config.endorserProtocolRole === 'author' || (config.sponsorMnemonic !== undefined && !config.readOnlyLedger);
  if (made && hasLedger && isPaid && !config.walletLocalDid) publishLater(calls, BASE, made, log);
  await chooseMediator(calls, BASE, config, log);
  await connectOwners(kernel, calls, BASE, config, log);
}

/**
 * Builds the agent from its configuration and starts it: the only place that knows every adapter.
 * @throws ConfigError, or AppError where the database or a port cannot be had
 */
export async function startAgent(config: Config, shown: Record<string, unknown>, log: Log): Promise<Agent> {
  const inbound = inboundOf(config);
  const admin = adminOf(config, log);
  if (inbound.length === 0 && !admin) throw new ConfigError(UNREACHABLE);
  const parts = await registered(config, await openHub(config));
  // checks of the configuration alone come before the database is touched
  const mediator = mediatorInvitation(config, parts.registry);
  checkEndorserInvitation(config, parts.registry);
  checkOwnerKeys(config);
  const walletAt = walletOf(config);
  const base = await openBase(config, parts, await ledgerOf(config), log);
  const { db, anoncreds, measures, requireLedger: ledger } = base;
  const { kernel, endpoints: known, change } = kernelOf(config, parts.registry, db, log, measures);
  let adminPort = admin?.port;
  const adminAddress = () => (adminPort === undefined ? undefined : { port: adminPort, host: admin?.host });
  const network = openNetwork({ config, log, outgoing: base.outgoing, adminAddress });
  const { web, gate, door, outbound } = network;
  const tails = openTails({ kernel, config, guard: network.guard, listens: inbound.length > 0 });
  const endpoints = followEndpoints(known, config, log);
  const dids = resolver({ ledger: base.ledger, web, webOverHttp: config.didWebHttp });
  db.jobs.subscribe(({ invalidate }) => {
    const written = invalidate.filter((name) => name.startsWith('did:'));
    for (const did of written) dids.invalidate(did);
    if (written.length > 0) endpoints.reread();
  });
  const work = (tenant: string): WorkContext => ({
    ...{ tenant, store: db.store, anoncreds, ledger },
    resolver: { resolve: (did, fresh) => dids.resolve(did, { tenant, fresh }) },
    call: (protocol, command, given, key) => calls.callFromWork(tenant, protocol, command, given, key),
    tails: (reference) => tails.service.file(tenant, reference),
    publishTails: (bytes) => tails.service.publish(tenant, bytes),
    blobs: blobsOf(db, tenant),
  });
  const engine = createEngine(kernel, createRelay);
  const calls = createCalls(kernel, engine, parts.ops, work);
  const lines = createLines();
  const endorsers = createEndorserConnections(kernel, calls, log);
  const workers = startWorkers({
    kernel,
    engine,
    calls,
    outbound,
    lines,
    admission: gate,
    owner: base.owner,
    ledger,
    sign: signerOf(kernel),
    connectEndorser: endorsers.connect,
  });
  const sweeps = [startExpiry(kernel), startRestored(kernel), startRetention(kernel, retentionOf(config)), startChunkSweep(kernel, config)];
  if (config.multitenant) sweeps.push(startSweeper(db, calls, BASE, log));

  try {
    await endpoints.make(() => calls.call(BASE, agent2018Endpoints.name, 'make', { input: { body: {}, query: {} } }));
    await prepareBase(kernel, calls, config, base.ledger !== undefined, log);
  } catch (error) {
    // a start that fails here must let go of the database, as one that fails before it
    await workers.stop();
    await Promise.allSettled([network.close(), tails.close(), anoncreds.close()]);
    await db.admin.close();
    throw error;
  }

  let closing = false;
  const readiness = createReadiness({ store: db.admin, ledger: base.ledger, anoncreds });
  const sessions = startDeliverySessions({ kernel, wrap: deliveryOf });
  const messageService = createMessageService(engine, sessions, () => closing);
  const publicFace = { routes: createPublicFace(kernel, calls, parts.publicRoutes), http: publicHttp({ log }) };
  const messages = await network.listen(inbound, messageService, { face: publicFace, paths: parts.paths });
  const stopped = Promise.withResolvers<void>();
  const api: Admin = {
    ...adminParts({ config, kernel, calls, change, apiKey: admin?.apiKey }),
    ...{ engine, work, plugins: parts.plugins, started: base.started, config: { ...shown, roles: rolesOf(config) } as JsonObject },
    ...{ ready: readiness.ready, ledgerHealth: readiness.ledgerHealth, ...base.counters },
    invitationAt: (tenant, url) => invitationAt(web, tenant, url, config.maxMessageSize),
    refreshEndpoints: known.refresh,
    shutdown: stopped.resolve,
  };
  const face = consoleOf(config, admin?.apiKey);
  const server = admin && (await startAdmin(api, { ...admin, ...adminOptions(config), door, face }));
  const wallet = await webWallet(api, walletAt, { door, audits: config.auditDays > 0 });
  adminPort = server?.port;
  // only now: the mediator's answers may come at once
  const pickup = pickupMode(config, inbound.length > 0);
  const checkMs = Math.max(1, config.mediatorCheck) * 1000;
  const mail = pickup && startPickup({ kernel, engine, outbound, lines, admission: gate, mode: pickup, checkMs });
  const leaving = new AbortController();
  const following = mediator
    ? followMediator(kernel, calls, BASE, mediator, { log, signal: leaving.signal, isAgency: config.agencyInvitation !== undefined })
    : undefined;
  endorsers.connect(BASE);

  return {
    kernel,
    adminPort: server?.port,
    inboundPort: messages.port,
    walletOrigin: wallet?.origin,
    stopped: stopped.promise,
    invitation: () => invitationOf(kernel, calls),
    async drain() {
      if (readiness.leave()) await new Promise((resolve) => setTimeout(resolve, config.drainTime * 1000));
    },
    async close() {
      closing = true;
      readiness.leave();
      for (const stop of sweeps) stop();
      endpoints.stop();
      leaving.abort();
      calls.end();
      await following;
      await endorsers.stop();
      await mail?.stop();
      await Promise.allSettled([messages.close(), server?.close(), wallet?.close()]);
      await sessions.stop();
      await engine.flush();
      await workers.stop();
      await network.close();
      await tails.close();
      await anoncreds.close();
      await db.admin.close();
      await measures.trace.close();
    },
  };
}

/** The large values of a tenant, as its work has them. */
const blobsOf = ({ blobs }: Pick<Database, 'blobs'>, tenant: string): WorkContext['blobs'] => ({
  put: (name, bytes) => blobs.put(tenant, name, bytes),
  read: (name) => blobs.read(tenant, name),
  remove: (name) => blobs.remove(tenant, name),
});

/** The pages for operators and tenants; undefined where there are none. */
const consoleOf = (config: Config, apiKey: string | undefined) =>
  config.noConsole
    ? undefined
    : openConsole({ apiKey: apiKey, login: config.consoleLogin === undefined ? undefined : readLogin(config.consoleLogin) });

/** The web wallet, where there is one: who has none loads none. */
const webWallet = async (api: Admin, at: ReturnType<typeof walletOf>, rest: { readonly door: Door; readonly audits: boolean }) =>
  at && (await (await import('./web/wallet.ts')).startWallet(api, { ...at, ...rest }));

/** Opens the database and what it needs before anything runs: the first tenant, and what plug-ins change in their records. */
async function openBase(config: Config, { registry, plugins }: Registered, plainLedger: Ledger | undefined, log: Log) {
  const started = Date.now();
  // no id of the ordered kind: the clock that those follow is the store's, which is not open yet
  const owner = randomUUID();
  const { trace, database, ledgered, cryptographic, outgoing } = await tracing(config, owner, log);
  const ledger = ledgered(plainLedger);
  const counters: Record<string, number> = {};
  const mayLog = seldom(60_000);
  const stored = await openDatabase(config, log, (what) => {
    counters.store_corrupt = (counters.store_corrupt ?? 0) + 1;
    if (mayLog(what) !== undefined) log.error({ what }, 'the database is damaged: a row failed its integrity check');
  });
  const db = withFormerNames(database(stored), registry);
  followClock(db.now);
  const tallies = { messages_received: createTenantMeter(Date.now), admin_calls: createTenantMeter(Date.now) };
  const anoncreds = cryptographic(
    openAnonCreds({ libraryPath: process.env.LIB_ANONCREDS_PATH, checkPresentation, workers: config.anoncredsWorkers }),
  );
  if (!anoncreds.status().on) log.warn({}, anoncreds.status().text);
  try {
    await firstTenant(db, config, log);
    for (const plugin of plugins)
      await migrate(db, BASE, plugin, registry.records).catch((error: unknown) => {
        if (error instanceof AppError) throw error;
        throw new ConfigError(`--plugin ${plugin.name}: ${(error as Error).message}`);
      });
  } catch (error) {
    await Promise.allSettled([anoncreds.close(), db.admin.close()]);
    throw error;
  }
  return {
    started,
    owner,
    db,
    ledger,
    requireLedger(): Ledger {
      if (!ledger) throw new AppError('ledger-none');
      return ledger;
    },
    anoncreds,
    outgoing,
    measures: { counters, tallies, trace },
    counters: {
      counters: () => ({ ...counters, ...db.admin.stats() }),
      busiest: () => Object.fromEntries(Object.entries(tallies).map(([name, meter]) => [name, meter.busiest(config.metricsTenants)])),
      resetCounters() {
        for (const name of Object.keys(counters)) delete counters[name];
      },
    },
  };
}

/** Signs ledger writes by the key of a tenant's DID. */
const signerOf =
  (kernel: Kernel): Parameters<typeof startWorkers>[0]['sign'] =>
  (tenant) =>
  async (verkey, bytes) => {
    const pair = await kernel.keys.pair(tenant, verkey);
    return pair && signBytes(bytes, pair);
  };

/** The Endpoint DIDs of the 2018 Agent Protocol, read again where another process may have made one. */
function followEndpoints(endpoints: Endpoints, { legacy }: Config, log: Log) {
  function reread(): void {
    if (legacy !== 'off') endpoints.refresh().catch((error: unknown) => log.warn({ err: error }, 'the Endpoint DIDs could not be read'));
  }
  const rereading = setInterval(reread, ENDPOINTS_MS);
  rereading.unref();
  return {
    reread,
    /** Makes the first one, where there is none. */
    async make(run: () => Promise<unknown>): Promise<void> {
      if (legacy === 'off') return;
      await endpoints.refresh();
      if (endpoints.all().length === 0) await run();
      await endpoints.refresh();
    },
    stop: (): void => clearInterval(rereading),
  };
}

interface AdminParts {
  readonly config: Config;
  readonly kernel: Kernel;
  readonly calls: Calls;
  readonly change: TenantProfiles['change'];
  readonly apiKey: string | undefined;
}

/** The part of the admin API's context that follows from the kernel and the settings. */
function adminParts({ config, kernel, calls, change, apiKey }: AdminParts) {
  const multitenant = config.multitenant ? { secret: config.jwtSecret!, baseRoutes: config.baseWalletRoutes } : undefined;
  const authority = createAuthority(kernel, { apiKey, base: BASE, multitenant });
  const update = (wallet: string, extra_settings: JsonObject) =>
    calls.call(BASE, multitenancy.name, 'update', { record: wallet, input: { body: { extra_settings }, query: {} } });
  return {
    kernel,
    base: BASE,
    calls,
    authority: () => authority,
    ...settingsApi(BASE, kernel.profiles, change, update),
    version: VERSION,
    acapyVersion: ACAPY_VERSION,
    ownWebhookSecret: config.webhookSecret !== undefined,
  };
}

const adminOptions = (config: Config) => ({
  maxBytes: Math.round(config.adminMaxRequestSize * 1_048_576),
  managesWallets: config.multitenantAdmin,
  insecure: config.adminInsecureMode,
  audits: config.auditDays > 0,
  corsOrigins: config.adminCorsOrigins,
  allowedHosts: config.adminAllowedHosts,
});

/** The invitation that every wallet may answer. */
async function invitationOf(kernel: Kernel, calls: Calls): ReturnType<Agent['invitation']> {
  const urls = await standingInvitation(kernel, calls, BASE);
  // a long label makes the URL more than a picture holds
  const text = [urls.url, urls.short].find((url) => url !== undefined && Buffer.byteLength(url) <= MAX_QR_BYTES);
  return { ...urls, qr: text === undefined ? '' : qrText(text) };
}

/** How mail comes from mediators; undefined where it does not, since peers write to this agent itself. */
function pickupMode({ mediatorPickup: given, endpoints }: Config, listens: boolean): PickupMode | undefined {
  const off = given === 'off' || (given === 'auto' && (listens || endpoints !== undefined));
  return off ? undefined : (given as PickupMode);
}

/** Creates the database, or brings it to this version's schema, and with `--seed` creates the DID. @returns the DID where it was not public yet */
export async function provision(config: Config, log: Log): Promise<string | undefined> {
  await ledgerOf(config);
  const registry = builtIn();
  const db = withFormerNames(await openDatabase(config, log), registry);
  try {
    await firstTenant(db, config, log);
    const { kernel } = kernelOf(config, registry, db, log);
    const calls = createCalls(kernel, createEngine(kernel, createRelay), {}, () => {
      throw new AppError('internal', 'provisioning has no work');
    });
    return await seedDid(kernel, calls, BASE, config);
  } finally {
    await db.admin.close();
  }
}

function kernelOf(
  config: Config,
  registry: Registry,
  db: Database,
  log: Log,
  measures: {
    readonly counters: Record<string, number>;
    readonly tallies: Readonly<Record<string, TenantMeter>>;
    readonly trace: Trace;
  } = { counters: {}, tallies: {}, trace: NO_TRACE },
): { kernel: Kernel; endpoints: Endpoints; change: TenantProfiles['change'] } {
  if (config.multitenant && !config.jwtSecret) throw new ConfigError('--multitenant needs --jwt-secret');
  if (config.multitenantAdmin && !config.multitenant) throw new ConfigError('--multitenant-admin needs --multitenant');
  const { counters, tallies, trace } = measures;
  const endpoints = createEndpoints(db, BASE, () => profiles.reset());
  const agent2018 = () => endpoints.all()[0];
  const { profiles, change } = tenantProfiles({
    db,
    base: BASE,
    config: withWallet(withEndpoint(config)),
    inbound: inboundOf(config)[0],
    agent2018,
  });
  const parts: Parameters<typeof withFormats>[0] = {
    db,
    registry,
    now: db.now,
    base: BASE,
    profiles,
    keys: createKeyRing(db),
    webhookSecrets: createWebhookSecrets(db, BASE, config.webhookSecret),
    deliveries: createDeliveryLog(),
    tenantLimiter: config.multitenant ? createTenantLimiter(config.tenantAtOnce) : undefined,
    count(name, tenant) {
      counters[name] = (counters[name] ?? 0) + 1;
      if (tenant !== undefined) tallies[name]?.add(tenant);
    },
    trace,
    log,
  };
  return { kernel: withFormats(parts, messageFormats(endpoints)), endpoints, change };
}
