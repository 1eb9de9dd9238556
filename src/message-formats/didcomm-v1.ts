import { openEnvelope, pack, parseEnvelope } from '../didcomm/envelope-v1.ts';
import { wrapForward } from '../didcomm/forward.ts';
import type { KeyPair } from '../didcomm/key-cache.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { parseJsonObject } from '../didcomm/safe-json.ts';
import { AppError, isLocked } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Destination } from '../kernel/effects.ts';
import { type DeliverPayload, shortHash } from '../kernel/jobs.ts';
import { readMessage } from '../kernel/message.ts';
import type { MessageFormat, Opened, Refusal, Sealing } from '../kernel/message-format.ts';
import { type ConnectionlessPeer, connectionlessPeerOf, type OwnAddress } from '../kernel/record.ts';
import { compose, destinationOf, pairOf, sealable } from '../kernel/seal.ts';
import type { JsonObject } from '../ports/json.ts';
import type { KeyOwner } from '../ports/store.ts';

/** RFC 0092's address of a peer without an endpoint: its mail waits for a session. */
const QUEUE = 'didcomm:transport/queue';
/** How long a message that comes again is known: 7 days. */
const REPLAY_WINDOW_MS = 7 * 24 * 3600_000;

type Parsed = ReturnType<typeof parseEnvelope>;

/** DIDComm v1 (RFC 0019, RFC 0044): the envelope names its recipients' keys. It is the format of a peer of which nothing else is known. */
export function didcommV1(kernel: Kernel): MessageFormat {
  /** A key that nobody was ever given. */
  const decoy = newKeyPair();

  /** The work that an envelope for one of our keys costs, and the look-up that only another one needs: the time shows nobody which it was. */
  async function lookInVain(kid: string, remembered: boolean): Promise<void> {
    const equals = decoy.verkey;
    const lookups = ['their_key', 'listed_key', 'thread'].map((tag) => ({ category: 'connection', tag, equals }));
    await kernel.db.store.loadWithDedupKey(kernel.base, shortHash(equals), lookups);
    if (remembered) await kernel.db.store.keyOwner(kid);
  }

  async function openFor(body: Uint8Array, parsed: Parsed): Promise<Opened | Refusal> {
    let owner: KeyOwner | undefined;
    let remembered = false;
    for (const kid of parsed.recipients) {
      owner = kernel.keyOwners.cached(kid);
      remembered = owner !== undefined;
      owner ??= await kernel.keyOwners.of(kid);
      if (owner) break;
    }
    if (!owner) {
      try {
        openEnvelope({ ...parsed, recipients: [decoy.verkey] }, decoy);
      } catch {}
      await lookInVain(parsed.recipients[0]!, false);
      return { refused: 'unknown_key' };
    }
    const { tenant, kid } = owner;
    let pair: KeyPair | undefined;
    try {
      pair = await kernel.keys.pair(tenant, kid);
    } catch (error) {
      if (isLocked(error)) return { refused: 'locked', locked: tenant };
      if (!(await kernel.profiles.isTenantDeleted(tenant, error))) throw error;
    }
    if (!pair) return { refused: 'unknown_key' };
    try {
      const opened = openEnvelope(parsed, pair);
      // the transport has bounded the envelope, and the message in it is smaller
      const message = readMessage(parseJsonObject(opened.message, { maxBytes: body.length }) as JsonObject, opened.sender, owner.kid);
      return { owner, message };
    } catch {
      await lookInVain(kid, remembered);
      return { refused: 'not_opened' };
    }
  }

  return {
    name: 'didcomm-v1',
    traits: { didcomm: true, threadNamesInvitation: false, replayWindow: REPLAY_WINDOW_MS },
    isFormatOf: () => true,
    async open(body) {
      let parsed: Parsed;
      try {
        parsed = parseEnvelope(body);
      } catch {
        return 'not-mine';
      }
      return await openFor(body, parsed);
    },
    seal: (sealing) => sealV1(kernel, sealing),
  };
}

async function sealV1(kernel: Kernel, sealing: Sealing): Promise<DeliverPayload> {
  const { protocol, ctx, out, fresh, connection, bound } = sealing;
  const connectionlessPeer = !out.to && !connection ? connectionlessPeerOf(bound) : undefined;
  const to = out.to ?? (connection ? destinationOf(connection) : directTo(connectionlessPeer));
  if (!to) throw new AppError('wrong-state', 'The connection has no keys of its peer yet');
  const composed = await compose(kernel, sealing);
  const own = connectionlessPeer && (connectionlessPeer.ourAddress ?? { endpoint: ctx.settings.endpoint, routingKeys: [] });
  const addressed = own ? withService(composed, connectionlessPeer.key, own, bound?.value.parent_thread_id) : composed;
  const back = 'type' in out && out.back === true;
  const pulls = (connection?.value.pulls && !back) || own?.pulls;
  const message = pulls ? pulling(addressed) : addressed;
  const sender = to.sender === undefined ? undefined : await pairOf(kernel, ctx.tenant, to.sender, fresh);
  const recipients = await sealable(kernel, ctx.tenant, connection?.id, to);
  const sealed = pack({ message: JSON.stringify(message), recipients, sender });
  const ofConnection = protocol.stateless || protocol.binds.category === 'connection';
  return {
    envelope: wrapForward(sealed, recipients[0]!, to.routingKeys ?? []),
    endpoint: to.endpoint,
    // its thread may name a connection: it is not of that one
    connection: back ? undefined : connection?.id,
    // a mediator of the peer's answers nothing
    ...(pulls && !to.routingKeys?.length ? { pulls: true as const } : {}),
    ...(out.transient ? { transient: true } : {}),
    ...(back ? { back: true } : {}),
    ...(bound && !ofConnection ? { record: { category: protocol.binds.category, id: bound.id } } : {}),
  };
}

const directTo = (reply: ConnectionlessPeer | undefined): Destination | undefined =>
  reply?.recipientKeys && {
    recipientKeys: reply.recipientKeys,
    routingKeys: reply.routingKeys,
    endpoint: reply.endpoint,
    sender: reply.key,
  };

/** A message without a connection has a service decorator for its answer (RFC 0056), and its invitation as parent thread. */
const withService = (message: JsonObject, key: string, own: OwnAddress, pthid: unknown): JsonObject => ({
  ...message,
  ...(typeof pthid === 'string' ? { '~thread': { ...(message['~thread'] as JsonObject | undefined), pthid } } : {}),
  '~service': { recipientKeys: [key], routingKeys: [...own.routingKeys], serviceEndpoint: own.endpoint || QUEUE },
});

/** Asks for the answers on the connection that the message goes on (RFC 0092): nobody can write to us. */
const pulling = (message: JsonObject): JsonObject => ({ ...message, '~transport': { return_route: 'all' } });
