/** A flag of ACA-Py's (1.6) that sets nothing here: it is known, so that start scripts, variables and YAML files written for ACA-Py work as they are. */
export interface ForeignSetting {
  readonly flags: readonly [string, ...string[]];
  readonly env: string;
  /** How many words follow; `?` none or one, `+` one or more. */
  readonly takes: 0 | 1 | 2 | '?' | '+';
  /** It asks for what this agent does anyway: nobody needs a warning. */
  readonly done?: boolean;
  /** Without it the agent would be another one than was asked for: the start is refused with this sentence. */
  readonly refused?: string;
}

type Takes = ForeignSetting['takes'];

const foreign = (name: string, takes: Takes, env = `ACAPY_${name.toUpperCase().replaceAll('-', '_')}`): ForeignSetting => ({
  flags: [`--${name}`],
  env,
  takes,
});
const done = (name: string, takes: Takes): ForeignSetting => ({ ...foreign(name, takes), done: true });
const refused = (name: string, takes: Takes, sentence: string): ForeignSetting => ({ ...foreign(name, takes), refused: sentence });

const REKEY = 'give the present key as --wallet-key to ./flexid rotate-key, and the new one as --new-wallet-key';

/** What ACA-Py calls the value of a flag in `GET /status/config`; no secret is among them. */
const STATUS_NAMES: Readonly<Record<string, string>> = {
  'admin-insecure-mode': 'admin.admin_insecure_mode',
  'webhook-url': 'admin.webhook_urls',
  'help-link': 'admin.help_link',
  'admin-client-max-request-size': 'admin.admin_client_max_request_size',
  'no-receive-invites': 'admin.no_receive_invites',
  debug: 'debug.enabled',
  'debug-connections': 'debug.connections',
  'debug-credentials': 'debug.credentials',
  'debug-presentations': 'debug.presentations',
  'debug-webhooks': 'debug.webhooks',
  invite: 'debug.print_invitation',
  'invite-label': 'debug.invite_label',
  'invite-multi-use': 'debug.invite_multi_use',
  'invite-public': 'debug.invite_public',
  'invite-metadata-json': 'debug.invite_metadata_json',
  'test-suite-endpoint': 'debug.test_suite_endpoint',
  'auto-accept-invites': 'debug.auto_accept_invites',
  'auto-accept-requests': 'debug.auto_accept_requests',
  'auto-respond-messages': 'debug.auto_respond_messages',
  'auto-respond-credential-proposal': 'debug.auto_respond_credential_proposal',
  'auto-respond-credential-offer': 'debug.auto_respond_credential_offer',
  'auto-respond-credential-request': 'debug.auto_respond_credential_request',
  'auto-respond-presentation-proposal': 'debug.auto_respond_presentation_proposal',
  'auto-respond-presentation-request': 'debug.auto_respond_presentation_request',
  'auto-store-credential': 'debug.auto_store_credential',
  'auto-verify-presentation': 'debug.auto_verify_presentation',
  'auto-disclose-features': 'auto_disclose_features',
  plugin: 'external_plugins',
  'block-plugin': 'blocked_plugins',
  'storage-type': 'storage_type',
  'profile-endpoint': 'profile_endpoint',
  'universal-resolver': 'resolver.universal',
  'universal-resolver-regex': 'resolver.universal.supported',
  'tails-server-base-url': 'tails_server_base_url',
  'tails-server-upload-url': 'tails_server_upload_url',
  'notify-revocation': 'revocation.notify',
  'monitor-revocation-notification': 'revocation.monitor_notification',
  'anoncreds-legacy-revocation': 'revocation.anoncreds_legacy_support',
  'genesis-url': 'ledger.genesis_url',
  'genesis-file': 'ledger.genesis_file',
  'genesis-transactions': 'ledger.genesis_transactions',
  'genesis-transactions-list': 'ledger.ledger_config_list',
  'ledger-pool-name': 'ledger.pool_name',
  'ledger-keepalive': 'ledger.keepalive',
  'ledger-socks-proxy': 'ledger.socks_proxy',
  'no-ledger': 'ledger.disabled',
  'read-only-ledger': 'read_only_ledger',
  'log-config': 'log.config',
  'log-file': 'log.file',
  'log-level': 'log.level',
  'invite-base-url': 'invite_base_url',
  'monitor-ping': 'debug.monitor_ping',
  'monitor-forward': 'monitor_forward',
  'public-invites': 'public_invites',
  'requests-through-public-did': 'requests_through_public_did',
  timing: 'timing.enabled',
  'timing-log': 'timing.log_file',
  trace: 'trace.enabled',
  'trace-target': 'trace.target',
  'trace-tag': 'trace.tag',
  'trace-label': 'trace.label',
  'preserve-exchange-records': 'preserve_exchange_records',
  'exch-use-unencrypted-tags': 'exch_use_unencrypted_tags',
  'auto-ping-connection': 'auto_ping_connection',
  'auto-accept-intro-invitation-requests': 'auto_accept_intro_invitation_requests',
  'auto-provision': 'auto_provision',
  label: 'default_label',
  'inbound-transport': 'transport.inbound_configs',
  'outbound-transport': 'transport.outbound_configs',
  'no-transport': 'transport.disabled',
  'enable-undelivered-queue': 'transport.enable_undelivered_queue',
  'max-message-size': 'transport.max_message_size',
  'max-outbound-retry': 'transport.max_outbound_retry',
  'ws-heartbeat-interval': 'transport.ws.heartbeat_interval',
  'ws-timeout-interval': 'transport.ws.timeout_interval',
  'image-url': 'image_url',
  'open-mediation': 'mediation.open',
  'mediator-invitation': 'mediation.invite',
  'default-mediator-id': 'mediation.default_id',
  'clear-default-mediator': 'mediation.clear',
  'wallet-name': 'wallet.name',
  'wallet-type': 'wallet.type',
  'wallet-storage-type': 'wallet.storage_type',
  'wallet-storage-config': 'wallet.storage_config',
  'wallet-key-derivation-method': 'wallet.key_derivation_method',
  'wallet-local-did': 'wallet.local_did',
  'wallet-allow-insecure-seed': 'wallet.allow_insecure_seed',
  'replace-public-did': 'wallet.replace_public_did',
  'recreate-wallet': 'wallet.recreate',
  multitenant: 'multitenant.enabled',
  'multitenant-admin': 'multitenant.admin_enabled',
  'base-wallet-routes': 'multitenant.base_wallet_routes',
  'endorser-protocol-role': 'endorser.protocol_role',
  'endorser-public-did': 'endorser.endorser_public_did',
  'endorser-endorse-with-did': 'endorser.endorser_endorse_with_did',
  'endorser-alias': 'endorser.endorser_alias',
  'auto-request-endorsement': 'endorser.auto_request',
  'auto-endorse-transactions': 'endorser.auto_endorse',
  'auto-write-transactions': 'endorser.auto_write',
  'auto-create-revocation-transactions': 'endorser.auto_create_rev_reg',
  'auto-promote-author-did': 'endorser.auto_promote_author_did',
};

/** What was given, by flag names, under ACA-Py's names: those of its settings that ACA-Py would show for it. */
export function statusOf(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [flag, value] of Object.entries(given)) {
    const name = Object.hasOwn(STATUS_NAMES, flag) ? STATUS_NAMES[flag] : undefined;
    if (name && value !== undefined && value !== false) out[name] = value;
  }
  // its keys are left out, as there
  const urls = out['admin.webhook_urls'];
  if (Array.isArray(urls)) out['admin.webhook_urls'] = urls.map((url) => String(url).replace(/#.*/, ''));
  if (Array.isArray(given.admin)) Object.assign(out, { 'admin.enabled': true, 'admin.host': given.admin[0], 'admin.port': given.admin[1] });
  if (Array.isArray(given.endpoint)) {
    const [first, ...more] = given.endpoint;
    Object.assign(out, { default_endpoint: first, additional_endpoints: more });
  }
  // one server takes what is uploaded too, unless another was named
  if (out.tails_server_base_url !== undefined) out.tails_server_upload_url ??= out.tails_server_base_url;
  return out;
}

/** In the order of ACA-Py's config/argparse.py. */
export const FOREIGN_SETTINGS: readonly ForeignSetting[] = [
  foreign('help-link', 1),
  foreign('debug', 0),
  foreign('debug-seed', 1),
  foreign('debug-connections', 0),
  foreign('debug-credentials', 0),
  foreign('debug-presentations', 0),
  foreign('invite', 0),
  foreign('invite-label', 1),
  foreign('invite-multi-use', 0),
  foreign('invite-public', 0),
  foreign('invite-metadata-json', 1),
  foreign('test-suite-endpoint', 1),
  foreign('auto-disclose-features', 0),
  foreign('disclose-features-list', 1),
  foreign('block-plugin', 1, 'ACAPY_BLOCKED_PLUGIN'),
  foreign('plugin-config', 1),
  { flags: ['--plugin-config-value', '-o'], env: 'ACAPY_PLUGIN_CONFIG_VALUE', takes: '+' },
  foreign('auto-install-plugins', '?'),
  foreign('storage-type', 1),
  foreign('profile-endpoint', 1),
  foreign('universal-resolver', '?'),
  foreign('universal-resolver-regex', '+'),
  foreign('universal-resolver-bearer-token', '?'),
  foreign('tails-server-base-url', 1),
  foreign('tails-server-upload-url', 1),
  foreign('notify-revocation', 0),
  foreign('monitor-revocation-notification', 0),
  foreign('anoncreds-legacy-revocation', 1),
  foreign('ledger-pool-name', 1),
  foreign('genesis-transactions', 1),
  foreign('genesis-file', 1),
  foreign('genesis-url', 1),
  foreign('ledger-keepalive', 1, 'ACAPY_LEDGER_KEEP_ALIVE'),
  foreign('ledger-socks-proxy', 1),
  foreign('genesis-transactions-list', 1),
  foreign('accept-taa', 2),
  foreign('log-config', 1),
  foreign('log-file', '?'),
  foreign('invite-base-url', 1),
  foreign('timing', 0),
  foreign('timing-log', 1),
  foreign('trace', 0),
  foreign('trace-target', 1),
  foreign('trace-tag', 1),
  foreign('trace-label', 1),
  foreign('no-preserve-failed-exchange-records', 0),
  done('emit-new-didcomm-prefix', 0),
  done('emit-new-didcomm-mime-type', 0),
  foreign('exch-use-unencrypted-tags', 0),
  foreign('experimental-didcomm-v2', 0, 'ACAPY_EXP_DIDCOMM_V2'),
  done('auto-provision', 0),
  done('enable-undelivered-queue', 0),
  foreign('max-outbound-retry', 1),
  // of ACA-Py 1.2: the invitation says by itself of which kind it is
  { ...done('mediator-connections-invite', 0), env: 'ACAPY_MEDIATION_CONNECTIONS_INVITE' },
  done('wallet-allow-insecure-seed', 0),
  refused('dbstore-key', 1, 'there is one wallet type: give the key as --wallet-key'),
  refused('wallet-rekey', 1, REKEY),
  refused('dbstore-rekey', 1, REKEY),
  foreign('dbstore-storage-type', 1),
  foreign('wallet-test', 0),
  foreign('dbstore-storage-config', 1),
  foreign('dbstore-schema-config', 1),
  foreign('wallet-key-derivation-method', 1),
  foreign('wallet-rekey-derivation-method', 1),
  foreign('dbstore-storage-creds', 1),
  // one database for all tenants is the only way here
  { ...done('multitenancy-config', '+'), env: 'ACAPY_MULTITENANCY_CONFIGURATION' },
  foreign('endorser-protocol-role', 1, 'ACAPY_ENDORSER_ROLE'),
  foreign('endorser-invitation', 1),
  foreign('endorser-public-did', 1),
  foreign('endorser-endorse-with-did', 1),
  foreign('endorser-alias', 1),
  foreign('auto-request-endorsement', 0),
  foreign('auto-endorse-transactions', 0),
  foreign('auto-write-transactions', 0),
  foreign('auto-create-revocation-transactions', 0, 'ACAPY_CREATE_REVOCATION_TRANSACTIONS'),
  foreign('auto-promote-author-did', 0),
  foreign('upgrade-config-path', 1),
  foreign('from-version', 1, 'ACAPY_UPGRADE_FROM_VERSION'),
  foreign('force-upgrade', 0, 'ACAPY_UPGRADE_FORCE_UPGRADE'),
  foreign('named-tag', 1, 'ACAPY_UPGRADE_NAMED_TAGS'),
  foreign('upgrade-all-subwallets', 0),
  foreign('upgrade-subwallet', 1, 'ACAPY_UPGRADE_SUBWALLETS'),
  foreign('upgrade-page-size', 1),
];

/**
 * The store that ACA-Py's `--wallet-storage-*` describe, as `--store` takes it; undefined for its SQLite.
 * @throws SyntaxError for what is no JSON, Error for what is missing
 */
export function storeOfAcapy(given: { type?: string; config?: string; creds?: string; name: string }): string | undefined {
  if (given.type === undefined || /^(default|sqlite)$/.test(given.type)) return undefined;
  if (given.type !== 'postgres_storage' && given.type !== 'postgres')
    throw new Error(`--wallet-storage-type ${given.type} is not supported: use postgres_storage`);
  const config = JSON.parse(given.config ?? '{}') as { url?: string };
  const creds = JSON.parse(given.creds ?? '{}') as Partial<Record<'account' | 'password' | 'admin_account' | 'admin_password', string>>;
  if (!config.url || !creds.account)
    throw new Error('postgres_storage needs "url" in --wallet-storage-config, "account" in --wallet-storage-creds');
  const { admin_account, admin_password } = creds;
  const query = new URLSearchParams(
    Object.entries({ admin_account, admin_password }).filter((one): one is [string, string] => one[1] !== undefined),
  );
  const user = [creds.account, ...(creds.password === undefined ? [] : [creds.password])].map(encodeURIComponent).join(':');
  return `postgres://${user}@${config.url}/${encodeURIComponent(given.name)}${query.size > 0 ? `?${query}` : ''}`;
}

/** Settings that ACA-Py lets a tenant have of its own, by the name in its records; variables and flags spell them otherwise. */
const TENANT_SETTINGS: Readonly<Record<string, string>> = {
  'auto-accept-invites': 'debug.auto_accept_invites',
  'auto-accept-requests': 'debug.auto_accept_requests',
  'auto-create-revocation-transactions': 'endorser.auto_create_rev_reg',
  'auto-ping-connection': 'auto_ping_connection',
  'auto-promote-author-did': 'endorser.auto_promote_author_did',
  'auto-request-endorsement': 'endorser.auto_request',
  'auto-respond-credential-offer': 'debug.auto_respond_credential_offer',
  'auto-respond-credential-request': 'debug.auto_respond_credential_request',
  'auto-respond-messages': 'debug.auto_respond_messages',
  'auto-verify-presentation': 'debug.auto_verify_presentation',
  'auto-write-transactions': 'endorser.auto_write',
  'endorser-alias': 'endorser.endorser_alias',
  'endorser-invitation': 'endorser.endorser_invitation',
  'endorser-protocol-role': 'endorser.protocol_role',
  'endorser-public-did': 'endorser.endorser_public_did',
  'invite-public': 'debug.invite_public',
  'log-level': 'log.level',
  'monitor-ping': 'debug.monitor_ping',
  'notify-revocation': 'revocation.notify',
  'preserve-exchange-records': 'preserve_exchange_records',
  'public-invites': 'public_invites',
  'requests-through-public-did': 'requests_through_public_did',
  'create-revocation-transactions': 'endorser.auto_create_rev_reg',
  'endorser-role': 'endorser.protocol_role',
  'enable-auto-revocation-recovery': 'anoncreds.revocation.auto_recovery_enabled',
  // this agent's own, in the same manner
  'auto-respond-credential-proposal': 'debug.auto_respond_credential_proposal',
  'auto-respond-presentation-proposal': 'debug.auto_respond_presentation_proposal',
  'auto-respond-presentation-request': 'debug.auto_respond_presentation_request',
  'auto-store-credential': 'debug.auto_store_credential',
};

/** A tenant's `extra_settings`, given by flag names or `ACAPY_*` variables, under the names of ACA-Py's records; unknown ones are passed over, as there. */
export function acapySettings(given: Readonly<Record<string, unknown>>): Record<string, string | number | boolean> {
  const out: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(given)) {
    const flag = name.startsWith('ACAPY_') ? name.slice('ACAPY_'.length).toLowerCase().replaceAll('_', '-') : name;
    const setting = Object.hasOwn(TENANT_SETTINGS, flag) ? TENANT_SETTINGS[flag] : undefined;
    if (setting && ['string', 'number', 'boolean'].includes(typeof value)) out[setting] = value as string | number | boolean;
  }
  return out;
}
