/** One setting: its flags (ACA-Py's where it has one), its variable, its values, and where else it appears. */
export interface Setting {
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
  /** ACA-Py's name of it, in `GET /status/config` and in the settings of a tenant. */
  readonly acapy?: string;
  /** `GET /settings` shows it; `live`: a tenant may have a value of its own, and `PUT /settings` changes it while the agent runs. Only flags are live. */
  readonly tenant?: 'shown' | 'live';
  /** Steps read it, as the member of that name in `Settings` (`kernel/settings.ts`). */
  readonly step?: true;
}

type Marks = Pick<Setting, 'acapy' | 'tenant' | 'step'>;

const flag = <const M extends Marks = Record<never, never>>(name: string, env: string, group: string, help: string, marks?: M) => ({
  flags: [`--${name}`],
  env,
  group,
  help,
  kind: 'flag' as const,
  default: false,
  ...(marks as M),
});

/** Every setting, in one place: the command line, the environment, the YAML file and `--help` follow from it. */
export const SETTINGS = {
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
    { acapy: 'admin.admin_insecure_mode' },
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
    acapy: 'admin.admin_client_max_request_size',
  },
  webhookUrls: {
    flags: ['--webhook-url'],
    env: 'ACAPY_WEBHOOK_URL',
    group: 'Admin',
    kind: 'list',
    metavar: '<url#api_key>',
    help: 'Where events are sent; may be given more than once',
    acapy: 'admin.webhook_urls',
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
    { acapy: 'requests_through_public_did', tenant: 'live', step: true },
  ),
  openMediation: flag('open-mediation', 'ACAPY_MEDIATION_OPEN', 'Mediation', 'Grant mediation to whoever asks', {
    acapy: 'mediation.open',
    step: true,
  }),
  mediatorMaxKeys: {
    flags: ['--mediator-max-keys'],
    env: 'FLEXID_MEDIATOR_MAX_KEYS',
    group: 'Mediation',
    kind: 'number',
    default: 10_000,
    metavar: '<n>',
    help: 'Keys that mail is forwarded for, for one connection (default 10,000)',
    step: true,
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
  monitorForward: flag('monitor-forward', 'ACAPY_MONITOR_FORWARD', 'Mediation', 'Send a webhook for each message that is handed on', {
    acapy: 'monitor_forward',
    step: true,
  }),
  qr: flag('qr', 'FLEXID_QR', 'Mediation', 'With start mediator: print the QR code of the invitation, also where no terminal is'),
  mediatorInvitation: {
    flags: ['--mediator-invitation'],
    env: 'ACAPY_MEDIATION_INVITATION',
    group: 'Mediation',
    kind: 'text',
    metavar: '<url>',
    help: 'Connect to the mediator that this invitation is of, ask it for mediation, and let new keys go through it',
    acapy: 'mediation.invite',
  },
  defaultMediatorId: {
    flags: ['--default-mediator-id'],
    env: 'ACAPY_DEFAULT_MEDIATION_ID',
    group: 'Mediation',
    kind: 'text',
    metavar: '<mediation id>',
    help: 'Let new keys go through the mediator of this mediation',
    acapy: 'mediation.default_id',
  },
  clearDefaultMediator: flag(
    'clear-default-mediator',
    'ACAPY_CLEAR_DEFAULT_MEDIATOR',
    'Mediation',
    'Let new keys go through no mediator, unless a call says otherwise',
    { acapy: 'mediation.clear' },
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
  noReceiveInvites: flag('no-receive-invites', 'ACAPY_NO_RECEIVE_INVITES', 'Admin', 'Refuse to receive invitations', {
    acapy: 'admin.no_receive_invites',
    step: true,
  }),

  autoAcceptInvites: flag('auto-accept-invites', 'ACAPY_AUTO_ACCEPT_INVITES', 'Debug', 'Accept invitations by itself', {
    acapy: 'debug.auto_accept_invites',
    tenant: 'live',
    step: true,
  }),
  autoAcceptRequests: flag('auto-accept-requests', 'ACAPY_AUTO_ACCEPT_REQUESTS', 'Debug', 'Accept connection requests by itself', {
    acapy: 'debug.auto_accept_requests',
    tenant: 'live',
    step: true,
  }),
  autoAcceptIntroInvitationRequests: flag(
    'auto-accept-intro-invitation-requests',
    'ACAPY_AUTO_ACCEPT_INTRO_INVITATION_REQUESTS',
    'Debug',
    'Answer whoever introduces another agent with an invitation for it',
    { acapy: 'auto_accept_intro_invitation_requests', step: true },
  ),
  autoPingConnection: flag('auto-ping-connection', 'ACAPY_AUTO_PING_CONNECTION', 'Connections', 'Ping when a connection is complete', {
    acapy: 'auto_ping_connection',
    tenant: 'live',
    step: true,
  }),
  autoRespondMessages: flag('auto-respond-messages', 'ACAPY_AUTO_RESPOND_MESSAGES', 'Debug', 'Answer basic messages by itself', {
    acapy: 'debug.auto_respond_messages',
    tenant: 'live',
    step: true,
  }),
  autoRespondCredentialProposal: flag(
    'auto-respond-credential-proposal',
    'ACAPY_AUTO_RESPOND_CREDENTIAL_PROPOSAL',
    'Debug',
    'Answer credential proposals with an offer',
    { acapy: 'debug.auto_respond_credential_proposal', tenant: 'live', step: true },
  ),
  autoRespondCredentialOffer: flag(
    'auto-respond-credential-offer',
    'ACAPY_AUTO_RESPOND_CREDENTIAL_OFFER',
    'Debug',
    'Answer credential offers with a request',
    { acapy: 'debug.auto_respond_credential_offer', tenant: 'live', step: true },
  ),
  autoRespondCredentialRequest: flag(
    'auto-respond-credential-request',
    'ACAPY_AUTO_RESPOND_CREDENTIAL_REQUEST',
    'Debug',
    'Answer credential requests with the credential',
    { acapy: 'debug.auto_respond_credential_request', tenant: 'live', step: true },
  ),
  autoStoreCredential: flag('auto-store-credential', 'ACAPY_AUTO_STORE_CREDENTIAL', 'Debug', 'Store credentials by itself', {
    acapy: 'debug.auto_store_credential',
    tenant: 'live',
    step: true,
  }),
  autoRespondPresentationProposal: flag(
    'auto-respond-presentation-proposal',
    'ACAPY_AUTO_RESPOND_PRESENTATION_PROPOSAL',
    'Debug',
    'Answer presentation proposals with a request',
    { acapy: 'debug.auto_respond_presentation_proposal', tenant: 'live', step: true },
  ),
  autoRespondPresentationRequest: flag(
    'auto-respond-presentation-request',
    'ACAPY_AUTO_RESPOND_PRESENTATION_REQUEST',
    'Debug',
    'Answer presentation requests with a presentation',
    { acapy: 'debug.auto_respond_presentation_request', tenant: 'live', step: true },
  ),
  autoVerifyPresentation: flag('auto-verify-presentation', 'ACAPY_AUTO_VERIFY_PRESENTATION', 'Debug', 'Verify presentations by itself', {
    acapy: 'debug.auto_verify_presentation',
    tenant: 'live',
    step: true,
  }),
  debugWebhooks: flag('debug-webhooks', 'ACAPY_DEBUG_WEBHOOKS', 'Debug', 'Send whole records in webhooks', {
    acapy: 'debug.webhooks',
    step: true,
  }),
  monitorPing: flag('monitor-ping', 'ACAPY_MONITOR_PING', 'Connections', 'Send webhooks for pings', {
    acapy: 'debug.monitor_ping',
    tenant: 'live',
    step: true,
  }),
  publicInvites: flag('public-invites', 'ACAPY_PUBLIC_INVITES', 'Connections', 'Allow invitations from the public DID', {
    acapy: 'public_invites',
    tenant: 'live',
    step: true,
  }),
  preserveExchangeRecords: flag(
    'preserve-exchange-records',
    'ACAPY_PRESERVE_EXCHANGE_RECORDS',
    'Protocol',
    'Keep exchange records when they are done',
    { acapy: 'preserve_exchange_records', tenant: 'live', step: true },
  ),

  label: {
    flags: ['--label', '-l'],
    env: 'ACAPY_LABEL',
    group: 'General',
    kind: 'text',
    default: 'FlexID Cloud Agent',
    metavar: '<text>',
    help: 'What peers are shown as the name of this agent',
    acapy: 'default_label',
    tenant: 'shown',
    step: true,
  },
  imageUrl: {
    flags: ['--image-url'],
    env: 'ACAPY_IMAGE_URL',
    group: 'Protocol',
    kind: 'text',
    metavar: '<url>',
    help: 'Address of a picture of this agent, for those who are invited',
    acapy: 'image_url',
    tenant: 'shown',
    step: true,
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
    acapy: 'transport.inbound_configs',
  },
  outbound: {
    flags: ['--outbound-transport', '-ot'],
    env: 'ACAPY_OUTBOUND_TRANSPORT',
    group: 'Transport',
    kind: 'list',
    metavar: '<module>',
    help: 'Accepted for ACA-Py: http, ws; the address of a peer says which of them it is',
    acapy: 'transport.outbound_configs',
  },
  noTransport: flag('no-transport', 'ACAPY_NO_TRANSPORT', 'Transport', 'Take no messages', { acapy: 'transport.disabled' }),
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
    acapy: 'transport.max_message_size',
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
    acapy: 'transport.ws.heartbeat_interval',
  },
  wsTimeout: {
    flags: ['--ws-timeout-interval'],
    env: 'ACAPY_WS_TIMEOUT_INTERVAL',
    group: 'Transport',
    kind: 'number',
    default: 15,
    metavar: '<seconds>',
    help: 'How long the answer to such a ping may take, before the WebSocket is ended (default 15)',
    acapy: 'transport.ws.timeout_interval',
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
    acapy: 'wallet.name',
    tenant: 'shown',
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
    acapy: 'wallet.type',
    tenant: 'shown',
    step: true,
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
  walletLocalDid: flag('wallet-local-did', 'ACAPY_WALLET_LOCAL_DID', 'Wallet', 'Keep the DID of --seed in the wallet, do not publish it', {
    acapy: 'wallet.local_did',
  }),
  replacePublicDid: flag(
    'replace-public-did',
    'ACAPY_REPLACE_PUBLIC_DID',
    'Wallet',
    'Let the DID of --seed take the place of another public DID',
    { acapy: 'wallet.replace_public_did' },
  ),
  recreateWallet: flag(
    'recreate-wallet',
    'ACAPY_RECREATE_WALLET',
    'Wallet',
    'Erase the wallet and begin a new one: needs its --wallet-key, and that nothing else has the database open and no tenants are in it',
    { acapy: 'wallet.recreate' },
  ),
  walletStorageType: {
    flags: ['--wallet-storage-type'],
    env: 'ACAPY_WALLET_STORAGE_TYPE',
    group: 'Wallet',
    kind: 'text',
    metavar: '<type>',
    help: 'postgres_storage with the next two stands for --store postgres://...; default is SQLite',
    acapy: 'wallet.storage_type',
  },
  walletStorageConfig: {
    flags: ['--wallet-storage-config'],
    env: 'ACAPY_WALLET_STORAGE_CONFIG',
    group: 'Wallet',
    kind: 'text',
    metavar: '<json>',
    help: '{"url": "HOST:PORT"}; the database has the wallet name',
    acapy: 'wallet.storage_config',
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
  multitenant: flag('multitenant', 'ACAPY_MULTITENANT', 'Multitenancy', 'Host many wallets, each with its own token', {
    acapy: 'multitenant.enabled',
  }),
  multitenantAdmin: flag('multitenant-admin', 'ACAPY_MULTITENANT_ADMIN', 'Multitenancy', 'Serve the operations that manage wallets', {
    acapy: 'multitenant.admin_enabled',
  }),
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
    acapy: 'multitenant.base_wallet_routes',
  },
  noLedger: flag('no-ledger', 'ACAPY_NO_LEDGER', 'Ledger', 'Run without a ledger', { acapy: 'ledger.disabled' }),
  readOnlyLedger: flag('read-only-ledger', 'ACAPY_READ_ONLY_LEDGER', 'Ledger', 'Never write to the ledger, whatever the sponsor', {
    acapy: 'read_only_ledger',
  }),

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
    acapy: 'external_plugins',
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
    acapy: 'log.level',
    tenant: 'shown',
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

export type Name = keyof typeof SETTINGS;
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

/** Every setting with its name, in the order of the table. */
export const eachSetting = (): readonly (readonly [Name, Setting])[] => Object.entries(SETTINGS) as [Name, Setting][];

/** The name of a setting in YAML files and in what an operator may read: its long flag without the dashes. */
export const longName = ({ flags }: Pick<Setting, 'flags'>): string => flags[0]!.slice(2);

type StepName = { [N in Name]: (typeof SETTINGS)[N] extends { step: true } ? N : never }[Name];

/** The settings that steps read as they are. */
export const stepSettings = (config: Config): Pick<Config, StepName> =>
  Object.fromEntries(eachSetting().flatMap(([name, { step }]) => (step ? [[name, config[name]]] : []))) as Pick<Config, StepName>;
