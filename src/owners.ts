import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import { looksLikeVerkey } from './didcomm/encoding.ts';
import type { Calls } from './kernel/calls.ts';
import type { Kernel } from './kernel/context.ts';
import type { Log } from './ports/log.ts';
import { connection, ownerConnection } from './records/connection.ts';
import { connectionCommands } from './resources/connection.ts';

/** The owners that the configuration names by `--owner-key`: they drive this agent by messages, and need no admin API. */

/** @throws ConfigError for a text that is no public key, or a key that is named both ways */
export function checkOwnerKeys({ ownerKeys, formerOwnerKeys }: Config): void {
  for (const [flag, keys] of [
    ['--owner-key', ownerKeys],
    ['--former-owner-key', formerOwnerKeys],
  ] as const) {
    const wrong = keys.find((key) => !looksLikeVerkey(key));
    if (wrong !== undefined) throw new ConfigError(`${flag} ${wrong}: must be an Ed25519 public key in base58, 43 or 44 characters`);
  }
  const both = ownerKeys.find((key) => formerOwnerKeys.includes(key));
  if (both !== undefined) throw new ConfigError(`--owner-key and --former-owner-key both name ${both}: leave one of them out`);
}

/**
 * Makes a connection for each owner, once and with every grant, and ends the right of former owners for good. A start takes no grant from an owner that it does not
 * name: another replica may. Nor does it give back what a call has taken. The log has the key and the address that an owner needs; neither is secret.
 */
export async function connectOwners(
  { db, profiles }: Kernel,
  calls: Calls,
  tenant: string,
  { ownerKeys, formerOwnerKeys }: Config,
  log: Log,
): Promise<void> {
  const { store } = db;
  const input = { body: {}, query: {} };
  for (const id of formerOwnerKeys.map(ownerConnection)) {
    const [[row] = []] = await store.load(tenant, [{ category: connection.category, id }]);
    if (!row || row.value.dismissed) continue;
    await calls.call(tenant, connectionCommands.name, 'dismiss', { record: id, input });
    log.info({ connection_id: id }, 'an owner is named by --former-owner-key: it may order nothing any more');
  }
  const { rows } = await store.find(tenant, connection.category, { tags: { configured: 'owner' }, limit: 1000 });
  const ids = new Set(ownerKeys.map(ownerConnection));
  for (const { id } of rows.filter((row) => !ids.has(row.id)))
    log.warn(
      { connection_id: id },
      'an owner of another start is not named by --owner-key here, and may order still: --former-owner-key ends that',
    );
  const { settings } = await profiles.of(tenant);
  for (const verkey of ownerKeys) {
    await calls.call(tenant, connectionCommands.name, 'owner', { input: { body: { verkey }, query: {} } });
    const [[row] = []] = await store.load(tenant, [{ category: connection.category, id: ownerConnection(verkey) }]);
    const { my_verkey, dismissed, granted_by_call: called } = connection.of(row!).value;
    if (dismissed)
      log.warn({ connection_id: row!.id, their_verkey: verkey }, 'the right of an owner of --owner-key has ended: a new key gets one');
    else
      log.info(
        { connection_id: row!.id, their_verkey: verkey, my_verkey, my_endpoint: settings.endpoint },
        called ? 'an owner may order by messages what a call has granted it' : 'an owner may order by messages',
      );
  }
}
