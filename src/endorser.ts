import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import { asAppError } from './errors.ts';
import type { Calls } from './kernel/calls.ts';
import type { Kernel } from './kernel/context.ts';
import { AUTHOR, type EndorserMetadata } from './kernel/endorsement.ts';
import type { Registry } from './kernel/registry.ts';
import type { JsonObject } from './ports/json.ts';
import type { Log } from './ports/log.ts';
import { endorseTransaction } from './protocols/endorsement/endorse-transaction.ts';
import { invitationIn, receiverOf } from './startup.ts';

/** How soon, and how late, a connection with an endorser is looked after again. */
const SOON_MS = 200;
const LATE_MS = 30_000;

/** The connections of authors with their endorsers, made by their invitations. */
export interface EndorserConnections {
  /** Follows the invitation of a tenant that is an author without such a connection; once for each tenant at a time. */
  connect(tenant: string): void;
  /** Resolves once the tenant's connection is made, or cannot be made. */
  connected(tenant: string): Promise<void>;
  stop(): Promise<void>;
}

/** @throws ConfigError where `--endorser-invitation` is none */
export function checkEndorserInvitation({ endorserInvitation: url }: Config, registry: Registry): void {
  if (url !== undefined && invitationIn(url, registry) === undefined)
    throw new ConfigError('--endorser-invitation: the URL holds no invitation under oob or c_i');
}

/** Does the work of `--endorser-invitation`, also of tenants, in the background: a connection, this side's role, and the endorser's DID. */
export function createEndorserConnections(kernel: Kernel, calls: Calls, log: Log): EndorserConnections {
  const leaving = new AbortController();
  const followed = new Map<string, Promise<void>>();

  async function follow(tenant: string): Promise<void> {
    let logged: string | undefined;
    for (let round = 0; !leaving.signal.aborted; round++) {
      try {
        if (await step(kernel, calls, tenant)) return;
      } catch (thrown) {
        const { message: reason } = asAppError(thrown);
        if (reason !== logged) log.warn({ reason }, 'the endorser of --endorser-invitation is not connected yet: it is tried again');
        logged = reason;
        if (await kernel.profiles.isTenantDeleted(tenant, thrown)) return;
      }
      await sleep(Math.min(SOON_MS * 1.5 ** round, LATE_MS), undefined, { signal: leaving.signal, ref: false }).catch(() => {});
    }
  }
  const connected = (tenant: string): Promise<void> => {
    const known = followed.get(tenant) ?? follow(tenant).finally(() => followed.delete(tenant));
    followed.set(tenant, known);
    return known;
  };
  return {
    connected,
    connect: (tenant) => void connected(tenant),
    async stop() {
      leaving.abort();
      await Promise.allSettled(followed.values());
    },
  };
}

/** One look at how far a tenant's connection has come, and the next step. @returns whether nothing is left to do */
async function step({ db: { store }, now, profiles, registry }: Kernel, calls: Calls, tenant: string): Promise<boolean> {
  const { role, alias, invitation: url, publicDid: endorser_did } = (await profiles.of(tenant)).settings.endorsement;
  if (role !== 'author' || alias === undefined || url === undefined || endorser_did === undefined) return true;
  const input = { body: {} as JsonObject, query: {} as Record<string, string> };
  const [rows = []] = await store.load(tenant, [{ category: 'connection', tag: 'alias', equals: alias }]);
  const connection = rows.find(({ state }) => state === 'active') ?? rows.find(({ state }) => state !== 'error');
  if (!connection) {
    const invitation = invitationIn(url, registry);
    const receiver = invitation && receiverOf(registry, invitation);
    if (!receiver?.body?.check(invitation)) return true;
    // of several processes that start at once, one does it; what failed is tried again
    const key = `endorser ${String(invitation!['@id'])} ${rows.length} ${Math.floor(now() / 60_000)}`;
    const query = { auto_accept: 'true', use_existing_connection: 'false', alias };
    await calls.call(tenant, receiver.protocol.name, receiver.name, { input: { body: invitation, query, unmediated: true }, key });
    return false;
  }
  if (connection.state === 'invitation') {
    await calls.call(tenant, String(connection.value.protocol), 'accept-invitation', { record: connection.id, input });
    return false;
  }
  if (connection.state !== 'active') return false;
  const { transaction_jobs: jobs, endorser_info: info } = (connection.value.metadata ?? {}) as EndorserMetadata;
  const set = async (command: string, query: Record<string, string>): Promise<void> => {
    await calls.call(tenant, endorseTransaction.name, command, { connection: connection.id, input: { body: {}, query } });
  };
  if (jobs?.transaction_my_job === undefined) await set('set-endorser-role', { transaction_my_job: AUTHOR });
  if (info === undefined) await set('set-endorser-info', { endorser_did, endorser_name: alias });
  return true;
}
