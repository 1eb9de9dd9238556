import type { KeyOwner } from '../ports/store.ts';
import type { Kernel } from './context.ts';
import type { PassedOn } from './message-format.ts';
import type { Incoming } from './protocol.ts';
import type { InboundSession } from './received.ts';

/** How many messages may lie in each other, where all of them are for keys of this instance. */
export const MAX_FORWARD_DEPTH = 4;

/** Hands messages on to the clients of this instance. Each function returns the reason of a refusal, for the counters only: the sender's answer is the same. */
export interface Relay {
  /** A `forward` message (RFC 0094). */
  forward(tenant: string, message: Incoming, session: InboundSession): Promise<string | undefined>;
  /** Hands the content of an outer seal to the devices of a cloud agent. */
  passOn(given: PassedOn['passOn']): Promise<string | undefined>;
}

/**
 * Makes the relay of an engine, which knows it by this type alone.
 * @param routeOf what a key serves
 * @param receive takes an envelope for a key of this instance
 */
export type CreateRelay = (
  kernel: Kernel,
  ownerOf: (kid: string) => Promise<KeyOwner | undefined>,
  receive: (body: Uint8Array, session: InboundSession) => Promise<unknown>,
) => Relay;
