import Type from 'typebox';
import { contactOf } from '../dids/contact.ts';
import { createPeer4, resolvePeer, shortPeerDid } from '../dids/did-peer.ts';
import { peer4Document } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import { composeMessage, problemText } from '../kernel/message.ts';
import { type Change, defineProtocol, type Effects, NEW, type StepContext } from '../kernel/protocol.ts';
import type { Exchange } from '../kernel/record.ts';
import { type ConnectionValue, connection, readyConnection, theirs } from '../records/connection.ts';
import { type DidRotationValue, didRotation } from '../records/did-rotation.ts';

/** How long mail is still taken under the keys from before a rotation: as long as a delivery to a peer that is away is tried. */
const UNDER_WAY_MS = 3 * 24 * 3600_000;

type Ctx = StepContext<DidRotationValue>;

const connectionOf = (ctx: Ctx): Exchange<ConnectionValue> => ctx.connection as Exchange<ConnectionValue>;

/**
 * RFC 0794: a side moves to a new DID, told under the old one. The other side answers under the old one too, and writes to the new one from then on; both take what
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
        const refuse = (code: string, text: string): Effects => ({ problem: { code, text } });
        // the document is in the DID itself
        if (!/^did:peer:[024]/.test(did)) return refuse('e.did.unsupported_method', 'Unsupported DID Method');
        let document: ReturnType<typeof resolvePeer>;
        try {
          document = resolvePeer(did);
        } catch {
          return refuse('e.did.unresolvable', 'Unable to resolve DID');
        }
        let contact: ReturnType<typeof contactOf>;
        try {
          contact = contactOf(document);
        } catch {
          return refuse('e.did.unresolvable_services', 'Unable to resolve DIDComm Services');
        }
        const their_former = { keys: before.their_keys, until: ctx.now + UNDER_WAY_MS };
        return {
          record: {
            role: 'observing',
            connection: peer.id,
            states: ['rotate-received', 'ack-sent'],
            patch: { protocol: 'did-rotate', connection_id: peer.id, new_did: did, thread_id: message.thid },
          },
          others: [moved(peer, { ...theirs({ did: shortPeerDid(did), ...contact }), their_former })],
          send: [
            {
              type: 'ack',
              body: { status: 'OK' },
              to: {
                recipientKeys: before.their_keys,
                routingKeys: before.their_routing_keys ?? [],
                endpoint: before.their_endpoint,
                sender: before.my_verkey,
              },
            },
          ],
        };
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
        record: { states: ['ack-received'], patch: { former_verkey: peer.value.my_verkey } },
        others: [moved(peer, { my_did: shortPeerDid(value.new_did), my_verkey: value.verkey })],
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
      unroutes: [ctx.record!.value.verkey!],
      unkeys: [ctx.record!.value.verkey!],
    }),
  },
  commands: {
    rotate: {
      route: 'POST /did-rotate/{conn_id}/rotate',
      tag: 'did-rotate',
      summary: 'Begin rotation of a DID as a rotator',
      body: Type.Object({ to_did: Type.Optional(Type.String()) }),
      from: [NEW],
      connection: 'conn_id',
      step(ctx, { body }) {
        const peer = readyConnection(ctx.connection);
        if (body.to_did !== undefined && body.to_did !== 'did:peer:4')
          throw new AppError('not-implemented', 'to_did must be did:peer:4 or absent: the new DID is made by this agent');
        const key = ctx.newKey();
        const { did } = createPeer4(peer4Document({ verkey: key.verkey, endpoint: ctx.settings.endpoint }));
        const id = ctx.newId();
        const message = composeMessage(didRotate, { type: 'rotate', id, body: { to_did: did } });
        return {
          record: {
            role: 'rotating',
            connection: peer,
            states: ['rotate-sent'],
            patch: { protocol: 'did-rotate', connection_id: peer, new_did: did, thread_id: id, verkey: key.verkey },
          },
          keys: [key.write],
          // the peer may write to the new key as soon as it has heard of it
          routes: [{ kid: key.verkey, kind: 'connection', target: peer }],
          send: [{ message }],
          answer: message,
        };
      },
    },
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
    retire: {
      from: ['ack-received'],
      step(ctx) {
        const former = ctx.record!.value.former_verkey;
        return { record: { remove: true, silent: true }, ...(former ? { unroutes: [former], unkeys: [former] } : {}) };
      },
    },
  },
});

/** The connection after a move; as in ACA-Py only the rotation's own webhook tells of it. */
const moved = (peer: Exchange<ConnectionValue>, patch: Partial<ConnectionValue>): Change =>
  ({ def: connection, base: peer, patch }) as Change;

function ended(ctx: Ctx): Effects {
  const peer = connectionOf(ctx);
  return { others: [{ def: connection, base: peer, remove: true } as Change], ...connection.removed?.(peer) };
}
