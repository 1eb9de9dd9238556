import { hash } from 'node:crypto';
import { readForward, wrapForward } from '../didcomm/forward.ts';
import { asAppError } from '../errors.ts';
import { BoundedMap } from '../kernel/bounded-map.ts';
import type { Kernel, Profile } from '../kernel/context.ts';
import { MAX_FORWARD_DEPTH, type Relay } from '../kernel/forwarding.ts';
import { commandJob, deliverJob, eventOf } from '../kernel/jobs.ts';
import type { InboundSession } from '../kernel/received.ts';
import { loadedRecord } from '../kernel/record.ts';
import { destinationOf } from '../kernel/seal.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Commit, KeyOwner } from '../ports/store.ts';
import { deviceName, mediatedName } from './names.ts';

/** Envelopes that are known again after they were fetched. */
const RECENT_ENVELOPES = 50_000;
/** The interval of webhooks that one mailbox is full. */
const NOTIFY_EVERY_MS = 60_000;
const NOTIFIED_MAILBOXES = 10_000;
const KNOWN_DEVICES = 50_000;
/** How long a message waits before the device of its owner is called: a wallet on a socket has it by then. */
const CALL_AFTER_MS = 3000;

/**
 * RFC 0094. A message for a key that a client of this mediator has registered is queued for it, or sent on where it has an address; for a key of this
 * instance, it is received as if it had come by itself. It is in the database before its sender gets the 202.
 * @param ownerOf what a key serves
 * @param receive takes an envelope for a key of this instance
 */
export function createRelay(
  kernel: Kernel,
  ownerOf: (kid: string) => Promise<KeyOwner | undefined>,
  receive: (body: Uint8Array, session: InboundSession) => Promise<unknown>,
): Relay {
  const { store } = kernel.db;
  const notified = new BoundedMap<string, number>(NOTIFIED_MAILBOXES);
  const devices = new BoundedMap<string, boolean>(KNOWN_DEVICES);
  const called = new BoundedMap<string, number>(KNOWN_DEVICES);
  const recent = new BoundedMap<string, true>(RECENT_ENVELOPES);
  kernel.db.jobs.subscribe(({ invalidate }) => {
    for (const name of invalidate) name === '*' ? devices.clear() : devices.delete(name);
  });

  /** Whether the owner of a mailbox has notified of a device that can be called. */
  async function hasDevice(tenant: string, mailbox: string): Promise<boolean> {
    const known = devices.get(deviceName(mailbox));
    if (known !== undefined) return known;
    const [rows] = await store.load(tenant, [{ category: 'device', id: mailbox }]);
    const found = rows?.[0] !== undefined;
    devices.set(deviceName(mailbox), found);
    return found;
  }

  function forwarded({ settings, webhooks }: Profile, tenant: string, mailbox: string, recipient: string): Pick<Commit, 'events' | 'jobs'> {
    if (!settings.monitorForward) return {};
    const payload: JsonObject = { connection_id: mailbox, recipient_key: recipient, status: 'queued_for_delivery' };
    return eventOf(tenant, webhooks, 'forward', mailbox, payload);
  }

  /** A webhook, now and then, for a mailbox whose owner fetches nothing any more. */
  async function full(tenant: string, mailbox: string): Promise<void> {
    kernel.count('forwards_refused_full', tenant);
    const name = `${tenant} ${mailbox}`;
    if (kernel.now() - (notified.get(name) ?? 0) < NOTIFY_EVERY_MS) return;
    notified.set(name, kernel.now());
    const { messages, bytes } = await store.mailbox(tenant, mailbox);
    await emitMailbox(kernel, tenant, { connection_id: mailbox, reason: 'full', messages, bytes });
  }

  async function keep(tenant: string, mailbox: string, recipient: string, body: string): Promise<void> {
    const profile = await kernel.profiles.of(tenant);
    const { life, ...limit } = profile.settings.mailbox;
    const now = kernel.now();
    // a sender without an answer sends it again: while it is in the mailbox, its id is in use
    const id = hash('sha256', `${mailbox} ${recipient} ${body}`, 'base64url').slice(0, 32);
    if (recent.has(id)) {
      kernel.count('forwards_repeated');
      return;
    }
    const events = forwarded(profile, tenant, mailbox, recipient);
    const jobs = [...(events.jobs ?? [])];
    if ((await hasDevice(tenant, mailbox)) && now - (called.get(mailbox) ?? 0) >= CALL_AFTER_MS) {
      called.set(mailbox, now);
      jobs.push(
        commandJob(
          tenant,
          { protocol: 'push-notifications-fcm', command: 'call', category: 'device', id: mailbox, input: {} },
          undefined,
          now + CALL_AFTER_MS,
        ),
      );
    }
    try {
      await store.commit(tenant, {
        ...events,
        jobs,
        mail: [{ id, mailbox, recipient, body, expires: now + life, limit }],
      });
      recent.set(id, true);
      kernel.count('forwards_kept', tenant);
    } catch (thrown) {
      const { code } = asAppError(thrown);
      if (code === 'mailbox-full') await full(tenant, mailbox);
      if (code !== 'mail-known') throw thrown;
      kernel.count('forwards_repeated');
    }
  }

  /** To a client that has an address: its mail goes there, and is kept where it has none any more. */
  async function sendOn(tenant: string, connection: string, recipient: string, body: string): Promise<void> {
    const [rows] = await store.load(tenant, [{ category: 'connection', id: connection }]);
    const to = rows?.[0] && destinationOf(loadedRecord(rows[0]));
    if (!to?.endpoint) return keep(tenant, connection, recipient, body);
    const profile = await kernel.profiles.of(tenant);
    // a client behind a mediator of its own is known there by the key of its connection with us
    const envelope = wrapForward(body, to.recipientKeys[0]!, to.routingKeys ?? []);
    const { events, jobs = [] } = forwarded(profile, tenant, connection, recipient);
    await store.commit(tenant, { events, jobs: [...jobs, deliverJob(tenant, { envelope, endpoint: to.endpoint, connection })] });
    kernel.count('forwards_sent', tenant);
  }

  return async (tenant, message, session) => {
    const depth = (session.depth ?? 0) + 1;
    const forward = readForward(message.body);
    if (!forward || depth > MAX_FORWARD_DEPTH) return 'forward_invalid';
    const { to, msg } = forward;
    const client = await ownerOf(mediatedName(tenant, to));
    if (client) {
      await (client.kind === 'relay' ? sendOn : keep)(tenant, client.target, to, msg);
      return undefined;
    }
    if (!(await ownerOf(to))) return 'forward_unknown';
    await receive(Buffer.from(msg), { canReply: false, kept: session.kept, depth });
    return undefined;
  };
}

/** The webhook `mailbox`: `full`, `expired`, `undeliverable`. */
export async function emitMailbox(kernel: Kernel, tenant: string, payload: JsonObject & { connection_id: string }): Promise<void> {
  const { webhooks } = await kernel.profiles.of(tenant);
  await kernel.db.store.commit(tenant, eventOf(tenant, webhooks, 'mailbox', payload.connection_id, payload));
}
