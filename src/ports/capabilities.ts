/** Rights to URLs: authorization capabilities (ZCAP-LD 0.3), invoked by HTTP signatures (draft-cavage-http-signatures-12). */
export interface Capabilities {
  /**
   * Checks that a request's signer has the right to make it. Sizes, times and the shape of the capability are checked before any signature.
   * @throws AppError `forbidden` for every failed check, `unavailable` above the bound of verifications at once
   */
  invoked(request: CapabilityRequest): Promise<Invoked>;

  /** Checks that a body is the one of the request's digest, for routes that read it before the signature is verified. @throws AppError `forbidden` */
  checkBody(headers: CapabilityRequest['headers'], body: Uint8Array): Promise<void>;

  /**
   * The links of a capability that is shown and not invoked: signed from one of the roots on, and not expired.
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
  /** The roots that a chain of capabilities may begin with. */
  readonly roots: readonly RootCapability[];
  /** In ms since 1970. */
  readonly now: number;
}

export type Action = 'read' | 'write';

/** The right of a URL's controllers to every URL below it. */
export interface RootCapability {
  readonly target: string;
  /** DIDs. */
  readonly controllers: readonly string[];
}

/** One link of a verified chain. */
export interface DelegatedCapability {
  readonly id: string;
  /** The DID that delegated it, and the one that it was delegated to. */
  readonly delegator: string;
  readonly controller: string;
  readonly target: string;
  /** In ms since 1970. */
  readonly expires: number;
}

/** A verified request. */
export interface Invoked {
  /** The DID of its signer. */
  readonly invoker: string;
  /** From the root on; empty where the root itself was invoked. */
  readonly chain: readonly DelegatedCapability[];
  /** The signature as it came: unique to the request. */
  readonly signature: string;
}
