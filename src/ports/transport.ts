import type { IncomingMessage, Server } from 'node:http';

/** The answer to a delivery. `body` is bounded and only kept where it may be an envelope. */
export interface DeliveryResult {
  readonly status: number;
  readonly body?: Uint8Array;
}

/**
 * A connection on which envelopes go both ways, whoever opened it. Frames arrive in the order of `send`. A closed socket takes nothing and emits nothing:
 * frames that were not `acknowledged` are to be sent again elsewhere.
 */
export interface Socket {
  /** Unique, over all processes too. */
  readonly id: string;
  readonly open: boolean;
  /** By which code the peer closed it. */
  readonly closeCode?: number | undefined;
  /** Bytes that were sent and that the peer's machine has not taken from this one yet. */
  readonly buffered: number;
  send(frame: string): void;
  /** Resolves when the peer has answered a ping that went out after all that was sent before; false when the socket closed first, or no answer came in time. */
  acknowledged(): Promise<boolean>;
  /** @param code RFC 6455 section 7.4: 1001 going away, 1008 policy, 1009 too large, 1013 try again later */
  close(code: number, reason: string): void;
  /** Calls `listener` once, when the socket is closed; at once where it is. */
  onClose(listener: () => void): void;
}

/** Sends to addresses: one guarded way to what peers and tenants name, one free way to what the operator named. */
export interface Outbound {
  /**
   * Sends an envelope to a peer's endpoint: posts it, as DIDComm unless a media type is given, or sends it as a frame to a WebSocket, where 202 stands for `acknowledged`.
   * @param signal ends an HTTP request early; a frame is not taken back
   * @param own the connection whose answers come on the same WebSocket: nothing else goes on that. Peers may know one connection for each socket, as Credo does
   * @throws AppError `egress-refused` for an address that the guard does not allow, `delivery-failed` for anything that may pass
   */
  deliver(endpoint: string, envelope: string, mediaType?: string, signal?: AbortSignal, own?: string): Promise<DeliveryResult>;
  /**
   * Opens a WebSocket to a peer and keeps it: for an agent that nobody can reach, whose mail comes on it.
   * @param onFrame what the peer sends, one frame after the other; `acknowledged` of the other side waits for it to settle. It must not wait for `acknowledged` of this one
   * @throws AppError `egress-refused`, `delivery-failed`
   */
  link(endpoint: string, onFrame: (frame: Uint8Array, socket: Socket) => Promise<void>): Promise<Socket>;
  /** Posts a webhook. @throws AppError `delivery-failed` */
  notify(url: string, headers: Readonly<Record<string, string>>, body: string, signal?: AbortSignal): Promise<{ status: number }>;
  close(): Promise<void>;
}

/** Bounds what is worked on of all that came, whoever opened the connection. */
export interface Admission {
  /** Does something with what a peer answered, when its address may send and there is room; undefined where that did not come in time. */
  admit<T>(address: string, what: () => Promise<T>): Promise<T | undefined>;
  /** Does something with what was let in already, and counts it while that lasts. */
  hold<T>(what: () => Promise<T>): Promise<T>;
}

/** Bounds what has not arrived yet, of all HTTP servers of a process: connections, and bodies that are not complete. */
export interface Door {
  /** Bounds the connections of a server, and the bodies of its requests. */
  keep(server: Server): void;
  /** The source of a request, for bounds by address: an IPv4 address, or the first half of one of IPv6. */
  nameOf(request: IncomingMessage): string;
  /** Bytes of a body came. */
  grew(request: IncomingMessage, bytes: number): void;
  close(): void;
}

/** How HTTP servers wait for headers and bodies, in ms; and how often they look. */
export const PATIENCE = { headersTimeout: 5000, connectionsCheckingInterval: 1000 } as const;
