/** Who may do what with a URL: authorization capabilities (ZCAP-LD 0.3), invoked by HTTP signatures (draft-cavage-http-signatures-12). */
export interface Capabilities {
  /**
   * Whether a request is signed by who may make it. Sizes, times and the shape of the capability are checked before any signature is.
   * @throws AppError `forbidden` for all that does not hold, `unavailable` where too much is verified already
   */
  invoked(request: CapabilityRequest): Promise<Invoked>;

  /** Whether a body is the one that a request's signature covers, for who must read it before. @throws AppError `forbidden` */
  checkBody(headers: CapabilityRequest['headers'], body: Uint8Array): Promise<void>;

  /**
   * The links of a capability that somebody shows and does not invoke: signed from one of the roots on, and not expired.
   * @throws AppError as `invoked`
   */
  shown(capability: unknown, roots: readonly RootCapability[], now: number): Promise<readonly DelegatedCapability[]>;
}

export interface CapabilityRequest {
  readonly method: string;
  /** The whole URL, as its caller has signed it. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly action: Action;
  /** What a chain of capabilities may begin with. */
  readonly roots: readonly RootCapability[];
  /** In ms since 1970. */
  readonly now: number;
}

export type Action = 'read' | 'write';

/** The right of whoever controls a URL to all that lies under it. */
export interface RootCapability {
  readonly target: string;
  /** DIDs. */
  readonly controllers: readonly string[];
}

/** One link of a verified chain. */
export interface DelegatedCapability {
  readonly id: string;
  /** The DID that gave it, and the one that has it. */
  readonly delegator: string;
  readonly controller: string;
  readonly target: string;
  /** In ms since 1970. */
  readonly expires: number;
}

/** A verified request. */
export interface Invoked {
  /** The DID of who signed it. */
  readonly invoker: string;
  /** From the root on; empty where the root itself was invoked. */
  readonly chain: readonly DelegatedCapability[];
  /** The signature as it came: unique to the request. */
  readonly signature: string;
}
