import { asAppError, isLocked } from '../errors.ts';
import type { KeyOwner } from '../ports/store.ts';
import type { InlineReply } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import { deferForLockedWallet } from './deferred-inbox.ts';
import { type CreateRelay, MAX_FORWARD_DEPTH } from './forwarding.ts';
import { isPeer } from './identity.ts';
import type { MessageFormat, Opened, PassedOn, Refusal } from './message-format.ts';
import { type Arrival, arrivalOf, type Drop, type Handled, handle } from './message-transition.ts';
import type { Channel, Incoming } from './protocol.ts';
import type { InboundSession, MailIds, Received } from './received.ts';
import type { KnownMessage } from './registry.ts';
import type { Transitions } from './transition.ts';

/** Receives an envelope: open, address, match, and through the one loop to a commit. */
export type Receive = (body: Uint8Array, session: InboundSession) => Promise<Received>;

export function createInbound(kernel: Kernel, transition: Transitions, createRelay: CreateRelay): Receive {
  const relay = createRelay(kernel, kernel.keyOwners.of, (body, session) => receive(body, session));

  const refuse = (reason: string): Received => {
    kernel.count(`refused_${reason}`);
    kernel.trace.note({ 'flexid.refused': reason });
    return { refused: reason };
  };

  async function receiveTraced(body: Uint8Array, session: InboundSession): Promise<Received> {
    const { format, opened } = await open(kernel.messageFormats, body);
    if ('refused' in opened) {
      if (opened.locked !== undefined) await deferForLockedWallet(kernel, opened.locked, body, session);
      return refuse(opened.refused);
    }
    if ('passOn' in opened) {
      const refused = await relay.passOn(opened.passOn);
      return refused === undefined ? {} : refuse(refused);
    }
    return await receiveOpened(format!, opened, body, session);
  }

  async function receiveOpened(format: MessageFormat, opened: Opened, body: Uint8Array, session: InboundSession): Promise<Received> {
    const { owner, message } = opened;
    kernel.count('messages_received', owner.tenant);
    if (await isSuspended(kernel, owner.tenant)) {
      await deferForLockedWallet(kernel, owner.tenant, body, session);
      return refuse('suspended');
    }
    const known = format.traits.didcomm ? kernel.registry.message(message.type) : 'unknown-type';
    if (typeof known !== 'string') {
      if (known.protocol.relayed) {
        const refused = await relay.forward(owner.tenant, message, session);
        return refused === undefined ? {} : refuse(refused);
      }
      const confirmed = confirmedBy(kernel, owner, message, known, session);
      if (confirmed) return { acknowledging: confirmed };
      if (known.step.carriesInside) return await receiveInside(opened, known, body, session);
      await receiveCarried(message, known, session);
    }
    const arrival = arrivalOf(kernel, opened, format.traits, channelOf(owner, message, session), session.open);
    let outcome: Handled | Drop;
    try {
      const take = (): Promise<Handled | Drop> => handle(kernel, transition, arrival);
      outcome = await (kernel.tenantLimiter?.run(owner.tenant, take) ?? take());
    } catch (error) {
      if (isLocked(error)) {
        // it was locked between the two
        await deferForLockedWallet(kernel, owner.tenant, body, session);
        return refuse('locked');
      }
      // as if its key had been unknown all along
      if (await kernel.profiles.isTenantDeleted(owner.tenant, error)) return refuse('unknown_key');
      throw error;
    }
    if (!('drop' in outcome)) return answerTo(kernel, arrival, outcome);
    const { drop: reason, detail = reason } = outcome;
    if (format.dropped) format.dropped({ owner, message, reason, detail });
    // a known key costs the look-up that an unknown one costs
    else await kernel.db.store.keyOwner(owner.kid);
    return refuse(reason);
  }

  /** Receives the envelopes that a message brings. @throws AppError where one must come again later, and so must all */
  async function receiveCarried(message: Incoming, { step, body }: KnownMessage, session: InboundSession): Promise<void> {
    const depth = (session.depth ?? 0) + 1;
    if (!step.carries || !body.check(message.body) || depth > MAX_FORWARD_DEPTH) return;
    for (const envelope of step.carries(message)) {
      try {
        await receive(Buffer.from(envelope), { canReply: false, kept: session.kept, depth });
      } catch (thrown) {
        const error = asAppError(thrown);
        if (error.row.retry) throw error;
        kernel.log.error({ err: error.cause ?? error }, 'a message that was fetched could not be handled');
      }
    }
  }

  /** A message that an agency has passed on to one of our devices: it comes under the key of the connection with the agency, which only that knows. */
  async function receiveInside({ owner, message }: Opened, { step, body: check }: KnownMessage, body: Uint8Array, session: InboundSession) {
    const format = kernel.messageFormats.find(({ openInside }) => openInside !== undefined);
    if (!format?.openInside || owner.kind !== 'connection' || !check.check(message.body)) return refuse('inside_invalid');
    const { settings } = await kernel.profiles.of(owner.tenant);
    const { cloudAgent } = settings;
    if (cloudAgent?.tenant !== owner.tenant || cloudAgent.connection !== owner.target) return refuse('inside_invalid');
    const opened = await format.openInside(step.carriesInside!(message));
    if (!('refused' in opened)) return await receiveOpened(format, opened, body, { canReply: false, kept: session.kept });
    if (opened.locked !== undefined) await deferForLockedWallet(kernel, opened.locked, body, session);
    return refuse(opened.refused);
  }

  const receive: Receive = (body, session) =>
    kernel.trace.span('message receive', {}, () => receiveTraced(body, session), { kind: 'server' });
  return receive;
}

/** Whether mail for a tenant waits until its operator resumes it; one that is not there is found out on the way. */
async function isSuspended({ profiles, base }: Kernel, tenant: string): Promise<boolean> {
  if (tenant === base) return false;
  try {
    return (await profiles.of(tenant)).suspended === true;
  } catch (error) {
    if (asAppError(error).code === 'not-found') return false;
    throw error;
  }
}

/** Asks each message format in turn. */
async function open(
  formats: readonly MessageFormat[],
  body: Uint8Array,
): Promise<{ format?: MessageFormat; opened: Opened | PassedOn | Refusal }> {
  for (const format of formats) {
    const opened = await format.open(body);
    if (opened !== 'not-mine') return { format, opened };
  }
  return { opened: { refused: 'envelope' } };
}

/** The way back on the connection that a message came on, where it asks for that (RFC 0092), or where the connection is ours and leads to its sender. */
function channelOf(owner: KeyOwner, message: Incoming, { canReply, outbound, socket }: InboundSession): Channel | undefined {
  const back = outbound
    ? owner.kind === 'connection' && owner.tenant === outbound.tenant && owner.target === outbound.connection
    : message.returnRoute;
  return canReply && back ? { socket: socket?.id } : undefined;
}

/** The queued messages that an acknowledgement-only message names. In live mode the delivery session handles it in batches and the step is skipped. */
function confirmedBy(
  kernel: Kernel,
  { kind, tenant, target: mailbox }: KeyOwner,
  message: Incoming,
  { step, body }: KnownMessage,
  session: InboundSession,
): MailIds | undefined {
  if (kind !== 'connection' || !step.confirms) return undefined;
  const open = session.open?.(tenant, mailbox);
  if (open?.mode !== 'live' || !open.connection || !isPeer(open.connection, message.sender, kernel.now())) return undefined;
  return body.check(message.body) ? { tenant, mailbox, ids: step.confirms(message) } : undefined;
}

function answerTo(kernel: Kernel, { owner: { tenant }, message, channel }: Arrival, outcome: Handled): Received {
  const { reply, connection, session, acknowledged, inFlight } = outcome;
  const sent = reply && (() => arrived(kernel, tenant, reply));
  if (connection === undefined) return { reply: reply?.envelope, sent };
  const mailbox = { tenant, mailbox: connection };
  return {
    reply: reply?.envelope,
    sent,
    session: channel && session ? { tenant, connection, ...session } : undefined,
    acknowledged: acknowledged && { ...mailbox, ids: acknowledged },
    inFlight: inFlight && { ...mailbox, ids: inFlight },
    message: { tenant, connection, type: message.type, thid: message.thid, body: message.body },
  };
}

/** Removes a reply from its lane or mailbox, now that it arrived on the connection. */
async function arrived({ db }: Kernel, tenant: string, { job, kept }: InlineReply): Promise<void> {
  if (job !== undefined) await db.jobs.drop(tenant, [job]);
  if (kept) await db.store.commit(tenant, { acknowledged: [{ mailbox: kept.mailbox, ids: [kept.id] }] });
}
