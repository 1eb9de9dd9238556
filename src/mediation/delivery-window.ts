import { RecentNames } from './recent-names.ts';

/** How many messages, and how many bytes of them, may be in flight on one socket. */
export const WINDOW = 64;
export const WINDOW_BYTES = 256 << 10;
/** A message that is unacknowledged for so long is sent again. */
export const AGAIN_MS = 60_000;
/** Acknowledged ids that are remembered at least: a change notification about them may come late. */
const REMEMBERED = 128;

/** A message in flight. */
export interface InFlight {
  readonly at: number;
  /** When it came to the mailbox. */
  readonly received: number;
  readonly size: number;
  /** Acknowledged by the pong to a ping behind it; else by a message of the peer. */
  readonly pinged: boolean;
}

/**
 * The messages in flight on one socket, and those that were acknowledged on it. No I/O and no clock. Its maps exist while there is something in them: most
 * sockets are idle.
 */
export class DeliveryWindow {
  #flight: Map<string, InFlight> | undefined;
  #bytes = 0;
  #acknowledged: RecentNames | undefined;

  get size(): number {
    return this.#flight?.size ?? 0;
  }

  /** How many messages, and bytes of them, may be sent now; none where either bound is reached. */
  get room(): { readonly messages: number; readonly bytes: number } {
    const bytes = WINDOW_BYTES - this.#bytes;
    return bytes <= 0 ? { messages: 0, bytes: 0 } : { messages: Math.max(0, WINDOW - this.size), bytes };
  }

  get isFull(): boolean {
    return this.room.messages === 0;
  }

  /** Whether all of these fit within both bounds. */
  fits(messages: readonly { readonly body: string }[]): boolean {
    if (this.size + messages.length > WINDOW) return false;
    return this.#bytes + messages.reduce((sum, { body }) => sum + body.length, 0) <= WINDOW_BYTES;
  }

  /** Whether a message is in flight, or was acknowledged lately. */
  knows(id: string): boolean {
    return this.#flight?.has(id) === true || this.isAcknowledged(id);
  }

  isAcknowledged(id: string): boolean {
    return this.#acknowledged?.has(id) === true;
  }

  /** The ids in flight, in the order in which they were sent. */
  ids(): string[] {
    return [...(this.#flight?.keys() ?? [])];
  }

  /** Those of them that the pong to a ping acknowledges. */
  pingedIds(): string[] {
    return [...(this.#flight ?? [])].filter(([, { pinged }]) => pinged).map(([id]) => id);
  }

  /** The message that is in flight for longest. */
  oldest(): readonly [id: string, sent: InFlight] | undefined {
    return this.#flight?.entries().next().value;
  }

  /** The ids that only a message of the peer acknowledges, and that were sent `AGAIN_MS` before `now` or earlier. */
  overdue(now: number): string[] {
    const first = this.oldest();
    if (!first || now - first[1].at < AGAIN_MS) return [];
    return [...this.#flight!].filter(([, { at, pinged }]) => !pinged && now - at >= AGAIN_MS).map(([id]) => id);
  }

  add(id: string, sent: InFlight): void {
    this.#flight ??= new Map();
    this.#flight.set(id, sent);
    this.#bytes += sent.size;
  }

  /** Ends the flight of ids that the peer has. */
  acknowledge(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#acknowledged ??= new RecentNames(REMEMBERED);
      this.#acknowledged.add(id);
      this.#land(id);
    }
  }

  /** Ends the flight of ids that are to be sent again. @returns those that were in flight */
  drop(ids: Iterable<string>): string[] {
    return [...ids].filter((id) => this.#land(id));
  }

  clear(): void {
    this.#flight = undefined;
    this.#bytes = 0;
  }

  #land(id: string): boolean {
    const sent = this.#flight?.get(id);
    if (!sent) return false;
    this.#flight!.delete(id);
    this.#bytes -= sent.size;
    if (this.#flight!.size === 0) this.#flight = undefined;
    return true;
  }
}
