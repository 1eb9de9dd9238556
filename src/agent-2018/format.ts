import type { TSchema } from 'typebox';
import { agent2018Type, canonicalAgent2018Type, type Profile2018, parseAgent2018Type } from '../didcomm/agent-2018-types.ts';
import {
  decodeText,
  encodeText,
  openAnon,
  openAuth,
  type ParsedBase,
  packBase,
  parseBase,
  payloadOf,
  sealAnon,
  sealAuth,
} from '../didcomm/envelope-2018.ts';
import type { KeyPair } from '../didcomm/key-cache.ts';
import { signBytes } from '../didcomm/keys.ts';
import { parseJson } from '../didcomm/safe-json.ts';
import { AppError, isLocked } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Inner, MessageParts } from '../kernel/effects.ts';
import type { DeliverPayload } from '../kernel/jobs.ts';
import { CLOUD_AGENT, id2018, passedOnName } from '../kernel/key-owners.ts';
import type { MessageFormat, Opened, PassedOn, Refusal, Sealing } from '../kernel/message-format.ts';
import type { Incoming } from '../kernel/protocol.ts';
import type { LoadedRecord } from '../kernel/record.ts';
import type { Validator } from '../kernel/schema.ts';
import { compose, pairOf } from '../kernel/seal.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { KeyOwner } from '../ports/store.ts';
import type { Agent2018Peer } from '../records/connection.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import { createNotices, type Notices } from './notices.ts';

/** The message format of the 2018 Agent Protocol: from its bytes to a message, and back. The steps of its messages are in connection.ts, credential.ts and proof.ts. */

const agent2018PeerOf = (connection: LoadedRecord | undefined): Agent2018Peer | undefined =>
  connection?.value.agent2018 as Agent2018Peer | undefined;

/** The family of all nine messages: credentials and proofs stand under it too. */
export const URI_2018 = agent2018Type('connection_offer').replace(/\/[^/]*$/, '');

/**
 * The content of a credential or proof message: the AnonCreds object itself, or one that names its format.
 * @throws AppError `bad-request` with the reason
 */
export function bodyOf2018<S extends TSchema>(content: Readonly<JsonObject>, check: Validator<S>): JsonObject {
  const { '@format': format, data, ...bare } = content;
  if (format !== undefined && format !== 'anoncreds/1.0') throw new AppError('bad-request', 'unsupported-format');
  const body = format === undefined ? content : { ...bare, ...(data as JsonObject) };
  if (!check.check(body)) throw new AppError('bad-request', 'malformed');
  return body as JsonObject;
}

/** Why a message was dropped, as its controller reads it. */
const REASONS: Readonly<Record<string, string>> = {
  out_of_order: 'out-of-order',
  stranger: 'sender-mismatch',
  anonymous: 'sender-mismatch',
  invalid: 'malformed',
};
/** Its envelopes hold no time: a message that comes again is known as long as its connection may live. */
const REPLAY_WINDOW_MS = 100 * 365 * 24 * 3600_000;

/** The message format of the 2018 Agent Protocol, for an instance with these Endpoint DIDs. */
export const agent2018 =
  (endpoints: Pick<Endpoints, 'all'>) =>
  (kernel: Kernel): MessageFormat => {
    const notices = createNotices(kernel);
    return {
      name: 'agent-2018',
      traits: { didcomm: false, problemTopic: 'legacy_problem', threadNamesInvitation: true, replayWindow: REPLAY_WINDOW_MS },
      isFormatOf: (connection) => agent2018PeerOf(connection) !== undefined,
      open: async (body) => (endpoints.all().length > 0 ? await open2018(kernel, endpoints.all(), notices, body) : 'not-mine'),
      openInside: async (inside) => await openPassedOn(kernel, endpoints.all(), notices, inside),
      seal: (sealing) => seal(kernel, sealing),
      dropped({ owner, message, reason, detail }) {
        const connection = owner.kind === 'connection' ? owner.target : undefined;
        notices.add({ tenant: owner.tenant, reason: REASONS[reason] ?? detail, type: message.raw.type as string, connection });
      },
      flush: () => notices.flush(),
    };
  };

/** The media type of a payload. */
const TEXT = 'text/plain; charset=us-ascii';

/** The base message under the endpoint key that opens its seal. */
async function openOuter(
  kernel: Kernel,
  endpoints: readonly Endpoint[],
  body: Uint8Array,
): Promise<{ endpoint: Endpoint; bytes: Buffer } | undefined> {
  let sealed: Buffer;
  try {
    sealed = payloadOf(body);
  } catch {
    return undefined;
  }
  for (const endpoint of endpoints) {
    const pair = await kernel.keys.pair(endpoint.tenant, endpoint.verkey);
    try {
      if (pair) return { endpoint, bytes: openAnon(pair, sealed) };
    } catch {}
  }
  return undefined;
}

/** The type that the registry knows: the specification's own for its nine messages in whatever words, and other organisations' as they are. */
function typeOf(
  base: ParsedBase,
): { type: string; name: string; minor: number; profile: Profile2018 } | 'unrecognized-type' | 'unsupported-version' {
  const parsed = parseAgent2018Type(base.type);
  const known = parsed && canonicalAgent2018Type(parsed);
  if (known === 'unsupported-version') return known;
  if (known) return { type: agent2018Type(known.name), name: known.name, minor: known.minor, profile: known.profile };
  return parsed ? { type: base.type, name: parsed.name, minor: parsed.minor ?? 0, profile: 'spec' } : 'unrecognized-type';
}

/** A payload as an addressed message: its outer seal names no recipient, so that the endpoint keys are tried. */
async function open2018(
  kernel: Kernel,
  endpoints: readonly Endpoint[],
  notices: Notices,
  body: Uint8Array,
): Promise<Opened | PassedOn | Refusal | 'not-mine'> {
  const outer = await openOuter(kernel, endpoints, body);
  if (!outer) return 'not-mine';
  const base = baseIn(outer.bytes);
  if (base) return await readBase(kernel, outer.endpoint, notices, base);
  notices.add({ tenant: outer.endpoint.tenant, reason: 'malformed' });
  return { refused: '2018_malformed' };
}

function baseIn(bytes: Buffer): ParsedBase | undefined {
  try {
    return parseBase(bytes);
  } catch {
    return undefined;
  }
}

/** The second half, for a base message whose outer seal an agency has opened. It is for this agent, or for nobody. */
async function openPassedOn(
  kernel: Kernel,
  [endpoint]: readonly Endpoint[],
  notices: Notices,
  inside: JsonObject,
): Promise<Opened | Refusal> {
  const base = baseIn(Buffer.from(JSON.stringify(inside)));
  if (!endpoint || !base) return { refused: 'inside_invalid' };
  const opened = await readBase(kernel, endpoint, notices, base);
  return 'passOn' in opened ? { refused: 'inside_invalid' } : opened;
}

/**
 * A base message as an addressed one. Its `id`, a nonce or the sender's DID, names the tenant, and the connection's own key opens the content; or it names a
 * cloud agent, whose devices have that key. Whether the sender is the connection's peer is the engine's to compare.
 *
 * An `id` that names nothing costs what another costs: the same look-ups, and a decryption in vain. Anybody can seal to an endpoint key, and how long the answer
 * took would show him whether somebody here knows a DID.
 */
async function readBase(kernel: Kernel, endpoint: Endpoint, notices: Notices, base: ParsedBase): Promise<Opened | PassedOn | Refusal> {
  // either a nonce of an offer or one of a request; both in one, as the specification's example can be read, count as the first
  const [id = base.id, second] = base.id.split('|');
  const settingOf = async (tenant: string) => (await kernel.profiles.of(tenant)).settings.agent2018;
  if ((await settingOf(endpoint.tenant)) === 'off') return { refused: 'envelope' };
  // never from memory, where only what is known is kept
  const { store } = kernel.db;
  const [named, passedOn] = await Promise.all([store.keyOwner(id2018(id)), store.keyOwner(passedOnName(id))]);
  // an agent that has it off has no such ids
  const found = named && (await settingOf(named.tenant)) !== 'off' ? named : undefined;
  const client = found ? undefined : passedOn;
  // an agency reads no further
  if (client?.kind === CLOUD_AGENT)
    return { passOn: { owner: client, inside: JSON.parse(JSON.stringify({ id: base.id, type: base.type, message: base.message })) } };
  const owner: KeyOwner = found ?? { kid: endpoint.verkey, tenant: endpoint.tenant, kind: 'endpoint', target: '' };
  const connection = found?.kind === 'connection' ? found.target : undefined;
  const refuse = (reason: string): Refusal => {
    notices.add({ tenant: owner.tenant, reason, type: base.type, connection });
    return { refused: `2018_${reason.replaceAll('-', '_')}` };
  };
  const type = typeOf(base);
  if (typeof type === 'string') return refuse(type);
  const known = kernel.registry.message(type.type);
  if (known === 'unknown-version') return refuse('unsupported-version');
  if (known === 'unknown-type') return refuse('unrecognized-type');
  const { inner } = known.step;
  if (second !== undefined && (inner !== 'clear' || second !== nonceOf(base.message))) return refuse('malformed');
  const message = (content: JsonObject, sealed: { sender?: string; nonce?: string; recipient: string }): Incoming => ({
    id: sealed.nonce ?? '',
    repeatable: sealed.nonce === undefined,
    profile: type.profile,
    type: type.type,
    name: type.name,
    minor: type.minor,
    thid: id,
    body: content,
    attachments: {},
    signatures: {},
    pleaseAck: false,
    returnRoute: false,
    raw: { id: base.id, type: base.type, message: content },
    sender: sealed.sender,
    recipient: sealed.recipient,
  });

  if (inner === 'clear') {
    // a message without a request is taken only where the flag asks for it
    const unasked = !found && (await settingOf(owner.tenant)) !== 'on';
    const content = base.message ?? {};
    if (typeof content !== 'object' || content === null || Array.isArray(content)) return refuse(unasked ? 'unknown-id' : 'malformed');
    return { owner, message: { ...message(content as JsonObject, { recipient: endpoint.verkey }), unasked } };
  }
  let pair: KeyPair | undefined;
  try {
    pair = connection === undefined ? await inVain(kernel, endpoint) : await pairwise(kernel, owner.tenant, connection);
  } catch (error) {
    if (!isLocked(error)) throw error;
    return { refused: 'locked', locked: owner.tenant };
  }
  const text = sealedText(base.message);
  const opened = pair && text !== undefined ? openInner(pair, text, inner) : undefined;
  if (connection === undefined) return { refused: '2018_unknown_id' };
  if (!pair || text === undefined) return refuse('malformed');
  return opened ? { owner, message: message(opened.content, { ...opened, recipient: pair.verkey }) } : refuse('not-opened');
}

/** Encrypted content; undefined where the key does not open it. */
function openInner(
  pair: KeyPair,
  text: string,
  inner: Inner | undefined,
): { content: JsonObject; sender?: string; nonce?: string } | undefined {
  try {
    const sealed = decodeText(text);
    if (inner === 'anon') return { content: contentOf(openAnon(pair, sealed)) };
    const { message, sender, nonce } = openAuth(pair, sealed);
    return { content: contentOf(message), sender, nonce: encodeText(nonce) };
  } catch {
    return undefined;
  }
}

const nonceOf = (message: unknown): unknown =>
  typeof message === 'object' && message !== null
    ? ((message as { nonce?: unknown }).nonce ?? (message as { request_nonce?: unknown }).request_nonce)
    : undefined;

/** Encrypted content: base64, which one implementation of 2018 wraps in an object. */
function sealedText(message: unknown): string | undefined {
  const text = typeof message === 'object' && message !== null ? (message as { encrypted?: unknown }).encrypted : message;
  return typeof text === 'string' ? text : undefined;
}

/** In the place of `pairwise` where there is no connection: a record and a key that are there, and belong to nobody's mail. */
async function inVain(kernel: Kernel, { tenant, verkey, did }: Endpoint): Promise<KeyPair | undefined> {
  await kernel.db.store.load(tenant, [{ category: 'legacy_endpoint', id: did }]);
  return await kernel.keys.pair(tenant, verkey);
}

async function pairwise(kernel: Kernel, tenant: string, connection: string): Promise<KeyPair | undefined> {
  const [rows] = await kernel.db.store.load(tenant, [{ category: 'connection', id: connection }]);
  const verkey = rows?.[0]?.value.my_verkey;
  return typeof verkey === 'string' ? await kernel.keys.pair(tenant, verkey) : undefined;
}

/** Content as an object: what is JSON text, or no JSON at all, is an object with `text`. @throws JsonRefused for JSON that is out of bounds */
function contentOf(bytes: Buffer): JsonObject {
  const text = bytes.toString('utf8');
  if (!/^\s*[{["]/.test(text)) return { text };
  const value = parseJson(bytes, { maxDepth: 32 }) as Json;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { text: value };
}

/** A message for a peer of this protocol: one of the protocol itself, or the translation of another; undefined where the translation drops it. */
async function seal(kernel: Kernel, sealing: Sealing): Promise<DeliverPayload | undefined> {
  const { protocol, ctx, out, fresh, connection } = sealing;
  let parts: MessageParts;
  if ('type' in out && protocol.uris[0]?.startsWith('urn:')) parts = { ...out, type: `${protocol.uris[0]}/${out.type}` };
  else {
    const message = await compose(kernel, sealing);
    const translation = kernel.registry.translation(message);
    if (translation === undefined)
      throw new AppError('bad-request', `The peer's protocol is the 2018 Agent Protocol, which has no message like ${message['@type']}`);
    if (translation === null) return undefined;
    parts = translation;
  }
  const known = kernel.registry.message(parts.type);
  const inner = typeof known === 'string' ? undefined : known.step.inner;
  const sealed = await sealParts(connection!, parts, inner, (verkey) => pairOf(kernel, ctx.tenant, verkey, fresh));
  return { ...sealed, connection: connection!.id };
}

/** A sealed message, and its address. */
interface Sealed {
  readonly envelope: string;
  readonly endpoint?: string;
  readonly mediaType: string;
}

/**
 * Seals a message for a connection of this protocol: content by `inner`, then the whole to the peer's endpoint.
 * @throws AppError `bad-request` where the protocol has no such message
 */
async function sealParts(
  connection: LoadedRecord,
  parts: Pick<MessageParts, 'type' | 'body' | 'text' | 'id' | 'signature'>,
  inner: Inner | undefined,
  pairOf: (verkey: string) => Promise<KeyPair>,
): Promise<Sealed> {
  const { my_did, my_verkey, their_keys, their_endpoint } = connection.value as Record<string, string & string[]>;
  const peer = agent2018PeerOf(connection)!;
  const content: Record<string, unknown> = Object.fromEntries(Object.entries(parts.body ?? {}).filter(([, value]) => value !== undefined));
  if (parts.signature) {
    const { field, value, verkey } = parts.signature;
    content[field] = { verkey, signature: encodeText(signBytes(Buffer.from(String(value)), await pairOf(verkey))) };
  }
  const bytes = Buffer.from(JSON.stringify(parts.text ?? content));
  const seal = async (): Promise<unknown> => {
    if (inner === 'clear') return content;
    const [theirs] = their_keys ?? [];
    if (theirs === undefined) throw new AppError('wrong-state', 'The connection has no keys of its peer yet');
    return encodeText(inner === 'anon' ? sealAnon(theirs, bytes) : sealAuth(await pairOf(my_verkey!), theirs, bytes));
  };
  const base = { id: parts.id ?? my_did!, type: parts.type, message: await seal() };
  return { envelope: packBase(peer.endpoint_verkey, base), endpoint: their_endpoint, mediaType: TEXT };
}
