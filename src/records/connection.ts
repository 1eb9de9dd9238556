import { AppError } from '../errors.ts';
import { compact, defineRecord, viewHead } from '../kernel/record.ts';

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
  their_keys?: readonly string[];
  their_routing_keys?: readonly string[];
  their_endpoint?: string;
  /** As a receiver: where the invitation says that requests go. */
  invitation_service?: { readonly recipientKeys: readonly string[]; readonly routingKeys: readonly string[]; readonly endpoint?: string };
  /** As a receiver: what the invitation attached, handed over once the connection is complete. */
  attached?: readonly { readonly [member: string]: unknown }[];
  oob_id?: string;
  /** As a receiver: complete, so that another invitation by the same DID finds it. */
  reusable?: boolean;
  metadata?: Readonly<Record<string, unknown>>;
}

/** RFC 0023's name of a state, told from our side; ACA-Py's `rfc23_state`. */
function rfc23State(state: string | undefined, theirRole: string | undefined): string {
  const theyRespond = theirRole === 'inviter';
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

/** `role` holds ACA-Py's `their_role`: `invitee` where the peer came by our invitation, `inviter` where we came by theirs. */
export const connection = defineRecord<ConnectionValue>({
  category: 'connection',
  idField: 'connection_id',
  label: 'Connection',
  topic: 'connections',
  states: ['init', 'invitation', 'request', 'response', 'active', 'error', 'deleted'],
  view(record) {
    const { value } = record;
    return compact({
      ...viewHead(record),
      connection_id: record.id,
      my_did: value.my_did,
      their_did: value.their_did,
      their_label: value.their_label,
      their_role: record.role,
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
    });
  },
  tags: (value) => ({
    // an invitation of many uses is found by its own id, whatever number of connections it has led to
    thread: value.request_id ?? value.invitation_msg_id,
    their_key: value.their_keys,
    alias: value.alias,
    connection_protocol: value.connection_protocol,
    invitation_key: value.invitation_key,
    invitation_msg_id: value.invitation_msg_id,
    my_did: value.my_did,
    their_did: value.their_did,
    their_public_did: value.their_public_did,
    reusable: value.reusable ? value.their_public_did : undefined,
  }),
  removed: ({ value }) => (value.my_verkey ? { unroutes: [value.my_verkey], unkeys: [value.my_verkey] } : {}),
  admin: {
    list: '/connections',
    one: '/connections/{conn_id}',
    tag: 'connection',
    remove: true,
    aliases: { completed: 'active', abandoned: 'error', start: 'init', requester: 'invitee', responder: 'inviter' },
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

/** The id of a connection that can be written to. @throws AppError ACA-Py's refusal of one that cannot yet */
export function readyConnection(given: { readonly id: string; readonly state?: string } | undefined): string {
  if (given?.state !== 'active' && given?.state !== 'response') throw new AppError('bad-request', `Connection ${given?.id} not ready`);
  return given.id;
}
