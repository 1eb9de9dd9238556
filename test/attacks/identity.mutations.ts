import type { Row } from '../rows/rows.ts';

const IDENTITY = 'src/kernel/identity.ts';
const RECORD = 'src/records/connection.ts';

/** What each claim about identity in docs/ThreatModel.md hangs on, and how to break it. */
export const MUTATIONS: readonly Row[] = [
  {
    id: 'A1',
    text: 'a key that a document only lists does not count',
    mutation: {
      file: RECORD,
      from: 'shown_keys: peer.recipientKeys.filter((key) => key === shown),',
      to: 'shown_keys: shown === undefined ? [] : peer.recipientKeys,',
    },
  },
  {
    id: 'A1-2',
    text: 'nothing is sealed for a key that another connection has seen in use',
    mutation: {
      file: 'src/kernel/seal.ts',
      from: 'to.recipientKeys.filter((key, i) => !heldByAnother(rows[i]!, key, connection))',
      to: 'to.recipientKeys',
    },
  },
  {
    id: 'A1-3',
    text: 'the document of a request of connections 1.0 shows the key that sealed it and no other',
    mutation: {
      file: 'src/protocols/connecting/connections.ts',
      from: 'as string | undefined,\n          ...theirs(peer, message.sender),',
      to: 'as string | undefined,\n          ...theirs(peer, message.sender),\n          shown_keys: peer.recipientKeys,',
    },
  },
  {
    id: 'A1-4',
    text: 'a request in clear shows no key',
    mutation: {
      file: 'src/agent-2018/connection-requests.ts',
      from: 'their_keys: [requester.verkey],\n        shown_keys: [],',
      to: 'their_keys: [requester.verkey],',
    },
  },
  {
    id: 'A1-5',
    text: 'an answer to keys that are not known to be the peer’s is a refusal',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: "if (error instanceof AppError && error.code === 'wrong-state') return",
      to: "if (error instanceof AppError && error.code === 'no-row') return",
    },
  },
  {
    id: 'A1-6',
    text: 'mail is sealed for the keys that have shown themselves',
    mutation: {
      file: IDENTITY,
      from: 'return used.length > 0 ? used : (value.their_keys ?? []);',
      to: 'return value.their_keys ?? used;',
    },
  },
  {
    id: 'A1-7',
    text: 'a listed key counts when it has sealed a message of the thread',
    mutation: {
      file: IDENTITY,
      from: 'if (speaking.length > 0) return speaking.length === 1 ? { connection: speaking[0]!, shows: sender } : undefined;',
      to: '',
    },
  },
  {
    id: 'A1-8',
    text: 'the thread tells which of several connections is meant, and never the newest',
    mutation: { file: IDENTITY, from: 'const found = peers.findLast(fits);', to: 'const found = peers.find(() => fits.length >= 0);' },
  },
  {
    id: 'A1-9',
    text: 'an exchange without a connection is sealed for who answered',
    mutation: {
      file: 'src/kernel/trust.ts',
      from: '...(shared ? [] : message.service.recipientKeys)',
      to: '...message.service.recipientKeys',
    },
  },
  {
    id: 'A2',
    text: 'an invitation of ours is found apart from the threads of strangers',
    mutation: {
      file: RECORD,
      from: 'invites: isOwnInvitation(value) ? value.invitation_msg_id : undefined,',
      to: 'thread: isOwnInvitation(value) ? value.invitation_msg_id : value.request_id,',
    },
  },
  {
    id: 'A2-2',
    text: 'the parent thread of a request names an invitation and no request',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: "found.rows('invitation').filter((row) => isOpenInvitation(row, pthid))",
      to: "found.rows('invitation')",
    },
  },
  {
    id: 'A2-3',
    text: 'an invitation that has the id of one of ours is not received',
    mutation: {
      file: 'src/protocols/connecting/out-of-band.ts',
      from: 'if (ctx.loaded.ours || ctx.loaded.own) throw',
      to: 'if (ctx.loaded.ours && ctx.loaded.own) throw',
    },
  },
  {
    id: 'A2-4',
    text: 'the offer of an invitation is for the peer that came by it',
    mutation: {
      file: 'src/kernel/trust.ts',
      from: "return free && (category === 'oob_record' || guest === undefined || guest.id === connection.id);",
      to: 'return free;',
    },
  },
  {
    id: 'A2-5',
    text: 'what an invitation carries begins an exchange of its own',
    mutation: {
      file: 'src/kernel/commands.ts',
      from: 'rows.find((row) => (replyTo ? connectionlessPeerOf(loadedRecord(row))?.key === replyTo.key : row.connection === connection))',
      to: 'rows[0]',
    },
  },
  {
    id: 'A9',
    text: 'a signature vouches for the DID that it names',
    mutation: {
      file: 'src/protocols/connecting/did-exchange-peers.ts',
      from: "isOf(attachedObject(attachment, 'DID document'), did);",
      to: 'signed.length > 0;',
    },
  },
  {
    id: 'A9-2',
    text: 'what a request attaches is of its own DID',
    mutation: {
      file: 'src/protocols/connecting/did-exchange-peers.ts',
      from: "isOf(attachedObject(attachment, 'DID document'), did);",
      to: 'true;',
    },
  },
  {
    id: 'A9-3',
    text: 'what is told of the inviter is signed by the key of the invitation',
    mutation: {
      file: 'src/protocols/connecting/connections.ts',
      from: "verifyDecorator(message.signatures.connection, signer ?? '')",
      to: 'verifyDecorator(message.signatures.connection, (message.signatures.connection as { signer: string }).signer)',
    },
  },
  {
    id: 'A9-4',
    text: 'what is signed of an attachment is what is read of it',
    mutation: {
      file: 'src/didcomm/attachments.ts',
      from: "if (base64 !== undefined && json !== undefined) throw new MessageRefused('attachment with two contents');",
      to: '',
    },
  },
  {
    id: 'A1-11',
    text: 'a key that was only listed is no former key',
    mutation: {
      file: 'src/protocols/did-rotate.ts',
      from: 'keys: [...new Set([...shownKeys(before), sender])]',
      to: 'keys: [...new Set([...(before.their_keys ?? []), sender])]',
    },
  },
  {
    id: 'A1-12',
    text: 'a key that was only vouched for gives way to who shows it',
    mutation: { file: IDENTITY, from: 'shows: sender, vouched: true };', to: 'shows: sender };' },
  },
  {
    id: 'A2-8',
    text: 'what was there first under a name is found, however much was added',
    mutation: {
      file: 'src/kernel/lookups.ts',
      from: 'return [...newest, ...rows.toReversed().filter(({ id }) => !known.has(id))];',
      to: 'return [...newest];',
    },
  },
  {
    id: 'A1-10',
    text: 'of several keys that a row from before lists none counts',
    mutation: { file: IDENTITY, from: 'shown_keys ?? (their_keys.length === 1 ? their_keys : []);', to: 'shown_keys ?? their_keys;' },
  },
  {
    id: 'A2-6',
    text: 'an invitation from before is found by its old tag',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: "for (const tag of ['invites', 'thread'])",
      to: "for (const tag of ['invites'])",
    },
  },
  {
    id: 'A2-7',
    text: 'a request does not take the id of an invitation',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: 'if (anew && !traits.threadNamesInvitation && isInvitationsThread(',
      to: 'if (!anew && !traits.threadNamesInvitation && isInvitationsThread(',
    },
  },
];
