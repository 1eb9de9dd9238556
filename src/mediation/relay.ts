import { hash } from 'node:crypto';
import { readForward, wrapForward } from '../didcomm/forward.ts';
import { asAppError } from '../errors.ts';
import { BoundedMap } from '../kernel/bounded-map.ts';
import type { Kernel, Profile } from '../kernel/context.ts';
import { MAX_FORWARD_DEPTH, type Relay } from '../kernel/forwarding.ts';
import { commandJob, deliverJob, eventOf } from '../kernel/jobs.ts';
import type { InboundSession } from '../kernel/received.ts';
import { toExchange } from '../kernel/record.ts';
import { destinationOf } from '../kernel/seal.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Commit, Route } from '../ports/store.ts';
import { deviceName, mediatedRoute } from './names.ts';

/** How many envelopes of the last time are known again after they were fetched. */
const KNOWN_AGAIN = 50_000;
/** How often a controller hears that one recipient's queue is full. */
const TOLD_EVERY_MS = 60_000;
const TOLD_BOXES = 10_000;
const KNOWN_DEVICES = 50_000;
/** How long mail lies before its owner's device is called: who is on a socket has it by then. */
const CALL_AFTER_MS = 3000;

/**
 * RFC 0094. What is forwarded to a key that a client of this mediator has registered is kept for it, or sent on where it has an address; to a key of this
 * instance, it is received as if it had come by itself. It is in the database before its sender hears that it was accepted.
 * @param routeOf what a key serves
 * @param receive takes an envelope for a key of this instance
 */
export function createRelay(
  kernel: Kernel,
  routeOf: (kid: string) => Promise<Route | undefined>,
  receive: (body: Uint8Array, session: InboundSession) => Promise<unknown>,
): Relay {
  const { store } = kernel.db;
  const told = new BoundedMap<string, number>(TOLD_BOXES);
  const devices = new BoundedMap<string, boolean>(KNOWN_DEVICES);
  const called = new BoundedMap<string, number>(KNOWN_DEVICES);
  const again = new BoundedMap<string, true>(KNOWN_AGAIN);
  kernel.db.jobs.subscribe(({ forget }) => {
    for (const name of forget) name === '*' ? devices.clear() : devices.delete(name);
  });

  /** Whether the owner of a box has told of a device that can be called. */
  async function hasDevice(tenant: string, box: string): Promise<boolean> {
    const known = devices.get(deviceName(box));
    if (known !== undefined) return known;
    const [rows] = await store.load(tenant, [{ category: 'device', id: box }]);
    const found = rows?.[0] !== undefined;
    devices.set(deviceName(box), found);
    return found;
  }

  function forwarded({ settings, webhooks }: Profile, tenant: string, box: string, recipient: string): Pick<Commit, 'events' | 'jobs'> {
    if (!settings.monitorForward) return {};
    const payload: JsonObject = { connection_id: box, recipient_key: recipient, status: 'queued_for_delivery' };
    return eventOf(tenant, webhooks, 'forward', box, payload);
  }

  /** Tells the controller, now and then, that a recipient fetches nothing any more. */
  async function full(tenant: string, box: string): Promise<void> {
    kernel.count('forwards_refused_full', tenant);
    const name = `${tenant} ${box}`;
    if (kernel.now() - (told.get(name) ?? 0) < TOLD_EVERY_MS) return;
    told.set(name, kernel.now());
    const { messages, bytes } = await store.mailbox(tenant, box);
    await tellMailbox(kernel, tenant, { connection_id: box, reason: 'full', messages, bytes });
  }

  async function keep(tenant: string, box: string, recipient: string, body: string): Promise<void> {
    const profile = await kernel.profiles.of(tenant);
    const { life, ...limit } = profile.settings.mailbox;
    const now = kernel.now();
    // a sender that heard no answer sends it again: while it lies in the box, its id is taken
    const id = hash('sha256', `${box} ${recipient} ${body}`, 'base64url').slice(0, 32);
    if (again.has(id)) {
      kernel.count('forwards_repeated');
      return;
    }
    const events = forwarded(profile, tenant, box, recipient);
    const jobs = [...(events.jobs ?? [])];
    if ((await hasDevice(tenant, box)) && now - (called.get(box) ?? 0) >= CALL_AFTER_MS) {
      called.set(box, now);
      jobs.push(
        commandJob(
          tenant,
          { protocol: 'push-notifications-fcm', command: 'call', category: 'device', id: box, input: {} },
          undefined,
          now + CALL_AFTER_MS,
        ),
      );
    }
    try {
      await store.commit(tenant, {
        ...events,
        jobs,
        mail: [{ id, box, recipient, body, expires: now + life, limit }],
      });
      again.set(id, true);
      kernel.count('forwards_kept', tenant);
    } catch (thrown) {
      const { code } = asAppError(thrown);
      if (code === 'mailbox-full') await full(tenant, box);
      if (code !== 'mail-known') throw thrown;
      kernel.count('forwards_repeated');
    }
  }

  /** To a client that has an address: its mail goes there, and is kept where it has none any more. */
  async function sendOn(tenant: string, connection: string, recipient: string, body: string): Promise<void> {
    const [rows] = await store.load(tenant, [{ category: 'connection', id: connection }]);
    const to = rows?.[0] && destinationOf(toExchange(rows[0]));
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
    const client = await routeOf(mediatedRoute(tenant, to));
    if (client) {
      await (client.kind === 'relay' ? sendOn : keep)(tenant, client.target, to, msg);
      return undefined;
    }
    if (!(await routeOf(to))) return 'forward_unknown';
    await receive(Buffer.from(msg), { canReply: false, kept: session.kept, depth });
    return undefined;
  };
}

/** Tells a controller what became of mail that was kept for a peer: `full`, `expired`, `undeliverable`. */
export async function tellMailbox(kernel: Kernel, tenant: string, payload: JsonObject & { connection_id: string }): Promise<void> {
  const { webhooks } = await kernel.profiles.of(tenant);
  await kernel.db.store.commit(tenant, eventOf(tenant, webhooks, 'mailbox', payload.connection_id, payload));
}
