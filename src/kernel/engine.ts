import { randomBytes } from 'node:crypto';
import { newKeyPair } from '../didcomm/keys.ts';
import { AppError, asAppError, type ErrorCode, isLocked } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Lookup, MailQuery, Page, Route, StoredRecord } from '../ports/store.ts';
import type { Socket } from '../ports/transport.ts';
import { type Assembled, assemble, type InlineReply, type Origin } from './assemble.ts';
import type { Kernel } from './context.ts';
import { isInviter, isOpenInvitation, isPeer, keysInUse, pairwiseSender, sharedSender, withKey } from './identity.ts';
import { hashId, newId } from './ids.ts';
import { createIngress, type Problem2018 } from './ingress.ts';
import { type DeliverPayload, deliverJob, eventOf, inboxJob, inboxLane, shortHash, type TellPayload } from './jobs.ts';
import { lookUp, lookUpMarked } from './lookups.ts';
import { problemText, readMessage } from './message.ts';
import {
  type Channel,
  type CommandInput,
  type Effects,
  type Incoming,
  type KeptMail,
  type Load,
  type MessageStep,
  NEW,
  type Pages,
  type Protocol,
  type SessionMode,
  type Settings,
  type StepContext,
} from './protocol.ts';
import { type Exchange, type Reply, replyOf, toExchange } from './record.ts';
import type { Registry } from './registry.ts';
import { createRelay, MAX_DEPTH } from './relay.ts';

/** How often a transition that lost a race reloads and tries again. */
const ATTEMPTS = 12;
/** When mail for a locked wallet is looked at again by itself. */
const LOOK_AGAIN_MS = 60_000;
/** Problems of the 2018 Agent Protocol that a tenant's controller hears of in a minute; the others are only counted. */
const TOLD_PER_MINUTE = 60;
/** How long they are gathered. */
const TOLD_AFTER_MS = 100;
/** Ids of mail that one read passes over at most. */
const MAX_WITHOUT = 1000;

/** Where an envelope came from: whether one reply can go back on the same connection. */
export interface InboundSession {
  readonly canReply: boolean;
  /** A connection that stays open: what is kept for the peer may go on it. */
  readonly socket?: Socket;
  /**
   * We opened it, to the peer of this connection: answers to it go back without being asked for. What it hands over of others is answered elsewhere, whatever
   * they ask for: they are not at the other end.
   */
  readonly ours?: { readonly tenant: string; readonly connection: string };
  /** How a peer's mail goes on that already. */
  readonly open?: (tenant: string, box: string) => OpenSession | undefined;
  /** It comes from where mail for locked wallets is kept. */
  readonly kept?: boolean;
  /** How many forward messages it was in. */
  readonly depth?: number;
}

/**
 * The answer to an envelope. `refused` is the same for every reason that a stranger could probe; `reply` goes back on the connection, and `sent` is called
 * when it arrived.
 */
export interface Received {
  readonly refused?: string;
  readonly reply?: string;
  readonly sent?: () => Promise<void>;
  /** The connection whose mail may go back the same way, with its tenant. */
  readonly session?: MailSession;
  /** What of its mail a peer said that it has, and what is in the reply. */
  readonly taken?: MailIds;
  readonly lent?: MailIds;
  /** The same as `taken`, but nothing is written yet. */
  readonly confirmed?: MailIds;
  /** Where the sender is the peer of a connection: what it said. */
  readonly heard?: Heard;
}

/** A message of a connection's peer. */
export interface Heard {
  readonly tenant: string;
  readonly connection: string;
  readonly type: string;
  readonly thid: string;
  readonly body: JsonObject;
}

/** Some of the mail of a peer. */
export interface MailIds {
  readonly tenant: string;
  readonly box: string;
  readonly ids: readonly string[];
}

/** Whose mail may go on the connection that a message came on. */
export interface MailSession {
  readonly tenant: string;
  readonly connection: string;
  /** How, where the message asked for something else than before. */
  readonly mode?: SessionMode;
  /** Work follows that may have an answer: it is worth waiting for a moment. */
  readonly expects: boolean;
}

/** How a peer's mail goes on a socket: `sent` is what was not confirmed yet. */
export interface OpenSession {
  readonly mode: SessionMode;
  readonly sent: readonly string[];
  /** The connection as it was a moment ago, where that is known. */
  readonly connection?: Exchange;
}

/** What came of a message. */
interface Handled {
  readonly reply?: Assembled['reply'];
  readonly connection?: string;
  /** Absent where the message may be a copy that somebody else sends: its sender is then not known to be at the other end. */
  readonly session?: Omit<MailSession, 'tenant' | 'connection'>;
  readonly taken?: readonly string[];
  readonly lent?: readonly string[];
}

/** What a transition is about, loaded and checked. */
interface Subject {
  readonly record?: Exchange;
  readonly connection?: Exchange;
  readonly loaded: Record<string, StoredRecord | undefined>;
  readonly mail?: KeptMail;
  readonly channel?: Channel;
  readonly pages?: Record<string, Page<StoredRecord>>;
}

export interface Engine {
  receive(body: Uint8Array, session: InboundSession): Promise<Received>;
  /** Handles the mail that was kept while a wallet was locked. */
  unpark(tenant: string): Promise<void>;
  /** Writes the problems that controllers are still to be told of. */
  flush(): Promise<void>;
  transition(request: Transition): Promise<Assembled>;
  /** A message that this agent hands to itself (rule 5), under the connection it belongs to, or with the way to the peer of an exchange without one. */
  deliverLocally(tenant: string, tell: TellPayload, origin: Origin): Promise<void>;
}

/** One run of one step: of a command or of a result. */
export interface Transition {
  readonly tenant: string;
  readonly protocol: Protocol;
  readonly record?: { readonly category: string; readonly id: string };
  readonly about?: Lookup;
  /** Which of those that `about` finds; the first unless it says. */
  readonly among?: (rows: readonly StoredRecord[]) => StoredRecord | undefined;
  readonly connection?: string;
  readonly load?: Readonly<Record<string, Load>>;
  readonly pages?: Pages;
  /** A box: the step is to know how much is in it. */
  readonly mail?: string;
  readonly from: readonly string[] | '*';
  readonly role?: string;
  readonly origin: Origin;
  /** What a state that does not allow it means: an error for a controller, nothing for a late result. */
  readonly otherwise: 'error' | 'ignore';
  /** Where the state does not allow it any more, the call that caused it is told so. */
  readonly late?: boolean;
  readonly step: (ctx: StepContext) => Effects;
  /** A controller's command, by name: on a record that another protocol drives it is that protocol's, if it has one of the name. `routed`: it has a route. */
  readonly command?: { readonly name: string; readonly input: CommandInput; readonly routed: boolean };
}

/** The engine: the one path of messages, commands and results to a commit. */
export function createEngine(kernel: Kernel): Engine {
  const { store, jobs } = kernel.db;
  const ingress = createIngress(kernel);
  const relay = createRelay(kernel, ingress.routeOf, (body, session) => receive(body, session));
  const told = new Map<string, { minute: number; count: number }>();
  const untold: Problem2018[] = [];
  let telling: NodeJS.Timeout | undefined;
  const warned = new Set<string>();
  function warnOnce(text: string): void {
    if (!warned.has(text)) kernel.log.warn({}, text);
    warned.add(text);
  }
  const isOutcome = (message: Incoming): boolean => isOutcomeOf(kernel.registry, message);

  function contextOf(tenant: string, protocol: Protocol, settings: Settings, subject: Subject): StepContext {
    return {
      tenant,
      now: kernel.now(),
      settings,
      protocol: protocol.name,
      record: subject.record,
      connection: subject.connection,
      loaded: subject.loaded,
      mail: subject.mail,
      channel: subject.channel,
      pages: subject.pages ?? {},
      spoken: kernel.registry,
      reachable: subject.connection !== undefined || replyOf(subject.record)?.recipientKeys !== undefined,
      features: (match) => kernel.registry.features(match).filter(({ uri }) => settings.legacy !== 'off' || !uri.startsWith('urn:')),
      newId: () => newId(),
      newNonce: () => BigInt(`0x${randomBytes(10).toString('hex')}`).toString(),
      newToken: () => randomBytes(16).toString('hex'),
      newKey(seed) {
        const { verkey, secretKey } = newKeyPair(seed);
        return { verkey, write: { kid: verkey, type: 'ed25519', secret: secretKey } };
      },
    };
  }

  async function pagesOf(tenant: string, wanted: Pages = {}): Promise<Record<string, Page<StoredRecord>>> {
    const found = Object.entries(wanted).map(
      async ([name, { category, query }]) => [name, await store.find(tenant, category, query)] as const,
    );
    return Object.fromEntries(await Promise.all(found));
  }

  async function settle(assembled: Assembled, tenant: string): Promise<Assembled> {
    await store.commit(tenant, assembled.commit);
    return assembled;
  }

  // -- open, address -------------------------------------------------------------------------------------------------------------------------

  const receive = (body: Uint8Array, session: InboundSession): Promise<Received> =>
    kernel.trace.span('message receive', {}, () => receiveTraced(body, session), { kind: 'server' });

  async function receiveTraced(body: Uint8Array, session: InboundSession): Promise<Received> {
    const refuse = (reason: string): Received => {
      kernel.count(`refused_${reason}`);
      kernel.trace.note({ 'flexid.refused': reason });
      return { refused: reason };
    };
    const opened = await ingress.open(body);
    if ('refused' in opened) {
      if (opened.told) tellProblem(opened.told);
      if (opened.locked !== undefined) await park(opened.locked, body, session);
      return refuse(opened.refused);
    }
    const { route, message } = opened;
    kernel.count('messages_received', route.tenant);
    if (isRelayed(message)) {
      const refused = await relay(route.tenant, message, session);
      return refused === undefined ? {} : refuse(refused);
    }
    const confirmed = confirmedBy(route, message, session);
    if (confirmed) return { confirmed };
    await receiveCarried(message, session);
    const { ours } = session;
    const back = ours
      ? route.kind === 'connection' && route.tenant === ours.tenant && route.target === ours.connection
      : message.returnRoute;
    const channel = session.canReply && back ? { socket: session.socket?.id } : undefined;
    let outcome: Handled | string;
    try {
      const take = (): Promise<Handled | string> => handle(route, message, channel, session.open);
      outcome = await (kernel.turns?.run(route.tenant, take) ?? take());
    } catch (error) {
      if (isLocked(error)) {
        // it was locked between the two
        await park(route.tenant, body, session);
        return refuse('locked');
      }
      // as if its key had been unknown all along
      if (await kernel.profiles.gone(route.tenant, error)) return refuse('unknown_key');
      throw error;
    }
    if (typeof outcome === 'string') {
      const connection = route.kind === 'connection' ? route.target : undefined;
      const [drop, why = drop] = outcome.split(': ');
      if (message.wire === '2018')
        tellProblem({ tenant: route.tenant, reason: REASONS[drop!] ?? why!, type: message.raw.type as string, connection });
      // see `lookInVain`: what came from memory is looked up as what is not known is
      else await store.route(route.kid);
      return refuse(drop!);
    }
    const { reply, connection, taken, lent } = outcome;
    const { tenant } = route;
    const mail = { tenant, box: connection! };
    return {
      reply: reply?.envelope,
      sent: reply && (() => arrived(tenant, reply)),
      session: channel && connection !== undefined && outcome.session ? { tenant, connection, ...outcome.session } : undefined,
      taken: connection !== undefined && taken ? { ...mail, ids: taken } : undefined,
      lent: connection !== undefined && lent ? { ...mail, ids: lent } : undefined,
      heard: connection === undefined ? undefined : { tenant, connection, type: message.type, thid: message.thid, body: message.body },
    };
  }

  /** What a message confirms of the mail that goes on its own socket, where it says nothing else and comes from who has that mail. */
  function confirmedBy({ kind, tenant, target: box }: Route, message: Incoming, session: InboundSession): MailIds | undefined {
    if (kind !== 'connection' || message.wire !== undefined) return undefined;
    const known = kernel.registry.message(message.type);
    if (typeof known === 'string' || !known.step.confirms) return undefined;
    const open = session.open?.(tenant, box);
    if (open?.mode !== 'live' || !open.connection || !isPeer(open.connection, message.sender, kernel.now())) return undefined;
    return known.body.check(message.body) ? { tenant, box, ids: known.step.confirms(message) } : undefined;
  }

  /** Receives the envelopes that a message brings. @throws AppError where one must come again later, and so must all */
  async function receiveCarried(message: Incoming, session: InboundSession): Promise<void> {
    const known = message.wire === undefined ? kernel.registry.message(message.type) : 'unknown-type';
    const depth = (session.depth ?? 0) + 1;
    if (typeof known === 'string' || !known.step.carries || !known.body.check(message.body) || depth > MAX_DEPTH) return;
    for (const envelope of known.step.carries(message)) {
      try {
        await receive(Buffer.from(envelope), { canReply: false, kept: session.kept, depth });
      } catch (thrown) {
        const error = asAppError(thrown);
        if (error.row.retry) throw error;
        kernel.log.error({ err: error.cause ?? error }, 'a message that was fetched could not be handled');
      }
    }
  }

  function isRelayed({ type, wire }: Incoming): boolean {
    const known = wire === undefined ? kernel.registry.message(type) : 'unknown-type';
    return typeof known !== 'string' && known.protocol.relayed === true;
  }

  async function arrived(tenant: string, { job, kept }: InlineReply): Promise<void> {
    if (job !== undefined) await jobs.drop(tenant, [job]);
    if (kept) await store.commit(tenant, { taken: [{ box: kept.box, ids: [kept.id] }] });
  }

  /** Keeps an envelope for a locked wallet, as it came. @throws AppError `wallet-locked` where it was kept before, so that it stays where it is */
  async function park(tenant: string, body: Uint8Array, session: InboundSession): Promise<void> {
    if (session.kept) throw new AppError('wallet-locked');
    await store.commit(kernel.base, { jobs: [inboxJob(tenant, body, kernel.now() + LOOK_AGAIN_MS)] });
  }

  /** Handles what was kept for a wallet, now that it is open. */
  async function unpark(tenant: string): Promise<void> {
    for (;;) {
      const [lane] = await jobs.claim({ owner: newId(), lanes: 1, perLane: 16, leaseMs: 60_000, lane: inboxLane(tenant) });
      if (!lane || lane.jobs.length === 0) return;
      for (const { payload } of lane.jobs) await receive(Buffer.from(String(payload.body), 'base64'), { canReply: false, kept: true });
      await jobs.settle([{ lane: lane.lane, lease: lane.lease, done: lane.jobs.map(({ id }) => id) }]);
    }
  }

  /**
   * What was wrong with a message of the 2018 Agent Protocol, for its tenant's controller: within bounds, since any stranger can cause it. It is written a moment
   * later, with others: were it written before the answer, how long that took would tell a stranger whose bounds are reached, and so whether he hit anybody.
   */
  function tellProblem(problem: Problem2018): void {
    const { tenant } = problem;
    const minute = Math.floor(kernel.now() / 60_000);
    const count = told.get(tenant)?.minute === minute ? told.get(tenant)!.count + 1 : 1;
    told.set(tenant, { minute, count });
    if (count > TOLD_PER_MINUTE) return;
    untold.push(problem);
    telling ??= setTimeout(() => void flush(), TOLD_AFTER_MS);
  }

  async function flush(): Promise<void> {
    clearTimeout(telling);
    telling = undefined;
    for (const [tenant, problems] of Map.groupBy(untold.splice(0), (one) => one.tenant)) {
      try {
        const { webhooks } = await kernel.profiles.of(tenant);
        const all = problems.map(({ reason, type, connection }) => {
          const payload: JsonObject = {
            reason,
            ...(type === undefined ? {} : { type }),
            ...(connection === undefined ? {} : { connection_id: connection }),
          };
          return eventOf(tenant, webhooks, 'legacy_problem', connection ?? newId(), payload);
        });
        await store.commit(tenant, { events: all.flatMap(({ events = [] }) => events), jobs: all.flatMap(({ jobs = [] }) => jobs) });
      } catch (error) {
        kernel.log.warn({ tenant, err: error, count: problems.length }, 'problems of messages could not be told');
      }
    }
  }

  // -- match, check, load, step, seal, commit ---------------------------------------------------------------------------------------------------

  /** Runs a message to its commit; a text says why it was dropped, for the counters only. */
  async function handle(
    route: Route,
    message: Incoming,
    channel: Channel | undefined,
    openOf: InboundSession['open'],
  ): Promise<Handled | string> {
    const { tenant } = route;
    const found = kernel.registry.message(message.type);
    const known = typeof found === 'string' ? undefined : found;
    const unmarked = message.unmarked || known?.step.unmarked;
    const mark = unmarked ? undefined : shortHash(`${message.sender ?? ''} ${message.recipient ?? ''} ${message.id}`);
    // our own names alone: a type that nobody knows is a stranger's text
    kernel.trace.note({ 'flexid.tenant': tenant, 'flexid.protocol': known?.protocol.name, 'flexid.message': known?.name });
    const outcome = isOutcome(message) ? kernel.registry.threaded : [];
    const names: string[] = [];
    const lookups: Load[] = [];
    const ask = (name: string, lookup: Load): void => {
      names.push(name);
      lookups.push(lookup);
    };
    const pairwise = route.kind === 'connection';
    if (pairwise) ask('connection', { category: 'connection', id: route.target });
    else if (message.sender) {
      for (const tag of ['their_key', 'listed_key']) ask('connection', { category: 'connection', tag, equals: message.sender });
      ask('own thread', { category: 'connection', tag: 'thread', equals: message.thid });
    }
    const threads = new Set([message.thid, ...(message.pthid ? [message.pthid] : [])]);
    const categories = known && !known.protocol.stateless && outcome.length === 0 ? [known.protocol.binds.category] : outcome;
    for (const category of categories) {
      if (category === 'connection') {
        ask('thread connection', { category, tag: 'thread', equals: message.thid });
        // under `thread`: from before invitations had a tag of their own
        for (const tag of message.pthid ? ['invites', 'thread'] : []) ask('invitation', { category, tag, equals: message.pthid! });
      } else for (const thread of threads) ask(`thread ${category}`, { category, tag: 'thread', equals: thread });
    }
    if (message.pthid && categories.some((category) => category !== 'connection'))
      ask('invited', { category: 'connection', tag: 'invitation_msg_id', equals: message.pthid });
    const by = pairwise ? route.target : undefined;
    const about = known?.step.about?.(message, by);
    if (about) ask('about', about);
    for (const [name, lookup] of Object.entries(known?.step.load?.(message, by) ?? {})) ask(`load ${name}`, lookup);

    const profile = await kernel.profiles.of(tenant);
    for (let attempt = 1; ; attempt++) {
      const { mark: seen, records } =
        mark === undefined
          ? { mark: undefined, records: await lookUp(store, tenant, lookups) }
          : await lookUpMarked(store, tenant, mark, lookups);
      if (message.unasked) return '2018_unknown_id: unknown-id';
      const rows = (name: string): StoredRecord[] => records.filter((_, index) => names[index] === name).flat();
      const found = pairwise
        ? rows('connection')[0] && pairwiseSender(toExchange(rows('connection')[0]!), message.sender)
        : sharedSender(
            rows('connection'),
            [...rows('own thread'), ...categories.flatMap((one) => rows(`thread ${one}`))],
            message,
            kernel.now(),
          );
      // a key that shows itself here is written with whatever the message does
      const connection = found && withKey(found);
      const isKnownPeer = connection !== undefined && isPeer(connection, message.sender, kernel.now());
      const again = seen && channel && isKnownPeer ? known?.step.again : undefined;
      if (seen && !again) return repeat(tenant, seen.answer, connection?.id, channel);

      const direct = connection
        ? undefined
        : categories.flatMap((category) => rows(`thread ${category}`).map(toExchange)).find((one) => isDirect(one, message));
      // whom nobody knows yet is listened to, and hears nothing of what it did wrong
      const nameless = direct !== undefined && replyOf(direct)?.recipientKeys === undefined;
      const trusted = direct ? !nameless : isKnownPeer;
      const heard = trusted || (connection !== undefined && isInviter(connection, message.sender));
      // who sealed for a key that invites has the invitation: it is told that this is not open, always in the same words
      const refusalOf = (step: MessageStep, ctx: StepContext): Effects | undefined => {
        if (!INVITING.has(route.kind) || !message.sender) return undefined;
        try {
          return step.refuse?.(ctx, message);
        } catch {
          return undefined;
        }
      };
      const request = (protocol: Protocol, step: MessageStep, record: Exchange | undefined): Promise<Handled | string> =>
        kernel.trace.span('transition', described(tenant, protocol, record?.state), () => perform(protocol, step, record));
      const perform = async (protocol: Protocol, step: MessageStep, bound: Exchange | undefined): Promise<Handled | string> => {
        const ofConnection = protocol.binds.category === 'connection';
        const record = ofConnection && bound?.id === connection?.id ? connection : bound;
        // a handshake to a key that serves many is about what its thread names, whoever has the key elsewhere
        const anew = step.handshake === true && !pairwise;
        const party = anew ? (ofConnection ? record : undefined) : heard || step.handshake ? connection : undefined;
        const believed = trusted && !anew;
        const loaded = Object.fromEntries(
          names.flatMap((name, i) => (name.startsWith('load ') ? [[name.slice(5), meant(lookups[i]!, records[i]!)]] : [])),
        );
        const open = believed && connection && channel?.socket ? openOf?.(tenant, connection.id) : undefined;
        const asked = believed && connection ? step.mail?.(message, open?.mode) : undefined;
        const mail = asked && (await mailFor(tenant, connection!.id, asked, open?.sent));
        const pages = await pagesOf(tenant, step.pages?.(message, by));
        const subject: Subject = {
          record,
          connection: party,
          loaded,
          pages,
          mail,
          channel: channel && { ...channel, mode: open?.mode },
        };
        const ctx = contextOf(tenant, protocol, profile.settings, subject);
        let effects: Effects;
        const state = record ? (record.state ?? '') : NEW;
        const misplaced = !step.from.includes(state) || (record && step.role && record.role !== step.role) || isForeign(protocol, record);
        if (step.from !== '*' && misplaced) {
          const refusal = refusalOf(step, ctx);
          if (!refusal && (!believed || isOutcome(message) || message.wire)) return 'out_of_order';
          effects = refusal ?? unexpected('wrong-state', message.pthid);
        } else {
          try {
            effects = again ? { send: again(ctx, message) } : step.step(ctx, message);
          } catch (error) {
            // a step is a function of what was loaded: one that breaks would break again, so its peer is told instead of asked to repeat
            const { code, row, message: reason } = asAppError(error);
            if (code === 'internal') kernel.log.error({ tenant, type: message.type, err: error }, 'a step broke');
            else kernel.log.info({ tenant, type: message.type, reason }, 'message refused');
            const refusal = code === 'invitation-closed' ? refusalOf(step, ctx) : undefined;
            if (!refusal && (!believed || isOutcome(message) || message.wire)) return `step_refused: ${reason}`;
            effects = refusal ?? {
              problem: {
                code: row.report ?? 'request-not-accepted',
                text: row.peer ?? 'The message was not accepted',
                pthid: message.pthid,
              },
            };
          }
        }
        const offeredIn = record?.connection === undefined && effects.record?.connection && record?.value.oob_id;
        if (typeof offeredIn === 'string') effects = takenUp(effects, offeredIn, effects.record!.connection!);
        if (direct && record && effects.record) effects = withReply(effects, replyFrom(replyOf(direct)!, message, route.kind === 'public'));
        if (party && found?.shows !== undefined && party.id === connection?.id)
          effects = withConnection(effects, kernel.registry, protocol, record, party);
        const origin: Origin = {
          mark: again ? undefined : mark,
          lasting: message.wire === '2018',
          // two first messages of one thread at once want to be one record: the second finds the first's id taken, and loads again
          recordId: party && !record ? hashId(`${protocol.binds.category} ${party.id} ${message.thid}`) : undefined,
          thid: message.thid,
          replyTo: channel ? party?.id : undefined,
          replies: channel !== undefined,
        };
        const assembled = await settle(await assemble(kernel, profile, protocol, ctx, effects, origin), tenant);
        const { session: mode, taken, lent } = effects;
        return {
          reply: assembled.reply,
          connection: believed ? connection?.id : madeBy(assembled.commit, message.sender),
          session: mark === undefined || step.again ? undefined : { mode, expects: assembled.spawned },
          taken,
          lent,
        };
      };

      try {
        if (isOutcome(message)) {
          if (!heard && !direct) return 'stranger';
          const owner = ownerOf(rows, message, connection, direct);
          if (!owner && !connection) return 'stranger';
          if (owner) return await request(owner.protocol, owner.step, owner.record);
          return await request(kernel.registry.protocol('notification'), strayOutcome(message), undefined);
        }
        if (!known) {
          if (!trusted) return 'stranger';
          return await request(
            kernel.registry.protocol('notification'),
            { schema: {}, from: '*', step: () => unexpected('message-unknown') },
            undefined,
          );
        }
        const { step, protocol } = known;
        if (!step.handshake && !trusted && !direct) return message.sender ? 'stranger' : 'anonymous';
        if (!known.body.check(message.body)) {
          if (!trusted || (step.handshake && !pairwise) || message.wire) return 'invalid';
          return await request(protocol, { ...step, from: '*', step: () => unexpected('message-invalid') }, undefined);
        }
        const anew = step.handshake === true && !pairwise;
        const invitations = rows('invitation').filter((row) => isOpenInvitation(row, message.pthid!));
        const ofThread = rows(`thread ${protocol.binds.category}`);
        // whose thread has the id of an invitation of ours would stand in its place
        if (anew && !message.wire && ofThread.some((row) => isOpenInvitation(row, message.thid))) return 'out_of_order';
        const fits = (one: Exchange): boolean => expects(protocol, step, one);
        const record = protocol.stateless
          ? connection
          : (direct ??
            threadRecord([...invitations, ...ofThread, ...rows('about')], message, connection, { anew, fits, invited: rows('invited') }));
        return await request(protocol, step, record);
      } catch (error) {
        // the answer would go to keys that are not known to be the peer's
        if (error instanceof AppError && error.code === 'wrong-state') return `step_refused: ${error.message}`;
        if (!(error instanceof AppError) || error.code !== 'conflict' || attempt >= ATTEMPTS) throw error;
        await pause(attempt);
      }
    }
  }

  /** A message that was handled before: the same answer, no second effect (rule 6). */
  async function repeat(
    tenant: string,
    answer: JsonObject | undefined,
    connection: string | undefined,
    channel: Channel | undefined,
  ): Promise<Handled> {
    kernel.count('messages_repeated');
    const mail = (answer?.mail ?? []) as unknown as DeliverPayload[];
    const [first] = mail;
    if (!first) return { connection };
    // who has no address has fetched it, or it is kept for it still
    if (!first.endpoint) return { reply: channel ? { envelope: first.envelope } : undefined, connection };
    const inline = channel && !first.awaits;
    const again = mail.map((payload) => deliverJob(tenant, payload, inline ? kernel.now() + 10_000 : undefined));
    await store.commit(tenant, { jobs: again });
    return { reply: inline ? { envelope: first.envelope, job: again[0]!.id } : undefined, connection };
  }

  async function mailFor(tenant: string, box: string, query: MailQuery, sent: readonly string[] = []): Promise<KeptMail> {
    const without = [...(query.without ?? []), ...sent].slice(0, MAX_WITHOUT);
    const [messages, status] = await Promise.all([
      query.limit > 0 ? store.mail(tenant, box, { ...query, without }) : [],
      store.mailbox(tenant, box, query.recipient),
    ]);
    return { messages, status };
  }

  function ownerOf(
    rows: (name: string) => StoredRecord[],
    message: Incoming,
    connection: Exchange | undefined,
    direct: Exchange | undefined,
  ): { protocol: Protocol; step: MessageStep; record: Exchange } | undefined {
    const owners = kernel.registry.threaded.flatMap((category) => {
      const of = rows(`thread ${category}`);
      const record = direct
        ? of.map(toExchange).find((one) => one.id === direct.id)
        : threadRecord(of, message, connection, { invited: rows('invited') });
      const protocol = record && kernel.registry.owner(category, record.value);
      const step = message.name === 'ack' ? protocol?.acked : (protocol?.problem ?? TROUBLED);
      return record && protocol && step ? [{ protocol, step, record }] : [];
    });
    // an invitation and what it offered may both be named: it is about the one that waits for it
    return owners.find(({ protocol, step, record }) => expects(protocol, step, record)) ?? owners[0];
  }

  /** The command as the protocol that drives the record has it: controllers accept requests of every handshake by the same routes. */
  function ofOwner(request: Transition, record: Exchange | undefined): Transition {
    if (!request.command || !isForeign(request.protocol, record)) return request;
    const { name, input } = request.command;
    const known = kernel.registry.commandOf(kernel.registry.owner(request.protocol.binds.category, record!.value), name);
    if (!known) return request;
    const { protocol, step } = known;
    const load = step.load?.(input, record!.id, undefined, kernel.registry);
    return { ...request, protocol, load, from: step.from, role: step.role, step: (ctx) => step.step(ctx, input) };
  }

  const transition = (given: Transition): Promise<Assembled> => {
    const attributes = { ...described(given.tenant, given.protocol), 'flexid.command': given.command?.name };
    return kernel.trace.span('transition', attributes, () => transitionTraced(given));
  };

  async function transitionTraced(given: Transition): Promise<Assembled> {
    let request = given;
    const { tenant } = request;
    const profile = await kernel.profiles.of(tenant);
    for (let attempt = 1; ; attempt++) {
      const names: string[] = [];
      const lookups: Load[] = [];
      const ask = (name: string, lookup: Load | undefined): void => {
        if (!lookup) return;
        names.push(name);
        lookups.push(lookup);
      };
      ask('record', request.record ?? request.about);
      ask('connection', request.connection ? { category: 'connection', id: request.connection } : undefined);
      for (const [name, lookup] of Object.entries(request.load ?? {})) ask(`load ${name}`, lookup);
      const records = await lookUp(store, tenant, lookups);
      const first = (name: string): StoredRecord | undefined => records[names.indexOf(name)]?.[0];
      const candidates = names.includes('record') ? (records[names.indexOf('record')] ?? []) : [];
      // of several under one name it is that of the connection which is named
      const row = request.among
        ? request.among(candidates)
        : (candidates.find((one) => request.connection !== undefined && one.connection === request.connection) ?? candidates[0]);
      const record = row && toExchange(row);
      request = ofOwner(given, record);
      const { protocol } = request;
      let connection = names.includes('connection') ? first('connection') : undefined;
      if (request.connection && !connection) throw new AppError('not-found', `Connection ${request.connection} not found`);
      if (!connection && record?.connection)
        connection = (await store.load(tenant, [{ category: 'connection', id: record.connection }]))[0]?.[0];
      if (!connection && record && protocol.binds.category === 'connection') connection = row;

      const state = record ? (record.state ?? '') : NEW;
      const roleFits = !record || !request.role || record.role === request.role;
      const allowed = request.from === '*' || (request.from.includes(state) && roleFits && !isForeign(protocol, record));
      if (!allowed || ((request.record || request.about) && !record && request.from === '*')) {
        if (request.otherwise === 'ignore') {
          const { job, deletes, cause } = request.origin;
          const failure = overtaken(request, record) ?? request.origin.failure;
          const commit = { done: job ? [job] : undefined, deletes, failures: cause && failure ? [{ cause, ...failure }] : undefined };
          await store.commit(tenant, commit);
          return { commit, answer: {}, spawned: false };
        }
        if (!record) throw new AppError('not-found', missing(request));
        throw new AppError('wrong-state', wrongState(protocol, record, request));
      }
      // what the command would tell, nobody could hear
      if (request.command?.routed && record?.connection && !connection && record.value.thread_id !== undefined)
        throw new AppError('bad-request', `Connection ${record.connection} not found: it was deleted`);
      // what the command of another protocol reads is known only now
      const others = request === given ? [] : Object.entries(request.load ?? {});
      const theirs = await lookUp(
        store,
        tenant,
        others.map(([, lookup]) => lookup),
      );
      const loaded = Object.fromEntries([
        ...names.flatMap((name, i) => (name.startsWith('load ') ? [[name.slice(5), meant(lookups[i]!, records[i]!)]] : [])),
        ...others.map(([name, lookup], i) => [name, meant(lookup, theirs[i] ?? [])]),
      ]);
      const pages = await pagesOf(tenant, request.pages);
      const mail = request.mail === undefined ? undefined : await mailFor(tenant, request.mail, { limit: 0 });
      const subject: Subject = { record, connection: connection && toExchange(connection), loaded, pages, mail };
      const ctx = contextOf(tenant, protocol, profile.settings, subject);
      const thid = record && 'thread_id' in record.value ? (record.value.thread_id as string | undefined) : undefined;
      try {
        const effects = request.step(ctx);
        if (effects.warn !== undefined) warnOnce(effects.warn);
        return await settle(await assemble(kernel, profile, protocol, ctx, effects, { thid, ...request.origin }), tenant);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'conflict' || attempt >= ATTEMPTS) throw error;
        await pause(attempt);
      }
    }
  }

  async function deliverLocally(tenant: string, tell: TellPayload, origin: Origin): Promise<void> {
    const { connection, reply, message: json } = tell;
    const message = readMessage(json);
    const known = kernel.registry.message(message.type);
    if (typeof known === 'string') throw new AppError('message-unknown', `no protocol takes ${message.type}`);
    if (!known.body.check(message.body)) throw new AppError('message-invalid', `the attached ${known.name} does not match its schema`);
    await transition({
      tenant,
      protocol: known.protocol,
      about: { category: known.protocol.binds.category, tag: 'thread', equals: message.thid },
      connection,
      load: known.step.load?.(message, connection),
      // whoever wrote it must not reach an exchange that another peer has, nor be kept from his own by one; and unless that was decided before, it only begins one
      among: (rows) => rows.find((row) => (reply ? replyOf(toExchange(row))?.key === reply.key : row.connection === connection)),
      role: tell.continues ? known.step.role : undefined,
      from: tell.continues ? known.step.from : known.step.from === '*' || known.step.from.includes(NEW) ? [NEW] : [],
      origin: { ...origin, thid: message.thid },
      otherwise: 'ignore',
      step(ctx) {
        const effects = known.step.step(ctx, message);
        return reply ? withReply(effects, reply) : effects;
      },
    });
  }

  return { receive, unpark, flush, transition, deliverLocally };
}

/** The record that a lookup means. */
const meant = ({ among }: Load, rows: readonly StoredRecord[]): StoredRecord | undefined => (among ? rows.find(among) : rows[0]);

/** A transition as a trace shows it. */
const described = (tenant: string, { name, binds }: Protocol, state?: string) => ({
  'flexid.tenant': tenant,
  'flexid.protocol': name,
  'flexid.record': binds.category,
  'flexid.state': state,
});

/** Kinds of keys of ours that are told to whoever is invited. */
const INVITING: ReadonlySet<string> = new Set(['invitation', 'public']);

/** Why a message was dropped, as its controller is told. */
const REASONS: Readonly<Record<string, string>> = {
  out_of_order: 'out-of-order',
  stranger: 'sender-mismatch',
  anonymous: 'sender-mismatch',
  invalid: 'malformed',
};

/** Whether a message is an ack or a problem report, of whatever family, under a prefix that is spoken here. */
const isOutcomeOf = (registry: Registry, { wire, name, type }: Incoming): boolean =>
  wire === undefined && (name === 'ack' || name === 'problem-report' || name === 'problem_report') && registry.kindred(type);

/** Whether a message answers an exchange without a connection: to its own key, by its peer, or by the first who does. */
function isDirect(record: Exchange, message: Incoming): boolean {
  const reply = replyOf(record);
  if (!reply || !message.sender || message.recipient !== reply.key) return false;
  return reply.recipientKeys === undefined || reply.recipientKeys.includes(message.sender);
}

/** The connection that a handshake message has made or moved, whose peer sealed it: its answer may go back as that of any other. */
const madeBy = ({ records = [] }: Assembled['commit'], sender: string | undefined): string | undefined =>
  sender === undefined
    ? undefined
    : records.find(({ category, value }) => category === 'connection' && keysInUse(value).includes(sender))?.id;

/**
 * The way to the peer after its message: by the service that it tells; else under the key that sealed it, as mail that it fetches. Where our key is a shared
 * DID's, nothing is sealed for a key that only the service lists: its holder may know ours from elsewhere.
 */
const replyFrom = (known: Reply, message: Incoming, shared: boolean): Reply =>
  message.service
    ? {
        key: known.key,
        own: known.own,
        ...message.service,
        recipientKeys: [...new Set([...(shared ? [] : message.service.recipientKeys), message.sender!])],
      }
    : { ...known, recipientKeys: known.recipientKeys ?? [message.sender!] };

const withReply = (effects: Effects, reply: Reply): Effects => ({
  ...effects,
  record: effects.record && { ...effects.record, patch: { ...effects.record.patch, reply } },
});

/** The effects of a message whose sender has shown a key by it: its connection keeps that, where the step does not write it anyway. */
function withConnection(
  effects: Effects,
  registry: Registry,
  protocol: Protocol,
  record: Exchange | undefined,
  connection: Exchange,
): Effects {
  const { others = [] } = effects;
  const bound = protocol.binds.category === 'connection' && record?.id === connection.id;
  if ((bound && effects.record) || others.some(({ def, base }) => def.category === 'connection' && base?.id === connection.id))
    return effects;
  return { ...effects, others: [...others, { def: registry.records.get('connection')!, base: connection, silent: true }] };
}

/** What an invitation offered belongs to a connection from now on: the invitation is done. */
const takenUp = (effects: Effects, id: string, connection: string): Effects => ({
  ...effects,
  next: [
    ...(effects.next ?? []),
    { protocol: 'out-of-band', command: 'taken', record: { category: 'oob_record', id }, input: { connection } },
  ],
});

/**
 * The exchange of a thread: by its connection; or, where it was offered in an invitation and belongs to nobody yet, by the invitation's id as parent thread.
 * A connection is its own: only a handshake to a key that serves many may name another. Of several it is the one that `fits`.
 */
function threadRecord(
  rows: readonly StoredRecord[],
  message: Incoming,
  connection: Exchange | undefined,
  { anew = false, fits = () => true, invited }: { anew?: boolean; fits?: (one: Exchange) => boolean; invited: readonly StoredRecord[] },
): Exchange | undefined {
  // what an invitation offered is for who came by it, once somebody has
  const guest = invited.find((row) => row.role === 'invitee' && row.value.request_id !== undefined);
  const own = (one: Exchange, category: string): boolean => {
    if (category === 'connection') return anew || one.id === connection?.id;
    if (!connection || one.connection === connection.id) return connection !== undefined;
    const free = one.connection === undefined && isOfInvitation(one, message.pthid ?? cameBy(connection));
    return free && (category === 'oob_record' || guest === undefined || guest.id === connection.id);
  };
  const eligible = rows.filter((row) => own(toExchange(row), row.category)).map((row) => toExchange(row));
  return eligible.find(fits) ?? eligible[0];
}

/** ACA-Py's problem report about what an invitation offered names no parent thread: then the connection says which invitation it came by. */
const cameBy = (connection: Exchange): string | undefined => connection.value.invitation_msg_id as string | undefined;

/** Whether a record that belongs to no connection yet was offered in the invitation of this id, or is that invitation. */
const isOfInvitation = (record: Exchange, pthid: string | undefined): boolean =>
  pthid !== undefined && (record.value.parent_thread_id === pthid || record.value.invi_msg_id === pthid);

function unexpected(code: ErrorCode, pthid?: string): Effects {
  const { row } = new AppError(code);
  return { problem: { code: row.report ?? 'request-not-accepted', text: row.peer ?? 'The message was not accepted', pthid } };
}

/** A problem report to an exchange whose protocol knows no end but the good one: its controller reads it in the record, and hears of it. */
const TROUBLED: MessageStep = {
  schema: {},
  from: '*',
  step: (ctx, message) => ({
    record: { patch: { error_msg: problemText(message) } },
    emit: [{ topic: 'problem_report', payload: { ...message.body, connection_id: ctx.connection?.id as Json } }],
  }),
};

/** An ack or a problem report about nothing that we know: the controller hears of a problem, the peer hears nothing. */
function strayOutcome(message: Incoming): MessageStep {
  return {
    schema: {},
    from: '*',
    step: (ctx) =>
      message.name === 'ack'
        ? {}
        : { emit: [{ topic: 'problem_report', payload: { ...message.body, connection_id: ctx.connection?.id as Json } }] },
  };
}

/** Whether a step takes its message for a record in this state and role. */
const expects = (protocol: Protocol, { from, role }: MessageStep, record: Exchange): boolean =>
  from === '*' || (from.includes(record.state ?? '') && (!role || record.role === role) && !isForeign(protocol, record));

/** Whether another protocol drives the record: two may bind one kind, and the first message says which of them it is. */
const isForeign = (protocol: Protocol, record: Exchange | undefined): boolean =>
  !protocol.stateless && typeof record?.value.protocol === 'string' && record.value.protocol !== protocol.name;

const missing = ({ protocol: { binds }, record }: Transition): string =>
  binds.admin?.notFound ?? `Record not found: ${binds.category}/${record?.id}`;

/** What the call hears whose work came too late: another was quicker, and the record went on, or is gone. */
function overtaken(request: Transition, record: Exchange | undefined): Origin['failure'] {
  if (!request.late) return undefined;
  return record
    ? { code: 'wrong-state', text: wrongState(request.protocol, record, request) }
    : { code: 'not-found', text: missing(request) };
}

function wrongState(protocol: Protocol, record: Exchange, request: Transition): string {
  if (isForeign(protocol, record)) return `${label(protocol)} ${record.id} is of protocol ${record.value.protocol}, not ${protocol.name}`;
  if (request.role && record.role !== request.role)
    return `${label(protocol)} ${record.id} role is ${record.role}, must be ${request.role}`;
  return `${label(protocol)} ${record.id} in ${record.state} state (must be ${(request.from as readonly string[]).filter((s) => s !== NEW).join(' or ')})`;
}

const label = (protocol: Protocol): string => protocol.binds.label ?? 'Record';

const pause = (attempt: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** Math.min(attempt, 6)));
