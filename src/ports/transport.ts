/** What came back from a delivery. `body` is bounded and only kept where it may be an envelope. */
export interface DeliveryResult {
  readonly status: number;
  readonly body?: Uint8Array;
}

/** Sends to addresses: one guarded way to what peers and tenants name, one free way to what the operator named. */
export interface Outbound {
  /**
   * Posts an envelope to a peer's endpoint, as DIDComm unless a media type is given.
   * @throws AppError `egress-refused` for an address that the guard does not allow, `delivery-failed` for anything that may pass
   */
  deliver(endpoint: string, envelope: string, mediaType?: string): Promise<DeliveryResult>;
  /** Posts a webhook. @throws AppError `delivery-failed` */
  notify(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<{ status: number }>;
  close(): Promise<void>;
}
