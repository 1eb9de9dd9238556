/** A document of the web: its status, its body where that is 200, and its other address, from the answer. */
export interface WebDocument {
  readonly status: number;
  readonly body: Uint8Array;
  readonly location?: string;
}

export interface WebAsked {
  /** The caller: each may wait for a bounded number of answers. */
  readonly tenant?: string;
  /** The media types that are asked for; those of DID documents by default. */
  readonly accept?: string;
  /** 64 KiB by default. */
  readonly maxBytes?: number;
  /** The error code where there is no answer; `did-unavailable` by default. */
  readonly failure?: 'did-unavailable' | 'link-unavailable' | 'tails-unavailable';
}

/** Fetches what others have named: bounded in size and time, only from where peers may be reached at all, without following redirects. */
export interface WebDocuments {
  /** @throws AppError `egress-refused`, or the code `failure` */
  get(url: string, asked?: WebAsked): Promise<WebDocument>;
  close(): Promise<void>;
}
