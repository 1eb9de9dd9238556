// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of the product stand here as text

import type { Mutation } from '../mutations.ts';

/** A requirement row: its id, what it asks in a few words, and how to break it. The tests carry the ids in brackets. */
export interface Row {
  readonly id: string;
  readonly text: string;
  readonly mutation: Mutation;
}

const CONNECTION = 'src/agent-2018/connection.ts';
const KEY_TRUST = 'src/agent-2018/key-trust.ts';
const OFFERS = 'src/agent-2018/connection-offers.ts';
const PARTS = 'src/agent-2018/connection-parts.ts';
const REQUESTS = 'src/agent-2018/connection-requests.ts';
const OFFER = 'src/didcomm/offer-2018.ts';
const CREDENTIAL = 'src/agent-2018/credential.ts';
const PROOF = 'src/agent-2018/proof.ts';
const ENVELOPE = 'src/didcomm/envelope-2018.ts';
const TYPES = 'src/didcomm/agent-2018-types.ts';
const WIRE = 'src/agent-2018/format.ts';
const TRANSITION = 'src/kernel/transition.ts';

/** The rows of the 2018 Agent Protocol that are about messages between agents; docs/AgentProtocol2018.md says how each is met. */
export const ROWS: readonly Row[] = [
  {
    id: 'S2-01',
    text: 'an agent is functionality and storage, and talks by messages',
    mutation: {
      file: 'src/database.ts',
      from: 'const db = await openSqlite({\n      path,\n',
      to: "const db = await openSqlite({\n      path: ':memory:',\n",
    },
  },
  {
    id: 'S2-02',
    text: 'the controlling identity may be asked',
    mutation: {
      file: REQUESTS,
      from: "message: 'connection_request', automatic,",
      to: "message: 'connection_request', automatic: true,",
    },
  },
  {
    id: 'S2-03',
    text: 'the wallet holds keys, DIDs of others and credentials',
    mutation: {
      file: REQUESTS,
      from: 'patch: { their_did: did, their_keys: [response.verkey], agent2018:',
      to: 'patch: { their_did: undefined, their_keys: [response.verkey], agent2018:',
    },
  },
  {
    id: 'S2-57',
    text: 'packaging does not depend on the transport',
    mutation: { file: ENVELOPE, from: "if (!isUtf8(buffer)) return 'raw';", to: 'if (!isUtf8(buffer)) return undefined;' },
  },
  {
    id: 'S2-58',
    text: 'packing, step 1: the base message is anon-encrypted',
    mutation: {
      file: ENVELOPE,
      from: 'sodium.crypto_box_seal(sealed, bytes, x25519(verkey, cache));',
      to: 'sealed.fill(0).set(bytes, SEAL_BYTES);',
    },
  },
  {
    id: 'S2-59',
    text: 'packing, step 2: base64',
    mutation: {
      file: ENVELOPE,
      from: "Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');",
      to: "Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');",
    },
  },
  {
    id: 'S2-60',
    text: 'unpacking, step 1: base64 is decoded',
    mutation: { file: ENVELOPE, from: "const bare = text.replace(SPACE, '');", to: 'const bare = text;' },
  },
  {
    id: 'S2-61',
    text: 'unpacking, step 2: the seal is opened',
    mutation: {
      file: ENVELOPE,
      from: "if (!withSecret(pair, () => sodium.crypto_box_seal_open(opened, sealed, own, scratchSecret))) refuse('the seal does not open');",
      to: 'withSecret(pair, () => sodium.crypto_box_seal_open(opened, sealed, own, scratchSecret));',
    },
  },
  {
    id: 'S2-62',
    text: 'the outer seal is to a well-known Endpoint DID',
    mutation: {
      file: WIRE,
      from: 'envelope: packBase(peer.endpoint_verkey, base)',
      to: 'envelope: packBase(their_keys?.[0] ?? peer.endpoint_verkey, base)',
    },
  },
  {
    id: 'S2-63',
    text: 'Endpoint DIDs are found on the ledger',
    mutation: {
      file: KEY_TRUST,
      from: "const known = (resolved[named.did] && { ...resolved[named.did]!, trust: 'ledger' as const }) || configuredPeer(configured, named.did);",
      to: 'const known = configuredPeer(configured, named.did);',
    },
  },
  {
    id: 'S2-64',
    text: 'Endpoint DIDs are shared or configured otherwise',
    mutation: { file: KEY_TRUST, from: "return peer && { ...peer, trust: 'configuration' };", to: 'return undefined;' },
  },
  {
    id: 'S2-65',
    text: 'both ends know the other Endpoint DID',
    mutation: { file: REQUESTS, from: ": refuse('no-return-endpoint')\n", to: ': { ...requester, endpoint: ctx.settings.endpoint }\n' },
  },
  {
    id: 'S2-66',
    text: 'every message is id, type and message',
    mutation: {
      file: ENVELOPE,
      from: "Buffer.from(JSON.stringify({ id, type, message }), 'utf8')",
      to: "Buffer.from(JSON.stringify({ id, type, message, version: 1 }), 'utf8')",
    },
  },
  {
    id: 'S2-67',
    text: 'id is required',
    mutation: {
      file: ENVELOPE,
      from: "return typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH ? value",
      to: "return typeof value === 'string' && value.length <= MAX_ID_LENGTH ? value",
    },
  },
  {
    id: 'S2-68',
    text: 'type is required and recognised',
    mutation: {
      file: 'src/kernel/registry.ts',
      from: 'families.has(parsed.family) && !versions.has(`${parsed.family}/${parsed.major}`)',
      to: 'families.has(parsed.family)',
    },
  },
  {
    id: 'S2-69',
    text: 'message is required or optional by type',
    mutation: { file: WIRE, from: 'const content = base.message ?? {};', to: 'const content = base.message;' },
  },
  {
    id: 'S2-70',
    text: 'types are URNs',
    mutation: {
      file: 'src/agent-2018/format.ts',
      from: 'parts = { ...out, type: `${protocol.uris[0]}/${out.type}` };',
      to: 'parts = out as MessageParts;',
    },
  },
  {
    id: 'S2-71',
    text: 'a type has prefix, domain, family, version and name',
    mutation: { file: TYPES, from: '(?<domain>[A-Za-z0-9.-]+)\\/ ?', to: '(?<domain>[A-Za-z0-9.-]+)\\/' },
  },
  {
    id: 'S2-72',
    text: 'a major version is a breaking change',
    mutation: { file: TYPES, from: "if (type.major !== 1) return 'unsupported-version';", to: '' },
  },
  {
    id: 'S2-73',
    text: 'a minor version is an addition',
    mutation: {
      file: TYPES,
      from: "if (type.major !== 1) return 'unsupported-version';",
      to: "if (type.major !== 1 || type.minor !== 0) return 'unsupported-version';",
    },
  },
  {
    id: 'S2-74',
    text: 'other organisations have types of their own',
    mutation: {
      file: WIRE,
      from: "return parsed ? { type: base.type, name: parsed.name, minor: parsed.minor ?? 0, profile: 'spec' } : 'unrecognized-type';",
      to: "return 'unrecognized-type';",
    },
  },
  {
    id: 'S2-75',
    text: 'an offer discloses endpoint and Endpoint DID',
    mutation: {
      file: CONNECTION,
      from: 'message: { did, verkey, endpoint, offer_nonce: nonce, label:',
      to: 'message: { did, verkey, offer_nonce: nonce, label:',
    },
  },
  {
    id: 'S2-76',
    text: 'no offer is needed where both are discoverable',
    mutation: { file: REQUESTS, from: "    next: [{ command: 'accept-invitation' }],\n", to: '    next: [],\n' },
  },
  {
    id: 'S2-77',
    text: 'an offer tells what is not discoverable',
    mutation: {
      file: KEY_TRUST,
      from: "endpoint: named.endpoint ?? earlier?.their_endpoint, trust: 'self-certified'",
      to: "endpoint: earlier?.their_endpoint, trust: 'self-certified'",
    },
  },
  {
    id: 'S2-78',
    text: 'an endpoint may be an object',
    mutation: {
      file: PARTS,
      from: "typeof endpoint === 'object' ? endpoint.url : endpoint;",
      to: "typeof endpoint === 'object' ? undefined : endpoint;",
    },
  },
  {
    id: 'S2-79',
    text: 'an offer goes by any channel',
    mutation: {
      file: OFFER,
      from: 'const inUrl = /[?&]c_o=([A-Za-z0-9_-]+)/.exec(text)?.[1];',
      to: 'const inUrl: string | undefined = undefined;',
    },
  },
  {
    id: 'S2-80',
    text: 'an offer is sealed to the accepting agent',
    mutation: {
      file: WIRE,
      from: "const unasked = !found && (await settingOf(owner.tenant)) !== 'on';",
      to: 'const unasked = !found;',
    },
  },
  {
    id: 'S2-81',
    text: 'a slim app relays an offer',
    mutation: {
      file: 'src/agent-2018/relay-offer.ts',
      from: 'return { text: packBase(verkey, { id, type, message }),',
      to: 'return { text: encodeText(Buffer.from(JSON.stringify({ id, type, message }))),',
    },
  },
  {
    id: 'S2-82',
    text: 'the id of an offer correlates its request',
    mutation: { file: CONNECTION, from: '              invitation_msg_id: nonce,\n', to: '              invitation_msg_id: id,\n' },
  },
  {
    id: 'S2-83',
    text: 'the nonce of an offer routes among tenants',
    mutation: { file: CONNECTION, from: "[{ kid: id2018(nonce), kind: 'invitation', target: id }]", to: '[]' },
  },
  {
    id: 'S2-84',
    text: 'the type of an offer',
    mutation: {
      file: CONNECTION,
      from: "          type: agent2018Type('connection_offer'),\n",
      to: "          type: agent2018Type('connection_offer', 'indy-node'),\n",
    },
  },
  {
    id: 'S2-85',
    text: 'the message of an offer is an object in clear',
    mutation: {
      file: WIRE,
      from: 'const content = base.message ?? {};',
      to: "const content = typeof base.message === 'string' ? JSON.parse(base.message) : (base.message ?? {});",
    },
  },
  {
    id: 'S2-86',
    text: 'an offer has a did',
    mutation: {
      file: OFFER,
      from: "for (const name of ['did', 'offer_nonce'] as const)",
      to: "for (const name of ['offer_nonce'] as const)",
    },
  },
  {
    id: 'S2-87',
    text: 'an offer has a verkey unless the ledger does',
    mutation: {
      file: KEY_TRUST,
      from: 'before?.endpoint_verkey ?? refuse(`${what}-key-unknown`);',
      to: "before?.endpoint_verkey ?? refuse('malformed');",
    },
  },
  {
    id: 'S2-88',
    text: 'an offer has an endpoint unless the ledger does',
    mutation: {
      file: OFFERS,
      from: 'verkey: offer.verkey ?? keyOf(offer.endpoint), endpoint: urlOf(offer.endpoint) };',
      to: 'verkey: offer.verkey ?? keyOf(offer.endpoint), endpoint: urlOf(offer.endpoint) ?? ctx.settings.endpoint };',
    },
  },
  {
    id: 'S2-89',
    text: 'an offer has its nonce, equal to its id',
    mutation: { file: OFFERS, from: "if (offer.offer_nonce !== id) refuse('offer-nonce-mismatch');", to: '' },
  },
  {
    id: 'S2-90',
    text: 'pairwise DIDs are in both wallets, and fresh',
    mutation: {
      file: PARTS,
      from: 'return { did: didOfKey(key.verkey), verkey: key.verkey, keys: [key.write] };',
      to: 'return { did: ctx.settings.agent2018Endpoint!.did, verkey: key.verkey, keys: [key.write] };',
    },
  },
  {
    id: 'S2-91',
    text: 'a request is named by the offer or by itself',
    mutation: {
      file: WIRE,
      from: "const [id = base.id, second] = base.id.split('|');",
      to: 'const [id = base.id, second] = [base.id, undefined as string | undefined];',
    },
  },
  {
    id: 'S2-92',
    text: 'an offer is used once',
    mutation: { file: REQUESTS, from: "if (mine && mine.state !== 'invitation') {", to: "if (mine && mine.state === 'nowhere') {" },
  },
  {
    id: 'S2-93',
    text: 'without an offer the id is the request nonce',
    mutation: { file: REQUESTS, from: "if (!mine && message.thid !== nonce) refuse('unknown-id');", to: '' },
  },
  {
    id: 'S2-94',
    text: 'the type of a request',
    mutation: { file: REQUESTS, from: "        type: 'connection_request',\n", to: "        type: 'connection_offer',\n" },
  },
  {
    id: 'S2-95',
    text: 'the message of a request is an object in clear',
    mutation: {
      file: WIRE,
      from: 'const content = base.message ?? {};',
      to: "const content = typeof base.message === 'string' ? JSON.parse(base.message) : (base.message ?? {});",
    },
  },
  {
    id: 'S2-96',
    text: 'a request has a did',
    mutation: {
      file: PARTS,
      from: 'const Request = Type.Object({\n  did: Id,',
      to: 'const Request = Type.Object({\n  did: Type.Optional(Id),',
    },
  },
  {
    id: 'S2-97',
    text: 'the nonce of a request has two names',
    mutation: {
      file: REQUESTS,
      from: "if (asked.nonce !== undefined && asked.request_nonce !== undefined && asked.nonce !== asked.request_nonce) refuse('nonce-mismatch');",
      to: '',
    },
  },
  {
    id: 'S2-98',
    text: 'endpoint_did is optional',
    mutation: {
      file: REQUESTS,
      from: "requester.trust !== 'self-certified' && requester.endpoint !== undefined",
      to: "requester.trust === 'self-certified'",
    },
  },
  {
    id: 'S2-99',
    text: 'endpoint is optional',
    mutation: {
      file: REQUESTS,
      from: 'const dids = networkDids(request.did, request.endpoint_did);',
      to: 'const dids = networkDids(request.did);',
    },
  },
  {
    id: 'S2-100',
    text: 'a response tells a pairwise DID',
    mutation: {
      file: REQUESTS,
      from: "if (did === wired.endpoint_did || response.verkey === wired.endpoint_verkey) refuse('not-pairwise');",
      to: '',
    },
  },
  {
    id: 'S2-101',
    text: 'the id of a response is the request nonce',
    mutation: { file: REQUESTS, from: '(isNeighbour ? [nonce] : [nonce, mine.did]).map((name)', to: '[mine.did].map((name)' },
  },
  {
    id: 'S2-102',
    text: 'the request nonce is used up',
    mutation: { file: REQUESTS, from: '    removedKeyOwners: [id2018(nonce)],\n', to: '    removedKeyOwners: [],\n' },
  },
  {
    id: 'S2-103',
    text: 'the type of a response',
    mutation: { file: REQUESTS, from: "    type: 'connection_response',\n", to: "    type: 'connection_request',\n" },
  },
  {
    id: 'S2-104',
    text: 'a response is encrypted to the requester',
    mutation: {
      file: WIRE,
      from: "inner === 'anon' ? sealAnon(theirs, bytes)",
      to: "inner === 'anon' ? sealAnon(peer.endpoint_verkey, bytes)",
    },
  },
  {
    id: 'S2-105',
    text: 'a response has a did',
    mutation: {
      file: PARTS,
      from: 'const Response = Type.Object({\n  did: Id,',
      to: 'const Response = Type.Object({\n  did: Type.Optional(Id),',
    },
  },
  {
    id: 'S2-106',
    text: 'a response has the verkey of its did',
    mutation: {
      file: REQUESTS,
      from: "if (!looksLikeVerkey(response.verkey) || !certifies(response.did, response.verkey)) refuse('responder-key-mismatch');",
      to: '',
    },
  },
  {
    id: 'S2-107',
    text: 'a response has the nonce inside',
    mutation: {
      file: REQUESTS,
      from: "if ((response.request_nonce ?? response.nonce) !== nonce || (response.nonce ?? nonce) !== nonce) refuse('nonce-mismatch');",
      to: '',
    },
  },
  {
    id: 'S2-108',
    text: 'the acknowledgement completes the connection',
    mutation: {
      file: CONNECTION,
      from: "record: { states: ['response'], patch: { my_did: mine.did,",
      to: "record: { states: ['response', 'active'], patch: { my_did: mine.did,",
    },
  },
  {
    id: 'S2-109',
    text: 'the id of an acknowledgement is the DID of its sender',
    mutation: { file: WIRE, from: 'const base = { id: parts.id ?? my_did!,', to: 'const base = { id: parts.id ?? connection.id,' },
  },
  {
    id: 'S2-110',
    text: 'the type of an acknowledgement',
    mutation: {
      file: REQUESTS,
      from: "send: [{ type: 'connection_acknowledgement', text: 'success' }],",
      to: "send: [{ type: 'connection_acknowledge', text: 'success' }],",
    },
  },
  {
    id: 'S2-111',
    text: 'an acknowledgement is auth-encrypted',
    mutation: { file: ENVELOPE, from: "if (!fits) refuse('the box is not from the sender that it names');", to: '' },
  },
  {
    id: 'S2-112',
    text: 'an acknowledgement says success',
    mutation: { file: CONNECTION, from: "'^[sS][uU][cC][cC][eE][sS][sS]$'", to: "'^success$'" },
  },
  {
    id: 'S2-113',
    text: 'other messages are auth-encrypted likewise',
    mutation: { file: WIRE, from: ': sealAuth(await pairOf(my_verkey!), theirs, bytes));', to: ': sealAnon(theirs, bytes));' },
  },
  {
    id: 'S2-114',
    text: 'offer, request, response and acknowledgement come in order',
    mutation: {
      file: TRANSITION,
      from: "(from.includes(record ? (record.state ?? '') : NEW) && (!record",
      to: '((!record',
    },
  },
  {
    id: 'S2-115',
    text: 'offer, request and credential come in order',
    mutation: {
      file: CREDENTIAL,
      from: "if (found === null) return { problem: { code: 'out-of-order', text: `No exchange of this connection waits for this ${name}` } };",
      to: 'if (thid === null) return {};',
    },
  },
  {
    id: 'S2-116',
    text: 'the credential offer',
    mutation: { file: CREDENTIAL, from: "        type: 'credential_offer',\n", to: "        type: 'credential_preview',\n" },
  },
  {
    id: 'S2-117',
    text: 'the credential request',
    mutation: {
      file: 'src/agent-2018/matching.ts',
      from: "if (await accepts(issue)) return { found: found(row, 'cred_offer'), echo: input.echo };",
      to: "return { found: found(row, 'cred_offer'), echo: input.echo, issue: typeof issue } as never;",
    },
  },
  {
    id: 'S2-118',
    text: 'the credential',
    mutation: {
      file: CREDENTIAL,
      from: "({ type: 'credential', body: objectOf(message) })",
      to: "({ type: 'credential', body: { ...objectOf(message), values: {} } })",
    },
  },
  {
    id: 'S2-119',
    text: 'proof request and proof come in order',
    mutation: {
      file: PROOF,
      from: "if (found === null) return { problem: { code: 'out-of-order', text: 'No exchange of this connection waits for this proof' } };",
      to: 'if (found === null) return {};',
    },
  },
  {
    id: 'S2-120',
    text: 'the proof request',
    mutation: {
      file: TRANSITION,
      from: "newNonce: () => BigInt(`0x${randomBytes(10).toString('hex')}`).toString(),",
      to: "newNonce: () => BigInt(`0x${randomBytes(8).toString('hex')}`).toString(),",
    },
  },
  {
    id: 'S2-121',
    text: 'the proof',
    mutation: {
      file: 'src/protocols/credentials/presenting.ts',
      from: "const verified = made.every((one) => one.verified) ? 'true' : 'false';",
      to: "const verified = 'true';",
    },
  },
  {
    id: 'D-01',
    text: 'one path for both worlds',
    mutation: { file: 'src/network.ts', from: '      plain: true,\n', to: '      plain: false,\n' },
  },
  {
    id: 'D-02',
    text: 'the sender of an authcrypt is who the connection knows',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: 'if (!step.handshake && !trust.trusted && !trust.connectionless) return',
      to: 'if (traits.didcomm && !step.handshake && !trust.trusted && !trust.connectionless) return',
    },
  },
  {
    id: 'D-03',
    text: 'nothing is done twice, in whatever seal',
    mutation: { file: WIRE, from: 'repeatable: sealed.nonce === undefined,', to: 'repeatable: true,' },
  },
  {
    id: 'D-04',
    text: 'the ledger wins over what a message tells',
    mutation: {
      file: KEY_TRUST,
      from: 'if (named.verkey !== undefined && named.verkey !== known.verkey) refuse(`${what}-key-mismatch`);',
      to: '',
    },
  },
  {
    id: 'D-05',
    text: 'a DID without a method certifies its key',
    mutation: {
      file: KEY_TRUST,
      from: 'if (!certifies(named.did, verkey) && before?.endpoint_verkey !== verkey)',
      to: "if (verkey === '')",
    },
  },
  {
    id: 'D-08',
    text: 'bounds come before cryptography',
    mutation: {
      file: 'src/adapters/transport/http-inbound.ts',
      from: 'mayCome: (address) => limit.take(address),',
      to: 'mayCome: () => true,',
    },
  },
  {
    id: 'D-09',
    text: 'a request takes over no connection',
    mutation: {
      file: REQUESTS,
      from: "nobody takes over one that exists\n  if (ctx.loaded.known) refuse('did-in-use');",
      to: 'nobody takes over one that exists\n',
    },
  },
  {
    id: 'D-10',
    text: 'DIDComm is not downgraded',
    mutation: {
      file: WIRE,
      from: 'Promise.all([store.keyOwner(id2018(id)),',
      to: "Promise.all([store.keyOwner(id2018(id)).then(async (known) => known ?? (await store.load(endpoint.tenant, [{ category: 'connection', tag: 'their_did', equals: id }])).flat().map((one): KeyOwner => ({ kid: id, tenant: endpoint.tenant, kind: 'connection', target: one.id }))[0]),",
    },
  },
  {
    id: 'D-11',
    text: 'it can be switched off',
    mutation: {
      file: WIRE,
      from: "const found = named && (await settingOf(named.tenant)) !== 'off' ? named : undefined;",
      to: 'const found = named;',
    },
  },
  {
    id: 'D-14',
    text: 'nonces are random, expire and are used once',
    mutation: {
      file: TRANSITION,
      from: "newToken: () => randomBytes(16).toString('hex'),",
      to: "newToken: () => `${randomBytes(8).toString('hex')}${'0'.repeat(16)}`,",
    },
  },
  {
    id: 'D-15',
    text: 'controllers of the modern protocols do not notice',
    mutation: {
      file: 'src/records/connection.ts',
      from: 'export const peerAcks = (ctx: StepContext): boolean => ctx.connection?.value.agent2018 === undefined;',
      to: 'export const peerAcks = (ctx: StepContext): boolean => ctx.connection !== undefined;',
    },
  },
  {
    id: 'D-16',
    text: 'raw and encoded values fit',
    mutation: { file: 'src/formats/anoncreds-issuance.ts', from: 'if (!lax && !encodingFits(value))', to: 'if (!value)' },
  },
  {
    id: 'D-17',
    text: 'blinding metadata is never sent',
    mutation: {
      file: CREDENTIAL,
      from: "({ type: 'credential_request', body: objectOf(message) })",
      to: "({ type: 'credential_request', body: { ...objectOf(message), metadata: {} } })",
    },
  },
  {
    id: 'D-18',
    text: 'no cryptography of our own',
    mutation: {
      file: ENVELOPE,
      from: "import { isUtf8 } from 'node:buffer';",
      to: "import { isUtf8 } from 'node:buffer';\nimport 'node:crypto';",
    },
  },
];
