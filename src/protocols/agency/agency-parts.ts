import { isUtf8 } from 'node:buffer';
import { payloadOf } from '../../didcomm/envelope-2018.ts';
import { parseEnvelope } from '../../didcomm/envelope-v1.ts';
import { AppError } from '../../errors.ts';
import type { Effects } from '../../kernel/effects.ts';
import type { Incoming, Load, StepContext } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import { edgeDeviceId } from '../../mediation/names.ts';
import type { Lookup, StoredRecord } from '../../ports/store.ts';
import { agencyRoute } from '../../records/agency-route.ts';
import { type CloudAgentValue, cloudAgent } from '../../records/cloud-agent.ts';
import { type EdgeDeviceValue, edgeDevice } from '../../records/edge-device.ts';

export type Ctx = StepContext<EdgeDeviceValue>;

/** The bound of updates in one message; those beyond it have no effect. */
export const MAX_UPDATES = 1000;
/** The bound of messages that a cloud agent sends on in a day, unless the configuration has another. */
export const RELAYS = 10_000;

export const Label = Type.Optional(Type.Union([Type.String({ maxLength: 200 }), Type.Null()]));
export const Generation = Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 48 }));
/** A nonce, a DID, or another identifier of the 2018 Agent Protocol. */
export const Name = Type.String({ minLength: 1, maxLength: 256 });
/** Media types of sealed messages: an agency sends nothing else on. */
export const MediaType = Type.Union(
  ['application/ssi-agent-wire', 'application/didcomm-envelope-enc', 'text/plain; charset=us-ascii'].map((one) => Type.Literal(one)),
);
export const Config = Type.Object({
  push_token: Type.Optional(Type.Union([Type.String({ maxLength: 4096 }), Type.Null()])),
  push_platform: Type.Optional(Type.Union([Type.String({ maxLength: 100 }), Type.Null()])),
  retention_days: Type.Optional(Type.Union([Type.Number({ exclusiveMinimum: 0, maximum: 3650 }), Type.Null()])),
  legacy: Type.Optional(Type.Boolean()),
});

/** Whether a text is a sealed message, by its form: nobody has an agency post anything else. */
export function isSealed(text: Buffer): boolean {
  if (!isUtf8(text)) return false;
  for (const read of [parseEnvelope, payloadOf])
    try {
      read(text);
      return true;
    } catch {}
  return false;
}

/** One name in a `route-update`. */
export interface RouteUpdate {
  readonly kind: string;
  readonly value: string;
  readonly action: string;
  /** In seconds. */
  readonly expires_in?: number;
}

/** The device that a message is about: that of its connection. */
export const deviceOf =
  (role: 'agency' | 'edge') =>
  (_message: Incoming, connection: string | undefined): Lookup | undefined =>
    connection === undefined ? undefined : { category: edgeDevice.category, id: edgeDeviceId(role, connection) };

/** The cloud agent of the connection. */
export const cloudOfDevice = (_message: unknown, connection: string | undefined): Record<string, Load> => ({
  cloud: { category: cloudAgent.category, tag: 'device', equals: connection ?? '' },
});

/** Lookups of the names in an unchecked list of updates. */
export function routeLookups(updates: unknown, role: 'agency' | 'edge', member: 'value' | 'name' = 'value'): Record<string, Load> {
  if (!Array.isArray(updates)) return {};
  const names = updates.slice(0, MAX_UPDATES).map((update: Readonly<Record<string, unknown>> | null) => update?.[member]);
  return Object.fromEntries(
    names.flatMap((name) =>
      typeof name === 'string' && name.length <= 256
        ? [[`route ${name}`, { category: agencyRoute.category, tag: role, equals: name }]]
        : [],
    ),
  );
}

/** The cloud agent of the device. @throws AppError `wrong-state` where another device has removed this one */
export function cloudRow(ctx: Ctx): StoredRecord {
  const { cloud } = ctx.loaded;
  if (!cloud) throw new AppError('wrong-state');
  return cloud;
}

export const cloudValue = (ctx: Ctx): CloudAgentValue => cloudAgent.of(cloudRow(ctx)).value;

/**
 * The answer to an older copy of a wallet; undefined for the newest one. It goes on the connection that the question came on: the copies have one mailbox, of
 * which the newest would have fetched it.
 */
export function outdated(ctx: Ctx, message: Incoming): Effects | undefined {
  const { generation } = ctx.record!.value;
  const theirs = message.body.generation;
  return typeof theirs === 'number' && theirs < generation
    ? { send: [{ type: 'superseded', body: { generation }, transient: true }] }
    : undefined;
}
