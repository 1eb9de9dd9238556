import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ArgumentParser, SUPPRESS } from 'argparse';
import { parse as parseYaml } from 'yaml';
import { FOREIGN_SETTINGS, type ForeignSetting, statusOf, storeOfAcapy } from './config-acapy.ts';
import { shownUrl, webhookUrl } from './kernel/addresses.ts';

/** One setting: its flags (ACA-Py's where it has one), its variable, and what it holds. */
interface Setting {
  readonly flags: readonly string[];
  readonly env: string;
  readonly group: string;
  readonly help: string;
  /** `flag` is true or false; `list` may be given more than once; `words` are given at once, one or more unless a number says how many. */
  readonly kind: 'flag' | 'text' | 'number' | 'list' | 'words';
  readonly words?: number;
  readonly metavar?: string | readonly string[];
  readonly default?: unknown;
  /** The texts that it may be. */
  readonly oneOf?: readonly string[];
  /** ACA-Py's words for some of them. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** What the flag alone means, without a word after it. */
  readonly bare?: string;
  /** Never shown: keys and secrets. */
  readonly secret?: boolean;
}

const flag = (name: string, env: string, group: string, help: string) => ({
  flags: [`--${name}`],
  env,
  group,
  help,
  kind: 'flag' as const,
  default: false,
});

/** Every setting, in one place: the command line, the environment, the YAML file and `--help` follow from it. */
const SETTINGS = {
  admin: {
    flags: ['--admin'],
    env: 'ACAPY_ADMIN',
    group: 'Admin',
    kind: 'words',
    words: 2,
    metavar: ['<host>', '<port>'],
    help: 'Host and port of the admin API',
  },
  adminApiKey: {
    flags: ['--admin-api-key'],
    env: 'ACAPY_ADMIN_API_KEY',
    group: 'Admin',
    kind: 'text',
    secret: true,
    metavar: '<key>',
    help: 'Key that calls must carry as x-api-key',
  },
  adminInsecureMode: flag(
    'admin-insecure-mode',
    'ACAPY_ADMIN_INSECURE_MODE',
    'Admin',
    'Serve the admin API without a key: for development',
  ),
  adminCorsOrigins: {
    flags: ['--admin-cors-origin'],
    env: 'FLEXID_ADMIN_CORS_ORIGIN',
    group: 'Admin',
    kind: 'list',
    metavar: '<origin>',
    help: 'Origin whose web pages may call the admin API, as in https://console.example, or * for all where there is a key; may be given more than once',
  },
  adminAllowedHosts: {
    flags: ['--admin-allowed-host'],
    env: 'FLEXID_ADMIN_ALLOWED_HOST',
    group: 'Admin',
    kind: 'list',
    metavar: '<name>',
    help: 'With --admin-insecure-mode: a name under which the admin API is called, beside its address and loopback; may be given more than once',
  },
  adminMaxRequestSize: {
    flags: ['--admin-client-max-request-size'],
    env: 'ACAPY_ADMIN_CLIENT_MAX_REQUEST_SIZE',
    group: 'Admin',
    kind: 'number',
    default: 1,
    metavar: '<megabytes>',
    help: 'Largest body of a call (default 1)',
  },
  webhookUrls: {
    flags: ['--webhook-url'],
    env: 'ACAPY_WEBHOOK_URL',
    group: 'Admin',
    kind: 'list',
    metavar: '<url#api_key>',
    help: 'Where events are sent; may be given more than once',
  },
  webhookSecret: {
    flags: ['--webhook-secret'],
    env: 'FLEXID_WEBHOOK_SECRET',
    group: 'Admin',
    kind: 'text',
    secret: true,
    metavar: '<secret>',
    help: 'What webhooks to --webhook-url are signed with, 16 characters or more; without it a random one, which POST /webhooks/secret tells',
  },
  requestsThroughPublicDid: flag(
    'requests-through-public-did',
    'ACAPY_REQUESTS_THROUGH_PUBLIC_DID',
    'Admin',
    'With --public-invites: take connection requests for the public DID that answer no invitation',
  ),
  openMediation: flag('open-mediation', 'ACAPY_MEDIATION_OPEN', 'Mediation', 'Grant mediation to whoever asks'),
  mediatorMaxKeys: {
    flags: ['--mediator-max-keys'],
    env: 'FLEXID_MEDIATOR_MAX_KEYS',
    group: 'Mediation',
    kind: 'number',
    default: 10_000,
    metavar: '<n>',
    help: 'Keys that mail is forwarded for, for one connection (default 10,000)',
  },
  mailboxMessages: {
    flags: ['--mailbox-messages'],
    env: 'FLEXID_MAILBOX_MESSAGES',
    group: 'Mediation',
    kind: 'number',
    default: 10_000,
    metavar: '<n>',
    help: 'Messages that are kept for one connection until it fetches them; with more their senders are told to come back (default 10,000)',
  },
  mailboxBytes: {
    flags: ['--mailbox-bytes'],
    env: 'FLEXID_MAILBOX_BYTES',
    group: 'Mediation',
    kind: 'number',
    default: 104_857_600,
    metavar: '<bytes>',
    help: 'How much that may be (default 100 MiB)',
  },
  mailboxDays: {
    flags: ['--mailbox-days'],
    env: 'FLEXID_MAILBOX_DAYS',
    group: 'Mediation',
    kind: 'number',
    default: 7,
    metavar: '<days>',
    help: 'How long a message is kept that nobody fetches (default 7)',
  },
  monitorForward: flag('monitor-forward', 'ACAPY_MONITOR_FORWARD', 'Mediation', 'Send a webhook for each message that is handed on'),
  qr: flag('qr', 'FLEXID_QR', 'Mediation', 'With start mediator: print the QR code of the invitation, also where no terminal is'),
  mediatorInvitation: {
    flags: ['--mediator-invitation'],
    env: 'ACAPY_MEDIATION_INVITATION',
    group: 'Mediation',
    kind: 'text',
    metavar: '<url>',
    help: 'Connect to the mediator that this invitation is of, ask it for mediation, and let new keys go through it',
  },
  defaultMediatorId: {
    flags: ['--default-mediator-id'],
    env: 'ACAPY_DEFAULT_MEDIATION_ID',
    group: 'Mediation',
    kind: 'text',
    metavar: '<mediation id>',
    help: 'Let new keys go through the mediator of this mediation',
  },
  clearDefaultMediator: flag(
    'clear-default-mediator',
    'ACAPY_CLEAR_DEFAULT_MEDIATOR',
    'Mediation',
    'Let new keys go through no mediator, unless a call says otherwise',
  ),
  mediatorPickup: {
    flags: ['--mediator-pickup'],
    env: 'FLEXID_MEDIATOR_PICKUP',
    group: 'Mediation',
    kind: 'text',
    default: 'auto',
    oneOf: ['auto', 'live', 'implicit', 'poll', 'off'],
    metavar: '<auto|live|implicit|poll|off>',
    help: 'How mail comes from mediators: auto (default) finds out what each can do, where this agent has no endpoint of its own, else off',
  },
  mediatorCheck: {
    flags: ['--mediator-check-interval'],
    env: 'FLEXID_MEDIATOR_CHECK_INTERVAL',
    group: 'Mediation',
    kind: 'number',
    default: 30,
    metavar: '<seconds>',
    help: 'How often a mediator that nothing came from is asked whether mail still comes by itself (default 30, at least 1)',
  },
  noReceiveInvites: flag('no-receive-invites', 'ACAPY_NO_RECEIVE_INVITES', 'Admin', 'Refuse to receive invitations'),

  autoAcceptInvites: flag('auto-accept-invites', 'ACAPY_AUTO_ACCEPT_INVITES', 'Debug', 'Accept invitations by itself'),
  autoAcceptRequests: flag('auto-accept-requests', 'ACAPY_AUTO_ACCEPT_REQUESTS', 'Debug', 'Accept connection requests by itself'),
  autoAcceptIntroInvitationRequests: flag(
    'auto-accept-intro-invitation-requests',
    'ACAPY_AUTO_ACCEPT_INTRO_INVITATION_REQUESTS',
    'Debug',
    'Answer whoever introduces another agent with an invitation for it',
  ),
  autoPingConnection: flag('auto-ping-connection', 'ACAPY_AUTO_PING_CONNECTION', 'Connections', 'Ping when a connection is complete'),
  autoRespondMessages: flag('auto-respond-messages', 'ACAPY_AUTO_RESPOND_MESSAGES', 'Debug', 'Answer basic messages by itself'),
  autoRespondCredentialProposal: flag(
    'auto-respond-credential-proposal',
    'ACAPY_AUTO_RESPOND_CREDENTIAL_PROPOSAL',
    'Debug',
    'Answer credential proposals with an offer',
  ),
  autoRespondCredentialOffer: flag(
    'auto-respond-credential-offer',
    'ACAPY_AUTO_RESPOND_CREDENTIAL_OFFER',
    'Debug',
    'Answer credential offers with a request',
  ),
  autoRespondCredentialRequest: flag(
    'auto-respond-credential-request',
    'ACAPY_AUTO_RESPOND_CREDENTIAL_REQUEST',
    'Debug',
    'Answer credential requests with the credential',
  ),
  autoStoreCredential: flag('auto-store-credential', 'ACAPY_AUTO_STORE_CREDENTIAL', 'Debug', 'Store credentials by itself'),
  autoRespondPresentationProposal: flag(
    'auto-respond-presentation-proposal',
    'ACAPY_AUTO_RESPOND_PRESENTATION_PROPOSAL',
    'Debug',
    'Answer presentation proposals with a request',
  ),
  autoRespondPresentationRequest: flag(
    'auto-respond-presentation-request',
    'ACAPY_AUTO_RESPOND_PRESENTATION_REQUEST',
    'Debug',
    'Answer presentation requests with a presentation',
  ),
  autoVerifyPresentation: flag('auto-verify-presentation', 'ACAPY_AUTO_VERIFY_PRESENTATION', 'Debug', 'Verify presentations by itself'),
  debugWebhooks: flag('debug-webhooks', 'ACAPY_DEBUG_WEBHOOKS', 'Debug', 'Send whole records in webhooks'),
  monitorPing: flag('monitor-ping', 'ACAPY_MONITOR_PING', 'Connections', 'Send webhooks for pings'),
  publicInvites: flag('public-invites', 'ACAPY_PUBLIC_INVITES', 'Connections', 'Allow invitations from the public DID'),
  preserveExchangeRecords: flag(
    'preserve-exchange-records',
    'ACAPY_PRESERVE_EXCHANGE_RECORDS',
    'Protocol',
    'Keep exchange records when they are done',
  ),

  label: {
    flags: ['--label', '-l'],
    env: 'ACAPY_LABEL',
    group: 'General',
    kind: 'text',
    default: 'FlexID Cloud Agent',
    metavar: '<text>',
    help: 'What peers are shown as the name of this agent',
  },
  imageUrl: {
    flags: ['--image-url'],
    env: 'ACAPY_IMAGE_URL',
    group: 'Protocol',
    kind: 'text',
    metavar: '<url>',
    help: 'Address of a picture of this agent, for those who are invited',
  },
  argFile: {
    flags: ['--arg-file'],
    env: 'ACAPY_ARG_FILE',
    group: 'General',
    kind: 'text',
    metavar: '<file>',
    help: 'YAML file with settings, by their flag names',
  },
  endpoints: {
    flags: ['--endpoint', '-e'],
    env: 'ACAPY_ENDPOINT',
    group: 'Transport',
    kind: 'words',
    metavar: '<url>',
    help: 'The address that peers are told to write to; further ones, as of WebSockets, are in the documents of DIDs',
  },
  inbound: {
    flags: ['--inbound-transport', '-it'],
    env: 'ACAPY_INBOUND_TRANSPORT',
    group: 'Transport',
    kind: 'list',
    words: 3,
    metavar: ['<module>', '<host>', '<port>'],
    help: 'Where messages are taken: http HOST PORT, or ws HOST PORT for WebSockets; may be given more than once, for one port too',
  },
  outbound: {
    flags: ['--outbound-transport', '-ot'],
    env: 'ACAPY_OUTBOUND_TRANSPORT',
    group: 'Transport',
    kind: 'list',
    metavar: '<module>',
    help: 'Accepted for ACA-Py: http, ws; the address of a peer says which of them it is',
  },
  noTransport: flag('no-transport', 'ACAPY_NO_TRANSPORT', 'Transport', 'Take no messages'),
  outboundTimeout: {
    flags: ['--outbound-timeout'],
    env: 'FLEXID_OUTBOUND_TIMEOUT',
    group: 'Transport',
    kind: 'number',
    default: 10,
    metavar: '<seconds>',
    help: 'How long a peer or a webhook may take to connect, and to answer (default 10)',
  },
  maxMessageSize: {
    flags: ['--max-message-size'],
    env: 'ACAPY_MAX_MESSAGE_SIZE',
    group: 'Transport',
    kind: 'number',
    default: 2_097_152,
    metavar: '<bytes>',
    help: 'Largest message that is taken (default 2 MiB)',
  },
  maxSockets: {
    flags: ['--max-sockets'],
    env: 'FLEXID_MAX_SOCKETS',
    group: 'Transport',
    kind: 'number',
    default: 20_000,
    metavar: '<n>',
    help: 'WebSockets of peers that may be open at once (default 20,000)',
  },
  maxConnectionsPerAddress: {
    flags: ['--max-connections-per-address'],
    env: 'FLEXID_MAX_CONNECTIONS_PER_ADDRESS',
    group: 'Transport',
    kind: 'number',
    default: 1024,
    metavar: '<n>',
    help: 'HTTP connections that one address may have open to a port; the one that waits longest gives way (default 1024; 0 for no bound)',
  },
  trustedProxies: {
    flags: ['--trusted-proxy'],
    env: 'FLEXID_TRUSTED_PROXY',
    group: 'Transport',
    kind: 'list',
    metavar: '<CIDR>',
    help: 'A reverse proxy whose x-forwarded-for is believed, for every bound by address; may be given more than once',
  },
  wsHeartbeat: {
    flags: ['--ws-heartbeat-interval'],
    env: 'ACAPY_WS_HEARTBEAT_INTERVAL',
    group: 'Transport',
    kind: 'number',
    default: 30,
    metavar: '<seconds>',
    help: 'How often a WebSocket is pinged (default 30; 0 for never)',
  },
  wsTimeout: {
    flags: ['--ws-timeout-interval'],
    env: 'ACAPY_WS_TIMEOUT_INTERVAL',
    group: 'Transport',
    kind: 'number',
    default: 15,
    metavar: '<seconds>',
    help: 'How long the answer to such a ping may take, before the WebSocket is ended (default 15)',
  },
  oldMimeType: {
    ...flag(
      'emit-old-didcomm-mime-type',
      'FLEXID_EMIT_OLD_DIDCOMM_MIME_TYPE',
      'Transport',
      'Send messages as application/ssi-agent-wire, for peers of before 2020',
    ),
  },
  drainTime: {
    flags: ['--drain-time'],
    env: 'FLEXID_DRAIN_TIME',
    group: 'General',
    kind: 'number',
    default: 1,
    metavar: '<seconds>',
    help: 'How long the agent serves on when it is told to stop and /status/ready is asked, which answers 503 then (default 1)',
  },
  messageRate: {
    flags: ['--message-rate'],
    env: 'FLEXID_MESSAGE_RATE',
    group: 'Transport',
    kind: 'number',
    default: 2000,
    metavar: '<n>',
    help: 'Messages per second that one address may send, twice that at once (default 2000; 0 for no limit)',
  },
  egressAllow: {
    flags: ['--egress-allow'],
    env: 'FLEXID_EGRESS_ALLOW',
    group: 'Transport',
    kind: 'list',
    metavar: '<cidr>',
    help: 'Private or loopback range that peers may be reached at; may be given more than once',
  },

  didWebHttp: flag('did-web-http', 'FLEXID_DID_WEB_HTTP', 'Transport', 'Fetch did:web documents of loopback hosts by http, for tests'),

  walletName: {
    flags: ['--wallet-name'],
    env: 'ACAPY_WALLET_NAME',
    group: 'Wallet',
    kind: 'text',
    default: 'default',
    metavar: '<name>',
    help: 'Name of the wallet, and of its SQLite file',
  },
  walletKey: {
    flags: ['--wallet-key'],
    env: 'ACAPY_WALLET_KEY',
    group: 'Wallet',
    kind: 'text',
    secret: true,
    metavar: '<key>',
    help: 'Master key: base58 of 32 bytes, or a passphrase; generated for a fresh SQLite database',
  },
  newWalletKey: {
    flags: ['--new-wallet-key'],
    env: 'FLEXID_NEW_WALLET_KEY',
    group: 'Wallet',
    kind: 'text',
    secret: true,
    metavar: '<key>',
    help: 'For rotate-key only: the master key from now on',
  },
  walletType: {
    flags: ['--wallet-type'],
    env: 'ACAPY_WALLET_TYPE',
    group: 'Wallet',
    kind: 'text',
    default: 'askar-anoncreds',
    metavar: '<type>',
    help: 'What controllers are told: by it those of ACA-Py choose between its two families of calls, and both are served (default askar-anoncreds)',
  },
  seed: {
    flags: ['--seed'],
    env: 'ACAPY_WALLET_SEED',
    group: 'Wallet',
    kind: 'text',
    secret: true,
    metavar: '<seed>',
    help: 'Seed of the public DID, 32 characters or base64 of 32 bytes: it is created and, where the ledger can be written, published',
  },
  walletLocalDid: flag('wallet-local-did', 'ACAPY_WALLET_LOCAL_DID', 'Wallet', 'Keep the DID of --seed in the wallet, do not publish it'),
  replacePublicDid: flag(
    'replace-public-did',
    'ACAPY_REPLACE_PUBLIC_DID',
    'Wallet',
    'Let the DID of --seed take the place of another public DID',
  ),
  recreateWallet: flag(
    'recreate-wallet',
    'ACAPY_RECREATE_WALLET',
    'Wallet',
    'Erase the wallet and begin a new one: needs its --wallet-key, and that nothing else has the database open and no tenants are in it',
  ),
  walletStorageType: {
    flags: ['--wallet-storage-type'],
    env: 'ACAPY_WALLET_STORAGE_TYPE',
    group: 'Wallet',
    kind: 'text',
    metavar: '<type>',
    help: 'postgres_storage with the next two stands for --store postgres://...; default is SQLite',
  },
  walletStorageConfig: {
    flags: ['--wallet-storage-config'],
    env: 'ACAPY_WALLET_STORAGE_CONFIG',
    group: 'Wallet',
    kind: 'text',
    metavar: '<json>',
    help: '{"url": "HOST:PORT"}; the database has the wallet name',
  },
  walletStorageCreds: {
    flags: ['--wallet-storage-creds'],
    env: 'ACAPY_WALLET_STORAGE_CREDS',
    group: 'Wallet',
    kind: 'text',
    secret: true,
    metavar: '<json>',
    help: '{"account": USER, "password": PASSWORD}, and "admin_account", "admin_password" of who creates the database where there is none',
  },
  store: {
    flags: ['--store'],
    env: 'FLEXID_STORE',
    group: 'Wallet',
    kind: 'text',
    metavar: '<url>',
    help: 'postgres://USER:PASSWORD@HOST/DATABASE[?admin_account=A&admin_password=B of who creates it], or sqlite:PATH[?max_page_count=N] with pages of 16 KiB (default: a file of the wallet name in --data-dir)',
  },
  dataDir: {
    flags: ['--data-dir'],
    env: 'FLEXID_DATA_DIR',
    group: 'Wallet',
    kind: 'text',
    metavar: '<folder>',
    help: 'Folder of SQLite databases (default ~/.flexid)',
  },
  poolSize: {
    flags: ['--store-connections'],
    env: 'FLEXID_STORE_CONNECTIONS',
    group: 'Wallet',
    kind: 'number',
    default: 2,
    metavar: '<n>',
    help: 'PostgreSQL connections for pages and single reads (default 2)',
  },

  algodUrl: {
    flags: ['--algod-url'],
    env: 'FLEXID_ALGOD_URL',
    group: 'Ledger',
    kind: 'text',
    metavar: '<url>',
    help: "The Algorand node's REST API",
  },
  algodToken: {
    flags: ['--algod-token'],
    env: 'FLEXID_ALGOD_TOKEN',
    group: 'Ledger',
    kind: 'text',
    secret: true,
    default: '',
    metavar: '<token>',
    help: "The node's API token",
  },
  algorandNetwork: {
    flags: ['--algorand-network'],
    env: 'FLEXID_ALGORAND_NETWORK',
    group: 'Ledger',
    kind: 'text',
    default: 'custom',
    metavar: '<name>',
    help: 'mainnet, testnet, betanet or custom (default)',
  },
  algorandAppId: {
    flags: ['--algorand-app-id'],
    env: 'FLEXID_ALGORAND_APP_ID',
    group: 'Ledger',
    kind: 'number',
    metavar: '<id>',
    help: 'The registry application',
  },
  algorandGenesisHash: {
    flags: ['--algorand-genesis-hash'],
    env: 'FLEXID_ALGORAND_GENESIS_HASH',
    group: 'Ledger',
    kind: 'text',
    metavar: '<base64>',
    help: 'Expected genesis hash of a custom network',
  },
  sponsorMnemonic: {
    flags: ['--sponsor-mnemonic'],
    env: 'FLEXID_SPONSOR_MNEMONIC',
    group: 'Ledger',
    kind: 'text',
    secret: true,
    metavar: '<words>',
    help: '25 words of the account that pays for writes; without it the ledger is read only',
  },
  sovAsAlgo: {
    flags: ['--sov-as-algo'],
    env: 'FLEXID_SOV_AS_ALGO',
    group: 'Ledger',
    kind: 'text',
    default: 'on',
    oneOf: ['on', 'off'],
    aliases: { true: 'on', yes: 'on', '1': 'on', false: 'off', no: 'off', '0': 'off' },
    bare: 'on',
    metavar: '<on|off>',
    help: 'Make a DID of the ledger where a controller written for Indy asks for method sov or for a did:indy (default on, where a ledger is configured)',
  },
  multitenant: flag('multitenant', 'ACAPY_MULTITENANT', 'Multitenancy', 'Host many wallets, each with its own token'),
  multitenantAdmin: flag('multitenant-admin', 'ACAPY_MULTITENANT_ADMIN', 'Multitenancy', 'Serve the operations that manage wallets'),
  tenantAtOnce: {
    flags: ['--tenant-at-once'],
    env: 'FLEXID_TENANT_AT_ONCE',
    group: 'Multitenancy',
    kind: 'number',
    default: 16,
    metavar: '<n>',
    help: 'Calls and messages of one wallet that are worked on at once; fifty times as many wait, and more are told to come back (default 16; 0 for no limit)',
  },
  jwtSecret: {
    flags: ['--jwt-secret'],
    env: 'ACAPY_MULTITENANT_JWT_SECRET',
    group: 'Multitenancy',
    kind: 'text',
    secret: true,
    metavar: '<secret>',
    help: 'The secret that tokens of wallets are signed with; the same for every process',
  },
  tenantLedgerWrites: {
    flags: ['--tenant-ledger-writes'],
    env: 'FLEXID_TENANT_LEDGER_WRITES',
    group: 'Multitenancy',
    kind: 'number',
    default: 200,
    metavar: '<n>',
    help: 'Ledger writes that a wallet may make in a day (default 200; 0: no limit); the base wallet is not counted',
  },
  tenantLedgerAlgo: {
    flags: ['--tenant-ledger-algo'],
    env: 'FLEXID_TENANT_LEDGER_ALGO',
    group: 'Multitenancy',
    kind: 'number',
    default: 50,
    metavar: '<ALGO>',
    help: 'What the writes of a wallet may cost the sponsor in a day (default 50; 0: no limit)',
  },
  baseWalletRoutes: {
    flags: ['--base-wallet-routes'],
    env: 'ACAPY_BASE_WALLET_ROUTES',
    group: 'Multitenancy',
    kind: 'list',
    metavar: '<regex>',
    help: 'Paths, as regular expressions, that the base wallet may call as tenants do',
  },
  noLedger: flag('no-ledger', 'ACAPY_NO_LEDGER', 'Ledger', 'Run without a ledger'),
  readOnlyLedger: flag('read-only-ledger', 'ACAPY_READ_ONLY_LEDGER', 'Ledger', 'Never write to the ledger, whatever the sponsor'),

  legacy: {
    flags: ['--legacy'],
    env: 'FLEXID_LEGACY',
    group: 'Protocol',
    kind: 'text',
    default: 'auto',
    oneOf: ['auto', 'on', 'off'],
    metavar: '<auto|on|off>',
    help: 'The 2018 Agent Protocol: auto (default) takes what answers an offer or request of ours, on also takes offers and requests unasked',
  },
  legacyPeers: {
    flags: ['--legacy-peer'],
    env: 'FLEXID_LEGACY_PEER',
    group: 'Protocol',
    kind: 'list',
    metavar: '<did=verkey@url>',
    help: 'An Endpoint DID of the 2018 Agent Protocol that is known to you; may be given more than once',
  },
  legacyRequireSigned: flag(
    'legacy-require-signed-response',
    'FLEXID_LEGACY_REQUIRE_SIGNED_RESPONSE',
    'Protocol',
    'Refuse connection responses of the 2018 Agent Protocol that the offerer did not sign',
  ),

  plugins: {
    flags: ['--plugin'],
    env: 'ACAPY_PLUGIN',
    group: 'General',
    kind: 'list',
    metavar: '<path or name>',
    help: "A plug-in to load: a file, or a package; ACA-Py's connections, issue_credential and present_proof are built in",
  },
  anoncredsWorkers: {
    flags: ['--anoncreds-workers'],
    env: 'FLEXID_ANONCREDS_WORKERS',
    group: 'General',
    kind: 'number',
    metavar: '<n>',
    help: 'Threads for AnonCreds (default: cores less one)',
  },
  logLevel: {
    flags: ['--log-level'],
    env: 'ACAPY_LOG_LEVEL',
    group: 'Logging',
    kind: 'text',
    default: 'info',
    oneOf: ['trace', 'debug', 'info', 'warn', 'error'],
    aliases: { warning: 'warn', critical: 'error', fatal: 'error' },
    metavar: '<level>',
    help: 'trace, debug, info (default), warn, error',
  },
  otlpEndpoint: {
    flags: ['--otlp-endpoint'],
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    group: 'Logging',
    kind: 'text',
    metavar: '<url>',
    help: 'Collector of OpenTelemetry traces, by OTLP over HTTP; without it nothing is traced',
  },
  otlpShare: {
    flags: ['--otlp-share'],
    env: 'OTEL_TRACES_SAMPLER_ARG',
    group: 'Logging',
    kind: 'number',
    default: 1,
    metavar: '<0..1>',
    help: 'Which part of the traces that begin here is recorded (default 1)',
  },
  metricsTenants: {
    flags: ['--metrics-tenants'],
    env: 'FLEXID_METRICS_TENANTS',
    group: 'Logging',
    kind: 'number',
    default: 20,
    metavar: '<n>',
    help: 'How many of the busiest wallets GET /metrics tells apart (default 20)',
  },
} satisfies Record<string, Setting>;

type Name = keyof typeof SETTINGS;
type Value<S extends Setting> = S['kind'] extends 'flag'
  ? boolean
  : S['kind'] extends 'number'
    ? S extends { default: number }
      ? number
      : number | undefined
    : S['kind'] extends 'list'
      ? S extends { words: number }
        ? readonly (readonly string[])[]
        : readonly string[]
      : S['kind'] extends 'words'
        ? readonly string[] | undefined
        : S extends { default: string }
          ? string
          : string | undefined;

/** The configuration, complete: what was not given has its default. */
export type Config = { readonly [N in Name]: Value<(typeof SETTINGS)[N]> };

export interface Parsed {
  readonly config: Config;
  /** What an operator may read of it: no secrets, under their flag names. */
  readonly shown: Record<string, unknown>;
  /** Flags of ACA-Py's that were given and have no effect here. */
  readonly ignored: readonly string[];
}

/** A configuration that cannot work; the text says what to change. */
export class ConfigError extends Error {}

/**
 * Reads the configuration: the command line before the environment before the YAML file, as ACA-Py does.
 * @throws ConfigError
 */
export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>, command = 'start'): Parsed {
  const parser = createParser(command);
  const given = parser.parse_args([...argv]) as Record<string, unknown>;
  const file = yamlFile((given.argFile as string | undefined) ?? env.ACAPY_ARG_FILE);
  const giver = (name: Name): unknown =>
    given[name] ?? fromText(SETTINGS[name], env[SETTINGS[name].env]) ?? file[SETTINGS[name].flags[0]!.slice(2)];
  const preset = command === MEDIATOR ? mediatorPreset(giver) : {};
  const config: Record<string, unknown> = {};
  const shown: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [Name, Setting][]) {
    const long = setting.flags[0]!.slice(2);
    const raw = preset[name] ?? giver(name) ?? setting.default ?? (setting.kind === 'list' ? [] : undefined);
    config[name] = checked(setting, raw);
    if (!setting.secret && config[name] !== undefined) shown[long] = withoutSecrets(config[name]);
  }
  const ignored: string[] = [];
  const foreign: Record<string, unknown> = {};
  for (const setting of FOREIGN_SETTINGS) {
    const [name] = setting.flags;
    const raw = given[name] ?? textOf(setting, env[setting.env]) ?? file[name.slice(2)];
    if (raw === undefined || raw === null || raw === false) continue;
    if (setting.refused) throw new ConfigError(`${name}: ${setting.refused}`);
    if (!setting.done) ignored.push(name);
    foreign[name.slice(2)] = givenOf(setting, raw);
  }
  const complete = config as Config;
  config.webhookUrls = webhooksOf(complete.webhookUrls);
  if (complete.webhookSecret !== undefined && complete.webhookSecret.length < 16)
    throw new ConfigError('--webhook-secret must have 16 characters or more');
  config.store ??= storeOf(complete);
  for (const url of complete.endpoints ?? [])
    if (!/^(https?|wss?):\/\//i.test(url) || !URL.canParse(url))
      throw new ConfigError(`--endpoint takes the URLs that peers write to, http(s) or ws(s), not ${url}`);
  return { config: complete, shown: { ...shown, ...statusOf({ ...shown, ...foreign }) }, ignored };
}

/** A setting as it is shown: of URLs neither what stands after `#` in a webhook's, nor a user's name and password. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  return typeof value === 'string' && value.includes('://') ? shownUrl(value) : value;
}

/** @throws ConfigError for a URL that no webhook can be sent to */
function webhooksOf(given: readonly string[]): string[] {
  try {
    return given.map(webhookUrl);
  } catch (error) {
    throw new ConfigError(`--webhook-url: ${(error as Error).message}`);
  }
}

/** The command that runs a mediator. */
const MEDIATOR = 'start mediator';

/** Where a mediator takes messages, unless it is told otherwise: one port for both. */
const MEDIATOR_INBOUND = ['http', 'ws'].map((module) => [module, '0.0.0.0', '3000']);
/** Addresses that say where to listen, and lead nowhere. */
const ANYWHERE = /^(?:0\.0\.0\.0|::|\[::\])$/;

/** What `start mediator` sets: in the place of what was not told, but for the addresses, which it completes. @throws ConfigError */
function mediatorPreset(giver: (name: Name) => unknown): Partial<Record<Name, unknown>> {
  const inbound = checked(SETTINGS.inbound, giver('inbound') ?? MEDIATOR_INBOUND) as string[][];
  return {
    openMediation: giver('openMediation') ?? true,
    autoAcceptRequests: giver('autoAcceptRequests') ?? true,
    inbound,
    endpoints: mediatorEndpoints((checked(SETTINGS.endpoints, giver('endpoints')) ?? []) as string[], inbound),
  };
}

/** Where wallets find a mediator: what was told, or else its first port; and for WebSockets the same address, where one port takes both. */
function mediatorEndpoints(named: readonly string[], inbound: readonly (readonly string[])[]): readonly string[] {
  const [first] = inbound;
  const given = named.length > 0 || !first ? named : [`${first[0]}://${first[1]}:${first[2]}`];
  if (given.length === 0 || given.some((url) => URL.canParse(url) && ANYWHERE.test(new URL(url).hostname)))
    throw new ConfigError('--endpoint: say where wallets reach this mediator, as in --endpoint https://mediator.example.com');
  const both = inbound.some(([module, host, port]) => module === 'ws' && inbound.some((one) => `${one}` === `http,${host},${port}`));
  return both && !given.some((url) => /^wss?:/i.test(url)) ? [...given, given[0]!.replace(/^http/i, 'ws')] : given;
}

function storeOf(config: Config): string | undefined {
  const { walletStorageType: type, walletStorageConfig, walletStorageCreds: creds, walletName: name } = config;
  try {
    return storeOfAcapy({ type, config: walletStorageConfig, creds, name });
  } catch (error) {
    // the parser's own text would quote what stands around the fault: a password, perhaps
    const text = error instanceof SyntaxError ? '--wallet-storage-config or --wallet-storage-creds is not JSON' : (error as Error).message;
    throw new ConfigError(text);
  }
}

/** What was told of a setting that has no effect: the parser makes a list of every value. */
const givenOf = (setting: ForeignSetting, raw: unknown): unknown =>
  setting.takes === 0 ? true : setting.takes === 1 && Array.isArray(raw) ? raw.at(-1) : raw;

/** What a variable says about a setting that has no effect: nothing, or something. */
const textOf = (setting: ForeignSetting, text: string | undefined): string | undefined =>
  text === undefined || text === '' || (setting.takes === 0 && OFF.test(text)) ? undefined : text;

const OFF = /^(0|false|no|off)$/i;

/** Settings that a tenant has of its own, and that `PUT /settings` changes while the agent runs: by ACA-Py's name. */
const LIVE: Readonly<Record<string, Name>> = {
  'debug.auto_accept_invites': 'autoAcceptInvites',
  'debug.auto_accept_requests': 'autoAcceptRequests',
  auto_ping_connection: 'autoPingConnection',
  'debug.auto_respond_messages': 'autoRespondMessages',
  'debug.auto_respond_credential_proposal': 'autoRespondCredentialProposal',
  'debug.auto_respond_credential_offer': 'autoRespondCredentialOffer',
  'debug.auto_respond_credential_request': 'autoRespondCredentialRequest',
  'debug.auto_store_credential': 'autoStoreCredential',
  'debug.auto_respond_presentation_proposal': 'autoRespondPresentationProposal',
  'debug.auto_respond_presentation_request': 'autoRespondPresentationRequest',
  'debug.auto_verify_presentation': 'autoVerifyPresentation',
  'debug.monitor_ping': 'monitorPing',
  public_invites: 'publicInvites',
  requests_through_public_did: 'requestsThroughPublicDid',
  preserve_exchange_records: 'preserveExchangeRecords',
};

/**
 * Settings by ACA-Py's names as configuration; those that set nothing here are passed over.
 * @throws ConfigError for a value that is neither true nor false
 */
export function liveConfig(given: Readonly<Record<string, unknown>>): Partial<Config> {
  const changes: Partial<Record<Name, boolean>> = {};
  for (const [name, own] of Object.entries(LIVE)) {
    if (given[name] === undefined) continue;
    const text = String(given[name]).toLowerCase();
    if (text !== 'true' && text !== 'false') throw new ConfigError(`${name} is true or false`);
    changes[own] = text === 'true';
  }
  return changes as Partial<Config>;
}

/** The folder of SQLite databases. */
export const dataDir = (config: Config): string => config.dataDir ?? join(homedir(), '.flexid');

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  start: 'Runs the agent. Flags that ACA-Py has too have its names and its ACAPY_* variables.',
  [MEDIATOR]:
    'Runs a mediator: --open-mediation --auto-accept-requests, HTTP and WebSockets on port 3000 unless --inbound-transport says otherwise. ' +
    'Prints an invitation for wallets, the same at each start, and its QR code. Needs --endpoint; takes all flags of start.',
  provision: 'Creates the database and, with --seed, the DID; then ends. Takes the flags of start.',
  'rotate-key': 'Puts a new wallet key in the place of the present one; then ends. Takes the flags of start.',
  upgrade: "Brings the database to this version's schema; then ends. Takes the flags of start.",
};

function createParser(command: string): ArgumentParser {
  const unused = FOREIGN_SETTINGS.filter((one) => !one.refused && !one.done).map((one) => one.flags[0]);
  const parser = new ArgumentParser({
    prog: `flexid ${command}`,
    description: DESCRIPTIONS[command],
    usage: `flexid ${command} [flag ...]`,
    epilog: `Flags of ACA-Py that are taken and have no effect, so that its start scripts work as they are: ${unused.join(', ')}.`,
  });
  const groups = new Map<string, ReturnType<ArgumentParser['add_argument_group']>>();
  for (const [name, setting] of Object.entries(SETTINGS) as [Name, Setting][]) {
    const group = groups.get(setting.group) ?? parser.add_argument_group({ title: setting.group });
    groups.set(setting.group, group);
    const help = `${setting.help} [${setting.env}]`.replaceAll('%', '%%');
    const flags = setting.flags as [string, ...string[]];
    const [first, ...more] = flags;
    if (setting.kind === 'flag') group.add_argument(first, ...(more as []), { dest: name, action: 'store_const', const: true, help });
    else
      group.add_argument(first, ...(more as []), {
        dest: name,
        help,
        metavar: setting.metavar as string | undefined,
        ...(setting.words ? { nargs: setting.words } : {}),
        ...(setting.bare === undefined ? {} : { nargs: '?', const: setting.bare }),
        ...(setting.kind === 'words' && !setting.words ? { nargs: '+' } : {}),
        ...(setting.kind === 'list' ? { action: 'append' } : {}),
      });
  }
  for (const { flags, takes } of FOREIGN_SETTINGS) {
    const [first, ...more] = flags;
    const common = { dest: first, help: SUPPRESS };
    parser.add_argument(
      first,
      ...(more as []),
      takes === 0
        ? { ...common, action: 'store_const', const: true }
        : { ...common, action: 'append', ...(takes === 1 ? {} : { nargs: takes }) },
    );
  }
  return parser;
}

function fromText(setting: Setting, text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined;
  if (setting.kind === 'flag') return !OFF.test(text);
  if (setting.kind === 'words') return text.split(/[\s,[\]]+/).filter(Boolean);
  if (setting.kind === 'list') {
    const words = text.split(/[\s,[\]]+/).filter(Boolean);
    const { words: size } = setting;
    return size ? Array.from({ length: Math.ceil(words.length / size) }, (_, i) => words.slice(i * size, (i + 1) * size)) : words;
  }
  return text;
}

function yamlFile(path: string | undefined): Record<string, unknown> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`The file of --arg-file cannot be read: ${(error as Error).message}`);
  }
  const value: unknown = parseYaml(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError('The file of --arg-file must hold settings by name');
  const known = new Set([...Object.values(SETTINGS), ...FOREIGN_SETTINGS].map(({ flags }) => flags[0]!.slice(2)));
  for (const name of Object.keys(value))
    if (!known.has(name)) throw new ConfigError(`The file of --arg-file has an unknown setting: ${name}`);
  return value as Record<string, unknown>;
}

function checked(setting: Setting, raw: unknown): unknown {
  if (raw === undefined || raw === null) return undefined;
  const name = setting.flags[0];
  switch (setting.kind) {
    case 'flag':
      return raw === true || raw === 'true';
    case 'number': {
      const value = Number(raw);
      if (!Number.isFinite(value) || value < 0) throw new ConfigError(`${name} must be a number, not ${String(raw)}`);
      return value;
    }
    case 'words':
    case 'list': {
      // YAML may give one value as it is
      if (!setting.words && typeof raw === 'string') return [raw];
      if (!Array.isArray(raw)) throw new ConfigError(`${name} must be a list`);
      if (setting.words && setting.kind === 'list') {
        const rows = raw.length > 0 && !Array.isArray(raw[0]) ? [raw] : raw;
        for (const row of rows) if (row.length !== setting.words) throw new ConfigError(`${name} takes ${setting.words} values`);
        return rows.map((row: unknown[]) => row.map(String));
      }
      if (setting.words && raw.length !== setting.words) throw new ConfigError(`${name} takes ${setting.words} values`);
      return raw.map(String);
    }
    default: {
      const text = String(raw);
      if (!setting.oneOf) return text;
      // ACA-Py's choices are taken in any case
      const chosen = setting.aliases?.[text.toLowerCase()] ?? text.toLowerCase();
      if (!setting.oneOf.includes(chosen)) throw new ConfigError(`${name} takes ${setting.oneOf.join(', ')}, not ${text}`);
      return chosen;
    }
  }
}
