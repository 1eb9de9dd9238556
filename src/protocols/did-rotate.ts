import { type Contact, contactOf, isRemote, resolvedContact } from '../dids/contact.ts';
import { resolveDidKey } from '../dids/did-key.ts';
import { createPeer4, resolvePeer, shortPeerDid } from '../dids/did-peer.ts';
import { ownPeer2, peer4Document } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import type { Change, Effects, Outgoing } from '../kernel/effects.ts';
import { shownKeys } from '../kernel/identity.ts';
import { composeMessage, problemText } from '../kernel/message.ts';
import { changed, command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import type { LoadedRecord } from '../kernel/record.ts';
import { destinationOf } from '../kernel/seal.ts';
import Type from '../kernel/type.ts';
import type { DidDocument, ResolvedDid } from '../ports/ledger.ts';
import type { KeyWrite, Lookup } from '../ports/store.ts';
import { type ConnectionValue, connection, readyConnection, theirs } from '../records/connection.ts';
import { contactDid, did } from '../records/did.ts';
import { type DidRotationValue, didRotation } from '../records/did-rotation.ts';
import { keyOwnerFor, type OwnService, ownService, servedBy } from '../records/mediation.ts';

/** How long mail is still taken under the keys from before a rotation: as long as a delivery to a peer that is away is tried. */
const UNDER_WAY_MS = 3 * 24 * 3600_000;

const UNSUPPORTED = { code: 'e.did.unsupported_method', text: 'Unsupported DID Method' };
const UNRESOLVABLE = { code: 'e.did.unresolvable', text: 'Unable to resolve DID' };
const NO_SERVICES = { code: 'e.did.unresolvable_services', text: 'Unable to resolve DIDComm Services' };

type Ctx = StepContext<DidRotationValue>;

const connectionOf = (ctx: Ctx): LoadedRecord<ConnectionValue> => connection.of(ctx.connection!);

/**
 * RFC 0794: a side moves to a new DID, by a message under the old one. The other side answers under the old one too, and writes to the new one from then on; both take what
 * was under way.
 */
export const didRotate = defineProtocol<DidRotationValue>({
  name: 'did-rotate',
  uris: ['https://didcomm.org/did-rotate/1.0'],
  roles: ['rotating_party', 'observing_party'],
  binds: didRotation,
  messages: {
    rotate: {
      schema: Type.Object({ to_did: Type.String({ minLength: 1, maxLength: 20_000 }) }),
      from: [NEW],
      step(ctx, message) {
        const peer = connectionOf(ctx);
        const before = peer.value;
        // a key that was given up must not take the connection back
        if (!before.their_keys?.includes(message.sender!))
          throw new AppError('message-invalid', 'a rotation under a key of the DID before the last');
        const did = message.body.to_did as string;
        const patch = { protocol: 'did-rotate', connection_id: peer.id, new_did: did, thread_id: message.thid, sender: message.sender };
        const begun = { role: 'observing', connection: peer.id, patch };
        if (isRemote(did))
          return {
            record: { ...begun, states: ['rotate-received'] },
            // the DID may be the one that it had, with other keys in its document
            work: [{ op: 'dids/resolve', input: { did, fresh: true }, result: 'resolved' }],
          };
        // the document is in the DID itself
        if (!/^did:(peer:[024]|key:)/.test(did)) return { problem: UNSUPPORTED };
        let document: DidDocument;
        try {
          document = did.startsWith('did:key:') ? resolveDidKey(did) : resolvePeer(did);
        } catch {
          return { problem: UNRESOLVABLE };
        }
        let contact: Contact;
        try {
          contact = contactOf(document);
        } catch {
          return { problem: NO_SERVICES };
        }
        const { states, others, send } = followed(ctx, did, contact, message.sender!);
        return { record: { ...begun, states: ['rotate-received', ...states] }, others, send };
      },
    },
    hangup: {
      schema: Type.Object({}),
      from: '*',
      step(ctx, message) {
        if (!connectionOf(ctx).value.their_keys?.includes(message.sender!))
          throw new AppError('message-invalid', 'a hangup under a key of the DID before the last');
        return ended(ctx);
      },
    },
  },
  acked: {
    schema: Type.Object({}),
    from: ['rotate-sent'],
    role: 'rotating',
    step(ctx) {
      const { value, id } = ctx.record!;
      const peer = connectionOf(ctx);
      return {
        // the key of a DID of the wallet has other uses
        record: {
          states: ['ack-received'],
          patch: {
            former_verkey: peer.value.my_did_shared ? undefined : peer.value.my_verkey,
            former_mediated: peer.value.mediated ? true : undefined,
          },
        },
        others: [
          moved(peer, {
            my_did: shortPeerDid(value.new_did),
            my_verkey: value.verkey,
            my_did_shared: value.shared,
            mediated: value.mediated,
            pulls: value.pulls,
          }),
        ],
        next: [{ command: 'retire', record: { category: didRotation.category, id }, after: UNDER_WAY_MS }],
      };
    },
  },
  problem: {
    schema: Type.Object({}),
    from: ['rotate-sent'],
    role: 'rotating',
    step: (ctx, message) => ({
      record: { states: ['failed'], patch: { error: problemText(message) } },
      ...(ctx.record!.value.shared ? {} : given(ctx.record!.value.verkey!, ctx.record!.value.mediated)),
    }),
  },
  results: {
    resolved: {
      from: ['rotate-received'],
      step(ctx, output: ResolvedDid) {
        const { new_did, sender } = ctx.record!.value;
        if (!ctx.connection || !connectionOf(ctx).value.their_keys?.includes(sender!)) return { record: { states: ['failed'] } };
        let contact: Contact;
        try {
          contact = resolvedContact(output);
        } catch {
          return { record: { states: ['failed'], patch: { error: NO_SERVICES.code } }, problem: NO_SERVICES };
        }
        const { states, others, send } = followed(ctx, new_did, contact, sender!);
        return { record: { states }, others, send };
      },
    },
  },
  failed(ctx, { result, code }) {
    if (result !== 'resolved' || ctx.record?.state !== 'rotate-received') return {};
    const problem = code === 'did-unsupported' || code === 'ledger-none' ? UNSUPPORTED : UNRESOLVABLE;
    return { record: { states: ['failed'], patch: { error: problem.code } }, problem: ctx.connection && problem };
  },
  commands: {
    rotate: command({
      route: 'POST /did-rotate/{conn_id}/rotate',
      tag: 'did-rotate',
      summary: 'Begin rotation of a DID as a rotator',
      body: Type.Object({ to_did: Type.Optional(Type.String()) }),
      from: [NEW],
      connection: 'conn_id',
      load: ({ body }): Record<string, Lookup> => (body.to_did ? { own: { category: did.category, tag: 'did', equals: body.to_did } } : {}),
      step(ctx, { body }) {
        const peer = readyConnection(ctx.connection);
        const mine = destination(ctx, body.to_did || 'did:peer:4');
        if (mine.verkey === connectionOf(ctx).value.my_verkey) throw new AppError('bad-request', 'The connection has this DID already');
        const id = ctx.newId();
        const message = composeMessage(didRotate, { type: 'rotate', id, body: { to_did: mine.did } });
        return {
          record: {
            role: 'rotating',
            connection: peer,
            states: ['rotate-sent'],
            patch: {
              protocol: 'did-rotate',
              connection_id: peer,
              new_did: mine.did,
              thread_id: id,
              verkey: mine.verkey,
              shared: mine.key === undefined ? true : undefined,
              ...servedBy(mine.service),
            },
          },
          // the peer may write to the new key as soon as it has the message
          ...(mine.key && { keys: [mine.key], keyOwners: [keyOwnerFor(mine.service, mine.verkey, 'connection', peer)] }),
          send: [{ message }],
          answer: message,
        };
      },
    }),
    hangup: {
      route: 'POST /did-rotate/{conn_id}/hangup',
      tag: 'did-rotate',
      summary: 'Send hangup of DID rotation as a rotator',
      from: [NEW],
      connection: 'conn_id',
      step(ctx) {
        readyConnection(ctx.connection);
        const message = composeMessage(didRotate, { type: 'hangup', id: ctx.newId() });
        return { ...ended(ctx), send: [{ message }], answer: message };
      },
    },
    announce: {
      from: ['due'],
      step(ctx) {
        const { new_did, verkey } = ctx.record!.value;
        const peer = ctx.connection && connectionOf(ctx);
        // the connection is gone, or its peer knows the key
        if (!peer || peer.value.my_did !== new_did || peer.value.my_verkey === verkey) return { record: { remove: true, silent: true } };
        const id = ctx.newId();
        const message = composeMessage(didRotate, { type: 'rotate', id, body: { to_did: new_did } });
        return {
          record: { states: ['rotate-sent'], patch: { thread_id: id, mediated: peer.value.mediated, pulls: peer.value.pulls } },
          send: [{ message }],
        };
      },
    },
    retire: {
      from: ['ack-received'],
      step(ctx) {
        const { former_verkey: former, former_mediated: mediated } = ctx.record!.value;
        return { record: { remove: true, silent: true }, ...(former ? given(former, mediated) : {}) };
      },
    },
  },
});

/** The DID that we move to: a new one of the method that is named, or one of this wallet. */
function destination(ctx: Ctx, to: string): { did: string; verkey: string; key?: KeyWrite; service: OwnService } {
  const { mediator, unmediated, mediation = [] } = connectionOf(ctx).value;
  // a message to our mediator does not go through the mediator
  const service = ownService(ctx, { mediator, unmediated: unmediated || mediation.includes('client') });
  if (to !== 'did:peer:4' && to !== 'did:peer:2') {
    const own = contactDid(ctx.loaded.own, to);
    return { did: own.did, verkey: own.verkey, service: { ...service, mediation: undefined } };
  }
  const { verkey, write } = ctx.newKey();
  const spec = { verkey, endpoint: service.endpoint, more: service.more, routingKeys: service.routingKeys };
  return { did: to === 'did:peer:2' ? ownPeer2(spec) : createPeer4(peer4Document(spec)).did, verkey, key: write, service };
}

/** A key that is given up. */
const given = (verkey: string, mediated: boolean | undefined): Effects => ({
  removedKeyOwners: [verkey],
  removedKeys: [verkey],
  deregisterKeys: mediated ? [verkey] : undefined,
});

/** The new DID is resolved: the connection follows, and the ack goes to the former address. `sender`: the key that sealed the `rotate`. */
function followed(ctx: Ctx, did: string, contact: Contact, sender: string): { states: string[]; others: Change[]; send: Outgoing[] } {
  const peer = connectionOf(ctx);
  const before = peer.value;
  // a key that was only listed before this has no owner yet
  const their_former = { keys: [...new Set([...shownKeys(before), sender])], until: ctx.now + UNDER_WAY_MS };
  return {
    states: ['ack-sent'],
    // the old key vouches for the new one, which has not shown itself yet
    others: [moved(peer, { ...theirs({ did: shortPeerDid(did), ...contact }, undefined), their_former })],
    send: [{ type: 'ack', body: { status: 'OK' }, to: destinationOf(peer) }],
  };
}

/** The connection after a move; as in ACA-Py it has only the rotation's own webhook. */
const moved = (peer: LoadedRecord<ConnectionValue>, patch: Partial<ConnectionValue>): Change =>
  changed({ def: connection, base: peer, patch });

function ended(ctx: Ctx): Effects {
  const peer = connectionOf(ctx);
  return { others: [changed({ def: connection, base: peer, remove: true })], ...connection.removed?.(peer) };
}
