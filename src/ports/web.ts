/** A document of the web: its status, and its body where that is 200. */
export interface WebDocument {
  readonly status: number;
  readonly body: Uint8Array;
}

/** Fetches what a peer has named: bounded in size and time, and only from where peers may be reached at all. */
export interface WebDocuments {
  /** @throws AppError `egress-refused`, `did-unavailable` */
  get(url: string): Promise<WebDocument>;
  close(): Promise<void>;
}
