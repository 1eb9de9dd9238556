import { longName, SETTINGS, type Setting } from './settings.ts';

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
  /** Only this value of it is refused. */
  readonly refusedValue?: string;
  /** Its name in ACA-Py's `GET /status/config`. */
  readonly acapy?: string;
}

type Takes = ForeignSetting['takes'];

type Names = Partial<Pick<ForeignSetting, 'env' | 'acapy'>>;

const foreign = (name: string, takes: Takes, names: Names = {}): ForeignSetting => ({
  flags: [`--${name}`],
  env: `ACAPY_${name.toUpperCase().replaceAll('-', '_')}`,
  takes,
  ...names,
});
const done = (name: string, takes: Takes, names?: Names): ForeignSetting => ({ ...foreign(name, takes, names), done: true });
const refused = (name: string, takes: Takes, sentence: string): ForeignSetting => ({ ...foreign(name, takes), refused: sentence });

const REKEY = 'give the present key as --wallet-key to ./flexid rotate-key, and the new one as --new-wallet-key';

/** In the order of ACA-Py's config/argparse.py. */
export const FOREIGN_SETTINGS: readonly ForeignSetting[] = [
  foreign('help-link', 1, { acapy: 'admin.help_link' }),
  foreign('debug', 0, { acapy: 'debug.enabled' }),
  foreign('debug-seed', 1),
  foreign('debug-connections', 0, { acapy: 'debug.connections' }),
  foreign('debug-credentials', 0, { acapy: 'debug.credentials' }),
  foreign('debug-presentations', 0, { acapy: 'debug.presentations' }),
  foreign('invite', 0, { acapy: 'debug.print_invitation' }),
  foreign('invite-label', 1, { acapy: 'debug.invite_label' }),
  foreign('invite-multi-use', 0, { acapy: 'debug.invite_multi_use' }),
  foreign('invite-public', 0, { acapy: 'debug.invite_public' }),
  foreign('invite-metadata-json', 1, { acapy: 'debug.invite_metadata_json' }),
  foreign('test-suite-endpoint', 1, { acapy: 'debug.test_suite_endpoint' }),
  foreign('auto-disclose-features', 0, { acapy: 'auto_disclose_features' }),
  foreign('disclose-features-list', 1),
  foreign('block-plugin', 1, { env: 'ACAPY_BLOCKED_PLUGIN', acapy: 'blocked_plugins' }),
  foreign('plugin-config', 1),
  { flags: ['--plugin-config-value', '-o'], env: 'ACAPY_PLUGIN_CONFIG_VALUE', takes: '+' },
  foreign('auto-install-plugins', '?'),
  foreign('storage-type', 1, { acapy: 'storage_type' }),
  foreign('profile-endpoint', 1, { acapy: 'profile_endpoint' }),
  foreign('universal-resolver', '?', { acapy: 'resolver.universal' }),
  foreign('universal-resolver-regex', '+', { acapy: 'resolver.universal.supported' }),
  foreign('universal-resolver-bearer-token', '?'),
  {
    ...done('anoncreds-legacy-revocation', 1, { acapy: 'revocation.anoncreds_legacy_support' }),
    refused: 'this agent takes no proof of non-revocation in the legacy form: give reject, or leave it out',
    refusedValue: 'accept',
  },
  foreign('ledger-pool-name', 1, { acapy: 'ledger.pool_name' }),
  foreign('genesis-transactions', 1, { acapy: 'ledger.genesis_transactions' }),
  foreign('genesis-file', 1, { acapy: 'ledger.genesis_file' }),
  foreign('genesis-url', 1, { acapy: 'ledger.genesis_url' }),
  foreign('ledger-keepalive', 1, { env: 'ACAPY_LEDGER_KEEP_ALIVE', acapy: 'ledger.keepalive' }),
  foreign('ledger-socks-proxy', 1, { acapy: 'ledger.socks_proxy' }),
  foreign('genesis-transactions-list', 1, { acapy: 'ledger.ledger_config_list' }),
  foreign('accept-taa', 2),
  foreign('log-config', 1, { acapy: 'log.config' }),
  foreign('log-file', '?', { acapy: 'log.file' }),
  foreign('invite-base-url', 1, { acapy: 'invite_base_url' }),
  foreign('timing', 0, { acapy: 'timing.enabled' }),
  foreign('timing-log', 1, { acapy: 'timing.log_file' }),
  foreign('trace', 0, { acapy: 'trace.enabled' }),
  foreign('trace-target', 1, { acapy: 'trace.target' }),
  foreign('trace-tag', 1, { acapy: 'trace.tag' }),
  foreign('trace-label', 1, { acapy: 'trace.label' }),
  foreign('no-preserve-failed-exchange-records', 0),
  done('emit-new-didcomm-prefix', 0),
  done('emit-new-didcomm-mime-type', 0),
  foreign('exch-use-unencrypted-tags', 0, { acapy: 'exch_use_unencrypted_tags' }),
  foreign('experimental-didcomm-v2', 0, { env: 'ACAPY_EXP_DIDCOMM_V2' }),
  done('auto-provision', 0, { acapy: 'auto_provision' }),
  done('enable-undelivered-queue', 0, { acapy: 'transport.enable_undelivered_queue' }),
  foreign('max-outbound-retry', 1, { acapy: 'transport.max_outbound_retry' }),
  // of ACA-Py 1.2: the kind of an invitation follows from its content
  done('mediator-connections-invite', 0, { env: 'ACAPY_MEDIATION_CONNECTIONS_INVITE' }),
  done('wallet-allow-insecure-seed', 0, { acapy: 'wallet.allow_insecure_seed' }),
  refused('dbstore-key', 1, 'there is one wallet type: give the key as --wallet-key'),
  refused('wallet-rekey', 1, REKEY),
  refused('dbstore-rekey', 1, REKEY),
  foreign('dbstore-storage-type', 1),
  foreign('wallet-test', 0),
  foreign('dbstore-storage-config', 1),
  foreign('dbstore-schema-config', 1),
  foreign('wallet-key-derivation-method', 1, { acapy: 'wallet.key_derivation_method' }),
  foreign('wallet-rekey-derivation-method', 1),
  foreign('dbstore-storage-creds', 1),
  // one database for all tenants is the only way here
  done('multitenancy-config', '+', { env: 'ACAPY_MULTITENANCY_CONFIGURATION' }),
  foreign('upgrade-config-path', 1),
  foreign('from-version', 1, { env: 'ACAPY_UPGRADE_FROM_VERSION' }),
  foreign('force-upgrade', 0, { env: 'ACAPY_UPGRADE_FORCE_UPGRADE' }),
  foreign('named-tag', 1, { env: 'ACAPY_UPGRADE_NAMED_TAGS' }),
  foreign('upgrade-all-subwallets', 0),
  foreign('upgrade-subwallet', 1, { env: 'ACAPY_UPGRADE_SUBWALLETS' }),
  foreign('upgrade-page-size', 1),
];

/** ACA-Py's name of a setting, by its long flag. */
const STATUS_NAMES = new Map([...Object.values<Setting>(SETTINGS), ...FOREIGN_SETTINGS].map((one) => [longName(one), one.acapy]));

/** The given settings, by flag names, under the names that ACA-Py shows them by. */
export function statusOf(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [flag, value] of Object.entries(given)) {
    const name = STATUS_NAMES.get(flag);
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
