/** The parts of libraries without types that `zcap.ts` uses. */

declare module '@digitalbazaar/http-signature-zcap-verify' {
  export function verifyCapabilityInvocation(options: {
    url: string;
    method: string;
    headers: Record<string, string>;
    getVerifier: (options: { keyId: string }) => Promise<{ verifier: unknown; verificationMethod: object }>;
    documentLoader: (url: string) => Promise<object>;
    expectedHost: string;
    expectedAction: string;
    expectedRootCapability: readonly string[];
    expectedTarget: string;
    suite: unknown;
    additionalHeaders: string[];
    allowTargetAttenuation: boolean;
    maxChainLength: number;
    maxClockSkew: number;
    maxDelegationTtl: number;
    now: number;
  }): Promise<{ verified: boolean; error?: Error; invoker?: string }>;
}

declare module '@digitalbazaar/zcap' {
  export class CapabilityInvocation {
    constructor(options: {
      allowTargetAttenuation: boolean;
      date: number;
      expectedAction: string;
      expectedRootCapability: readonly string[];
      expectedTarget: string;
      maxChainLength: number;
      maxClockSkew: number;
      maxDelegationTtl: number;
      suite: unknown;
    });
    validate(proof: object, options: { verificationMethod: object; documentLoader: unknown }): Promise<{ valid: boolean; error?: Error }>;
  }
  export class CapabilityDelegation {
    constructor(options: { parentCapability: string | object; _skipLocalValidationForTesting?: boolean });
  }
  export const constants: { ZCAP_CONTEXT_URL: string; ZCAP_CONTEXT: object; ZCAP_ROOT_PREFIX: string };
}

declare module '@digitalbazaar/ed25519-signature-2020' {
  export const Ed25519Signature2020: {
    new (options?: { signer: unknown; date: Date }): { createProof(options: object): Promise<object> };
    readonly CONTEXT_URL: string;
    readonly CONTEXT: object;
  };
}

declare module '@digitalbazaar/ed25519-verification-key-2020' {
  export const Ed25519VerificationKey2020: { from(options: object): Promise<{ verifier(): unknown; signer(): unknown }> };
}

declare module '@digitalbazaar/http-digest-header' {
  export function verifyHeaderValue(options: { data: Uint8Array; headerValue: string }): Promise<{ verified: boolean }>;
}
