import { createHash } from 'node:crypto';
import { endorsementSettings, NO_ENDORSEMENT } from './config/endorsement.ts';
import { type Config, stepSettings } from './config/settings.ts';
import { acapySettings, liveConfig, shownSettings } from './config/tenant-settings.ts';
import { ConfigError } from './config/values.ts';
import { AppError, isLocked } from './errors.ts';
import { connectionIn } from './kernel/addresses.ts';
import type { Profile, WebhookTarget } from './kernel/context.ts';
import { type Rules, withDefaults } from './kernel/decisions.ts';
import { createProfiles, type Profiles } from './kernel/profiles.ts';
import type { LoadedRecord } from './kernel/record.ts';
import type { CloudAgent, Settings } from './kernel/settings.ts';
import type { JsonObject } from './ports/json.ts';
import type { Database } from './ports/store.ts';
import { rulesLookup, someRules, tenantOfRules } from './records/agent-config.ts';
import { ownerConnection } from './records/connection.ts';
import { cloudAgentOf, ownCloudAgent } from './records/edge-device.ts';
import { defaultMediation, type Mediator, mediatorOf } from './records/mediation.ts';
import { wallet, walletSettings } from './records/wallet.ts';

/** The profiles of an instance's tenants: the configuration's, with the settings of the wallet record. */
export interface TenantProfiles {
  readonly profiles: Profiles;
  /** Changes the base wallet's settings until the next start. @throws ConfigError */
  change(given: Readonly<Record<string, unknown>>): void;
}

export function tenantProfiles(given: {
  readonly db: Pick<Database, 'store' | 'jobs'>;
  readonly base: string;
  readonly config: Config;
  readonly inbound: { host: string; port: number } | undefined;
  /** The Endpoint DID of the 2018 Agent Protocol, where there is one. */
  readonly agent2018: () => Settings['agent2018Endpoint'];
}): TenantProfiles {
  const { base, inbound, agent2018 } = given;
  const { store, jobs } = given.db;
  const owners = given.config.ownerKeys.map((key) => `didcomm:${ownerConnection(key)}`);
  const own = apart(webhookTargets([...given.config.webhookUrls, ...owners], base));
  let live = given.config;

  /** Which mediator a tenant's new keys go through, its cloud agent, and its rules; unknown while its wallet is locked. */
  async function ownOf(tenant: string): Promise<{ mediator?: Mediator; cloudAgent?: CloudAgent; rules?: Rules; uncacheable?: boolean }> {
    try {
      const [mediations, configs, clouds] = await store.load(tenant, [defaultMediation, rulesLookup, ownCloudAgent]);
      return {
        mediator: mediatorOf(tenant, mediations?.[0]),
        rules: someRules(configs?.[0]),
        cloudAgent: cloudAgentOf(tenant, clouds?.[0]),
      };
    } catch (error) {
      if (isLocked(error)) return { uncacheable: true };
      throw error;
    }
  }

  const profiles: Profiles = createProfiles(store, base, async (record) => {
    const { rules, uncacheable, ...theirs } = await ownOf(record?.id ?? base);
    if (!record) return { uncacheable, profile: ruled(baseProfile(theirs.mediator, theirs.cloudAgent), rules) };
    const { settings } = await profiles.of(base);
    const [mediator, cloudAgent] = [theirs.mediator ?? settings.mediator, theirs.cloudAgent ?? settings.cloudAgent];
    return { uncacheable, profile: ruled(tenantProfile(record, mediator, cloudAgent), rules) };
  });

  const baseProfile = (mediator: Mediator | undefined, cloudAgent: CloudAgent | undefined): Profile => ({
    settings: settingsOf(live, inbound, agent2018(), mediator, cloudAgent, true),
    webhooks: own,
    shown: shownSettings(live),
  });

  function tenantProfile(record: LoadedRecord, mediator: Mediator | undefined, cloudAgent: CloudAgent | undefined): Profile {
    const { id, value } = wallet.of(record);
    const { ledger_writes: writes, ledger_algo: algo } = value.quota ?? {};
    const config: Config = {
      ...live,
      ...NO_ENDORSEMENT,
      ...liveConfig(value.extra_settings ?? {}),
      label: value.label ?? live.label,
      imageUrl: value.image_url ?? live.imageUrl,
      walletType: value.wallet_type ?? live.walletType,
      tenantLedgerWrites: writes ?? live.tenantLedgerWrites,
      tenantLedgerAlgo: algo ?? live.tenantLedgerAlgo,
    };
    const theirs = webhookTargets(value.webhook_urls ?? [], id);
    return {
      settings: settingsOf(config, inbound, agent2018(), mediator, cloudAgent, false),
      tokens: value.tokens,
      suspended: value.suspended,
      webhooks: { default: apart(theirs), base: own, both: apart([...theirs, ...own]) }[value.dispatch_type],
      shown: { ...shownSettings(config), ...walletSettings({ id, value }) },
    };
  }

  jobs.subscribe(({ invalidate }) => {
    for (const name of invalidate) name === '*' ? profiles.reset() : profiles.invalidate(tenantOfRules(name) ?? name);
  });
  return {
    profiles,
    change(changes) {
      live = { ...live, ...liveConfig(changes) };
      profiles.reset();
    },
  };
}

/** A profile with the rules of its tenant, whose defaults stand in the place of settings. */
const ruled = (profile: Profile, rules: Rules | undefined): Profile =>
  rules ? { ...profile, rules, settings: Object.freeze(withDefaults(profile.settings, rules.defaults)) } : profile;

/** How controllers change the settings of wallets, under ACA-Py's names. `update`: changes a wallet's record. */
export function settingsApi(
  base: string,
  profiles: Profiles,
  change: TenantProfiles['change'],
  update: (wallet: string, settings: JsonObject) => Promise<unknown>,
) {
  function known(given: JsonObject): JsonObject {
    const settings = acapySettings(given);
    try {
      liveConfig(settings);
    } catch (error) {
      throw new AppError('bad-request', (error as Error).message);
    }
    return settings;
  }
  return {
    acapySettings: known,
    async changeSettings(tenant: string, given: JsonObject): Promise<void> {
      // a setting that cannot be read is refused before anything is written
      const changes = known(given);
      if (tenant === base) {
        change(changes);
        return;
      }
      await update(tenant, changes);
      profiles.invalidate(tenant);
    },
  };
}

function webhookTargets(urls: readonly string[], owner: string): WebhookTarget[] {
  return urls.map((given) => {
    const [address, key] = given.split('#') as [string, string | undefined];
    const { username, password, ...url } = partsOf(address);
    const authorization = username || password ? `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` : undefined;
    return {
      id: createHash('sha256').update(address).digest('base64url').slice(0, 12),
      url: url.text.replace(/\/$/, ''),
      connection: connectionIn(address),
      key,
      authorization,
      owner,
    };
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A URL without the user's name and password, and these. */
function partsOf(address: string): { text: string; username: string; password: string } {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !(url.username || url.password)) return { text: address, username: '', password: '' };
  const [username, password] = [url.username, url.password].map(decoded) as [string, string];
  url.username = '';
  url.password = '';
  return { text: url.href, username, password };
}

/** Each has a lane of its own, also where two have one address: under other keys, or the tenant's and the instance's. */
const apart = (targets: readonly WebhookTarget[]): WebhookTarget[] =>
  targets.map((target, i) => {
    const same = targets.slice(0, i).filter(({ id }) => id === target.id).length;
    return same === 0 ? target : { ...target, id: `${target.id}-${same + 1}` };
  });

/** The part of the configuration that steps see: no key is in it. */
function settingsOf(
  config: Config,
  inbound: { host: string; port: number } | undefined,
  agent2018Endpoint: Settings['agent2018Endpoint'],
  mediator: Mediator | undefined,
  cloudAgent: CloudAgent | undefined,
  isBase: boolean,
): Settings {
  const { algorandNetwork, algorandAppId } = config;
  const ledgered = config.algodUrls.length > 0 && !config.noLedger;
  return Object.freeze({
    ...stepSettings(config),
    sovAsAlgo: config.sovAsAlgo === 'on' && ledgered,
    endpoint: config.endpoints?.[0] ?? (inbound ? `http://${inbound.host}:${inbound.port}` : ''),
    walletOrigin: originOf(config.walletOrigin),
    moreEndpoints: Object.freeze(config.endpoints?.slice(1) ?? []),
    mailbox: Object.freeze({
      messages: config.mailboxMessages,
      bytes: config.mailboxBytes,
      life: config.mailboxDays * 24 * 3600_000,
    }),
    mediator,
    cloudAgent,
    relayThroughAgency: config.relayThroughAgency === 'on',
    endorsement: endorsementSettings(config, isBase),
    ledgerWritesPerDay: config.tenantLedgerWrites,
    ledgerAlgoPerDay: config.tenantLedgerAlgo,
    hub: hubOf(config, inbound),
    agent2018: config.legacy as Settings['agent2018'],
    agent2018Endpoint,
    agent2018Peers: agent2018Peers(config.legacyPeers),
    // a process that opens our mail could answer in the place of others
    agent2018RequireSigned: config.legacyRequireSigned === 'on' || (config.legacyRequireSigned === 'auto' && cloudAgent !== undefined),
    algoPrefix: ledgered ? `did:algo:${algorandNetwork}:app:${algorandAppId}:` : undefined,
  });
}

/** @throws ConfigError for an origin that is none */
function originOf(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const origin = /^https?:/i.test(given) && URL.canParse(given) ? new URL(given).origin : undefined;
  if (origin === undefined || !['', '/'].includes(given.slice(origin.length)))
    throw new ConfigError('--wallet-origin: give scheme, host and port alone, as in https://wallet.example');
  return origin;
}

/** @throws ConfigError for an endpoint that is no URL */
function hubOf(
  { hub, hubEndpoint, hubQuota, hubVaults, endpoints = [] }: Config,
  inbound: { host: string; port: number } | undefined,
): Settings['hub'] {
  if (!hub) return undefined;
  const http = endpoints.find((one) => /^https?:/i.test(one)) ?? (inbound && `http://${inbound.host}:${inbound.port}`);
  const given = hubEndpoint ?? (http && new URL(http).origin);
  if (given === undefined || !/^https?:/i.test(given) || !URL.canParse(given))
    throw new ConfigError('--hub: give --hub-endpoint, the URL by which everyone reaches the message port over http or https');
  return Object.freeze({ endpoint: given.replace(/\/+$/, ''), quota: hubQuota * 1_048_576, vaults: hubVaults });
}

/** Endpoint DIDs that the operator vouches for: `DID=VERKEY@URL`. */
function agent2018Peers(given: readonly string[]): Settings['agent2018Peers'] {
  const peers = given.map((text) => {
    const [, did, verkey, endpoint] = /^([^=]{1,2000})=([1-9A-HJ-NP-Za-km-z]{43,44})@(\S{1,2000})$/.exec(text) ?? [];
    if (!did || !verkey || !endpoint) throw new ConfigError(`--legacy-peer ${text}: must be DID=VERKEY@URL`);
    return [did, { verkey, endpoint }] as const;
  });
  return Object.freeze(Object.fromEntries(peers));
}
