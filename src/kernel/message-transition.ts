import { AppError, asAppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Lookup } from '../ports/store.ts';
import { type CommitPlan, INLINE_GRACE_MS, type Origin } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import type { Effects } from './effects.ts';
import { isGranted } from './grants.ts';
import { isOpenInvitation } from './identity.ts';
import { hashId } from './ids.ts';
import { type DeliverPayload, deliverJob, shortHash } from './jobs.ts';
import { checkedAs } from './json.ts';
import type { MessageTraits, Opened } from './message-format.ts';
import type { Channel, Incoming, MessageStep, Protocol, StepContext } from './protocol.ts';
import type { InboundSession, MailSession } from './received.ts';
import { connectionlessPeerOf, type LoadedRecord } from './record.ts';
import type { KnownMessage } from './registry.ts';
import { type End, type Found, isEnd, type Reads, type Run, readsOf, type Transitions } from './transition.ts';
import {
  connectionlessPeerFrom,
  isInvitationsThread,
  madeBy,
  ownerOf,
  type Surroundings,
  subjectOf,
  type Trust,
  takenUp,
  trustOf,
  withReplyTo,
  withShownKey,
} from './trust.ts';

/** Kinds of keys of ours that whoever is invited knows. */
const INVITING: ReadonlySet<string> = new Set(['invitation', 'public']);
/** How protocol families spell acks and problem reports. */
const OUTCOMES: ReadonlySet<string> = new Set(['ack', 'problem-report', 'problem_report']);

/** The outcome of a message. */
export interface Handled {
  readonly reply?: CommitPlan['reply'];
  readonly connection?: string;
  /** Absent where the message may be a copy that somebody else sends: its sender is then not known to be at the other end. */
  readonly session?: Omit<MailSession, 'tenant' | 'connection'>;
  readonly acknowledged?: readonly string[];
  readonly inFlight?: readonly string[];
}

/** Why a message was dropped: for the counters, and for its format. */
export interface Drop {
  readonly drop: string;
  readonly detail?: string;
}

type Outcome = Handled | Drop;

/** An opened message with all that its handling depends on. */
export interface Arrival extends Opened {
  readonly traits: MessageTraits;
  readonly channel?: Channel;
  readonly openOf: InboundSession['open'];
  readonly known?: KnownMessage;
  /** An ack or a problem report, of whatever family. */
  readonly outcome: boolean;
  /** The key that it was sealed for serves one connection alone. */
  readonly pairwise: boolean;
  readonly dedupKey?: string;
  /** Categories of the records that its thread may name. */
  readonly categories: readonly string[];
}

/** A chosen step. */
interface Choice {
  readonly protocol: Protocol;
  readonly step: MessageStep;
  readonly record: LoadedRecord | undefined;
  /** It is a handshake to a key that serves many. */
  readonly anew: boolean;
  /** The sender is its connection's peer, whose answer may go back to it. */
  readonly believed: boolean;
  readonly connection?: string;
  /** The message came before: its answer alone is due. */
  readonly repeats?: boolean;
}

/** An order of an owner is known as long as its connection may live: whoever passes mail on could undo later orders by an old one. */
const ORDER_REPLAY_WINDOW_MS = 100 * 365 * 24 * 3600_000;

const dropped = (drop: string, detail?: string): End<Drop> => ({ end: { drop, detail } });

/** Matches a message with its protocol. */
export function arrivalOf(
  { registry, trace }: Kernel,
  { owner, message }: Opened,
  traits: MessageTraits,
  channel: Channel | undefined,
  openOf: InboundSession['open'],
): Arrival {
  const found = registry.message(message.type);
  const known = typeof found === 'string' ? undefined : found;
  // our own names alone: a type that nobody knows is a stranger's text
  trace.note({ 'flexid.tenant': owner.tenant, 'flexid.protocol': known?.protocol.name, 'flexid.message': known?.name });
  const outcome = traits.didcomm && OUTCOMES.has(message.name) && registry.kindred(message.type);
  const bound = known && !known.protocol.stateless ? [known.protocol.binds.category] : [];
  const repeatable = message.repeatable || known?.step.repeatable;
  return {
    ...{ owner, message, traits, channel, openOf, known, outcome },
    pairwise: owner.kind === 'connection',
    dedupKey: repeatable ? undefined : shortHash(`${message.sender ?? ''} ${message.recipient ?? ''} ${message.id}`),
    categories: outcome && registry.threaded.length > 0 ? registry.threaded : bound,
  };
}

/** Runs a message to its commit. */
export async function handle(kernel: Kernel, transition: Transitions, arrival: Arrival): Promise<Outcome> {
  const { owner, message, dedupKey, known, pairwise } = arrival;
  const by = pairwise ? owner.target : undefined;
  const loads = known?.step.load?.(message, by) ?? {};
  const reads = [...readsFor(arrival, known?.step.about?.(message, by)), ...readsOf(loads)];
  let chosen: Choice | undefined;
  const choose = async (found: Found): Promise<Run<Outcome> | End<Outcome>> => {
    if (message.unasked) return dropped('2018_unknown_id', 'unknown-id');
    const around = surroundingsOf(arrival, found);
    const trust = trustOf(message, pairwise, around, kernel.now());
    const again = found.repeated && arrival.channel && trust.isPeer ? known?.step.again : undefined;
    if (found.repeated && !again) return { end: await repeat(kernel, arrival, found.repeated.answer, trust.connection?.id) };
    const next = choiceOf(kernel, arrival, trust, around);
    if (isEnd<Drop>(next)) return next;
    chosen = again ? { ...next, step: { ...next.step, step: (ctx) => ({ send: again(ctx, message) }) }, repeats: true } : next;
    return runOf(kernel, arrival, trust, chosen, found.meant(loads));
  };
  try {
    const outcome = await transition<Outcome>({ tenant: owner.tenant, reads, dedupKey, choose });
    if (isEnd<Outcome>(outcome)) return outcome.end;
    const { assembled, effects } = outcome;
    const { session: mode, acknowledged, inFlight } = effects;
    return {
      reply: assembled.reply,
      connection: chosen!.believed ? chosen!.connection : madeBy(assembled.commit.records, message.sender),
      session: dedupKey === undefined || known?.step.again ? undefined : { mode, expects: assembled.spawned },
      acknowledged,
      inFlight,
    };
  } catch (error) {
    // the answer would go to keys that are not known to be the peer's
    if (error instanceof AppError && error.code === 'wrong-state') return { drop: 'step_refused', detail: error.message };
    throw error;
  }
}

/** The records that a message may be about or come from, read in one round trip. */
function readsFor({ owner, message, pairwise, categories }: Arrival, about: Lookup | undefined): Reads {
  const { sender, thid, pthid } = message;
  const reads: (readonly [string, Lookup])[] = [];
  if (pairwise) reads.push(['connection', { category: 'connection', id: owner.target }]);
  else if (sender) {
    for (const tag of ['their_key', 'listed_key']) reads.push(['connection', { category: 'connection', tag, equals: sender }]);
    reads.push(['own thread', { category: 'connection', tag: 'thread', equals: thid }]);
  }
  for (const category of categories) {
    reads.push([`thread ${category}`, { category, tag: 'thread', equals: thid }]);
    if (pthid === undefined) continue;
    if (category !== 'connection') {
      if (pthid !== thid) reads.push([`thread ${category}`, { category, tag: 'thread', equals: pthid }]);
      continue;
    }
    // under `thread`: from before invitations had a tag of their own
    for (const tag of ['invites', 'thread']) reads.push(['invitation', { category, tag, equals: pthid }]);
  }
  if (pthid && categories.some((category) => category !== 'connection'))
    reads.push(['invited', { category: 'connection', tag: 'invitation_msg_id', equals: pthid }]);
  if (about) reads.push(['about', about]);
  return reads;
}

function surroundingsOf({ message, categories }: Arrival, found: Found): Surroundings {
  const { pthid } = message;
  return {
    connections: found.rows('connection'),
    ownThread: found.rows('own thread'),
    threads: new Map(categories.map((category) => [category, found.rows(`thread ${category}`)])),
    invitations: pthid ? found.rows('invitation').filter((row) => isOpenInvitation(row, pthid)) : [],
    invited: found.rows('invited'),
    about: found.rows('about'),
  };
}

/** The step that takes a message, and the record that it is about; or why there is none. */
function choiceOf({ registry }: Kernel, arrival: Arrival, trust: Trust, around: Surroundings): Choice | End<Drop> {
  const { message, known, outcome, pairwise, traits } = arrival;
  const choice = (protocol: Protocol, step: MessageStep, record?: LoadedRecord): Choice => {
    const anew = step.handshake === true && !pairwise;
    return { protocol, step, record, anew, believed: trust.trusted && !anew, connection: trust.connection?.id };
  };
  if (outcome) {
    if (!trust.party && !trust.connectionless) return dropped('stranger');
    const owner = ownerOf(registry, message, trust, around);
    if (owner) return choice(owner.protocol, owner.step, owner.record);
    return trust.connection ? choice(registry.protocol('notification'), strayOutcome(message)) : dropped('stranger');
  }
  if (!known) return trust.trusted ? choice(registry.protocol('notification'), refusing('message-unknown')) : dropped('stranger');
  const { step, protocol } = known;
  if (!step.handshake && !trust.trusted && !trust.connectionless) return dropped(message.sender ? 'stranger' : 'anonymous');
  const anew = step.handshake === true && !pairwise;
  if (step.grant !== undefined && !isGranted(trust.connection, step.grant))
    return trust.trusted ? choice(protocol, refusing('unauthorized')) : dropped('stranger');
  if (!known.body.check(message.body)) {
    if (!trust.trusted || anew || traits.problemTopic !== undefined) return dropped('invalid');
    return choice(protocol, { ...refusing('message-invalid'), handshake: step.handshake });
  }
  // a thread with the id of an invitation of ours would stand in its place
  if (anew && !traits.threadNamesInvitation && isInvitationsThread(protocol, message, around)) return dropped('out_of_order');
  return choice(protocol, step, subjectOf(known, message, trust, around, anew));
}

/** The transition of a chosen step. */
function runOf(kernel: Kernel, arrival: Arrival, trust: Trust, choice: Choice, loaded: Run<unknown>['loaded']): Run<Outcome> {
  const { owner, message, channel, openOf, dedupKey, pairwise, traits } = arrival;
  const { protocol, step, anew, believed } = choice;
  const { connection, connectionless } = trust;
  const ofConnection = protocol.binds.category === 'connection';
  const record = ofConnection && choice.record?.id === connection?.id ? connection : choice.record;
  // a handshake to a key that serves many is about the connection that its thread names, whoever has the key elsewhere
  const party = anew ? (ofConnection ? record : undefined) : trust.party || step.handshake ? connection : undefined;
  const open = believed && connection && channel?.socket ? openOf?.(owner.tenant, connection.id) : undefined;
  const query = believed && connection ? step.mail?.(message, open?.mode) : undefined;
  const origin: Origin = {
    dedupKey: choice.repeats ? undefined : dedupKey,
    dedupLife: step.grant === undefined ? traits.replayWindow : ORDER_REPLAY_WINDOW_MS,
    // two first messages of one thread at once want to be one record: the second finds the first's id taken, and loads again
    recordId: party && !record ? hashId(`${protocol.binds.category} ${party.id} ${message.thid}`) : undefined,
    thid: message.thid,
    returnRoute: channel ? party?.id : undefined,
    returnRouteUnconnected: channel !== undefined,
  };
  return {
    ...{ protocol, record, connection: party, loaded, origin, from: step.from, role: step.role },
    pages: step.pages?.(message, pairwise ? owner.target : undefined),
    mail: query && { mailbox: connection!.id, query, without: open?.sent },
    channel: channel && { ...channel, mode: open?.mode },
    step: (ctx) => step.step(ctx, message),
    refused: (ctx, refusal) => refused(kernel, arrival, choice, ctx, refusal.because === 'error' ? refusal.error : undefined),
    completed(effects) {
      let all = effects;
      const offeredIn = record?.connection === undefined && all.record?.connection && record?.value.oob_id;
      if (typeof offeredIn === 'string') all = takenUp(all, offeredIn, all.record!.connection!);
      if (connectionless && record && all.record)
        all = withReplyTo(all, connectionlessPeerFrom(connectionlessPeerOf(connectionless)!, message, owner.kind === 'public'));
      if (party && trust.shows !== undefined && party.id === connection?.id)
        all = withShownKey(all, kernel.registry, protocol, record, party);
      return all;
    },
  };
}

/**
 * A message that its step does not take. A known peer has a problem report, so has a sender who sealed it for a key of ours that invites; nobody else.
 * @param thrown what the step threw; undefined where the record's state or role does not allow it
 */
function refused({ log }: Kernel, arrival: Arrival, { step, believed }: Choice, ctx: StepContext, thrown: unknown): Effects | End<Drop> {
  const { message, outcome, traits, owner } = arrival;
  const error = thrown === undefined ? undefined : asAppError(thrown);
  // a step is a function of its input: one that breaks would break again, so its peer gets a report instead of a request to repeat
  if (error?.code === 'internal') log.error({ tenant: owner.tenant, type: message.type, err: thrown }, 'a step broke');
  else if (error) log.info({ tenant: owner.tenant, type: message.type, reason: error.message }, 'message refused');
  const report = !error || error.code === 'invitation-closed' ? invitationReport(arrival, step, ctx) : undefined;
  if (report) return report;
  if (!believed || outcome || traits.problemTopic !== undefined)
    return error ? dropped('step_refused', error.message) : dropped('out_of_order');
  return reporting(error ?? new AppError('wrong-state'), message.pthid);
}

/** The answer to who sealed for a key that invites, and so has the invitation: it is not open, always in the same words. */
function invitationReport({ owner, message }: Arrival, step: MessageStep, ctx: StepContext): Effects | undefined {
  if (!INVITING.has(owner.kind) || !message.sender) return undefined;
  try {
    return step.refuse?.(ctx, message);
  } catch {
    return undefined;
  }
}

/** A message that was handled before: the same answer, no second effect (rule 6). */
async function repeat(
  { count, db, now }: Kernel,
  { owner: { tenant }, channel }: Arrival,
  answer: JsonObject | undefined,
  connection: string | undefined,
): Promise<Handled> {
  count('messages_repeated');
  const mail = checkedAs<DeliverPayload[]>(answer?.mail ?? []);
  const [first] = mail;
  if (!first) return { connection };
  // a peer without an address has fetched it, or it lies in its mailbox still
  if (!first.endpoint) return { reply: channel ? { envelope: first.envelope } : undefined, connection };
  const inline = channel && !first.blockedBy;
  const again = mail.map((payload) => deliverJob(tenant, payload, inline ? now() + INLINE_GRACE_MS : undefined));
  await db.store.commit(tenant, { jobs: again });
  const { id, lane } = again[0]!;
  return { reply: inline ? { envelope: first.envelope, job: { id, lane } } : undefined, connection };
}

/** A problem report of an error, in the words that peers may have. */
const reporting = ({ row }: AppError, pthid?: string): Effects => ({
  problem: { code: row.report ?? 'request-not-accepted', text: row.peer ?? 'The message was not accepted', pthid },
});

/** A step that answers with a problem report. */
const refusing = (code: 'message-unknown' | 'message-invalid' | 'unauthorized'): MessageStep => ({
  schema: {},
  from: '*',
  step: () => reporting(new AppError(code)),
});

/** An ack or a problem report about nothing that we know: the controller has a webhook of a problem, the peer nothing. */
const strayOutcome = (message: Incoming): MessageStep => ({
  schema: {},
  from: '*',
  step: (ctx) =>
    message.name === 'ack'
      ? {}
      : { emit: [{ topic: 'problem_report', payload: { ...message.body, ...(ctx.connection && { connection_id: ctx.connection.id }) } }] },
});
