import type { Static } from 'typebox';
import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { urlOfInvitation } from '../../didcomm/invitation-url.ts';
import { PREFIX } from '../../didcomm/message-types.ts';
import { createPeer4, QUEUE_ENDPOINT } from '../../dids/did-peer.ts';
import { ownPeer2, peer4Document, routingReference } from '../../dids/own-documents.ts';
import { AppError } from '../../errors.ts';
import { isAutomatic } from '../../kernel/decisions.ts';
import type { Change, Effects, NewKeyOwner } from '../../kernel/effects.ts';
import { composeMessage } from '../../kernel/message.ts';
import type { StepContext } from '../../kernel/protocol.ts';
import { type ConnectionlessPeer, compact, isoTime, loadedRecord, type OwnAddress } from '../../kernel/record.ts';
import { AnyObject } from '../../kernel/schema.ts';
import { linkCode, linkOwner, shortUrl } from '../../kernel/short-links.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { type DidValue, did } from '../../records/did.ts';
import { keyOwnerFor, type OwnService, ownService, servedBy } from '../../records/mediation.ts';
import type { OutOfBandValue } from '../../records/out-of-band.ts';

export const URIS = ['https://didcomm.org/out-of-band/1.1', 'https://didcomm.org/out-of-band/1.0'];

/** A controller's choices for an invitation. */
export const Wishes = Type.Object({
  accept: Type.Optional(Type.Array(Type.String())),
  alias: Type.Optional(Type.String()),
  attachments: Type.Optional(Type.Array(Type.Object({ id: Type.String(), type: Type.String() }), { maxItems: 20 })),
  goal: Type.Optional(Type.String()),
  goal_code: Type.Optional(Type.String()),
  handshake_protocols: Type.Optional(Type.Array(Type.String())),
  mediation_id: Type.Optional(Type.String()),
  metadata: Type.Optional(AnyObject),
  my_label: Type.Optional(Type.String()),
  protocol_version: Type.Optional(Type.String({ pattern: '^1\\.[01]$' })),
  use_did: Type.Optional(Type.String()),
  use_did_method: Type.Optional(Type.Union([Type.Literal('did:peer:2'), Type.Literal('did:peer:4')])),
  use_public_did: Type.Optional(Type.Boolean()),
});
export type Wishes = Static<typeof Wishes>;

const refuse = (text: string): never => {
  throw new AppError('bad-request', text);
};

/** The handshakes that an invitation names, with their prefix. @throws AppError `bad-request` for one that is not known here */
const handshakesOf = (ctx: StepContext, { handshake_protocols: asked = [] }: Wishes): string[] =>
  asked.map((name) => `${PREFIX}${ctx.declared.handshakeOf(name) ?? refuse(`Unsupported handshake protocol: ${name}`)}`);

/** ACA-Py's rules for what an invitation may be, with its words. @throws AppError `bad-request` */
function checkWishes(ctx: StepContext, body: Wishes, given: { handshakes: number; multi: boolean; unique: boolean }): void {
  const { handshakes, multi, unique } = given;
  const attachments = body.attachments ?? [];
  if (handshakes === 0 && attachments.length === 0) refuse('Invitation must include handshake protocols, request attachments, or both');
  if (handshakes === 0 && body.metadata) refuse('Cannot store metadata without handshake protocols');
  if (handshakes === 0 && attachments.length > 1) refuse('An invitation without handshake protocols has one attachment');
  if (attachments.length > 0 && multi) refuse('Cannot create multi use invitation with attachments');
  if ([body.use_public_did, body.use_did, body.use_did_method].filter(Boolean).length > 1)
    refuse('use_public_did, use_did and use_did_method are mutually exclusive');
  if (unique && !body.use_did_method) refuse('create_unique_did can only be used with use_did_method');
  if (body.use_public_did && !ctx.settings.publicInvites) refuse('Public invitations are not enabled');
}

/** The records whose first message an invitation carries, and these messages. @throws AppError for one that is unknown, or not free */
function attachedRecords(
  ctx: StepContext,
  body: Wishes,
  { id, oobId, replyTo }: { id: string; oobId: string; replyTo?: ConnectionlessPeer },
): { requests: JsonObject[]; others: Change[] } {
  const requests: JsonObject[] = [];
  const others: Change[] = [];
  for (const [i, { id: recordId, type }] of (body.attachments ?? []).entries()) {
    const kinds = ctx.declared.attachable(type);
    if (kinds.length === 0) throw new AppError('bad-request', `Unknown attachment type: ${type}`);
    const loaded = (kind: (typeof kinds)[number]) => ctx.loaded[`attachment ${i} ${kind.def.category}`];
    const kind = kinds.find(loaded);
    const row = kind && loaded(kind);
    const message = row?.value[kind!.member] as JsonObject | undefined;
    if (!kind || !row || !message) throw new AppError('not-found', `Record not found: ${type}/${recordId}`);
    if (row.state !== kind.state || row.connection) refuse(`${type} ${recordId} is not free to be attached`);
    const threaded = { ...message, '~thread': { pthid: id } };
    requests.push({ '@id': `request-${i}`, 'mime-type': 'application/json', data: { json: threaded } });
    others.push({
      def: kind.def,
      base: loadedRecord(row),
      patch: { parent_thread_id: id, oob_id: oobId, [kind.member]: threaded, ...(replyTo && { replyTo }) },
    });
  }
  return { requests, others };
}

export function createInvitation(
  ctx: StepContext<OutOfBandValue>,
  body: Wishes,
  autoAccept: boolean | undefined,
  multi: boolean,
  unique: boolean,
): Effects {
  const _attachments = body.attachments ?? [];
  const handshakes = handshakesOf(ctx, body);
  checkWishes(ctx, body, { handshakes: handshakes.length, multi, unique });
  const service = ownService(ctx, { mediation_id: body.mediation_id });

  const [id, oobId] = [ctx.newId(), ctx.newId()];
  const own = invitationKey(ctx, body, unique, service);
  const { requests, others } = attachedRecords(ctx, body, {
    id,
    oobId,
    replyTo: handshakes.length === 0 ? { key: own.verkey, ourAddress: addressOf(service) } : undefined,
  });

  const accept = body.protocol_version === '1.0' ? undefined : body.accept;
  const invitation = composeMessage(
    { uris: URIS },
    {
      type: 'invitation',
      id,
      minor: body.protocol_version === '1.0' ? 0 : 1,
      body: {
        label: body.my_label ?? ctx.settings.label,
        imageUrl: ctx.settings.imageUrl,
        goal: body.goal,
        goal_code: body.goal_code,
        accept,
        handshake_protocols: handshakes.length > 0 ? handshakes : undefined,
        'requests~attach': requests.length > 0 ? requests : undefined,
        services: [own.service],
      },
    },
  );
  const connectionId = ctx.newId();
  const auto = isAutomatic(ctx.settings, 'connection-request', autoAccept);
  const value: ConnectionValue = {
    accept: auto ? 'auto' : 'manual',
    alias: body.alias,
    invitation_key: own.verkey,
    invitation_mode: multi ? 'multi' : 'once',
    invitation_msg_id: id,
    connection_protocol: handshakes.length === 1 ? handshakes[0]!.slice(PREFIX.length) : undefined,
    metadata: body.metadata,
    oob_id: oobId,
    mediator: service.mediator,
    ...servedBy(service),
    // that of a DID has other uses
    invitation_mediated: service.mediation && !multi && typeof own.service !== 'string' ? true : undefined,
  };
  const code = linkCode(ctx.newToken());
  const short = shortUrl(ctx.settings, code);
  return {
    record: {
      id: oobId,
      role: 'sender',
      states: ['await-response'],
      patch: {
        invi_msg_id: id,
        invitation,
        connection_id: handshakes.length > 0 ? connectionId : undefined,
        our_recipient_key: own.verkey,
        multi_use: multi,
        protocol: 'out-of-band',
        mediated: servedBy(service).mediated,
        short: short && code,
      },
    },
    others: [
      ...(handshakes.length > 0 ? [{ def: connection, id: connectionId, role: 'inviter', states: ['invitation'], patch: value }] : []),
      ...own.others,
      ...others,
    ],
    keys: own.keys,
    removedKeyOwners: own.removedKeyOwners,
    keyOwners: [
      ...own.keyOwners.map((owner) => (typeof owner === 'string' ? keyOwnerFor(service, owner, 'invitation', oobId) : owner)),
      ...(short ? [linkOwner(code, oobId)] : []),
    ],
    answer: compact({
      state: 'initial',
      created_at: isoTime(ctx.now),
      updated_at: isoTime(ctx.now),
      trace: false,
      invi_msg_id: id,
      invitation,
      invitation_url: urlOfInvitation(service.endpoint, invitation),
      short_url: short,
      oob_id: oobId,
    }),
  };
}

interface InvitationKey {
  readonly verkey: string;
  readonly service: string | JsonObject;
  readonly keys: NonNullable<Effects['keys']>;
  /** Keys that are the invitation's own, or a whole key owner. */
  readonly keyOwners: readonly (string | NewKeyOwner)[];
  readonly removedKeyOwners?: readonly string[];
  readonly others: Change[];
}

/** The key that an invitation is answered to: a fresh one, or that of a DID of this wallet. */
function invitationKey(ctx: StepContext, body: Wishes, unique: boolean, own: OwnService): InvitationKey {
  const row = ctx.loaded.own;
  if (body.use_did || body.use_public_did || (body.use_did_method && row && !unique)) {
    if (!row)
      throw new AppError(
        'bad-request',
        body.use_did ? `Cannot find DID for invitation reuse: ${body.use_did}` : 'Cannot create public invitation with no public DID',
      );
    const { verkey, did: named } = did.of(row).value;
    // a mediator that the call names registers the key, whatever service the document of the DID has
    const moved = own.mediator ? { removedKeyOwners: [verkey], keyOwners: [keyOwnerFor(own, verkey, 'public', named)] } : { keyOwners: [] };
    return { verkey, service: named, keys: [], others: [], ...moved };
  }
  const key = ctx.newKey();
  if (body.use_did_method) {
    const method = body.use_did_method;
    const spec = { verkey: key.verkey, more: own.more, ...addressOf(own) };
    const made = method === 'did:peer:2' ? ownPeer2(spec) : createPeer4(peer4Document(spec)).did;
    const patch: DidValue = {
      did: made,
      verkey: key.verkey,
      method,
      key_type: 'ed25519',
      posture: 'wallet_only',
      metadata: unique ? {} : { invitation_reuse: 'true' },
      invitation_reuse: unique ? undefined : method,
    };
    return {
      verkey: key.verkey,
      service: made,
      keys: [key.write],
      keyOwners: [key.verkey],
      others: [{ def: did, states: ['stored'], patch, silent: true }],
    };
  }
  const service = {
    id: '#inline',
    type: 'did-communication',
    recipientKeys: [verkeyToDidKey(key.verkey)],
    ...(own.routingKeys.length > 0 ? { routingKeys: own.routingKeys.map(routingReference) } : {}),
    serviceEndpoint: own.endpoint || QUEUE_ENDPOINT,
  };
  return { verkey: key.verkey, service, keys: [key.write], keyOwners: [key.verkey], others: [] };
}

/** A service as peers see it. */
export const addressOf = ({ endpoint, routingKeys, pulls }: OwnService): OwnAddress => ({
  endpoint,
  routingKeys,
  ...(pulls ? { pulls } : {}),
});
