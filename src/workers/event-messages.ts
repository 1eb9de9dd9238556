import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { EVENT_TYPE, EVENTS_GRANT, isGranted } from '../kernel/grants.ts';
import type { JsonObject } from '../ports/json.ts';

/** An event on its way to the peer of a connection. */
export interface EventMessage {
  readonly id: string;
  readonly topic: string;
  readonly payload: JsonObject;
  /** The wallet that it is of, where that is not the base wallet. */
  readonly wallet?: string;
}

/** The protocol whose record a connection is; it has no messages of its own. */
const CONNECTION = 'connection';

/**
 * Writes an event as a message into the mailbox of a connection, or on its way to its peer's address. The message has the event's id: who gets it twice knows it.
 * @param tenant the wallet that the connection is of
 * @returns whether the connection may have events: it is there, complete, and granted them
 * @throws AppError `mailbox-full`, and whatever a commit throws
 */
export async function sendEvent(
  { registry }: Kernel,
  engine: Engine,
  tenant: string,
  connection: string,
  event: EventMessage,
): Promise<boolean> {
  let isHeard = false;
  const { id, topic, payload, wallet } = event;
  await engine.transition({
    tenant,
    protocol: registry.protocol(CONNECTION),
    record: { category: CONNECTION, id: connection },
    from: '*',
    origin: {},
    otherwise: 'ignore',
    step(ctx) {
      isHeard = ctx.record?.state === 'active' && isGranted(ctx.record, EVENTS_GRANT);
      if (!isHeard) return {};
      const body = { topic, payload, ...(wallet !== undefined && { wallet_id: wallet }) };
      return { send: [{ id, type: EVENT_TYPE, body }] };
    },
  });
  return isHeard;
}
