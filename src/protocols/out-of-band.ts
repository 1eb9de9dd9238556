import Type, { type Static } from 'typebox';
import { attachedMessage, type MessageRefused } from '../didcomm/attachments.ts';
import { didKeyToVerkey, looksLikeVerkey, verkeyToDidKey } from '../didcomm/encoding.ts';
import { urlOfInvitation } from '../didcomm/invitation-url.ts';
import { PREFIX } from '../didcomm/message-types.ts';
import { type Contact, contactOf, isRemote, resolvedContact } from '../dids/contact.ts';
import { writable } from '../dids/did-doc.ts';
import { createPeer4, QUEUE_ENDPOINT, resolvePeer, shortPeerDid } from '../dids/did-peer.ts';
import { ownPeer2, peer4Document, routingReference } from '../dids/own-documents.ts';
import { AppError } from '../errors.ts';
import type { Change, Effects, NewKeyOwner } from '../kernel/effects.ts';
import { composeMessage } from '../kernel/message.ts';
import { command, defineProtocol, type Load, NEW, type StepContext } from '../kernel/protocol.ts';
import { compact, isoTime, type LoadedRecord, loadedRecord, type OwnAddress } from '../kernel/record.ts';
import { AnyObject } from '../kernel/schema.ts';
import { destinationOf } from '../kernel/seal.ts';
import { linkCode, linkOwner, shortUrl } from '../kernel/short-links.ts';
import type { JsonObject } from '../ports/json.ts';
import type { ResolvedDid } from '../ports/ledger.ts';
import type { Lookup } from '../ports/store.ts';
import { type ConnectionValue, connection } from '../records/connection.ts';
import { type DidValue, did } from '../records/did.ts';
import { keyOwnerFor, mediationLookup, type OwnService, ownService, servedBy } from '../records/mediation.ts';
import { type InlineServiceForm, Invitation, isOurs, type OutOfBandValue, outOfBand, usedAgain } from '../records/out-of-band.ts';

const URIS = ['https://didcomm.org/out-of-band/1.1', 'https://didcomm.org/out-of-band/1.0'];
/** How long a peer has to accept a reuse before a new connection is made. */
const REUSE_MS = 14_000;

const Bool = Type.Boolean();
const isTrue = (text: string | undefined): boolean | undefined => (text === undefined ? undefined : text === 'true');

/** What a controller asks of an invitation. */
const Wishes = Type.Object({
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

/** RFC 0434, versions 1.0 and 1.1: an invitation spawns a did-exchange, or reuses the connection that its DID names. */
export const outOfBandProtocol = defineProtocol<OutOfBandValue>({
  name: 'out-of-band',
  uris: URIS,
  roles: ['sender', 'receiver'],
  binds: outOfBand,
  messages: {
    'handshake-reuse': {
      schema: Type.Object({}),
      from: ['await-response'],
      role: 'sender',
      step(ctx, message) {
        const record = ctx.record!;
        const { multi_use } = record.value;
        return {
          record: multi_use ? undefined : { states: ['done'], patch: { connection_id: ctx.connection?.id } },
          send: [{ type: 'handshake-reuse-accepted', thid: message.thid, pthid: message.pthid, minor: message.minor }],
          emit: [
            ...(multi_use ? [usedAgain(ctx, record, ctx.connection?.id)] : []),
            {
              topic: 'connection_reuse',
              payload: {
                thread_id: message.thid,
                connection_id: ctx.connection?.id ?? null,
                comment: `Connection ${ctx.connection?.id} is being reused`,
              },
            },
          ],
        };
      },
    },
    'handshake-reuse-accepted': {
      schema: Type.Object({}),
      from: ['await-response'],
      role: 'receiver',
      step: (ctx, message) => ({
        record: { states: ['reuse-accepted'] },
        emit: [
          {
            topic: 'connection_reuse_accepted',
            payload: {
              thread_id: message.thid,
              connection_id: ctx.connection?.id ?? null,
              state: 'accepted',
              comment: `Connection ${ctx.connection?.id} reused`,
            },
          },
        ],
      }),
    },
  },
  problem: {
    schema: Type.Object({}),
    from: ['await-response'],
    role: 'receiver',
    step: (ctx) => proceed(ctx, ['reuse-not-accepted']),
  },
  results: {
    resolved: {
      from: ['initial', 'reuse-not-accepted'],
      step: (ctx, output: ResolvedDid) => handshake(ctx, resolvedContact(output)),
    },
  },
  failed: () => ({ record: { remove: true } }),
  commands: {
    'create-invitation': command({
      route: 'POST /out-of-band/create-invitation',
      tag: 'out-of-band',
      summary: 'Create a new connection invitation',
      query: Type.Object({ auto_accept: Type.Optional(Bool), multi_use: Type.Optional(Bool), create_unique_did: Type.Optional(Bool) }),
      body: Wishes,
      from: [NEW],
      load: ({ body }, _record, _connection, spoken) => ({
        ...mediationLookup(body.mediation_id),
        ...Object.fromEntries(
          (body.attachments ?? []).flatMap(({ id, type }, i) =>
            spoken.attachable(type).map(({ def }): [string, Lookup] => [`attachment ${i} ${def.category}`, { category: def.category, id }]),
          ),
        ),
        own: body.use_did
          ? { category: did.category, tag: 'did', equals: body.use_did }
          : body.use_did_method
            ? { category: did.category, tag: 'invitation_reuse', equals: body.use_did_method }
            : { category: did.category, tag: 'posture', equals: body.use_public_did ? 'public' : 'none' },
      }),
      step: (ctx, { body, query }) =>
        createInvitation(ctx, body, isTrue(query.auto_accept), query.multi_use === 'true', query.create_unique_did === 'true'),
    }),
    'receive-invitation': command({
      // its route takes URLs too, which are fetched before the command is called
      query: Type.Object({
        alias: Type.Optional(Type.String()),
        auto_accept: Type.Optional(Bool),
        use_existing_connection: Type.Optional(Bool),
        mediation_id: Type.Optional(Type.String()),
      }),
      body: Invitation,
      from: [NEW],
      waitWhile: ['await-response'],
      load: ({ body, query }): Record<string, Load> => {
        const named = serviceOf(body);
        return {
          ...mediationLookup(query.mediation_id),
          ours: { category: outOfBand.category, tag: 'invi_msg_id', equals: body['@id'], among: isOurs },
          ...(typeof named === 'string'
            ? {
                known: { category: connection.category, tag: 'reusable', equals: shortPeerDid(named) },
                own: { category: did.category, tag: 'did', equals: named },
              }
            : {}),
        };
      },
      step(ctx, { body, query, unmediated }) {
        if (ctx.settings.noReceiveInvites && !unmediated)
          throw new AppError('forbidden', 'Configuration does not allow receipt of invitations');
        checkInvitation(ctx, body);
        // one with its id would be taken for it
        if (ctx.loaded.ours || ctx.loaded.own) throw new AppError('bad-request', 'The invitation is one of this wallet itself');
        const row = query.use_existing_connection === 'false' ? undefined : ctx.loaded.known;
        const known = row && row.state === 'active' ? (loadedRecord(row) as LoadedRecord<ConnectionValue>) : undefined;
        const value: Partial<OutOfBandValue> = {
          invi_msg_id: body['@id'],
          invitation: body,
          multi_use: false,
          auto_accept: isTrue(query.auto_accept),
          alias: query.alias,
          mediator: query.mediation_id ? ownService(ctx, query).mediator : undefined,
          unmediated,
        };
        const attached = attachedRequests(body);
        if (known) {
          if (attached.length > 0) {
            return {
              record: { role: 'receiver', states: ['initial', 'done'], patch: { ...value, connection_id: known.id }, connection: known.id },
              dispatch: attached.map((message) => ({ connection: known.id, message })),
            };
          }
          const id = ctx.newId();
          const record = ctx.newId();
          return {
            record: {
              id: record,
              role: 'receiver',
              states: ['initial', 'await-response'],
              connection: known.id,
              patch: { ...value, connection_id: known.id, reuse_msg_id: id },
            },
            send: [{ type: 'handshake-reuse', id, thid: id, pthid: body['@id'], to: destinationOf(known) }],
            next: [{ command: 'end-reuse', record: { category: outOfBand.category, id: record }, after: REUSE_MS }],
          };
        }
        return proceed({ ...ctx, record: { value } as LoadedRecord<OutOfBandValue> }, ['initial']);
      },
    }),
    // its first answer came on a connection that was there before
    taken: command({
      body: Type.Object({ connection: Type.String() }),
      from: ['await-response'],
      role: 'sender',
      step: (_ctx, { body }) => ({ record: { states: ['done'], patch: { connection_id: body.connection } } }),
    }),
    // the key of an invitation that was deleted: until now an answer to the invitation got a problem report
    'remove-key': command({
      body: Type.Object({ verkey: Type.String() }),
      from: [NEW],
      step: (_ctx, { body }) => ({ removedKeyOwners: [body.verkey], removedKeys: [body.verkey] }),
    }),
    // an accepted reuse leaves no record; it goes only now, since the call that asked for it still reads it
    'end-reuse': {
      from: ['await-response', 'reuse-accepted'],
      role: 'receiver',
      step: (ctx) => (ctx.record!.state === 'reuse-accepted' ? { record: { remove: true } } : proceed(ctx, ['reuse-not-accepted'])),
    },
  },
});

function createInvitation(
  ctx: StepContext<OutOfBandValue>,
  body: Static<typeof Wishes>,
  autoAccept: boolean | undefined,
  multi: boolean,
  unique: boolean,
): Effects {
  const asked = body.handshake_protocols ?? [];
  const handshakes = asked.map((name) => {
    const known = ctx.spoken.handshakeOf(name);
    if (!known) throw new AppError('bad-request', `Unsupported handshake protocol: ${name}`);
    return `${PREFIX}${known}`;
  });
  const attachments = body.attachments ?? [];
  const refuse = (text: string): never => {
    throw new AppError('bad-request', text);
  };
  if (handshakes.length === 0 && attachments.length === 0)
    refuse('Invitation must include handshake protocols, request attachments, or both');
  if (handshakes.length === 0 && body.metadata) refuse('Cannot store metadata without handshake protocols');
  if (handshakes.length === 0 && attachments.length > 1) refuse('An invitation without handshake protocols has one attachment');
  if (attachments.length > 0 && multi) refuse('Cannot create multi use invitation with attachments');
  if ([body.use_public_did, body.use_did, body.use_did_method].filter(Boolean).length > 1)
    refuse('use_public_did, use_did and use_did_method are mutually exclusive');
  if (unique && !body.use_did_method) refuse('create_unique_did can only be used with use_did_method');
  if (body.use_public_did && !ctx.settings.publicInvites) refuse('Public invitations are not enabled');
  const service = ownService(ctx, { mediation_id: body.mediation_id });

  const [id, oobId] = [ctx.newId(), ctx.newId()];
  const own = invitationKey(ctx, body, unique, service);
  const requests: JsonObject[] = [];
  const others: Change[] = [];
  for (const [i, { id: recordId, type }] of attachments.entries()) {
    const kinds = ctx.spoken.attachable(type);
    if (kinds.length === 0) throw new AppError('bad-request', `Unknown attachment type: ${type}`);
    const loaded = (kind: (typeof kinds)[number]) => ctx.loaded[`attachment ${i} ${kind.def.category}`];
    const kind = kinds.find(loaded);
    const row = kind && loaded(kind);
    const message = row?.value[kind!.member] as JsonObject | undefined;
    if (!kind || !row || !message) throw new AppError('not-found', `Record not found: ${type}/${recordId}`);
    if (row.state !== kind.state || row.connection) refuse(`${type} ${recordId} is not free to be attached`);
    const threaded = { ...message, '~thread': { pthid: id } };
    requests.push({ '@id': `request-${i}`, 'mime-type': 'application/json', data: { json: threaded } });
    const replyTo = handshakes.length === 0 ? { replyTo: { key: own.verkey, ourAddress: addressOf(service) } } : {};
    others.push({
      def: kind.def,
      base: loadedRecord(row),
      patch: { parent_thread_id: id, oob_id: oobId, [kind.member]: threaded, ...replyTo },
    });
  }

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
  const auto = autoAccept ?? ctx.settings.autoAcceptRequests;
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

/** What peers are told of a service. */
const addressOf = ({ endpoint, routingKeys, pulls }: OwnService): OwnAddress => ({ endpoint, routingKeys, ...(pulls ? { pulls } : {}) });

/** The key that an invitation is answered to: a fresh one, or that of a DID of this wallet. */
function invitationKey(ctx: StepContext, body: Static<typeof Wishes>, unique: boolean, own: OwnService): InvitationKey {
  const row = ctx.loaded.own;
  if (body.use_did || body.use_public_did || (body.use_did_method && row && !unique)) {
    if (!row)
      throw new AppError(
        'bad-request',
        body.use_did ? `Cannot find DID for invitation reuse: ${body.use_did}` : 'Cannot create public invitation with no public DID',
      );
    const { verkey, did: named } = loadedRecord<DidValue>(row).value;
    // a mediator that is asked for by name is to know the key, wherever the document of the DID says that it is written to
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

/**
 * The service that an invitation is answered to. RFC 0434 lets it list several for one inviter, the preferred one first, and mediators list one for each transport:
 * the first that is a DID of a method that is resolved here, or has an address of a transport that this agent sends by; else the first.
 */
function serviceOf(invitation: Record<string, unknown>): string | InlineServiceForm | undefined {
  const services = invitation.services as readonly (string | InlineServiceForm)[];
  const known = services.filter((one) => typeof one !== 'string' || one.startsWith('did:peer:') || isRemote(one));
  // the document of a DID has its own order, and is not read here
  return writable(known, (one) => (typeof one === 'string' ? 'https:' : one.serviceEndpoint)) ?? services[0];
}

/** ACA-Py's rules for what it takes, with its words, but for the number of services. */
function checkInvitation(ctx: StepContext, body: Record<string, unknown>): void {
  if (serviceOf(body) === undefined) throw new AppError('bad-request', 'The invitation has no service');
  const handshakes = (body.handshake_protocols ?? []) as string[];
  if (handshakes.length === 0 && attachedRequests(body).length === 0) {
    throw new AppError('bad-request', 'Invitation must specify handshake_protocols, requests_attach, or both');
  }
  if (handshakes.length > 0 && !handshakes.some((name) => ctx.spoken.handshakeOf(name)))
    throw new AppError('bad-request', `None of the handshake protocols is supported: ${handshakes.join(', ')}`);
}

/** The attached messages that can be read. @throws AppError `bad-request` where none of them can */
function attachedRequests(invitation: Record<string, unknown>): JsonObject[] {
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
  const attached = attachedRequests(value.invitation).find((message) => ctx.spoken.standsAlone(String(message['@type'])));
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
function handshake(ctx: StepContext<OutOfBandValue>, service: Contact, first: readonly string[] = []): Effects {
  const { value } = ctx.record!;
  const { invitation } = value;
  if (((invitation.handshake_protocols ?? []) as string[]).length === 0) return connectionless(ctx, service, first);
  const id = ctx.newId();
  const named = serviceOf(invitation);
  const attached = attachedRequests(invitation);
  const auto = value.auto_accept ?? ctx.settings.autoAcceptInvites;
  // the order of the list is the inviter's preference
  const spoken = (invitation.handshake_protocols as string[]).flatMap((name) => ctx.spoken.handshakeOf(name) ?? [])[0]!;
  const protocol = ctx.spoken.handshakes.get(spoken)!;
  const patch: ConnectionValue = {
    accept: auto ? 'auto' : 'manual',
    alias: value.alias as string | undefined,
    invitation_key: service.recipientKeys[0],
    invitation_mode: 'once',
    invitation_msg_id: value.invi_msg_id,
    invitation_service: service,
    their_label: (invitation.label as string | null | undefined) ?? undefined,
    their_public_did: typeof named === 'string' ? shortPeerDid(named) : undefined,
    connection_protocol: spoken,
    protocol,
    attached: attached.length > 0 ? attached : undefined,
    mediator: value.mediator,
    unmediated: value.unmediated,
  };
  return {
    record: { role: 'receiver', states: [...first, 'done'], patch: { ...value, connection_id: id } },
    others: [{ def: connection, id, role: 'invitee', states: ['invitation'], patch }],
    next: auto ? [{ protocol, command: 'accept-invitation', record: { category: connection.category, id } }] : [],
  };
}

/** On to the handshake: at once where the invitation tells the keys, after resolving where it names a DID that only a ledger knows. */
function proceed(ctx: StepContext<OutOfBandValue>, states: readonly string[]): Effects {
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
