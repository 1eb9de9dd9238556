import type { Change, Effects, NewKeyOwner, NextCommand } from '../../kernel/effects.ts';
import { shortHash } from '../../kernel/jobs.ts';
import { checkedAs } from '../../kernel/json.ts';
import { CLOUD_AGENT, passedOnName } from '../../kernel/key-owners.ts';
import { type CommandInput, changed, type Incoming } from '../../kernel/protocol.ts';
import { loadedRecord } from '../../kernel/record.ts';
import { copiesName, deviceName, edgeDeviceId, fellowsName } from '../../mediation/names.ts';
import type { StoredRecord } from '../../ports/store.ts';
import { agencyRoute } from '../../records/agency-route.ts';
import { backupTransfer } from '../../records/backup-transfer.ts';
import { type CloudAgentValue, cloudAgent, DAY_MS } from '../../records/cloud-agent.ts';
import { connection } from '../../records/connection.ts';
import { type DeviceValue, device } from '../../records/device.ts';
import { edgeDevice, type Quotas } from '../../records/edge-device.ts';
import { type Ctx, cloudRow, cloudValue, isSealed, MAX_UPDATES, outdated, RELAYS, type RouteUpdate } from './agency-parts.ts';

/** Steps of the agency. */

/** The bound of names of a cloud agent, unless the configuration has another. */
const MAX_ROUTES = 10_000;
const MAX_DEVICES = 16;
const MAX_CODES = 10;
const CODE_MS = 3600_000;
/** The time, in ms, for which backups stay when the last device has left. */
const BACKUP_LIFE_MS = 90 * DAY_MS;
/** The time for which a message is tried, in ms. */
const RELAY_MS = DAY_MS;
const KINDS: ReadonlySet<string> = new Set(['offer-nonce', 'request-nonce', 'did', 'custom']);

const refusal = (text: string): Effects => ({ problem: { code: 'request-not-accepted', text } });

/** A change of the cloud agent, with the cached entries that it invalidates. */
function cloudChanged(base: StoredRecord, patch: Partial<CloudAgentValue>): { others: Change[]; invalidate: string[] } {
  const { devices } = { ...cloudAgent.of(base).value, ...patch };
  const all = new Set([...cloudAgent.of(base).value.devices, ...devices].map((one) => one.connection));
  return { others: [changed({ def: cloudAgent, base: cloudAgent.of(base), patch })], invalidate: [...all].map(fellowsName) };
}

/** A `provision`: makes a cloud agent, or joins that of another device by a code. A repeated request has the same answer. */
export function provision(ctx: Ctx, message: Incoming): Effects {
  const peer = ctx.connection!;
  const { label, code, generation = 1 } = message.body as { label?: string | null; code?: string | null; generation?: number };
  if (!ctx.settings.agency || !ctx.settings.agent2018Endpoint) return refusal('This mediator has no cloud agents');
  const old = ctx.record && outdated(ctx, message);
  if (old) return old;
  const patch = { label: label ?? ctx.record?.value.label, generation };
  if (ctx.record) {
    const isNewer = generation > ctx.record.value.generation;
    return { record: { patch }, invalidate: isNewer ? [copiesName(ctx.tenant, peer.id)] : [], send: [provisioned(ctx, generation)] };
  }
  const added = { connection: peer.id, label: label ?? undefined, added: ctx.now };
  const joined = code ? joining(ctx, code, added) : { id: ctx.newId(), others: [], invalidate: [fellowsName(peer.id)] };
  if (!joined) return refusal('The code of the device is unknown, used, or too old');
  const made = code ? [] : [changed({ def: cloudAgent, id: joined.id, states: ['provisioned'], patch: { devices: [added], routes: 0 } })];
  return {
    record: {
      id: edgeDeviceId('agency', peer.id),
      role: 'agency',
      connection: peer.id,
      states: ['provisioned'],
      patch: { ...patch, connection_id: peer.id, role: 'agency', cloud_agent: joined.id },
    },
    others: [...made, ...joined.others, marked(ctx)],
    invalidate: joined.invalidate,
    send: [provisioned(ctx, generation)],
  };
}

/** The mark of a connection whose removal removes its device. */
const marked = (ctx: Ctx): Change =>
  changed({ def: connection, base: connection.of(ctx.connection!), patch: { agency: 'agency' }, silent: true });

function joining(ctx: Ctx, code: string, added: CloudAgentValue['devices'][number]) {
  const row = ctx.loaded.coded;
  if (!row) return undefined;
  const { codes = [], devices } = cloudAgent.of(row).value;
  const hash = shortHash(code);
  if (devices.length >= MAX_DEVICES || !codes.some((one) => one.hash === hash && one.expires > ctx.now)) return undefined;
  return { id: row.id, ...cloudChanged(row, { devices: [...devices, added], codes: codes.filter((one) => one.hash !== hash) }) };
}

const maxRoutes = (ctx: Ctx): number => ctx.settings.mediatorMaxKeys ?? MAX_ROUTES;
const maxRelays = (ctx: Ctx): number => ctx.settings.agencyRelays ?? RELAYS;

function provisioned(ctx: Ctx, generation: number): NonNullable<Effects['send']>[number] {
  const { agent2018Endpoint, endpoint, moreEndpoints, mailbox } = ctx.settings;
  const quotas: Quotas = {
    messages: mailbox.messages,
    bytes: mailbox.bytes,
    retention_days: mailbox.life / DAY_MS,
    routes: maxRoutes(ctx),
    relays_per_day: maxRelays(ctx),
  };
  const routing = ctx.loaded.routing?.value.verkey;
  return {
    type: 'provisioned',
    body: {
      // payloads of 2018 go over HTTP
      endpoint: [endpoint, ...moreEndpoints].find((url) => /^https?:/i.test(url)) ?? endpoint,
      did: agent2018Endpoint!.did,
      verkey: agent2018Endpoint!.verkey,
      routing_keys: typeof routing === 'string' ? [routing] : [],
      generation,
      quotas,
    },
  };
}

/** A `route-update`: adds and removes names of the cloud agent. The results are those of RFC 0211. */
export function routesUpdated(ctx: Ctx, message: Incoming): Effects {
  const old = outdated(ctx, message);
  if (old) return old;
  const cloud = cloudRow(ctx);
  const updates = checkedAs<RouteUpdate[]>(message.body.updates);
  let count = cloudValue(ctx).routes;
  const day = Math.floor(ctx.now / DAY_MS);
  const { expiring } = cloudValue(ctx);
  const before = expiring?.day === day ? expiring.names : 0;
  let ending = before;
  /** The names of the cloud agent after the updates so far. */
  const held = new Map<string, RouteUpdate | undefined>();
  const carryOut = (update: RouteUpdate, index: number): string => {
    const { kind, value, action } = update;
    if (index >= MAX_UPDATES) return 'server_error';
    if (!KINDS.has(kind) || value.length === 0 || value.length > 256 || (action !== 'add' && action !== 'remove')) return 'client_error';
    const row = ctx.loaded[`route ${value}`];
    // nobody can prove a name, so the first has it
    if (row && row.value.cloud_agent !== cloud.id) return action === 'add' ? 'client_error' : 'no_change';
    const has = held.has(value) ? held.get(value) !== undefined : row !== undefined;
    if (has === (action === 'add')) return 'no_change';
    const ends = !has && update.expires_in !== undefined;
    if (!has && (count >= maxRoutes(ctx) || (ends && ending >= maxRoutes(ctx)))) return 'server_error';
    if (ends) ending++;
    count += has ? -1 : 1;
    held.set(value, has ? undefined : update);
    return 'success';
  };
  const updated = updates.map((update, index) => {
    const { kind, value, action } = update;
    return { kind, value, action, result: carryOut(update, index) };
  });
  const changes = routeChanges(ctx, cloud.id, held);
  const patch = { routes: count, ...(ending > before && { expiring: { day, names: ending } }) };
  return {
    ...changes,
    // the version of the cloud agent guards the count
    others: [...changes.others, ...(changes.others.length > 0 ? cloudChanged(cloud, patch).others : [])],
    send: [{ type: 'routes-updated', body: { updated } }],
  };
}

function routeChanges(ctx: Ctx, cloud: string, held: ReadonlyMap<string, RouteUpdate | undefined>) {
  const others: Change[] = [];
  const keyOwners: NewKeyOwner[] = [];
  const removedKeyOwners: string[] = [];
  const expiring = new Map<number, string[]>();
  for (const [name, wanted] of held) {
    const row = ctx.loaded[`route ${name}`];
    if (wanted && !row) {
      const expires = wanted.expires_in === undefined ? undefined : ctx.now + wanted.expires_in * 1000;
      others.push(changed({ def: agencyRoute, patch: { kind: wanted.kind, name, role: 'agency', cloud_agent: cloud, expires } }));
      keyOwners.push({ kid: passedOnName(name), kind: CLOUD_AGENT, target: cloud });
      if (expires !== undefined) expiring.set(expires, [...(expiring.get(expires) ?? []), name]);
    } else if (!wanted && row) {
      others.push(changed({ def: agencyRoute, base: agencyRoute.of(row), remove: true }));
      removedKeyOwners.push(passedOnName(name));
    }
  }
  const next = [...expiring].map(
    ([expires, names]): NextCommand => ({
      command: 'expire',
      record: { category: edgeDevice.category, id: ctx.record!.id },
      input: { cloud, names },
      after: expires - ctx.now,
    }),
  );
  return { others, keyOwners, removedKeyOwners, next };
}

/** Removes expired names. */
export function expire(ctx: Ctx, { body }: CommandInput<{ cloud: string; names: readonly string[] }>): Effects {
  const over = body.names.flatMap((name) => {
    const route = agencyRoute.of(ctx.loaded[`route ${name}`]);
    return route && route.value.cloud_agent === body.cloud && Number(route.value.expires) <= ctx.now ? [route] : [];
  });
  const { cloud } = ctx.loaded;
  if (over.length === 0 || !cloud) return {};
  return {
    others: [
      ...over.map((base) => changed({ def: agencyRoute, base, remove: true })),
      ...cloudChanged(cloud, { routes: Math.max(0, cloudAgent.of(cloud).value.routes - over.length) }).others,
    ],
    removedKeyOwners: over.map(({ value }) => passedOnName(value.name)),
  };
}

/** A `relay`: posts a sealed message to an address. Its receiver sees the agency's address only. */
export function relay(ctx: Ctx, message: Incoming): Effects {
  const old = outdated(ctx, message);
  if (old) return old;
  const { endpoint, media_type: mediaType, payload } = message.body as { endpoint: string; media_type?: string; payload: string };
  const cloud = cloudRow(ctx);
  const day = Math.floor(ctx.now / DAY_MS);
  const { relayed } = cloudValue(ctx);
  const messages = (relayed?.day === day ? relayed.messages : 0) + 1;
  if (messages > maxRelays(ctx)) return { send: [{ type: 'relay-failed', body: { reason: 'quota' } }] };
  if (!URL.canParse(endpoint)) return { send: [{ type: 'relay-failed', body: { reason: 'The endpoint is no URL' } }] };
  const envelope = Buffer.from(payload, 'base64');
  if (!isSealed(envelope)) return { send: [{ type: 'relay-failed', body: { reason: 'The payload is no sealed message' } }] };
  return {
    others: cloudChanged(cloud, { relayed: { day, messages } }).others,
    post: [
      {
        envelope: envelope.toString('utf8'),
        endpoint,
        mediaType,
        lane: `relay:${cloud.id}:${shortHash(new URL(endpoint).host)}`,
        until: ctx.now + RELAY_MS,
        onFailure: {
          protocol: ctx.protocol,
          command: 'relay-failed',
          category: edgeDevice.category,
          id: ctx.record!.id,
          input: { relay: message.id },
        },
      },
    ],
    send: [{ type: 'relayed', body: { status: 'accepted' } }],
  };
}

/** A `config`: changes the given settings; the answer has all of them. */
export function configured(ctx: Ctx, message: Incoming): Effects {
  const old = outdated(ctx, message);
  if (old) return old;
  const set = (message.body.set ?? {}) as {
    push_token?: string | null;
    push_platform?: string | null;
    retention_days?: number | null;
    legacy?: boolean;
  };
  const cloud = cloudRow(ctx);
  const { life } = ctx.settings.mailbox;
  const patch: Partial<CloudAgentValue> = {
    ...(set.retention_days === undefined
      ? {}
      : { retention: set.retention_days === null ? undefined : Math.min(set.retention_days * DAY_MS, life) }),
    ...(set.legacy === undefined ? {} : { no2018: !set.legacy }),
  };
  const now = { ...cloudValue(ctx), ...patch };
  const [push, told] = pushOf(ctx, set);
  const changes = Object.keys(patch).length > 0 ? cloudChanged(cloud, patch) : { others: [], invalidate: [] };
  return {
    others: [...changes.others, ...push],
    invalidate: [...changes.invalidate, ...(push.length > 0 ? [deviceName(ctx.connection!.id)] : [])],
    send: [
      {
        type: 'configuration',
        body: { push: told, retention_days: Math.min(now.retention ?? life, life) / DAY_MS, legacy: now.no2018 !== true },
      },
    ],
  };
}

/** The change of the device's push token, and whether there is a token after it. */
function pushOf(ctx: Ctx, set: { push_token?: string | null; push_platform?: string | null }): [Change[], boolean] {
  const base = device.of(ctx.loaded.push);
  const id = ctx.connection!.id;
  if (set.push_token === undefined) return [[], base !== undefined];
  if (!set.push_token) return [base ? [changed({ def: device, base, remove: true })] : [], false];
  const patch: DeviceValue = { device_token: set.push_token, device_platform: set.push_platform ?? undefined };
  return [[changed({ def: device, base, id, connection: id, patch })], true];
}

/** A `device-add`: a code by which another device of the same owner joins. */
export function deviceAdded(ctx: Ctx, message: Incoming): Effects {
  const old = outdated(ctx, message);
  if (old) return old;
  const { label } = message.body as { label?: string | null };
  const { codes = [] } = cloudValue(ctx);
  const code = ctx.newToken();
  const open = codes.filter(({ expires }) => expires > ctx.now).slice(-(MAX_CODES - 1));
  const one = { hash: shortHash(code), label: label ?? undefined, expires: ctx.now + CODE_MS };
  return {
    others: cloudChanged(cloudRow(ctx), { codes: [...open, one] }).others,
    send: [{ type: 'device-added', body: { code, expires_in: CODE_MS / 1000 } }],
  };
}

/** A `device-list`. */
export const devicesListed = (ctx: Ctx): Effects => ({ send: [listOf(ctx, cloudValue(ctx).devices)] });

const listOf = (ctx: Ctx, devices: CloudAgentValue['devices']): NonNullable<Effects['send']>[number] => ({
  type: 'devices',
  body: {
    devices: devices.map(({ connection: of, label, added }) => ({
      device: edgeDeviceId('agency', of),
      label: label ?? null,
      added: new Date(added).toISOString(),
      you: of === ctx.connection!.id,
    })),
  },
});

/** A `device-remove`: the device gets no copies any more. */
export function deviceRemoved(ctx: Ctx, message: Incoming): Effects {
  const old = outdated(ctx, message);
  if (old) return old;
  const { devices } = cloudValue(ctx);
  const gone = devices.find((one) => edgeDeviceId('agency', one.connection) === message.body.device);
  if (!gone) return { send: [listOf(ctx, devices)] };
  const left = devices.filter((one) => one !== gone);
  if (left.length === 0) return refusal('The last device stays, as long as its connection does');
  const { others, invalidate } = cloudChanged(cloudRow(ctx), { devices: left });
  const itself = gone.connection === ctx.connection!.id;
  const other = edgeDevice.of(ctx.loaded.other);
  return {
    ...(itself ? { record: { remove: true } } : {}),
    others: [...others, ...(other && !itself ? [changed({ def: edgeDevice, base: other, remove: true })] : [])],
    invalidate,
    send: [listOf(ctx, left)],
  };
}

/** Removes the device of a removed connection; with the last device the cloud agent and its names. */
export function left(ctx: Ctx, { body }: CommandInput<{ connection: string }>): Effects {
  const { cloud } = ctx.loaded;
  const record = ctx.record && { remove: true };
  const invalidate = [fellowsName(body.connection), ...(ctx.record?.role === 'edge' ? [ctx.tenant] : [])];
  if (!cloud) return { record, invalidate, next: ctx.record?.role === 'edge' ? [purging(ctx.record.id, { edge: body.connection })] : [] };
  const { devices: all, backups } = cloudAgent.of(cloud).value;
  const devices = all.filter((one) => one.connection !== body.connection);
  if (devices.length > 0) {
    const changes = cloudChanged(cloud, { devices });
    return { record, others: changes.others, invalidate: [...invalidate, ...changes.invalidate] };
  }
  const purge = purging(edgeDeviceId('agency', body.connection), { cloud: cloud.id });
  // a thief ends the connection, too: the words still open the backups for a while
  if (backups && backups.kept.length + backups.uploads.length > 0)
    return { record, others: cloudChanged(cloud, { devices, routes: 0 }).others, invalidate, next: [purge, forgetting(ctx, cloud.id)] };
  return {
    record,
    others: [changed({ def: cloudAgent, base: cloudAgent.of(cloud), remove: true, silent: true })],
    invalidate,
    next: [purge],
  };
}

/** The removal of the backups of a cloud agent that nobody has any more. */
const forgetting = (ctx: Ctx, cloud: string): NextCommand => ({
  protocol: 'wallet-backup',
  command: 'forget-backups',
  record: { category: backupTransfer.category, id: ctx.newId() },
  input: { cloud },
  after: BACKUP_LIFE_MS,
});

const purging = (device: string, input: { cloud?: string; edge?: string }): NextCommand => ({
  command: 'purge',
  record: { category: edgeDevice.category, id: device },
  input,
});

/** Removes the names of a removed cloud agent, or of an edge without an agency, some at a time. */
export function purge(ctx: Ctx, { body }: CommandInput<{ cloud?: string; edge?: string }>): Effects {
  const { rows, total } = ctx.pages.routes!;
  const routes = rows.map((row) => agencyRoute.of(loadedRecord(row)));
  return {
    others: routes.map((base) => changed({ def: agencyRoute, base, remove: true })),
    removedKeyOwners: body.cloud === undefined ? [] : routes.map(({ value }) => passedOnName(value.name)),
    next: total > rows.length ? [purging(ctx.record?.id ?? edgeDeviceId('agency', body.cloud ?? body.edge ?? ''), body)] : [],
  };
}
