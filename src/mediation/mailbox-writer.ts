import { BoundedMap } from '../bounded-map.ts';
import { asAppError } from '../errors.ts';
import type { Kernel, Profile } from '../kernel/context.ts';
import { commandJob, eventOf } from '../kernel/jobs.ts';
import { checkedAs } from '../kernel/json.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Commit, EventWrite, JobWrite, QueuedMessageWrite } from '../ports/store.ts';
import { deviceName, fellowsName } from './names.ts';
import { RecentNames } from './recent-names.ts';

/** Envelopes that are known again after they were fetched. */
const RECENT_ENVELOPES = 50_000;
/** The interval of webhooks that one mailbox is full. */
const NOTIFY_EVERY_MS = 60_000;
const NOTIFIED_MAILBOXES = 10_000;
const KNOWN_DEVICES = 50_000;
/** How long a message waits before the device of its owner is called: a wallet on a socket has it by then. */
const CALL_AFTER_MS = 3000;

/** Connections that get copies of each other's mail; `retention`: the life of the mail in ms, where it is shorter than usual. */
export interface Fellows {
  readonly connections: readonly string[];
  readonly retention?: number;
}

/** A message for one mailbox. */
export interface Copy {
  readonly id: string;
  readonly mailbox: string;
  readonly recipient: string;
  readonly body: string;
}

/** The members of a cloud agent's record that mail depends on. */
export interface CloudAgent {
  readonly devices: readonly { readonly connection: string }[];
  readonly retention?: number;
  readonly no2018?: boolean;
}

/** Writes forwarded mail into mailboxes. */
export interface MailboxWriter {
  /** The connections that get a copy of the mail of a connection: the devices of its cloud agent, or itself alone. */
  fellowsOf(tenant: string, connection: string): Promise<Fellows>;
  /**
   * Keeps copies, all in one commit with jobs. Where some mailboxes are full the others have theirs all the same.
   * @param life how long, in ms, where that is less than the configuration's
   * @throws AppError `mailbox-full` where all are
   */
  keepAll(tenant: string, copies: readonly Copy[], life?: number, jobs?: readonly JobWrite[]): Promise<void>;
  /** The webhook of a message that was forwarded, where the operator wants it. */
  forwarded(profile: Profile, tenant: string, mailbox: string, recipient: string): Pick<Commit, 'events' | 'jobs'>;
}

export function createMailboxWriter(kernel: Kernel): MailboxWriter {
  const { store } = kernel.db;
  const notified = new BoundedMap<string, number>(NOTIFIED_MAILBOXES);
  const devices = new BoundedMap<string, boolean>(KNOWN_DEVICES);
  const called = new BoundedMap<string, number>(KNOWN_DEVICES);
  const recent = new RecentNames(RECENT_ENVELOPES);
  const fellows = new BoundedMap<string, Fellows>(KNOWN_DEVICES);
  kernel.db.jobs.subscribe(({ invalidate }) => {
    for (const name of invalidate) {
      devices.delete(name);
      fellows.delete(name);
      if (name !== '*') continue;
      devices.clear();
      fellows.clear();
    }
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

  /** The connections that get a copy of the mail of a connection: the devices of its cloud agent, or itself alone. */
  async function fellowsOf(tenant: string, connection: string): Promise<Fellows> {
    const known = fellows.get(fellowsName(connection));
    if (known) return known;
    const [rows] = await store.load(tenant, [{ category: 'cloud_agent', tag: 'device', equals: connection }]);
    const { devices, retention } = checkedAs<Partial<CloudAgent>>(rows?.[0]?.value ?? {});
    const found = { connections: devices?.map((one) => one.connection) ?? [connection], retention };
    fellows.set(fellowsName(connection), found);
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

  /** The call of a device, where its owner has one and is not called already. */
  async function callOf(tenant: string, mailbox: string): Promise<JobWrite[]> {
    const now = kernel.now();
    if (!(await hasDevice(tenant, mailbox)) || now - (called.get(mailbox) ?? 0) < CALL_AFTER_MS) return [];
    called.set(mailbox, now);
    const call = { protocol: 'push-notifications-fcm', command: 'call', category: 'device', id: mailbox, input: {} };
    return [commandJob(tenant, call, undefined, now + CALL_AFTER_MS)];
  }

  /**
   * Keeps copies, all in one commit. Where some mailboxes are full the others have theirs all the same.
   * @throws AppError `mailbox-full` where all are
   */
  async function keepAll(
    tenant: string,
    copies: readonly Copy[],
    life = Number.MAX_SAFE_INTEGER,
    jobs: readonly JobWrite[] = [],
  ): Promise<void> {
    const profile = await kernel.profiles.of(tenant);
    const { life: most, ...limit } = profile.settings.mailbox;
    const fresh = copies.filter(({ id }) => !recent.has(id));
    if (fresh.length === 0 && jobs.length === 0) {
      kernel.count('forwards_repeated');
      return;
    }
    const expires = kernel.now() + Math.min(life, most);
    const events: EventWrite[] = [];
    const allJobs = [...jobs];
    const mail: QueuedMessageWrite[] = [];
    for (const { id, mailbox, recipient, body } of fresh) {
      mail.push({ id, mailbox, recipient, body, expires, limit });
      const told = forwarded(profile, tenant, mailbox, recipient);
      events.push(...(told.events ?? []));
      allJobs.push(...(told.jobs ?? []));
      if (devices.get(deviceName(mailbox)) !== false) allJobs.push(...(await callOf(tenant, mailbox)));
    }
    try {
      await store.commit(tenant, { events, jobs: allJobs, mail });
      for (const { id } of fresh) recent.add(id);
      kernel.count('forwards_kept', tenant);
    } catch (thrown) {
      const { code } = asAppError(thrown);
      if (code === 'mail-known') return kernel.count('forwards_repeated');
      if (code !== 'mailbox-full') throw thrown;
      const standing = await Promise.all(fresh.map(({ mailbox }) => store.mailbox(tenant, mailbox)));
      const room = fresh.filter(
        ({ body }, i) => standing[i]!.messages < limit.messages && standing[i]!.bytes + Buffer.byteLength(body) <= limit.bytes,
      );
      for (const copy of fresh) if (!room.includes(copy)) await full(tenant, copy.mailbox);
      if (room.length === fresh.length || (room.length === 0 && jobs.length === 0)) throw thrown;
      await keepAll(tenant, room, life, jobs);
    }
  }

  return { fellowsOf, keepAll, forwarded };
}

/** The webhook `mailbox`: `full`, `expired`, `undeliverable`. */
export async function emitMailbox(kernel: Kernel, tenant: string, payload: JsonObject & { connection_id: string }): Promise<void> {
  const { webhooks } = await kernel.profiles.of(tenant);
  await kernel.db.store.commit(tenant, eventOf(tenant, webhooks, 'mailbox', payload.connection_id, payload));
}
