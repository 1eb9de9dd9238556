import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../src/config/read-config.ts';
import type { Config } from '../src/config/settings.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Start scripts that were written for ACA-Py are understood: every flag of its config/argparse.py (1.6) with its words and its variable. */
const ACAPY = `
  admin 2 ACAPY_ADMIN
  admin-api-key 1 ACAPY_ADMIN_API_KEY
  admin-insecure-mode 0 ACAPY_ADMIN_INSECURE_MODE
  no-receive-invites 0 ACAPY_NO_RECEIVE_INVITES
  help-link 1 ACAPY_HELP_LINK
  webhook-url 1 ACAPY_WEBHOOK_URL
  admin-client-max-request-size 1 ACAPY_ADMIN_CLIENT_MAX_REQUEST_SIZE
  debug 0 ACAPY_DEBUG
  debug-seed 1 ACAPY_DEBUG_SEED
  debug-connections 0 ACAPY_DEBUG_CONNECTIONS
  debug-credentials 0 ACAPY_DEBUG_CREDENTIALS
  debug-presentations 0 ACAPY_DEBUG_PRESENTATIONS
  debug-webhooks 0 ACAPY_DEBUG_WEBHOOKS
  invite 0 ACAPY_INVITE
  invite-label 1 ACAPY_INVITE_LABEL
  invite-multi-use 0 ACAPY_INVITE_MULTI_USE
  invite-public 0 ACAPY_INVITE_PUBLIC
  invite-metadata-json 1 ACAPY_INVITE_METADATA_JSON
  test-suite-endpoint 1 ACAPY_TEST_SUITE_ENDPOINT
  auto-accept-invites 0 ACAPY_AUTO_ACCEPT_INVITES
  auto-accept-requests 0 ACAPY_AUTO_ACCEPT_REQUESTS
  auto-respond-messages 0 ACAPY_AUTO_RESPOND_MESSAGES
  auto-respond-credential-proposal 0 ACAPY_AUTO_RESPOND_CREDENTIAL_PROPOSAL
  auto-respond-credential-offer 0 ACAPY_AUTO_RESPOND_CREDENTIAL_OFFER
  auto-respond-credential-request 0 ACAPY_AUTO_RESPOND_CREDENTIAL_REQUEST
  auto-respond-presentation-proposal 0 ACAPY_AUTO_RESPOND_PRESENTATION_PROPOSAL
  auto-respond-presentation-request 0 ACAPY_AUTO_RESPOND_PRESENTATION_REQUEST
  auto-store-credential 0 ACAPY_AUTO_STORE_CREDENTIAL
  auto-verify-presentation 0 ACAPY_AUTO_VERIFY_PRESENTATION
  auto-disclose-features 0 ACAPY_AUTO_DISCLOSE_FEATURES
  disclose-features-list 1 ACAPY_DISCLOSE_FEATURES_LIST
  arg-file 1 -
  plugin 1 ACAPY_PLUGIN
  block-plugin 1 ACAPY_BLOCKED_PLUGIN
  plugin-config 1 ACAPY_PLUGIN_CONFIG
  plugin-config-value + -
  auto-install-plugins ? ACAPY_AUTO_INSTALL_PLUGINS
  storage-type 1 ACAPY_STORAGE_TYPE
  endpoint + ACAPY_ENDPOINT
  profile-endpoint 1 ACAPY_PROFILE_ENDPOINT
  universal-resolver ? ACAPY_UNIVERSAL_RESOLVER
  universal-resolver-regex + ACAPY_UNIVERSAL_RESOLVER_REGEX
  universal-resolver-bearer-token ? ACAPY_UNIVERSAL_RESOLVER_BEARER_TOKEN
  tails-server-base-url 1 ACAPY_TAILS_SERVER_BASE_URL
  tails-server-upload-url 1 ACAPY_TAILS_SERVER_UPLOAD_URL
  notify-revocation 0 ACAPY_NOTIFY_REVOCATION
  monitor-revocation-notification 0 ACAPY_MONITOR_REVOCATION_NOTIFICATION
  anoncreds-legacy-revocation 1 ACAPY_ANONCREDS_LEGACY_REVOCATION
  ledger-pool-name 1 ACAPY_LEDGER_POOL_NAME
  genesis-transactions 1 ACAPY_GENESIS_TRANSACTIONS
  genesis-file 1 ACAPY_GENESIS_FILE
  genesis-url 1 ACAPY_GENESIS_URL
  no-ledger 0 ACAPY_NO_LEDGER
  read-only-ledger 0 ACAPY_READ_ONLY_LEDGER
  ledger-keepalive 1 ACAPY_LEDGER_KEEP_ALIVE
  ledger-socks-proxy 1 ACAPY_LEDGER_SOCKS_PROXY
  genesis-transactions-list 1 ACAPY_GENESIS_TRANSACTIONS_LIST
  accept-taa 2 ACAPY_ACCEPT_TAA
  log-config 1 ACAPY_LOG_CONFIG
  log-file ? ACAPY_LOG_FILE
  log-level 1 ACAPY_LOG_LEVEL
  auto-ping-connection 0 ACAPY_AUTO_PING_CONNECTION
  auto-accept-intro-invitation-requests 0 ACAPY_AUTO_ACCEPT_INTRO_INVITATION_REQUESTS
  invite-base-url 1 ACAPY_INVITE_BASE_URL
  monitor-ping 0 ACAPY_MONITOR_PING
  monitor-forward 0 ACAPY_MONITOR_FORWARD
  public-invites 0 ACAPY_PUBLIC_INVITES
  requests-through-public-did 0 ACAPY_REQUESTS_THROUGH_PUBLIC_DID
  timing 0 ACAPY_TIMING
  timing-log 1 ACAPY_TIMING_LOG
  trace 0 ACAPY_TRACE
  trace-target 1 ACAPY_TRACE_TARGET
  trace-tag 1 ACAPY_TRACE_TAG
  trace-label 1 ACAPY_TRACE_LABEL
  preserve-exchange-records 0 ACAPY_PRESERVE_EXCHANGE_RECORDS
  no-preserve-failed-exchange-records 0 ACAPY_NO_PRESERVE_FAILED_EXCHANGE_RECORDS
  emit-new-didcomm-prefix 0 ACAPY_EMIT_NEW_DIDCOMM_PREFIX
  emit-new-didcomm-mime-type 0 ACAPY_EMIT_NEW_DIDCOMM_MIME_TYPE
  exch-use-unencrypted-tags 0 ACAPY_EXCH_USE_UNENCRYPTED_TAGS
  auto-provision 0 ACAPY_AUTO_PROVISION
  no-transport 0 ACAPY_NO_TRANSPORT
  inbound-transport 3 ACAPY_INBOUND_TRANSPORT
  outbound-transport 1 ACAPY_OUTBOUND_TRANSPORT
  label 1 ACAPY_LABEL
  image-url 1 ACAPY_IMAGE_URL
  max-message-size 1 ACAPY_MAX_MESSAGE_SIZE
  enable-undelivered-queue 0 ACAPY_ENABLE_UNDELIVERED_QUEUE
  max-outbound-retry 1 ACAPY_MAX_OUTBOUND_RETRY
  ws-heartbeat-interval 1 ACAPY_WS_HEARTBEAT_INTERVAL
  ws-timeout-interval 1 ACAPY_WS_TIMEOUT_INTERVAL
  mediator-invitation 1 ACAPY_MEDIATION_INVITATION
  open-mediation 0 ACAPY_MEDIATION_OPEN
  default-mediator-id 1 ACAPY_DEFAULT_MEDIATION_ID
  clear-default-mediator 0 ACAPY_CLEAR_DEFAULT_MEDIATOR
  seed 1 ACAPY_WALLET_SEED
  wallet-local-did 0 ACAPY_WALLET_LOCAL_DID
  wallet-allow-insecure-seed 0 ACAPY_WALLET_ALLOW_INSECURE_SEED
  wallet-key 1 ACAPY_WALLET_KEY
  dbstore-key 1 ACAPY_DBSTORE_KEY
  wallet-rekey 1 ACAPY_WALLET_REKEY
  dbstore-rekey 1 ACAPY_DBSTORE_REKEY
  wallet-name 1 ACAPY_WALLET_NAME
  wallet-type 1 ACAPY_WALLET_TYPE
  wallet-storage-type 1 ACAPY_WALLET_STORAGE_TYPE
  dbstore-storage-type 1 ACAPY_DBSTORE_STORAGE_TYPE
  wallet-test 0 ACAPY_WALLET_TEST
  wallet-storage-config 1 ACAPY_WALLET_STORAGE_CONFIG
  dbstore-storage-config 1 ACAPY_DBSTORE_STORAGE_CONFIG
  dbstore-schema-config 1 ACAPY_DBSTORE_SCHEMA_CONFIG
  wallet-key-derivation-method 1 ACAPY_WALLET_KEY_DERIVATION_METHOD
  wallet-rekey-derivation-method 1 ACAPY_WALLET_REKEY_DERIVATION_METHOD
  wallet-storage-creds 1 ACAPY_WALLET_STORAGE_CREDS
  dbstore-storage-creds 1 ACAPY_DBSTORE_STORAGE_CREDS
  replace-public-did 0 ACAPY_REPLACE_PUBLIC_DID
  recreate-wallet 0 ACAPY_RECREATE_WALLET
  multitenant 0 ACAPY_MULTITENANT
  jwt-secret 1 ACAPY_MULTITENANT_JWT_SECRET
  multitenant-admin 0 ACAPY_MULTITENANT_ADMIN
  multitenancy-config + ACAPY_MULTITENANCY_CONFIGURATION
  base-wallet-routes + -
  endorser-protocol-role 1 ACAPY_ENDORSER_ROLE
  endorser-invitation 1 ACAPY_ENDORSER_INVITATION
  endorser-public-did 1 ACAPY_ENDORSER_PUBLIC_DID
  endorser-endorse-with-did 1 ACAPY_ENDORSER_ENDORSE_WITH_DID
  endorser-alias 1 ACAPY_ENDORSER_ALIAS
  auto-request-endorsement 0 ACAPY_AUTO_REQUEST_ENDORSEMENT
  auto-endorse-transactions 0 ACAPY_AUTO_ENDORSE_TRANSACTIONS
  auto-write-transactions 0 ACAPY_AUTO_WRITE_TRANSACTIONS
  auto-create-revocation-transactions 0 ACAPY_CREATE_REVOCATION_TRANSACTIONS
  auto-promote-author-did 0 ACAPY_AUTO_PROMOTE_AUTHOR_DID
  upgrade-config-path 1 ACAPY_UPGRADE_CONFIG_PATH
  from-version 1 ACAPY_UPGRADE_FROM_VERSION
  force-upgrade 0 ACAPY_UPGRADE_FORCE_UPGRADE
  named-tag 1 ACAPY_UPGRADE_NAMED_TAGS
  upgrade-all-subwallets 0 ACAPY_UPGRADE_ALL_SUBWALLETS
  upgrade-subwallet 1 ACAPY_UPGRADE_SUBWALLETS
  upgrade-page-size 1 ACAPY_UPGRADE_PAGE_SIZE
  experimental-didcomm-v2 0 ACAPY_EXP_DIDCOMM_V2
`
  .trim()
  .split('\n')
  .map((line) => line.trim().split(' ') as [string, string, string]);

const folder = mkdtempSync(join(tmpdir(), 'flexid-acapy-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const yaml = (text: string): string => {
  const path = join(folder, `${files++}.yml`);
  writeFileSync(path, text);
  return path;
};
const refusal = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

/** Words that the settings with a form of their own take. */
const WORDS: Record<string, string[]> = {
  admin: ['127.0.0.1', '8021'],
  endpoint: ['http://agent:8020'],
  'admin-client-max-request-size': ['2'],
  'inbound-transport': ['ws', '0.0.0.0', '8020'],
  'outbound-transport': ['ws'],
  'max-message-size': ['1000'],
  'ws-heartbeat-interval': ['3'],
  'ws-timeout-interval': ['15'],
  'log-level': ['WARNING'],
  'webhook-url': ['http://127.0.0.1:1/hooks'],
  plugin: ['connections'],
  'wallet-storage-type': ['default'],
  'endorser-protocol-role': ['author'],
};
const AUTHOR = ['--endorser-protocol-role', 'author'];
const ENDORSER = ['--endorser-protocol-role', 'endorser'];
/** Flags that a flag stands beside. */
const BESIDE: Record<string, string[]> = {
  'endorser-invitation': [...AUTHOR, '--endorser-public-did', 'a', '--endorser-alias', 'a'],
  'endorser-endorse-with-did': ENDORSER,
  'auto-endorse-transactions': ENDORSER,
  ...Object.fromEntries(
    [
      ...['endorser-public-did', 'endorser-alias', 'auto-request-endorsement', 'auto-write-transactions'],
      ...['auto-create-revocation-transactions', 'auto-promote-author-did'],
    ].map((name) => [name, AUTHOR]),
  ),
};
const words = (name: string, takes: string): string[] => WORDS[name] ?? (takes === '0' ? [] : takes === '2' ? ['a', 'b'] : ['a']);
const REFUSED = ['dbstore-key', 'wallet-rekey', 'dbstore-rekey'];

test('all 138 flags of ACA-Py are known, by flag, by variable and by YAML; a flag that would change the agent and cannot is refused', () => {
  assert.equal(ACAPY.length, 138);
  for (const [name, takes, variable] of ACAPY) {
    if (name === 'arg-file') continue;
    const given = words(name, takes);
    const beside = BESIDE[name] ?? [];
    const text = takes === '0' ? 'true' : given.join(' ');
    const written = takes === '0' ? 'true' : given.length > 1 || takes === '+' ? `[${given.join(', ')}]` : given[0];
    const reads: [string, () => { ignored: readonly string[] }][] = [
      ['flag', () => readConfig([`--${name}`, ...given, ...beside], {})],
      ['YAML', () => readConfig(['--arg-file', yaml(`${name}: ${written}\n`), ...beside], {})],
    ];
    if (variable !== '-') reads.push(['variable', () => readConfig(beside, { [variable]: text })]);
    for (const [how, read] of reads) {
      if (REFUSED.includes(name)) assert.match(refusal(read), new RegExp(`^--${name}: `), `${name} as ${how}`);
      else assert.doesNotThrow(read, `${name} as ${how}`);
    }
    if (!REFUSED.includes(name) && variable !== '-') {
      const [byFlag, byYaml, byVariable] = reads.map(([, read]) => read().ignored);
      assert.deepEqual([byYaml, byVariable], [byFlag, byFlag], name);
      if (takes === '0') assert.deepEqual(readConfig([], { [variable]: 'false' }).ignored, [], `${variable}=false`);
    }
  }
});

test('a flag of the other role in endorsement stops the start, and so does an invitation without what it needs', () => {
  const fails = (text: RegExp, ...flags: string[]): void =>
    assert.match(
      refusal(() => readConfig(flags, {})),
      text,
      flags.join(' '),
    );
  for (const [name, beside] of Object.entries(BESIDE)) {
    const flags = [`--${name}`, ...words(name, name.startsWith('auto') ? '0' : '1')];
    const needed = beside === ENDORSER ? 'endorser' : 'author';
    const text = new RegExp(`^--${name} is for --endorser-protocol-role ${needed}, and the role is (none|author|endorser)$`);
    fails(text, ...flags);
    fails(text, ...flags, ...(beside === ENDORSER ? AUTHOR : ENDORSER));
  }
  fails(/needs --endorser-public-did$/, ...AUTHOR, '--endorser-invitation', 'a', '--endorser-alias', 'a');
  fails(/needs --endorser-alias$/, ...AUTHOR, '--endorser-invitation', 'a', '--endorser-public-did', 'a');
  fails(/^--endorser-protocol-role takes author, endorser, none/, '--endorser-protocol-role', 'banker');
  fails(/^--endorser-validity is a number of rounds from 10 to 1000/, '--endorser-validity', '1001');
});

test('a flag without effect is in the log by name; one that this agent needs not is not', () => {
  const { ignored } = readConfig(
    [
      ...['--auto-provision', '--emit-new-didcomm-prefix', '--wallet-type', 'askar', '--genesis-url', 'http://ledger', '--timing'],
      ...['--accept-taa', 'service_agreement', '2026-01-01', '-o', 'a.b=1', 'c=2', '--tails-server-base-url', 'http://tails'],
    ],
    { ACAPY_TRACE: '1', ACAPY_ENABLE_UNDELIVERED_QUEUE: '1' },
  );
  assert.deepEqual(ignored, ['--plugin-config-value', '--genesis-url', '--accept-taa', '--timing', '--trace']);
});

test('a start script of ACA-Py as it is in its documentation', () => {
  const { config, ignored } = readConfig(
    [
      ...[
        '--label',
        'faber.agent',
        '-it',
        'http',
        '0.0.0.0',
        '8020',
        '-it',
        'ws',
        '0.0.0.0',
        '8022',
        '-ot',
        'http',
        '--admin',
        '0.0.0.0',
        '8021',
      ],
      ...[
        '--admin-insecure-mode',
        '--endpoint',
        'http://host:8020',
        'ws://host:8022',
        '--wallet-type',
        'askar-anoncreds',
        '--wallet-name',
        'faber',
      ],
      ...[
        '--wallet-key',
        'key',
        '--auto-provision',
        '--seed',
        '000000000000000000000000Trustee1',
        '--log-level',
        'CRITICAL',
        '--recreate-wallet',
      ],
    ].filter((word) => word !== '--recreate-wallet'),
    {},
  );
  assert.deepEqual(ignored, []);
  assert.deepEqual(
    [config.endpoints, config.logLevel, config.seed, config.inbound],
    [
      ['http://host:8020', 'ws://host:8022'],
      'error',
      '000000000000000000000000Trustee1',
      [
        ['http', '0.0.0.0', '8020'],
        ['ws', '0.0.0.0', '8022'],
      ],
    ],
  );
});

test('--wallet-storage-* of PostgreSQL become --store; a password is quoted by no error', () => {
  const storage = (type: string, config: string, creds: string): string[] => [
    ...['--wallet-name', 'my wallet', '--wallet-storage-type', type, '--wallet-storage-config', config, '--wallet-storage-creds', creds],
  ];
  const read = (...given: [string, string, string]): Config => readConfig(storage(...given), {}).config;
  const url = '{"url": "db:5432", "wallet_scheme": "DatabasePerWallet"}';
  const creds = '{"account": "post@gres", "password": "p/w?", "admin_account": "a", "admin_password": "b"}';
  const store = 'postgres://post%40gres:p%2Fw%3F@db:5432/my%20wallet';
  assert.equal(read('postgres_storage', url, creds).store, `${store}?admin_account=a&admin_password=b`);
  assert.equal(read('postgres_storage', url, '{"account": "post@gres", "password": "p/w?"}').store, store);
  assert.equal(read('default', url, creds).store, undefined);
  assert.equal(readConfig([...storage('postgres_storage', url, creds), '--store', 'sqlite:x'], {}).config.store, 'sqlite:x');
  for (const given of [
    ['mongo', url, creds],
    ['postgres_storage', '{}', creds],
    ['postgres_storage', url, '{"password": "geheim"}'],
    ['postgres_storage', url, '{"account": "a", "password": "geheim"'],
  ]) {
    const text = refusal(() => read(...(given as [string, string, string])));
    assert.match(text, /--wallet-storage|postgres_storage needs/);
    assert.doesNotMatch(text, /geheim|p\/w/);
  }
});

test("the names of ACA-Py's plug-ins are taken", () => {
  for (const name of ['connections', 'issue_credential', 'present_proof', 'acapy_plugins.connections', 'connections.v1_0'])
    assert.deepEqual(readConfig(['--plugin', name], {}).config.plugins, [name]);
});

test('secrets are not among the settings that are shown', () => {
  const { shown } = readConfig(
    ['--seed', 's'.repeat(32), '--wallet-storage-creds', '{"password": "geheim"}', '--wallet-key', 'geheim'],
    {},
  );
  assert.doesNotMatch(JSON.stringify(shown), /geheim|ssss/);
});

test('the flags are shown under the names of ACA-Py, whether they have an effect here or not', () => {
  const { shown } = readConfig(
    [
      ...[
        '--genesis-url',
        'http://ledger/genesis',
        '--tails-server-base-url',
        'http://tails',
        '--wallet-type',
        'askar',
        '--wallet-name',
        'faber',
      ],
      ...[
        '--admin',
        '127.0.0.1',
        '8021',
        '--admin-insecure-mode',
        '--webhook-url',
        'http://hook#geheim',
        '--endpoint',
        'http://a',
        'ws://a',
      ],
      ...[
        '--label',
        'Faber',
        '--auto-provision',
        '--notify-revocation',
        '--endorser-protocol-role',
        'author',
        '--image-url',
        'http://image',
      ],
      ...['-it', 'http', '0.0.0.0', '8020', '--universal-resolver-bearer-token', 'geheim', '--wallet-storage-config', '{"url": "db:5432"}'],
    ],
    { ACAPY_LEDGER_POOL_NAME: 'pool', ACAPY_WALLET_STORAGE_CREDS: '{"account": "geheim"}' },
  );
  const wanted = {
    'ledger.genesis_url': 'http://ledger/genesis',
    'ledger.pool_name': 'pool',
    tails_server_base_url: 'http://tails',
    tails_server_upload_url: 'http://tails',
    'wallet.type': 'askar',
    'wallet.name': 'faber',
    'wallet.storage_config': '{"url": "db:5432"}',
    'admin.host': '127.0.0.1',
    'admin.port': '8021',
    'admin.enabled': true,
    'admin.admin_insecure_mode': true,
    'admin.webhook_urls': ['http://hook'],
    default_endpoint: 'http://a',
    additional_endpoints: ['ws://a'],
    default_label: 'Faber',
    auto_provision: true,
    'revocation.notify': true,
    'endorser.protocol_role': 'author',
    image_url: 'http://image',
    'transport.inbound_configs': [['http', '0.0.0.0', '8020']],
  };
  for (const [name, value] of Object.entries(wanted)) assert.deepEqual(shown[name], value, name);
  assert.doesNotMatch(JSON.stringify(shown), /geheim/);
  assert.equal('debug.enabled' in shown, false, 'what nobody asked for is not there');
});

test('a flag may be cut short, joined with its value or written twice, and is read from the environment where it is not given', () => {
  const { config } = readConfig(
    [
      '--admin-insecure',
      '--lab=a=b',
      '-it',
      'http',
      '0.0.0.0',
      '1',
      '--inbound-transport',
      'ws',
      '0.0.0.0',
      '2',
      '--webhook-url=http://x/a',
    ],
    { ACAPY_LABEL: 'unused', ACAPY_WALLET_NAME: 'here' },
  );
  assert.deepEqual([config.adminInsecureMode, config.label, config.walletName], [true, 'a=b', 'here']);
  assert.deepEqual(config.inbound, [
    ['http', '0.0.0.0', '1'],
    ['ws', '0.0.0.0', '2'],
  ]);
  assert.equal(config.webhookUrls.length, 1);
});

test('what a flag is refused for names it, among all flags', () => {
  const said = (...args: string[]): string => {
    const { stderr, status } = spawnSync(process.execPath, [MAIN, 'start', ...args], { encoding: 'utf8' });
    assert.equal(status, 2);
    return stderr;
  };
  assert.match(said('--no-such-flag'), /unrecognized arguments: --no-such-flag/);
  assert.match(said('--auto-respond-c', 'x'), /ambiguous option: --auto-respond-c could match --auto-respond-credential-/);
  assert.match(said('--admin', 'x'), /argument --admin: expected 2 arguments/);
});
