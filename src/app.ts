import { randomUUID } from 'node:crypto';
import { algorandLedger } from './adapters/algorand/algorand.ts';
import { openAnonCreds } from './adapters/anoncreds/anoncreds.ts';
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
import { agent2018Endpoints } from './agent-2018/endpoint.ts';
import { createEndpoints } from './agent-2018/endpoints.ts';
import { agent2018Work } from './agent-2018/matching.ts';
import { FORMATS, MESSAGE_FORMATS, PROTOCOLS, UNBOUND_RECORDS } from './builtin-protocols.ts';
import type { Config } from './config/settings.ts';
import { acapySettings, liveConfig } from './config/tenant-settings.ts';
import { ConfigError } from './config/values.ts';
import { BASE, firstTenant, openDatabase } from './database.ts';
import { signBytes } from './didcomm/keys.ts';
import { sendMediaType } from './didcomm/media-types.ts';
import { resolver } from './dids/resolver.ts';
import { AppError } from './errors.ts';
import { checkPresentation } from './formats/anoncreds-checks.ts';
import { anoncredsObjectWork } from './formats/anoncreds-objects.ts';
import { formerWork } from './formats/former-orders.ts';
import { createCalls } from './kernel/calls.ts';
import { followClock } from './kernel/clock.ts';
import { createKeyRing, type Kernel, withFormats } from './kernel/context.ts';
import { createEngine } from './kernel/engine.ts';
import { formatWork } from './kernel/format.ts';
import { withFormerNames } from './kernel/former-names.ts';
import { mergedWork, migrate, type Plugin } from './kernel/plugin.ts';
import { compilePublicRoutes, createPublicFace, publicCommand } from './kernel/public-face.ts';
import { createRegistry, type Registry } from './kernel/registry.ts';
import { atMostEvery, seldom } from './kernel/seldom.ts';
import { createTenantLimiter } from './kernel/tenant-limiter.ts';
import { createTenantMeter, type TenantMeter } from './kernel/tenant-meter.ts';
import { createWebhookSecrets } from './kernel/webhook-secret.ts';
import { ownWork, type WorkContext } from './kernel/work.ts';
import { adminOf, inboundOf, openAll, withEndpoint } from './listeners.ts';
import { startDeliverySessions } from './mediation/delivery-sessions.ts';
import { createLines } from './mediation/mediator-lines.ts';
import { createMessageService } from './mediation/message-service.ts';
import { startPickup } from './mediation/pickup-client.ts';
import type { PickupMode } from './mediation/pickup-link.ts';
import { createRelay } from './mediation/relay.ts';
import { loadPlugin } from './plugins.ts';
import type { JsonObject } from './ports/json.ts';
import type { Ledger } from './ports/ledger.ts';
import type { Log } from './ports/log.ts';
import type { Database } from './ports/store.ts';
import { NO_TRACE, type Trace } from './ports/trace.ts';
import { type TenantProfiles, tenantProfiles } from './profiles.ts';
import { deliveryOf } from './protocols/mediation/message-pickup-2.ts';
import { multitenancy } from './resources/multitenancy.ts';
import { chooseMediator, followMediator, mediatorInvitation, publishLater, seedDid, standingInvitation } from './startup.ts';
import { tracing } from './tracing.ts';
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
    const formats = [...FORMATS, ...plugins.flatMap((plugin) => plugin.formats ?? [])];
    const registry = createRegistry([...PROTOCOLS, ...protocols] as never, [...UNBOUND_RECORDS, ...records] as never, formats);
    operationsOf(registry, plugins, { multitenant: true, managesWallets: true });
    const routes = [...registry.protocols, ...plugins].flatMap((one) => one.publicRoutes ?? []);
    const publicRoutes = compilePublicRoutes([...routes, ...registry.publicCommands.map(publicCommand)], ['/', ...paths]);
    const acts = formatWork(registry.formats, registry.records);
    const own = { ...ownWork, ...acts, ...formerWork(acts), ...anoncredsObjectWork, ...agent2018Work };
    return { registry, publicRoutes, ops: mergedWork(own, plugins) };
  });
  // what the configuration alone can refuse comes before the database is touched
  const mediator = mediatorInvitation(config, registry);
  const plainLedger = ledgerOf(config);
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
  const started = Date.now();
  const tallies = { messages_received: createTenantMeter(Date.now), admin_calls: createTenantMeter(Date.now) };
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
  db.jobs.subscribe(({ invalidate }) => {
    const written = invalidate.filter((name) => name.startsWith('did:'));
    for (const did of written) dids.invalidate(did);
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
      if (endpoints.all().length === 0) await calls.call(BASE, agent2018Endpoints.name, 'make', { input: { body: {}, query: {} } });
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
  const messageService = createMessageService(engine, sessions, () => closing);
  frames = takeFrames(messageService, gate, log);
  const sockets = wsInbound(frames, { ...heartbeat, gate, door, maxBytes: config.maxMessageSize, maxSockets: config.maxSockets, log });
  const face = { routes: createPublicFace(kernel, calls, publicRoutes), http: publicHttp({ log }) };
  const messages = await openAll(inbound, async ({ host, port, posts, sockets: takes }) => {
    return await httpInbound(messageService, {
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
          kernel.profiles.invalidate(tenant);
        }
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw new AppError('bad-request', error.message);
      }
    },
    ready,
    ledgerHealth,
    counters: () => ({ ...counters, ...db.admin.stats() }),
    busiest: () =>
      Object.fromEntries(Object.entries(tallies).map(([name, tenantMeter]) => [name, tenantMeter.busiest(config.metricsTenants)])),
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

/** Creates the database, or brings it to this version's schema, and with `--seed` creates the DID. @returns the DID where it was not public yet */
export async function provision(config: Config, log: Log): Promise<string | undefined> {
  ledgerOf(config);
  const registry = createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never, FORMATS);
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
): { kernel: Kernel; change: TenantProfiles['change'] } {
  if (config.multitenant && !config.jwtSecret) throw new ConfigError('--multitenant needs --jwt-secret');
  if (config.multitenantAdmin && !config.multitenant) throw new ConfigError('--multitenant-admin needs --multitenant');
  const { counters, tallies, trace } = measures;
  const endpoints = createEndpoints(db, BASE, () => profiles.reset());
  const { profiles, change } = tenantProfiles({ db, base: BASE, config: withEndpoint(config), inbound: inboundOf(config)[0], endpoints });
  const parts: Omit<Kernel, 'messageFormats' | 'keyOwners'> = {
    db,
    registry,
    now: db.now,
    base: BASE,
    profiles,
    keys: createKeyRing(db),
    webhookSecrets: createWebhookSecrets(db, BASE, config.webhookSecret),
    endpoints,
    tenantLimiter: config.multitenant ? createTenantLimiter(config.tenantAtOnce) : undefined,
    count(name, tenant) {
      counters[name] = (counters[name] ?? 0) + 1;
      if (tenant !== undefined) tallies[name]?.add(tenant);
    },
    trace,
    log,
  };
  return { kernel: withFormats(parts, MESSAGE_FORMATS), change };
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
