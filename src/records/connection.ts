import type { Profile2018 } from '../didcomm/agent-2018-types.ts';
import { AppError } from '../errors.ts';
import type { Change } from '../kernel/effects.ts';
import { renamed } from '../kernel/former-names.ts';
import { keysInUse, listedKeys } from '../kernel/identity.ts';
import { hashId } from '../kernel/ids.ts';
import { id2018 } from '../kernel/key-owners.ts';
import { changed, type StepContext } from '../kernel/protocol.ts';
import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import { edgeDeviceId, mediationId } from '../mediation/names.ts';
import type { JsonObject } from '../ports/json.ts';

/** The peer's endpoint and profile in the 2018 Agent Protocol, under `agent2018` in the record. */
export interface Agent2018Peer {
  readonly profile: Profile2018;
  /** The source of the peer's keys. */
  readonly trust: 'ledger' | 'configuration' | 'self-certified';
  /** The key of the outer seal. */
  readonly endpoint_verkey: string;
  readonly endpoint_did?: string;
  /** The peer encodes attributes by a rule of its own. */
  readonly encoding?: 'any';
}

/** The connection of an owner whose key the configuration names. */
export const ownerConnection = (verkey: string): string => hashId(`owner ${verkey}`);

/** A pairwise connection, under the names of ACA-Py's ConnRecord; the members after `error_msg` are this agent's own and never leave it. */
export interface ConnectionValue {
  [member: string]: unknown;
  accept?: 'auto' | 'manual';
  alias?: string;
  connection_protocol?: string;
  invitation_key?: string;
  invitation_mode: 'once' | 'multi' | 'static';
  invitation_msg_id?: string;
  my_did?: string;
  request_id?: string;
  their_did?: string;
  their_label?: string;
  their_public_did?: string;
  error_msg?: string;
  /** Which protocol drives it, by the registry's name. */
  protocol?: string;
  my_verkey?: string;
  /** Our DID is one of the wallet's, with uses of its own: its key stays when the connection goes. */
  my_did_shared?: boolean;
  /** All keys that the peer's document lists, those of them that have shown themselves, and those that count as long as nobody else shows them (`kernel/identity.ts`). */
  their_keys?: readonly string[];
  shown_keys?: readonly string[];
  vouched_keys?: readonly string[];
  /** The keys from before their last rotation, and until when (ms) mail under them is taken. */
  their_former?: { readonly keys: readonly string[]; readonly until: number };
  their_routing_keys?: readonly string[];
  their_endpoint?: string;
  /** Where the peer has several endpoints: all of them, the most preferred first. */
  their_endpoints?: readonly string[];
  /** As a receiver: the invitation's service, which requests go to. */
  invitation_service?: { readonly recipientKeys: readonly string[]; readonly routingKeys: readonly string[]; readonly endpoint?: string };
  /** As a receiver: what the invitation attached, handed over once the connection is complete. */
  attached?: readonly { readonly [member: string]: unknown }[];
  /** The address of a peer of the 2018 Agent Protocol. */
  agent2018?: Agent2018Peer;
  /** Our own offer in that protocol, and until when (ms) it is good. */
  offer?: JsonObject;
  offer_expires?: number;
  /** The peer's possible attribute encodings, until its profile is known. */
  encoding?: 'any';
  oob_id?: string;
  /** As a receiver: complete, so that another invitation by the same DID finds it. */
  reusable?: boolean;
  /** The peer mediates for us, or we for it: what is of that goes with the connection. */
  mediation?: readonly ('server' | 'client')[];
  /** The peer has a cloud agent of ours, or is the agency of ours: what is of that goes with the connection. */
  agency?: 'agency' | 'edge';
  /** The mediator that an invitation was made or received with; or none at all, since the peer is to be one. */
  mediator?: { readonly [member: string]: unknown };
  unmediated?: boolean;
  /** A mediator knows keys of ours that were made for it. */
  mediated?: boolean;
  /** It knows the invitation's key too, which serves nothing else once the peer has answered. */
  invitation_mediated?: boolean;
  /** Nobody can write to us: the peer answers on the connections that we open. */
  pulls?: boolean;
  metadata?: Readonly<Record<string, unknown>>;
  /** The grants of its peer for orders by messages (`MessageStep.grant`); its operator alone writes them. */
  grants?: readonly string[];
  /** Its peer is an owner by the configuration. */
  configured?: true;
  /** Its grants were set by a call since: a start leaves them. */
  granted_by_call?: true;
  /** It was one, and no start makes it one again. */
  dismissed?: true;
}

/** Whether it is an invitation of ours that takes requests; those of the 2018 Agent Protocol are found by their nonces. */
const isOwnInvitation = ({ request_id, invitation_service, protocol }: ConnectionValue): boolean =>
  request_id === undefined && invitation_service === undefined && protocol !== 'connection-2018';

/** The peer's role, by ours; ACA-Py's `their_role`. */
const THEIR_ROLE: ReadonlyMap<string | undefined, string> = new Map([
  ['inviter', 'invitee'],
  ['invitee', 'inviter'],
]);

/** RFC 0023's name of a state, from our side; ACA-Py's `rfc23_state`. */
function rfc23State(state: string | undefined, role: string | undefined): string {
  const theyRespond = role === 'invitee';
  switch (state) {
    case 'invitation':
      return theyRespond ? 'invitation-received' : 'invitation-sent';
    case 'request':
      return theyRespond ? 'request-sent' : 'request-received';
    case 'response':
      return theyRespond ? 'response-received' : 'response-sent';
    case 'active':
      return 'completed';
    case 'error':
      return 'abandoned';
    default:
      return 'start';
  }
}

/** `role` is ours: `inviter` where the peer came by our invitation, `invitee` where we came by theirs. */
export const connection = defineRecord<ConnectionValue>({
  category: 'connection',
  idField: 'connection_id',
  label: 'Connection',
  topic: 'connections',
  states: ['init', 'invitation', 'request', 'response', 'active', 'error', 'deleted'],
  upgrade: (value) => renamed(renamed(value, 'wire', 'agent2018'), 'direct', 'unmediated'),
  view(record) {
    const { value } = record;
    return compact({
      ...viewHead(record),
      connection_id: record.id,
      my_did: value.my_did,
      their_did: value.their_did,
      their_label: value.their_label,
      their_role: THEIR_ROLE.get(record.role),
      connection_protocol: value.connection_protocol,
      rfc23_state: rfc23State(record.state, record.role),
      invitation_key: value.invitation_key,
      invitation_msg_id: value.invitation_msg_id,
      request_id: value.request_id,
      accept: value.accept ?? 'manual',
      error_msg: value.error_msg,
      invitation_mode: value.invitation_mode,
      alias: value.alias,
      their_public_did: value.their_public_did,
      grants: value.grants?.length ? value.grants : undefined,
      legacy: value.agent2018 && { profile: value.agent2018.profile, trust: value.agent2018.trust },
    });
  },
  tags: (value) => ({
    // the id of a request may be a stranger's; that of an invitation of ours is looked for apart from those, and from invitations of others
    thread: value.request_id,
    invites: isOwnInvitation(value) ? value.invitation_msg_id : undefined,
    // where the peer's own key shows itself; a key that is only listed is no proof of its holder
    their_key: [...keysInUse(value), ...(value.their_former?.keys ?? [])],
    listed_key: listedKeys(value),
    open_key: isOwnInvitation(value) ? value.invitation_key : undefined,
    alias: value.alias,
    connection_protocol: value.connection_protocol,
    invitation_key: value.invitation_key,
    invitation_msg_id: value.invitation_msg_id,
    my_did: value.my_did,
    their_did: value.their_did,
    their_public_did: value.their_public_did,
    reusable: value.reusable ? value.their_public_did : undefined,
    endpoint_did: value.agent2018?.endpoint_did,
    configured: value.configured && 'owner',
  }),
  removed: ({ id, value }) => {
    const { my_verkey, my_did, their_did, request_id, invitation_msg_id: offer } = value;
    const of2018 = value.protocol === 'connection-2018' ? [my_did, their_did, request_id, offer, offer && `offer ${offer}`] : [];
    const ids = of2018.filter((name) => name !== undefined).map(id2018);
    const key = my_verkey && !value.my_did_shared ? [my_verkey] : [];
    return {
      removedKeyOwners: [...key, ...ids],
      removedKeys: key,
      deregisterKeys: [...(value.mediated ? (value.protocol === 'connection-2018' ? ids : key) : []), ...invitationMediated(value)],
      next: [
        ...(value.mediation ?? []).map((role) => ({
          protocol: 'coordinate-mediation',
          command: 'purge',
          record: { category: 'mediation', id: mediationId(role, id) },
          input: { connection: id, role },
        })),
        ...(value.agency === undefined
          ? []
          : [
              {
                protocol: 'agency',
                command: 'leave',
                record: { category: 'edge_device', id: edgeDeviceId(value.agency, id) },
                input: { connection: id },
              },
            ]),
      ],
    };
  },
  admin: {
    list: '/connections',
    one: '/connections/{conn_id}',
    tag: 'connection',
    remove: true,
    aliases: {
      ...{ completed: 'active', abandoned: 'error', start: 'init', requester: 'invitee', responder: 'inviter' },
      ...Object.fromEntries(
        ['sent', 'received'].flatMap((way) => ['invitation', 'request', 'response'].map((name) => [`${name}-${way}`, name])),
      ),
    },
    peerRole: THEIR_ROLE,
    filters: {
      alias: 'alias',
      connection_protocol: 'connection_protocol',
      invitation_key: 'invitation_key',
      invitation_msg_id: 'invitation_msg_id',
      my_did: 'my_did',
      their_did: 'their_did',
      their_public_did: 'their_public_did',
    },
  },
});

/** The invitation's key, where a mediator knows it and it serves nothing but this connection. */
export const invitationMediated = ({ invitation_mediated, invitation_key }: ConnectionValue): string[] =>
  invitation_mediated && invitation_key ? [invitation_key] : [];

/** The id of a connection that can be written to. @throws AppError ACA-Py's refusal of one that cannot yet */
export function readyConnection(given: { readonly id: string; readonly state?: string } | undefined): string {
  if (given?.state !== 'active' && given?.state !== 'response') throw new AppError('bad-request', `Connection ${given?.id} not ready`);
  return given.id;
}

/** A connection of the 2018 Agent Protocol is complete by the first message that only its peer can have sent, whether its acknowledgement came or not. */
export const acknowledged = (ctx: StepContext): Change[] =>
  ctx.connection?.state === 'response' ? [changed({ def: connection, base: connection.of(ctx.connection), states: ['active'] })] : [];

/** Whether the peer of a connection acknowledges outcomes; in the 2018 Agent Protocol nobody does. */
export const peerAcks = (ctx: StepContext): boolean => ctx.connection?.value.agent2018 === undefined;

/**
 * The thread of an exchange that begins with these objects: its first message, whose id is given. Messages of the 2018 Agent Protocol have no id, so that there
 * the AnonCreds nonce is what both sides know it by.
 */
export function threadOf(ctx: StepContext, id: string, begun: readonly { readonly name: string; readonly value: JsonObject }[]): string {
  if (ctx.connection?.value.agent2018 === undefined) return id;
  const { nonce } = (begun.find(({ name }) => name === 'anoncreds') ?? begun[0])?.value ?? {};
  return typeof nonce === 'string' ? nonce : id;
}

/** A peer as its document has it: its DID, its keys and its address. */
export interface Peer {
  readonly did: string;
  readonly recipientKeys: readonly string[];
  readonly routingKeys: readonly string[];
  readonly endpoint?: string;
  readonly endpoints?: readonly string[];
}

/** The members of a connection about its peer. `shown`: the key that sealed the message with its document; a key that the peer only lists must show itself yet. */
export const theirs = (peer: Peer, shown: string | undefined): Partial<ConnectionValue> => ({
  their_did: peer.did,
  their_keys: peer.recipientKeys,
  shown_keys: peer.recipientKeys.filter((key) => key === shown),
  vouched_keys: undefined,
  their_routing_keys: peer.routingKeys,
  their_endpoint: peer.endpoint,
  their_endpoints: peer.endpoints,
});
