import { attachedMessage, type MessageRefused } from '../../didcomm/attachments.ts';
import { didKeyToVerkey, looksLikeVerkey } from '../../didcomm/encoding.ts';
import { type Contact, contactOf, isRemote } from '../../dids/contact.ts';
import { writable } from '../../dids/did-doc.ts';
import { resolvePeer, shortPeerDid } from '../../dids/did-peer.ts';
import { AppError } from '../../errors.ts';
import { isAutomatic } from '../../kernel/decisions.ts';
import type { Effects } from '../../kernel/effects.ts';
import type { StepContext } from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { keyOwnerFor, ownService } from '../../records/mediation.ts';
import type { InlineServiceForm, OutOfBandValue } from '../../records/out-of-band.ts';
import { nextOfInvitation } from './invited.ts';
import { addressOf } from './out-of-band-sender.ts';

/**
 * The service that an invitation is answered to. RFC 0434 lets it list several for one inviter, the preferred one first, and mediators list one for each transport:
 * the first that is a DID of a method that is resolved here, or has an address of a transport that this agent sends by; else the first.
 */
export function serviceOf(invitation: Record<string, unknown>): string | InlineServiceForm | undefined {
  const services = invitation.services as readonly (string | InlineServiceForm)[];
  const known = services.filter((one) => typeof one !== 'string' || one.startsWith('did:peer:') || isRemote(one));
  // the document of a DID has its own order, and is not read here
  return writable(known, (one) => (typeof one === 'string' ? 'https:' : one.serviceEndpoint)) ?? services[0];
}

/** ACA-Py's rules for what it takes, with its words, but for the number of services. */
export function checkInvitation(ctx: StepContext, body: Record<string, unknown>): void {
  if (serviceOf(body) === undefined) throw new AppError('bad-request', 'The invitation has no service');
  const handshakes = (body.handshake_protocols ?? []) as string[];
  if (handshakes.length === 0 && attachedRequests(body).length === 0) {
    throw new AppError('bad-request', 'Invitation must specify handshake_protocols, requests_attach, or both');
  }
  if (handshakes.length > 0 && !handshakes.some((name) => ctx.declared.handshakeOf(name)))
    throw new AppError('bad-request', `None of the handshake protocols is supported: ${handshakes.join(', ')}`);
}

/** The attached messages that can be read. @throws AppError `bad-request` where none of them can */
export function attachedRequests(invitation: Record<string, unknown>): JsonObject[] {
  const attached = [invitation['requests~attach'] ?? []].flat();
  const reasons: string[] = [];
  const read = attached.flatMap((one) => {
    try {
      return [attachedMessage(one) as JsonObject];
    } catch (error) {
      reasons.push((error as MessageRefused).reason);
      return [];
    }
  });
  if (attached.length > 0 && read.length === 0)
    throw new AppError('bad-request', `None of the attached requests can be read: ${reasons.join(', ')}`);
  return read;
}

/**
 * An invitation without handshakes (RFC 0434): the first attached message that we know begins an exchange, which is answered to the invitation's service, under a
 * key of its own.
 */
function connectionless(ctx: StepContext<OutOfBandValue>, service: Contact, first: readonly string[]): Effects {
  const { value } = ctx.record!;
  const attached = attachedRequests(value.invitation).find((message) => ctx.declared.standsAlone(String(message['@type'])));
  if (!attached) throw new AppError('bad-request', 'None of the attached messages is supported');
  const thread = attached['~thread'] as JsonObject | undefined;
  const key = ctx.newKey();
  const own = ownService(ctx, { mediator: value.mediator });
  const id = ctx.record!.id ?? ctx.newId();
  return {
    record: {
      id,
      role: 'receiver',
      states: [...first, 'prepare-response'],
      patch: { ...value, our_recipient_key: key.verkey, attach_thread_id: (thread?.thid ?? attached['@id']) as string | undefined },
    },
    keys: [key.write],
    keyOwners: [keyOwnerFor(own, key.verkey, 'invitation', id)],
    dispatch: [
      {
        replyTo: { key: key.verkey, ...service, ourAddress: addressOf(own) },
        message: { ...attached, '~thread': { ...thread, pthid: value.invi_msg_id } },
      },
    ],
  };
}

/** A new connection for an invitation that was received; what it attached waits in the connection until that is complete. */
export function handshake(ctx: StepContext<OutOfBandValue>, service: Contact, first: readonly string[] = []): Effects {
  const { value } = ctx.record!;
  const { invitation } = value;
  if (((invitation.handshake_protocols ?? []) as string[]).length === 0) return connectionless(ctx, service, first);
  const id = ctx.newId();
  const named = serviceOf(invitation);
  const attached = attachedRequests(invitation);
  const auto = isAutomatic(ctx.settings, 'connection-invitation', value.auto_accept);
  // the order of the list is the inviter's preference
  const handshake = (invitation.handshake_protocols as string[]).flatMap((name) => ctx.declared.handshakeOf(name) ?? [])[0]!;
  const protocol = ctx.declared.handshakes.get(handshake)!;
  const patch: ConnectionValue = {
    accept: auto ? 'auto' : 'manual',
    alias: value.alias as string | undefined,
    invitation_key: service.recipientKeys[0],
    invitation_mode: 'once',
    invitation_msg_id: value.invi_msg_id,
    invitation_service: service,
    their_label: (invitation.label as string | null | undefined) ?? undefined,
    their_public_did: typeof named === 'string' ? shortPeerDid(named) : undefined,
    connection_protocol: handshake,
    protocol,
    attached: attached.length > 0 ? attached : undefined,
    mediator: value.mediator,
    unmediated: value.unmediated,
  };
  return {
    record: { role: 'receiver', states: [...first, 'done'], patch: { ...value, connection_id: id } },
    others: [{ def: connection, id, role: 'invitee', states: ['invitation'], patch }],
    next: nextOfInvitation(ctx, auto, { protocol, record: { category: connection.category, id } }),
  };
}

/** On to the handshake: at once where the invitation holds the keys, after resolving where it names a DID of a ledger. */
export function proceed(ctx: StepContext<OutOfBandValue>, states: readonly string[]): Effects {
  const { value } = ctx.record!;
  const named = serviceOf(value.invitation)!;
  if (typeof named !== 'string') return handshake(ctx, inlineService(named), states);
  if (named.startsWith('did:peer:')) return handshake(ctx, contactOf(resolvePeer(named)), states);
  return { record: { role: 'receiver', states, patch: value }, work: [{ op: 'dids/resolve', input: { did: named }, result: 'resolved' }] };
}

function inlineService(service: InlineServiceForm): Contact {
  return {
    recipientKeys: service.recipientKeys.map(toVerkey),
    routingKeys: (service.routingKeys ?? []).map(toVerkey),
    endpoint: service.serviceEndpoint,
  };
}

function toVerkey(key: string): string {
  const verkey = key.startsWith('did:key:') ? didKeyToVerkey(key.split('#')[0]!) : looksLikeVerkey(key) ? key : undefined;
  if (!verkey) throw new AppError('bad-request', 'The invitation has a key that is neither a did:key nor a base58 Ed25519 key');
  return verkey;
}
