import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import { looksLikeVerkey } from './didcomm/encoding.ts';
import type { Calls } from './kernel/calls.ts';
import type { Kernel } from './kernel/context.ts';
import type { Log } from './ports/log.ts';
import { connection, ownerConnection } from './records/connection.ts';
import { connectionCommands } from './resources/connection.ts';

/** The owners that the configuration names by `--owner-key`: they drive this agent by messages, and need no admin API. */

/** @throws ConfigError for a text that is no public key */
export function checkOwnerKeys({ ownerKeys }: Config): void {
  const wrong = ownerKeys.find((key) => !looksLikeVerkey(key));
  if (wrong !== undefined) throw new ConfigError(`--owner-key ${wrong}: must be an Ed25519 public key in base58, 43 or 44 characters`);
}

/**
 * Makes a connection for each owner, once and with every grant, and takes the grants from former ones. The log has the key and the address
 * that an owner needs; neither is secret.
 */
export async function connectOwners(
  { db, profiles }: Kernel,
  calls: Calls,
  tenant: string,
  { ownerKeys }: Config,
  log: Log,
): Promise<void> {
  const { rows } = await db.store.find(tenant, connection.category, { tags: { configured: 'owner' }, limit: 1000 });
  const ids = new Set(ownerKeys.map(ownerConnection));
  const input = { body: {}, query: {} };
  for (const { id } of rows.filter((row) => !ids.has(row.id))) {
    await calls.call(tenant, connectionCommands.name, 'dismiss', { record: id, input });
    log.info({ connection_id: id }, 'an owner is named by --owner-key no more: it may order nothing');
  }
  const { settings } = await profiles.of(tenant);
  for (const verkey of ownerKeys) {
    await calls.call(tenant, connectionCommands.name, 'owner', { input: { body: { verkey }, query: {} } });
    const [[row] = []] = await db.store.load(tenant, [{ category: connection.category, id: ownerConnection(verkey) }]);
    const { my_verkey } = connection.of(row!).value;
    log.info({ connection_id: row!.id, their_verkey: verkey, my_verkey, my_endpoint: settings.endpoint }, 'an owner may order by messages');
  }
}
