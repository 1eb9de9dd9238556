import { hash } from 'node:crypto';
import { pack } from '../didcomm/envelope-v1.ts';
import { readForward, wrapForward } from '../didcomm/forward.ts';
import type { Kernel } from '../kernel/context.ts';
import { MAX_FORWARD_DEPTH, type Relay } from '../kernel/forwarding.ts';
import { deliverJob } from '../kernel/jobs.ts';
import { checkedAs } from '../kernel/json.ts';
import { composeMessage } from '../kernel/message.ts';
import type { PassedOn } from '../kernel/message-format.ts';
import type { Incoming } from '../kernel/protocol.ts';
import type { InboundSession } from '../kernel/received.ts';
import { loadedRecord } from '../kernel/record.ts';
import { destinationOf } from '../kernel/seal.ts';
import type { JobWrite, KeyOwner } from '../ports/store.ts';
import { type CloudAgent, type Copy, createMailboxWriter } from './mailbox-writer.ts';
import { AGENCY_URI, mediatedName } from './names.ts';

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
  const { fellowsOf, keepAll, forwarded } = createMailboxWriter(kernel);

  // a sender without an answer sends it again: while it is in the mailbox, its id is in use
  const idOf = (mailbox: string, recipient: string, body: string): string =>
    hash('sha256', `${mailbox} ${recipient} ${body}`, 'base64url').slice(0, 32);

  async function keep(tenant: string, mailbox: string, recipient: string, body: string): Promise<void> {
    const { connections, retention } = await fellowsOf(tenant, mailbox);
    if (connections.length === 1) return keepAll(tenant, [{ id: idOf(mailbox, recipient, body), mailbox, recipient, body }], retention);
    await toDevices(tenant, connections, retention, (device) => ({ id: idOf(device, recipient, body), recipient, body }));
  }

  /** A message for each device of a cloud agent, in one commit: kept, or sent to where the device has an address. */
  async function toDevices(
    tenant: string,
    connections: readonly string[],
    retention: number | undefined,
    make: (connection: string, key: string) => Omit<Copy, 'mailbox'>,
  ): Promise<void> {
    const rows = await store.load(
      tenant,
      connections.map((id) => ({ category: 'connection', id })),
    );
    const copies: Copy[] = [];
    const jobs: JobWrite[] = [];
    for (const row of rows.flat()) {
      const to = destinationOf(loadedRecord(row));
      const key = to?.recipientKeys[0];
      if (!to || key === undefined) continue;
      const one = make(row.id, key);
      if (!to.endpoint) copies.push({ ...one, mailbox: row.id });
      else {
        const envelope = wrapForward(one.body, key, to.routingKeys ?? []);
        jobs.push(deliverJob(tenant, { envelope, endpoint: to.endpoint, connection: row.id }));
      }
    }
    await keepAll(tenant, copies, retention, jobs);
  }

  /** To a client that has an address: its mail goes there, and is kept where it has none any more. */
  async function sendOn(tenant: string, connection: string, recipient: string, body: string): Promise<void> {
    const [rows] = await store.load(tenant, [{ category: 'connection', id: connection }]);
    const to = rows?.[0] && destinationOf(loadedRecord(rows[0]));
    const { connections } = await fellowsOf(tenant, connection);
    if (!to?.endpoint || connections.length > 1) return keep(tenant, connection, recipient, body);
    const profile = await kernel.profiles.of(tenant);
    // a client behind a mediator of its own is known there by the key of its connection with us
    const envelope = wrapForward(body, to.recipientKeys[0]!, to.routingKeys ?? []);
    const { events, jobs = [] } = forwarded(profile, tenant, connection, recipient);
    await store.commit(tenant, { events, jobs: [...jobs, deliverJob(tenant, { envelope, endpoint: to.endpoint, connection })] });
    kernel.count('forwards_sent', tenant);
  }

  /** To the devices of a cloud agent: packed for each under the key of its connection, which this instance has not. */
  async function passOn({ owner: { kid, tenant, target }, inside }: PassedOn['passOn']): Promise<string | undefined> {
    const [rows] = await store.load(tenant, [{ category: 'cloud_agent', id: target }]);
    const { devices = [], retention, no2018 } = checkedAs<Partial<CloudAgent>>(rows?.[0]?.value ?? {});
    if (devices.length === 0 || no2018) return 'cloud_agent_off';
    const connections = devices.map((one) => one.connection);
    await toDevices(tenant, connections, retention, (connection, recipient) => {
      const id = idOf(connection, kid, JSON.stringify(inside));
      const message = composeMessage({ uris: [AGENCY_URI] }, { type: 'payload', id, body: inside });
      // by nobody: a sender's key would open it too
      return { id, recipient, body: pack({ message: JSON.stringify(message), recipients: [recipient] }) };
    });
    kernel.count('payloads_passed_on', tenant);
    return undefined;
  }

  async function forward(tenant: string, message: Incoming, session: InboundSession): Promise<string | undefined> {
    const depth = (session.depth ?? 0) + 1;
    const read = readForward(message.body);
    if (!read || depth > MAX_FORWARD_DEPTH) return 'forward_invalid';
    const { to, msg } = read;
    const client = await ownerOf(mediatedName(tenant, to));
    if (client) {
      await (client.kind === 'relay' ? sendOn : keep)(tenant, client.target, to, msg);
      return undefined;
    }
    if (!(await ownerOf(to))) return 'forward_unknown';
    await receive(Buffer.from(msg), { canReply: false, kept: session.kept, depth });
    return undefined;
  }

  return { forward, passOn };
}
