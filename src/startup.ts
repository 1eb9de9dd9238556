import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import { didKeyToVerkey } from './didcomm/encoding.ts';
import { messageInUrl, urlOfInvitation } from './didcomm/invitation-url.ts';
import { newKeyPair } from './didcomm/keys.ts';
import { PREFIX } from './didcomm/message-types.ts';
import { seedBytes } from './dids/seed.ts';
import { AppError, asAppError } from './errors.ts';
import type { Calls } from './kernel/calls.ts';
import type { Kernel } from './kernel/context.ts';
import { shortHash } from './kernel/jobs.ts';
import { checkedAs } from './kernel/json.ts';
import type { KnownCommand, Registry } from './kernel/registry.ts';
import { shortUrl } from './kernel/short-links.ts';
import { mediationId } from './mediation/names.ts';
import type { JsonObject } from './ports/json.ts';
import type { Log } from './ports/log.ts';
import { agency } from './protocols/agency/agency.ts';
import { outOfBandProtocol } from './protocols/connecting/out-of-band.ts';
import { coordinateMediation } from './protocols/mediation/coordinate-mediation.ts';
import { audit } from './records/audit.ts';
import { storedMessage } from './records/basic-message.ts';
import { type ConnectionValue, connection } from './records/connection.ts';
import { type DidValue, did, hasKey, keyLookups } from './records/did.ts';
import { type OutOfBandValue, outOfBand } from './records/out-of-band.ts';
import { walletDid } from './resources/wallet-did.ts';

/** An inline service of an invitation of ours. */
interface Service {
  readonly recipientKeys: readonly string[];
  readonly routingKeys?: readonly string[];
  readonly serviceEndpoint: string;
}

/**
 * The invitation of many uses that a mediator shows: the same at each start and in each replica, as long as its address is the same.
 * @returns its URL, the same in the form of RFC 0160, and its short link where this agent serves one
 */
export async function standingInvitation(
  kernel: Kernel,
  calls: Calls,
  tenant: string,
): Promise<{ url: string; old: string; short?: string }> {
  const { store } = kernel.db;
  const { settings } = await kernel.profiles.of(tenant);
  const { endpoint } = settings;
  const alias = `mediator at ${endpoint}`;
  const known = async (): Promise<OutOfBandValue | undefined> => {
    const query = { state: 'invitation', role: 'inviter', tags: { alias }, limit: 1 };
    const [found] = (await store.find(tenant, connection.category, query)).rows;
    const { invitation_msg_id: name = '' } = (found?.value ?? {}) as Partial<ConnectionValue>;
    const [[row] = []] = found ? await store.load(tenant, [{ category: outOfBand.category, tag: 'invi_msg_id', equals: name }]) : [];
    return outOfBand.of(row)?.value;
  };
  const body = { alias, handshake_protocols: [...kernel.registry.handshakes.keys()].map((name) => `${PREFIX}${name}`) };
  const input = { body, query: { multi_use: 'true', auto_accept: 'true' } };
  let made = await known();
  // replicas that start at once make one, by the key; without it, where one that was made under the key is deleted already
  for (const key of [`${alias} ${Math.floor(kernel.now() / 60_000)}`, undefined]) {
    if (made) break;
    await calls.call(tenant, outOfBandProtocol.name, 'create-invitation', { input, key });
    made = await known();
  }
  if (!made) throw new AppError('internal', 'the invitation of the mediator was deleted as it was made');
  const invitation = made.invitation as JsonObject;
  const [service] = checkedAs<[Service]>(invitation.services);
  const { '@id': id, label } = invitation;
  const { recipientKeys, routingKeys, serviceEndpoint } = service;
  const verkeys = (keys: readonly string[] | undefined) => keys?.map((name) => didKeyToVerkey(name.split('#')[0]!) ?? name);
  const old = {
    '@type': 'https://didcomm.org/connections/1.0/invitation',
    ...{ '@id': id, label, serviceEndpoint, recipientKeys: verkeys(recipientKeys), routingKeys: verkeys(routingKeys) },
  };
  return {
    url: urlOfInvitation(serviceEndpoint, invitation),
    old: urlOfInvitation(serviceEndpoint, old, 'c_i'),
    short: made.short && shortUrl(settings, made.short),
  };
}

const of = (value: unknown): DidValue => value as DidValue;

/**
 * `--seed` when an agent starts or provisions, as in ACA-Py: the DID of the seed is in the wallet, and no other one is public unless that was asked for.
 * @returns the DID where it is not the public one yet
 * @throws ConfigError where another DID is public, AppError for what is no seed
 */
export async function seedDid(kernel: Kernel, calls: Calls, tenant: string, config: Config): Promise<string | undefined> {
  const { seed } = config;
  if (seed === undefined) return undefined;
  const { verkey } = newKeyPair(seedBytes(seed));
  const { own, formerly } = keyLookups(verkey);
  const [published, present, former] = await kernel.db.store.load(tenant, [
    { category: did.category, tag: 'posture', equals: 'public' },
    own,
    formerly,
  ]);
  const current = published?.[0] && of(published[0].value);
  if (current && hasKey(current, verkey)) return undefined;
  if (current && !config.replacePublicDid && !config.walletLocalDid)
    throw new ConfigError(`--seed: another DID is public, ${current.did}: leave the seed out, or give --replace-public-did`);
  const known = present?.[0] ?? former?.[0];
  if (known) return of(known.value).did;
  const { result } = await calls.call(tenant, walletDid.name, 'create', { input: { body: { seed }, query: {} } });
  return of(result).did;
}

/** Publishes a DID while the agent runs already: a ledger that is slow, or a sponsor without funds, keeps nobody waiting. */
export function publishLater(calls: Calls, tenant: string, made: string, log: Log): void {
  calls.call(tenant, walletDid.name, 'publish', { input: { body: {}, query: { did: made } } }).then(
    () => log.info({ did: made }, 'the DID of --seed is being published, or is public'),
    (error: unknown) => log.warn({ did: made, reason: asAppError(error).message }, 'the DID of --seed could not be published'),
  );
}

/** How soon, and how late, a mediator is looked after again. */
const SOON_MS = 200;
const LATE_MS = 30_000;

/** The mediator's invitation of the configuration. @throws ConfigError for what is none, or a contradiction */
export function mediatorInvitation(
  { mediatorInvitation: mediator, agencyInvitation: agencyUrl, defaultMediatorId, clearDefaultMediator }: Config,
  registry: Registry,
): JsonObject | undefined {
  if (defaultMediatorId && clearDefaultMediator)
    throw new ConfigError('--default-mediator-id and --clear-default-mediator: one sets what the other clears');
  if (mediator !== undefined && agencyUrl !== undefined)
    throw new ConfigError('--mediator-invitation and --agency-invitation: an agency is a mediator too, give one of them');
  const url = agencyUrl ?? mediator;
  if (url === undefined) return undefined;
  const invitation = invitationIn(url, registry);
  if (!invitation)
    throw new ConfigError(
      `${agencyUrl === undefined ? '--mediator-invitation' : '--agency-invitation'}: the URL holds no invitation under oob or c_i`,
    );
  return invitation;
}

/** The invitation in a URL, with an id by which the next start knows it; undefined where there is none that this agent takes. */
export function invitationIn(url: string, registry: Registry): JsonObject | undefined {
  try {
    const { message, text } = messageInUrl(url)!;
    if (!receiverOf(registry, message as JsonObject)) return undefined;
    return { '@id': shortHash(text), ...(message as JsonObject) };
  } catch {
    return undefined;
  }
}

/** Applies `--clear-default-mediator` and `--default-mediator-id`. As in ACA-Py an id that cannot be the default is only logged. */
export async function chooseMediator(calls: Calls, tenant: string, config: Config, log: Log): Promise<void> {
  const input = { body: {}, query: {} };
  if (config.clearDefaultMediator) await calls.call(tenant, coordinateMediation.name, 'clear-default', { input });
  const { defaultMediatorId: record } = config;
  if (!record) return;
  await calls.call(tenant, coordinateMediation.name, 'set-default', { record, input }).then(
    () => log.info({ mediation: record }, 'new keys go through this mediation'),
    (error: unknown) => log.error({ mediation: record, reason: asAppError(error).message }, '--default-mediator-id could not be set'),
  );
}

/**
 * Does the work of `--mediator-invitation`, in the background and once for each invitation, however often the agent starts: a connection with the mediator, its
 * mediation, and that it is the default one. A mediator that is away is waited for.
 * @param isAgency it is an agency, which is asked for a cloud agent: at each start, so that it knows which copy of the wallet is in use
 */
export async function followMediator(
  kernel: Kernel,
  calls: Calls,
  tenant: string,
  invitation: JsonObject,
  { log, signal, isAgency }: { readonly log: Log; readonly signal: AbortSignal; readonly isAgency: boolean },
): Promise<void> {
  const logged = new Set<string>();
  const logOnce = (level: 'info' | 'warn', text: string, fields: Record<string, unknown> = {}): void => {
    const line = `${text} ${JSON.stringify(fields)}`;
    if (logged.has(line)) return;
    logged.add(line);
    log[level](fields, text);
  };
  if (!receiverOf(kernel.registry, invitation)?.body?.check(invitation)) {
    log.error({}, '--mediator-invitation: the invitation is not valid');
    return;
  }
  const asked = { agency: !isAgency };
  for (let round = 0; !signal.aborted; round++) {
    try {
      if (await stepMediator(kernel, calls, tenant, invitation, asked, logOnce)) return;
    } catch (thrown) {
      const error = asAppError(thrown);
      logOnce('warn', 'the mediator of --mediator-invitation could not be asked: it is tried again', {
        reason: error.code === 'internal' ? String(error.cause ?? error) : error.message,
      });
    }
    await sleep(Math.min(SOON_MS * 1.5 ** round, LATE_MS), undefined, { signal, ref: false }).catch(() => {});
  }
}

/** The command that takes an invitation of this type. */
export const receiverOf = (registry: Registry, invitation: JsonObject): KnownCommand | undefined =>
  /\/invitation$/.test(String(invitation['@type']))
    ? registry.commandOf(registry.protocolOf(String(invitation['@type'])), 'receive-invitation')
    : undefined;

/** One look at how far it has come, and the next step. @returns whether nothing is left to do */
async function stepMediator(
  { db: { store }, now, registry }: Kernel,
  calls: Calls,
  tenant: string,
  invitation: JsonObject,
  asked: { agency: boolean },
  logOnce: (level: 'info' | 'warn', text: string, fields?: Record<string, unknown>) => void,
): Promise<boolean> {
  const name = String(invitation['@id']);
  const input = { body: {}, query: {} };
  const [known = []] = await store.load(tenant, [{ category: 'connection', tag: 'invitation_msg_id', equals: name }]);
  const ours = known.filter(({ role }) => role === 'invitee');
  const connection = ours.find(({ state }) => state !== 'error');
  if (!connection) {
    logOnce('info', 'connecting to the mediator of --mediator-invitation', { attempt: ours.length + 1 });
    // of several processes that start at once, one does it; what failed is tried again
    const key = `mediator ${name} ${ours.length} ${Math.floor(now() / 60_000)}`;
    const query = { auto_accept: 'true', use_existing_connection: 'false' };
    const receiver = receiverOf(registry, invitation)!;
    await calls.call(tenant, receiver.protocol.name, receiver.name, { input: { body: invitation, query, unmediated: true }, key });
    return false;
  }
  if (connection.state === 'invitation') {
    await calls.call(tenant, String(connection.value.protocol), 'accept-invitation', { record: connection.id, input });
    return false;
  }
  if (connection.state !== 'active') {
    const { error_msg: reason } = connection.value;
    if (reason) logOnce('warn', 'the mediator of --mediator-invitation is not connected yet', { reason });
    return false;
  }
  const record = mediationId('client', connection.id);
  const [[mediation] = []] = await store.load(tenant, [{ category: 'mediation', id: record }]);
  if (!mediation) {
    await calls.call(tenant, coordinateMediation.name, 'request', { connection: connection.id, input });
    logOnce('info', 'asked the mediator for mediation', { connection: connection.id });
    return false;
  }
  if (mediation.state === 'denied') {
    logOnce('warn', 'the mediator of --mediator-invitation has denied mediation', { mediation: record });
    return true;
  }
  if (mediation.state !== 'granted') return false;
  if (!mediation.value.adopted) {
    await calls.call(tenant, coordinateMediation.name, 'adopt', { record, input });
    logOnce('info', 'the mediator has granted mediation: new keys go through it', {
      mediation: record,
      endpoint: mediation.value.endpoint,
    });
  }
  if (asked.agency) return true;
  await calls.call(tenant, agency.name, 'provision', { connection: connection.id, input });
  asked.agency = true;
  return true;
}

/** How long rows are kept that are written once. */
export const retentionOf = ({ auditDays, messageDays }: Pick<Config, 'auditDays' | 'messageDays'>) => [
  { category: audit.category, life: auditDays * 24 * 3600_000 },
  { category: storedMessage.category, life: messageDays * 24 * 3600_000 },
];
