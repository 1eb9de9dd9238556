import type { StoredRecord } from '../ports/store.ts';
import type { Change, Effects } from './effects.ts';
import { isInviter, isOpenInvitation, isPeer, keysInUse, pairwiseSender, type Sender, sharedSender, withKey } from './identity.ts';
import { problemText } from './message.ts';
import type { Incoming, MessageStep, Protocol } from './protocol.ts';
import { type ConnectionlessPeer, connectionlessPeerOf, type LoadedRecord, loadedRecord } from './record.ts';
import type { Registry } from './registry.ts';
import { isExpected } from './transition.ts';

/** The trust rules: the sender of a message, and the record of its thread. Pure, over the records that were read. */

/** The records that were read for a message. Rows stand the newest first. */
export interface Surroundings {
  /** The connection of a pairwise key; else those that name the sender's key. */
  readonly connections: readonly StoredRecord[];
  /** Connections whose own thread the message names. */
  readonly ownThread: readonly StoredRecord[];
  /** Records of the thread and the parent thread, by category. */
  readonly threads: ReadonlyMap<string, readonly StoredRecord[]>;
  /** Invitations of the parent thread's id. */
  readonly invitations: readonly StoredRecord[];
  /** Connections that came by the invitation of the parent thread's id. */
  readonly invited: readonly StoredRecord[];
  /** Records that the message itself names, where no thread does. */
  readonly about: readonly StoredRecord[];
}

/** A sender as the records know it. */
export interface Trust {
  /** The sender's connection, with the key that the message shows. */
  readonly connection?: LoadedRecord;
  /** The key that was only listed until now, and counts by this message. */
  readonly shows?: string;
  /** The exchange without a connection that the message answers. */
  readonly connectionless?: LoadedRecord;
  /** The sealing key is in use by the connection's peer. */
  readonly isPeer: boolean;
  /** The sender is a known peer: it gets answers, also about its mistakes. */
  readonly trusted: boolean;
  /** The connection counts as the message's: its peer has sealed it, or the inviter whose invitation it answers. */
  readonly party: boolean;
}

/**
 * The sealer of a message.
 * @param pairwise the key that it was sealed for serves one connection alone
 */
export function trustOf(message: Incoming, pairwise: boolean, around: Surroundings, now: number): Trust {
  const found = senderOf(message, pairwise, around, now);
  // a key that shows itself here is written with whatever the message does
  const connection = found && withKey(found);
  const known = connection !== undefined && isPeer(connection, message.sender, now);
  const connectionless = connection
    ? undefined
    : [...around.threads.values()]
        .flat()
        .map((row) => loadedRecord(row))
        .find((one) => answersConnectionless(one, message));
  const trusted = connectionless ? connectionlessPeerOf(connectionless)?.recipientKeys !== undefined : known;
  return {
    connection,
    shows: found?.shows,
    connectionless,
    isPeer: known,
    trusted,
    party: trusted || (connection !== undefined && isInviter(connection, message.sender)),
  };
}

function senderOf(message: Incoming, pairwise: boolean, around: Surroundings, now: number): Sender | undefined {
  const [first] = around.connections;
  if (pairwise) return first && pairwiseSender(loadedRecord(first), message.sender);
  return sharedSender(around.connections, [...around.ownThread, ...[...around.threads.values()].flat()], message, now);
}

/** Whether a message answers an exchange without a connection: to its own key, by its peer, or by the first who does. */
function answersConnectionless(record: LoadedRecord, message: Incoming): boolean {
  const replyTo = connectionlessPeerOf(record);
  if (!replyTo || !message.sender || message.recipient !== replyTo.key) return false;
  return replyTo.recipientKeys === undefined || replyTo.recipientKeys.includes(message.sender);
}

/**
 * The record that a message is about: by its connection; or, where it was offered in an invitation and belongs to nobody yet, by the invitation's id as parent
 * thread. Of several it is the one whose state takes the message.
 * @param anew a handshake to a key that serves many: it may name another connection than the sender's
 */
export function subjectOf(
  { protocol, step }: { protocol: Protocol; step: MessageStep },
  message: Incoming,
  { connection, connectionless }: Trust,
  around: Surroundings,
  anew: boolean,
): LoadedRecord | undefined {
  if (protocol.stateless) return connection;
  if (connectionless) return connectionless;
  const rows = [...around.invitations, ...(around.threads.get(protocol.binds.category) ?? []), ...around.about];
  const fits = (one: LoadedRecord): boolean => isExpected(protocol, step.from, step.role, one);
  return threadRecord(rows, message, connection, { anew, fits, invited: around.invited });
}

/** The exchange of a thread. A connection is its own: only a handshake to a key that serves many may name another. Of several it is the one that `fits`. */
function threadRecord(
  rows: readonly StoredRecord[],
  message: Incoming,
  connection: LoadedRecord | undefined,
  { anew = false, fits = () => true, invited }: { anew?: boolean; fits?: (one: LoadedRecord) => boolean; invited: readonly StoredRecord[] },
): LoadedRecord | undefined {
  // an invitation's offer is for who came by it, once somebody has
  const guest = invited.find((row) => row.role === 'inviter' && row.value.request_id !== undefined);
  const own = (one: LoadedRecord, category: string): boolean => {
    if (category === 'connection') return anew || one.id === connection?.id;
    if (!connection || one.connection === connection.id) return connection !== undefined;
    const free = one.connection === undefined && isOfInvitation(one, message.pthid ?? cameBy(connection));
    return free && (category === 'oob_record' || guest === undefined || guest.id === connection.id);
  };
  const eligible = rows.filter((row) => own(loadedRecord(row), row.category)).map((row) => loadedRecord(row));
  return eligible.find(fits) ?? eligible[0];
}

/** ACA-Py's problem report about an invitation's offer names no parent thread: then the invitation is the connection's. */
const cameBy = (connection: LoadedRecord): string | undefined => connection.value.invitation_msg_id as string | undefined;

/** Whether a record that belongs to no connection yet was offered in the invitation of this id, or is that invitation. */
const isOfInvitation = (record: LoadedRecord, pthid: string | undefined): boolean =>
  pthid !== undefined && (record.value.parent_thread_id === pthid || record.value.invi_msg_id === pthid);

/** The exchange that an ack or a problem report is about, with its protocol's step for it. */
export function ownerOf(
  registry: Registry,
  message: Incoming,
  { connection, connectionless }: Trust,
  around: Surroundings,
): { protocol: Protocol; step: MessageStep; record: LoadedRecord } | undefined {
  const owners = registry.threaded.flatMap((category) => {
    const rows = around.threads.get(category) ?? [];
    const record = connectionless
      ? rows.map((row) => loadedRecord(row)).find((one) => one.id === connectionless.id)
      : threadRecord(rows, message, connection, { invited: around.invited });
    const protocol = record && registry.owner(category, record.value);
    const step = message.name === 'ack' ? protocol?.acked : (protocol?.problem ?? TROUBLED);
    return record && protocol && step ? [{ protocol, step, record }] : [];
  });
  // an invitation and its offer may both be named: the report is about the one that waits for it
  return owners.find(({ protocol, step, record }) => isExpected(protocol, step.from, step.role, record)) ?? owners[0];
}

/** A problem report to an exchange whose protocol knows no end but the good one: its controller reads it in the record and the webhook. */
const TROUBLED: MessageStep = {
  schema: {},
  from: '*',
  step: (ctx, message) => ({
    record: { patch: { error_msg: problemText(message) } },
    emit: [{ topic: 'problem_report', payload: { ...message.body, ...(ctx.connection && { connection_id: ctx.connection.id }) } }],
  }),
};

/** Whether a thread has the id of an open invitation of ours: its sender would stand in the invitation's place. */
export const isInvitationsThread = (protocol: Protocol, message: Incoming, around: Surroundings): boolean =>
  (around.threads.get(protocol.binds.category) ?? []).some((row) => isOpenInvitation(row, message.thid));

/**
 * The way to the peer after its message: the service that it names; else the key that sealed it, whose mail it fetches. Where our key is a shared DID's, nothing
 * is sealed for a key that only the service lists: its holder may know ours from elsewhere.
 */
export const connectionlessPeerFrom = (known: ConnectionlessPeer, message: Incoming, shared: boolean): ConnectionlessPeer =>
  message.service
    ? {
        key: known.key,
        ourAddress: known.ourAddress,
        ...message.service,
        recipientKeys: [...new Set([...(shared ? [] : message.service.recipientKeys), message.sender!])],
      }
    : { ...known, recipientKeys: known.recipientKeys ?? [message.sender!] };

/** Effects whose record keeps the way to its peer. */
export const withReplyTo = (effects: Effects, replyTo: ConnectionlessPeer): Effects => ({
  ...effects,
  record: effects.record && { ...effects.record, patch: { ...effects.record.patch, replyTo } },
});

/** The effects of a message whose sender has shown a key by it: its connection keeps that, where the step does not write it anyway. */
export function withShownKey(
  effects: Effects,
  registry: Registry,
  protocol: Protocol,
  record: LoadedRecord | undefined,
  connection: LoadedRecord,
): Effects {
  const { others = [] } = effects;
  const bound = protocol.binds.category === 'connection' && record?.id === connection.id;
  const written = ({ def, base }: Change): boolean => def.category === 'connection' && base?.id === connection.id;
  if ((bound && effects.record) || others.some(written)) return effects;
  return { ...effects, others: [...others, { def: registry.records.get('connection')!, base: connection, silent: true }] };
}

/** An invitation's offer belongs to a connection from now on: the invitation is done. */
export const takenUp = (effects: Effects, id: string, connection: string): Effects => ({
  ...effects,
  next: [
    ...(effects.next ?? []),
    { protocol: 'out-of-band', command: 'taken', record: { category: 'oob_record', id }, input: { connection } },
  ],
});

/** The connection that a handshake message has made or moved, whose peer sealed it: its answer may go back as that of any other. */
export const madeBy = (
  records: readonly { readonly category: string; readonly id: string; readonly value: unknown }[] = [],
  sender: string | undefined,
): string | undefined =>
  sender === undefined
    ? undefined
    : records.find(
        ({ category, value }) => category === 'connection' && keysInUse(value as Parameters<typeof keysInUse>[0]).includes(sender),
      )?.id;
