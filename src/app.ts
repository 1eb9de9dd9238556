import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { algorandLedger } from './adapters/algorand/algorand.ts';
import { openAnonCreds } from './adapters/anoncreds/anoncreds.ts';
import { openPostgres } from './adapters/postgres/postgres.ts';
import { rotatePostgres } from './adapters/postgres/rotate.ts';
import { rotateSqlite } from './adapters/sqlite/rotate.ts';
import { openSqlite } from './adapters/sqlite/sqlite.ts';
import { createDoor } from './adapters/transport/door.ts';
import { egressGuard } from './adapters/transport/egress.ts';
import { httpInbound, inboundGate } from './adapters/transport/http-inbound.ts';
import { httpOutbound } from './adapters/transport/http-outbound.ts';
import { publicHttp } from './adapters/transport/public-http.ts';
import { webDocuments } from './adapters/transport/web-documents.ts';
import { type Frames, takeFrames, wsInbound } from './adapters/transport/ws-inbound.ts';
import { outboundOf, wsOutbound } from './adapters/transport/ws-outbound.ts';
import { createAuthority } from './admin/auth.ts';
import { invitationAt } from './admin/invitation-link.ts';
import { MAX_QR_BYTES, qrText } from './admin/qr.ts';
import type { Admin } from './admin/route.ts';
import { operationsOf, startAdmin } from './admin/server.ts';
import { legacyEndpoints } from './agent-2018/endpoint.ts';
import { createEndpoints } from './agent-2018/endpoints.ts';
import { agent2018Work } from './agent-2018/matching.ts';
import { MESSAGE_FORMATS, PROTOCOLS, UNBOUND_RECORDS } from './builtin-protocols.ts';
import { type Config, ConfigError, dataDir, liveConfig } from './config.ts';
import { acapySettings } from './config-acapy.ts';
import { signBytes } from './didcomm/keys.ts';
import { sendMediaType } from './didcomm/media-types.ts';
import { resolver } from './dids/resolver.ts';
import { AppError } from './errors.ts';
import { anoncredsWork, matchHeld } from './formats/anoncreds.ts';
import { checkPresentation } from './formats/anoncreds-checks.ts';
import { createCalls } from './kernel/calls.ts';
import { followClock } from './kernel/clock.ts';
import { createKeyRing, type Kernel, withFormats } from './kernel/context.ts';
import { createEngine } from './kernel/engine.ts';
import { mergedWork, migrate, type Plugin } from './kernel/plugin.ts';
import { compilePublicRoutes, createPublicFace, publicCommand } from './kernel/public-face.ts';
import { createRegistry, type Registry } from './kernel/registry.ts';
import { atMostEvery, seldom } from './kernel/seldom.ts';
import { createTally, type Tally } from './kernel/tally.ts';
import { createTurns } from './kernel/turns.ts';
import { createWebhookSecrets } from './kernel/webhook-secret.ts';
import type { WorkContext } from './kernel/work.ts';
import { startDeliverySessions } from './mediation/delivery-sessions.ts';
import { createLines } from './mediation/mediator-lines.ts';
import { startPickup } from './mediation/pickup-client.ts';
import type { PickupMode } from './mediation/pickup-link.ts';
import { createRelay } from './mediation/relay.ts';
import { loadPlugin } from './plugins.ts';
import type { JsonObject } from './ports/json.ts';
import type { Ledger } from './ports/ledger.ts';
import type { Log } from './ports/log.ts';
import type { Database } from './ports/store.ts';
import { NO_TRACE, type Trace } from './ports/trace.ts';
import type { Outbound, Socket } from './ports/transport.ts';
import { type TenantProfiles, tenantProfiles } from './profiles.ts';
import { deliveryOf } from './protocols/mediation/message-pickup-2.ts';
import { multitenancy } from './resources/multitenancy.ts';
import { chooseMediator, followMediator, mediatorInvitation, publishLater, seedDid, standingInvitation } from './startup.ts';
import { ACAPY_VERSION, VERSION } from './version.ts';
import { startExpiry } from './workers/expiry.ts';
import { startSweeper } from './workers/sweeper.ts';
import { startWorkers } from './workers/workers.ts';

/** How long the server of a did:web has to answer. */
const WEB_MS = 5000;
/** Whoever asks whether the agent is ready asks at least so often. */
const WATCHED_MS = 60_000;
/** Messages that are worked on at once, whatever they came by. */
const MAX_IN_FLIGHT = 1000;
/** How long it is believed that the store can be written, or cannot, and that the ledger's node answers, or does not. */
const HEALTH_MS = 2000;
/** The tenant of a single-tenant agent. */
export const BASE = 'base';

export interface Agent {
  /** For tests: what the agent is made of. */
  readonly kernel: Kernel;
  readonly adminPort?: number;
  readonly inboundPort?: number;
  /** The invitation that every wallet may answer, made once and found again: its URL, the same for old wallets, and as a QR code for terminals. */
  invitation(): Promise<{ url: string; old: string; qr: string }>;
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
  if (inbound.length === 0 && !admin)
    throw new ConfigError(
      'nothing could reach this agent: give --admin HOST PORT for controllers, --inbound-transport http HOST PORT for peers',
    );
  const plugins: Plugin[] = [];
  for (const name of config.plugins) plugins.push(...(await loadPlugin(name)));
  const paths = (config.endpoints ?? []).flatMap((one) => (URL.canParse(one) ? [new URL(one).pathname] : []));
  const { registry, ops, publicRoutes } = asSetting('--plugin', () => {
    const protocols = plugins.flatMap((plugin) => plugin.protocols ?? []);
    const records = plugins.flatMap((plugin) => plugin.records ?? []);
    const registry = createRegistry([...PROTOCOLS, ...protocols] as never, [...UNBOUND_RECORDS, ...records] as never);
    operationsOf(registry, plugins, { multitenant: true, managesWallets: true });
    const routes = [...registry.protocols, ...plugins].flatMap((one) => one.publicRoutes ?? []);
    const publicRoutes = compilePublicRoutes([...routes, ...registry.publicCommands.map(publicCommand)], ['/', ...paths]);
    return { registry, publicRoutes, ops: mergedWork({ ...anoncredsWork, ...agent2018Work }, plugins) };
  });
  // what the configuration alone can refuse comes before the database is touched
  const mediator = mediatorInvitation(config, registry);
  const plainLedger = ledgerOf(config);
  // no id of the ordered kind: the clock that those follow is the store's, which is not open yet
  const owner = randomUUID();
  const { trace, database, ledgered, cryptographic, outgoing } = await tracing(config, owner, log);
  const ledger = ledgered(plainLedger);
  const counters: Record<string, number> = {};
  const mayTell = seldom(60_000);
  const db = database(
    await openDatabase(config, log, (what) => {
      counters.store_corrupt = (counters.store_corrupt ?? 0) + 1;
      if (mayTell(what) !== undefined) log.error({ what }, 'the database is damaged: a row failed its integrity check');
    }),
  );
  followClock(db.now);
  const started = Date.now();
  const tallies = { messages_received: createTally(Date.now), admin_calls: createTally(Date.now) };
  const anoncreds = cryptographic(
    openAnonCreds({ libraryPath: process.env.LIB_ANONCREDS_PATH, checkPresentation, workers: config.anoncredsWorkers }),
  );
  if (!anoncreds.status().on) log.warn({}, anoncreds.status().text);
  await firstTenant(db, config, log).catch(async (error: unknown) => {
    await Promise.allSettled([anoncreds.close(), db.admin.close()]);
    throw error;
  });
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
  const guard = asSetting('--egress-allow', () =>
    egressGuard(config.egressAllow, () => (adminPort === undefined ? undefined : { port: adminPort, host: admin?.host })),
  );
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
  const work = (tenant: string): WorkContext => ({
    tenant,
    store: db.store,
    anoncreds,
    resolver: { resolve: (did) => dids.resolve(did, { tenant }) },
    ledger: requireLedger,
  });
  const engine = createEngine(kernel, createRelay);
  const calls = createCalls(kernel, engine, ops, work);
  const mediaType = sendMediaType(config.oldMimeType);
  const gate = inboundGate(MAX_IN_FLIGHT, config.messageRate);
  const door = asSetting('--trusted-proxy', () =>
    createDoor({ perAddress: config.maxConnectionsPerAddress, trusted: config.trustedProxies, log }),
  );
  const heartbeat = { heartbeatMs: config.wsHeartbeat * 1000, timeoutMs: config.wsTimeout * 1000 };
  let frames: Frames | undefined;
  const outbound = outgoing(
    outboundOf(
      httpOutbound(guard, mediaType, config.outboundTimeout * 1000, config.maxMessageSize),
      wsOutbound(guard, {
        ...heartbeat,
        answerMs: config.outboundTimeout * 1000,
        maxBytes: config.maxMessageSize,
        log,
        mayBegin: (address) => !gate.full && gate.mayCome(address),
        // mail may go out before anything can be taken in
        onFrame: async (frame, socket) => (frames ? frames.take(frame, socket) : socket.close(1013, 'not ready')),
      }),
    ),
  );

  const lines = createLines();
  const workers = startWorkers({
    kernel,
    engine,
    calls,
    outbound,
    lines,
    admission: gate,
    owner,
    ledger: requireLedger,
    sign: (tenant) => async (verkey, bytes) => {
      const pair = await kernel.keys.pair(tenant, verkey);
      if (!pair) throw new AppError('internal', 'the key of a DID is missing');
      return signBytes(bytes, pair);
    },
  });
  const stopExpiry = startExpiry(kernel);
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
  let watched = 0;
  // anyone may ask, all the time: what it writes has a bound
  const storeCheck = atMostEvery(HEALTH_MS, () => db.admin.check());
  const ledgerHealth = atMostEvery(HEALTH_MS, async () => await ledger?.health());
  const ready = async (): Promise<{ ok: boolean; reason?: string; waits?: string }> => {
    watched = Date.now();
    if (draining || closing) return { ok: false, reason: 'Shutdown in progress' };
    try {
      await storeCheck();
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
    const { on, text } = anoncreds.status();
    // a mediator needs none: messages come and go
    return { ok: true, waits: on ? undefined : `${text}. Credentials and presentations in hand wait until it is on` };
  };

  const sessions = startDeliverySessions({ kernel, wrap: deliveryOf });
  const sink = {
    async receive(body: Uint8Array, socket?: Socket) {
      // sockets take nothing new by themselves; what they had is finished
      if (closing && !socket) return { status: 503 };
      const { refused, reply, sent, session, taken, lent, confirmed } = await engine.receive(body, {
        canReply: true,
        socket,
        open: socket && ((tenant, box) => sessions.open(socket, tenant, box)),
      });
      if (refused === 'envelope') return { status: 400 };
      const known = session !== undefined;
      if (confirmed) await sessions.acknowledge(confirmed);
      if (taken) sessions.acknowledged(taken);
      if (socket && session) sessions.attach(session, socket);
      if (socket && lent) sessions.inFlight(lent, socket);
      if (reply !== undefined) return { status: 200, reply, sent, known };
      const mail = session && !socket ? await sessions.forRequest(session) : undefined;
      return mail ? { status: 200, ...mail } : { status: 202, known };
    },
  };
  frames = takeFrames(sink, gate, log);
  const sockets = wsInbound(frames, { ...heartbeat, gate, door, maxBytes: config.maxMessageSize, maxSockets: config.maxSockets, log });
  const face = { routes: createPublicFace(kernel, calls, publicRoutes), http: publicHttp({ log }) };
  const messages = await openAll(inbound, async ({ host, port, posts, sockets: takes }) => {
    return await httpInbound(sink, {
      ...{ host, port, posts, upgrade: takes ? sockets.upgrade : undefined },
      maxBytes: config.maxMessageSize,
      gate,
      door,
      mediaType,
      face,
      paths,
      // off or not: a payload of the 2018 Agent Protocol is then answered like everything that is no envelope
      plain: true,
      log,
    });
  });
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
    invitationAt: (tenant, url) => invitationAt(web, tenant, url, config.maxMessageSize),
    plugins,
    version: VERSION,
    acapyVersion: ACAPY_VERSION,
    ownWebhookSecret: config.webhookSecret !== undefined,
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
    ledgerHealth,
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
        door,
        insecure: config.adminInsecureMode,
        corsOrigins: config.adminCorsOrigins,
        allowedHosts: config.adminAllowedHosts,
      })
    : undefined;
  adminPort = server?.port;
  // only now: the mediator's answers may come at once
  const pickup = pickupMode(config, inbound.length > 0);
  const checkMs = Math.max(1, config.mediatorCheck) * 1000;
  const mail = pickup && startPickup({ kernel, engine, outbound, lines, admission: gate, mode: pickup, checkMs });
  const following = mediator ? followMediator(kernel, calls, BASE, mediator, log, leaving.signal) : undefined;

  return {
    kernel,
    adminPort: server?.port,
    inboundPort: messages[0]?.port,
    async invitation() {
      const urls = await standingInvitation(kernel, calls, BASE);
      // a long label makes the URL more than a picture holds
      const text = [urls.url, urls.short].find((url) => url !== undefined && Buffer.byteLength(url) <= MAX_QR_BYTES);
      return { ...urls, qr: text === undefined ? '' : qrText(text) };
    },
    stopped,
    async drain() {
      draining = true;
      // nobody who could hear of it waits
      if (Date.now() - watched < WATCHED_MS) await new Promise((resolve) => setTimeout(resolve, config.drainTime * 1000));
    },
    async close() {
      closing = true;
      stopExpiry();
      clearInterval(rereading);
      stopSweeping();
      leaving.abort();
      calls.end();
      await following;
      await mail?.stop();
      await Promise.allSettled([...messages.map((one) => one.close()), sockets.close(), server?.close()]);
      await sessions.stop();
      await engine.flush();
      await workers.stop();
      await outbound.close();
      await web.close();
      await anoncreds.close();
      door.close();
      await db.admin.close();
      await trace.close();
    },
  };
}

/** How mail comes from mediators; undefined where it does not, since peers write to this agent itself. */
function pickupMode({ mediatorPickup: given, endpoints }: Config, listens: boolean): PickupMode | undefined {
  const off = given === 'off' || (given === 'auto' && (listens || endpoints !== undefined));
  return off ? undefined : (given as PickupMode);
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
  const [{ otlpTrace }, traced] = await Promise.all([import('./adapters/telemetry/otlp.ts'), import('./adapters/telemetry/traced.ts')]);
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
    await firstTenant(db, config, log);
    const { kernel } = kernelOf(config, createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never), db, log);
    const calls = createCalls(kernel, createEngine(kernel, createRelay), {}, () => {
      throw new AppError('internal', 'provisioning has no work');
    });
    return await seedDid(kernel, calls, BASE, config);
  } finally {
    await db.admin.close();
  }
}

/** The wallet of the operator; with `--recreate-wallet` a new one in the place of the one that is there. @throws ConfigError where that would erase more */
async function firstTenant(db: Database, { recreateWallet, walletKey, walletName }: Config, log: Log): Promise<void> {
  if (recreateWallet) {
    if (walletKey === undefined) throw new ConfigError('--recreate-wallet erases the wallet: it needs its --wallet-key');
    const tenants = (await db.admin.tenants()).filter((id) => id !== BASE).length;
    if (tenants > 0)
      throw new ConfigError(
        `--recreate-wallet: ${tenants} wallets of tenants are in the database, which this does not erase: remove them first`,
      );
    await db.admin.eraseTenant(BASE);
    while ((await db.admin.sweepTenant(BASE)) > 0);
    log.warn({ wallet: walletName }, 'the wallet that was in the database is erased: --recreate-wallet');
  }
  await db.admin.ensureTenant(BASE, walletName);
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
  const { profiles, change } = tenantProfiles({ db, base: BASE, config: withEndpoint(config), inbound: inboundOf(config)[0], endpoints });
  const parts: Omit<Kernel, 'messageFormats' | 'routes'> = {
    db,
    registry,
    now: db.now,
    base: BASE,
    profiles,
    keys: createKeyRing(db),
    webhookSecrets: createWebhookSecrets(db, BASE, config.webhookSecret),
    endpoints,
    turns: config.multitenant ? createTurns(config.tenantAtOnce) : undefined,
    count(name, tenant) {
      counters[name] = (counters[name] ?? 0) + 1;
      if (tenant !== undefined) tallies[name]?.add(tenant);
    },
    trace,
    log,
  };
  return { kernel: withFormats(parts, MESSAGE_FORMATS), change };
}

/** Peers reach an agent that was given no address on its first port; where that is for WebSockets alone, this says so. */
function withEndpoint(config: Config): Config {
  const [first] = inboundOf(config);
  return config.endpoints === undefined && first && !first.posts ? { ...config, endpoints: [`ws://${first.host}:${first.port}`] } : config;
}

/** A port for messages: posted, or on WebSockets, or both. */
interface Listener {
  readonly host: string;
  readonly port: number;
  readonly posts: boolean;
  readonly sockets: boolean;
}

function inboundOf(config: Config): Listener[] {
  const wrong = [...config.inbound.map(([module]) => module!), ...config.outbound].find((module) => module !== 'http' && module !== 'ws');
  if (wrong !== undefined) throw new ConfigError(`the transport ${wrong} is not supported: use http, ws`);
  const listeners = new Map<string, Listener>();
  for (const [module, host, given] of config.noTransport ? [] : config.inbound) {
    const port = portOf(given!, '--inbound-transport');
    const { posts, sockets } = listeners.get(`${host} ${port}`) ?? { posts: false, sockets: false };
    listeners.set(`${host} ${port}`, { host: host!, port, posts: posts || module === 'http', sockets: sockets || module === 'ws' });
  }
  return [...listeners.values()];
}

/** Opens everything, or nothing. @throws what the first one throws that cannot be opened */
async function openAll<T, O extends { close(): Promise<void> }>(all: readonly T[], open: (one: T) => Promise<O>): Promise<O[]> {
  const opened: O[] = [];
  try {
    for (const one of all) opened.push(await open(one));
    return opened;
  } catch (error) {
    await Promise.allSettled(opened.map((one) => one.close()));
    throw error;
  }
}

function adminOf(config: Config, log: Log): { host: string; port: number; apiKey?: string } | undefined {
  if (!config.admin) return undefined;
  if (Boolean(config.adminApiKey) === config.adminInsecureMode)
    throw new ConfigError('--admin needs either --admin-api-key or --admin-insecure-mode');
  const [host, port] = config.admin as [string, string];
  const wrong = config.adminCorsOrigins.find((origin) => origin !== '*' && !isOrigin(origin));
  if (wrong !== undefined) throw new ConfigError(`--admin-cors-origin ${wrong}: must be an origin, as in https://console.example`);
  if (config.adminInsecureMode && config.adminCorsOrigins.includes('*'))
    throw new ConfigError('--admin-cors-origin * with --admin-insecure-mode would let every web page drive the agent: name the origins');
  const loopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  if (config.adminInsecureMode && !loopback) {
    log.warn(
      { host },
      'THE ADMIN API IS OPEN TO EVERYONE WHO CAN REACH THIS MACHINE: --admin-insecure-mode on an address that is not loopback',
    );
  }
  return { host, port: portOf(port, '--admin'), apiKey: config.adminApiKey };
}

/** As a browser says it: scheme, name and port. */
const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text.toLowerCase().replace(/\/$/, '');

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

async function openDatabase(config: Config, log: Log, damaged?: (what: string) => void): Promise<Database> {
  const report = (error: unknown): void => log.error({ err: error }, 'a listener failed');
  const { store, walletKey } = config;
  if (store === undefined || store.startsWith('sqlite:')) {
    const { path, limit } = sqlitePath(store, config);
    const db = await openSqlite({
      path,
      masterKey: walletKey,
      maxPageCount: limit === undefined ? undefined : Number(limit),
      report,
      damaged,
    });
    if (walletKey === undefined)
      log.warn({ file: `${path}.key` }, 'the wallet key lies beside the database: back it up apart from it, or give --wallet-key');
    return db;
  }
  if (/^postgres(ql)?:\/\//.test(store))
    return await openPostgres({
      url: store,
      masterKey: walletKey,
      poolSize: config.poolSize,
      alone: config.recreateWallet,
      report,
      damaged,
    });
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
