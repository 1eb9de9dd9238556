import { createPeer4 } from '../dids/did-peer.ts';
import { peer4Document } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import { isAutomatic } from '../kernel/decisions.ts';
import type { Effects } from '../kernel/effects.ts';
import { composeMessage } from '../kernel/message.ts';
import { defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import { connection } from '../records/connection.ts';
import { did } from '../records/did.ts';
import { type IntroductionValue, introductionRecord } from '../records/introduction.ts';
import { keyOwnerFor, ownService, servedBy } from '../records/mediation.ts';
import { Invitation, outOfBand } from '../records/out-of-band.ts';

type Ctx = StepContext<IntroductionValue>;

const Comment = Type.Optional(Type.Union([Type.String(), Type.Null()]));

/**
 * ACA-Py's introduction-service 0.1: the introducer asks the target for an invitation and forwards it to the initiator, which receives it as one of its own
 * controller's. The target makes one only where `--auto-accept-intro-invitation-requests` is set: the protocol has no webhook for its controller.
 */
export const introduction = defineProtocol<IntroductionValue>({
  name: 'introduction',
  uris: ['https://didcomm.org/introduction-service/0.1'],
  roles: ['introducer', 'introducee'],
  binds: introductionRecord,
  messages: {
    'invitation-request': {
      schema: Type.Object({ responder: Type.String({ maxLength: 1000 }), message: Comment }),
      from: '*',
      step: (ctx, message) => (ctx.settings.autoAcceptIntroInvitationRequests ? invited(ctx, message.body.message) : {}),
    },
    invitation: {
      schema: Type.Object({ invitation: Invitation, message: Comment }),
      from: ['pending'],
      role: 'introducer',
      step(ctx, message) {
        const { id, value } = ctx.record!;
        const answer = compact({ invitation: message.body.invitation, message: message.body.message });
        return {
          record: { states: ['forwarding'], connection: value.init_connection_id, patch: { answer } },
          next: [{ command: 'forward', record: { category: introductionRecord.category, id } }],
        };
      },
    },
    'forward-invitation': {
      schema: Type.Object({ invitation: Invitation, message: Comment }),
      from: '*',
      step: (ctx, message) => ({
        next: [
          {
            protocol: 'out-of-band',
            command: 'receive-invitation',
            record: { category: outOfBand.category, id: ctx.newId() },
            input: message.body.invitation as JsonObject,
          },
        ],
      }),
    },
  },
  // nobody waits for an introduction whose target or initiator is gone
  failed: () => ({ record: { remove: true } }),
  commands: {
    start: {
      route: 'POST /connections/{conn_id}/start-introduction',
      tag: 'introduction',
      summary: 'Start an introduction between two connections',
      query: Type.Object({ target_connection_id: Type.String(), message: Type.Optional(Type.String()) }),
      from: [NEW],
      load: ({ query }, id) => ({
        init: { category: connection.category, id: id ?? '' },
        target: { category: connection.category, id: query.target_connection_id! },
      }),
      step(ctx, { query }) {
        const init = active(ctx.loaded.init, 'Initiator');
        const target = active(ctx.loaded.target, 'Target');
        return {
          record: {
            role: 'introducer',
            connection: target.id,
            states: ['pending'],
            patch: {
              init_connection_id: init.id,
              target_connection_id: target.id,
              thread_id: ctx.newId(),
              responder: (init.value.their_label as string | undefined) ?? '',
              message: query.message,
            },
          },
          next: [{ command: 'ask' }],
          answer: {},
        };
      },
    },
    ask: {
      from: ['pending'],
      step(ctx) {
        const { thread_id: id, responder, message } = ctx.record!.value;
        const asked = composeMessage(introduction, { type: 'invitation-request', id, body: { responder, message } });
        return { send: [{ message: asked }], answer: {} };
      },
    },
    forward: {
      from: ['forwarding'],
      step(ctx) {
        if (!ctx.connection) throw new AppError('not-found', 'The initiator of the introduction is gone');
        return { record: { remove: true, silent: true }, send: [{ type: 'forward-invitation', body: ctx.record!.value.answer }] };
      },
    },
  },
});

/** A connection that can be introduced. @throws AppError in ACA-Py's words */
function active(row: StoredRecord | undefined, what: string): StoredRecord {
  if (!row) throw new AppError('bad-request', `${what} connection not found`);
  if (row.state !== 'active') throw new AppError('bad-request', `${what} connection ${row.id} not active`);
  return row;
}

/** The invitation that ACA-Py makes here: of one use, for did-exchange 1.1, by a did:peer:4 of its own. */
function invited(ctx: Ctx, comment: unknown): Effects {
  const key = ctx.newKey();
  const service = ownService(ctx);
  const made = createPeer4(
    peer4Document({ verkey: key.verkey, endpoint: service.endpoint, more: service.more, routingKeys: service.routingKeys }),
  ).did;
  const [id, connectionId, oobId] = [ctx.newId(), ctx.newId(), ctx.newId()];
  const invitation: JsonObject = {
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': id,
    label: ctx.settings.label,
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [made],
  };
  return {
    others: [
      {
        def: outOfBand,
        id: oobId,
        role: 'sender',
        states: ['await-response'],
        patch: {
          invi_msg_id: id,
          invitation,
          connection_id: connectionId,
          our_recipient_key: key.verkey,
          multi_use: false,
          protocol: 'out-of-band',
          mediated: servedBy(service).mediated,
        },
      },
      {
        def: connection,
        id: connectionId,
        role: 'inviter',
        states: ['invitation'],
        patch: {
          accept: isAutomatic(ctx.settings, 'connection-request') ? 'auto' : 'manual',
          invitation_key: key.verkey,
          invitation_mode: 'once',
          invitation_msg_id: id,
          connection_protocol: 'didexchange/1.1',
          oob_id: oobId,
          ...servedBy(service),
        },
      },
      {
        def: did,
        states: ['stored'],
        patch: { did: made, verkey: key.verkey, method: 'did:peer:4', key_type: 'ed25519', posture: 'wallet_only', metadata: {} },
        silent: true,
      },
    ],
    keys: [key.write],
    keyOwners: [keyOwnerFor(service, key.verkey, 'invitation', oobId)],
    send: [{ type: 'invitation', body: compact({ invitation, message: comment }) }],
  };
}
