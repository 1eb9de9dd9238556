import { AppError } from '../../errors.ts';
import type { Capabilities, DelegatedCapability, RootCapability } from '../../ports/capabilities.ts';
import { didOfKey, linksOf, MAX_CHAIN, MAX_DELEGATION_MS, partsOf } from './chain.ts';

/** The bounds of verifications at once, and of the time of one in ms. */
const MAX_AT_ONCE = 16;
const VERIFY_MS = 5000;
/** The bound of the difference to callers' clocks, in seconds. */
const SKEW = 300;
const DID_CONTEXT = 'https://www.w3.org/ns/did/v1';

/** Capabilities by the libraries of Digital Bazaar. Their document loader has contexts, keys and roots in memory, and fetches nothing. */
export async function openCapabilities(): Promise<Capabilities> {
  const [
    { verifyCapabilityInvocation },
    { CapabilityInvocation, constants },
    { Ed25519Signature2020 },
    { Ed25519VerificationKey2020 },
    digests,
  ] = await Promise.all([
    import('@digitalbazaar/http-signature-zcap-verify'),
    import('@digitalbazaar/zcap'),
    import('@digitalbazaar/ed25519-signature-2020'),
    import('@digitalbazaar/ed25519-verification-key-2020'),
    import('@digitalbazaar/http-digest-header'),
  ]);
  const { ZCAP_CONTEXT_URL: ZCAP, ZCAP_CONTEXT, ZCAP_ROOT_PREFIX } = constants;
  const KEY = Ed25519Signature2020.CONTEXT_URL;
  const contexts = [ZCAP, KEY];
  const suite = new Ed25519Signature2020();
  const rootId = ({ target }: RootCapability): string => `${ZCAP_ROOT_PREFIX}${encodeURIComponent(target)}`;

  /** An Ed25519 key of a did:key, as its verification method. @throws AppError */
  function methodOf(keyId: string): { id: string; controller: string } {
    const controller = didOfKey(keyId);
    if (controller === undefined) throw new AppError('forbidden', 'the key is no Ed25519 did:key');
    const publicKeyMultibase = controller.slice('did:key:'.length);
    return { '@context': KEY, id: keyId, type: 'Ed25519VerificationKey2020', controller, publicKeyMultibase } as {
      id: string;
      controller: string;
    };
  }

  function documentOf(url: string, roots: readonly RootCapability[]): object {
    if (url === ZCAP) return ZCAP_CONTEXT;
    if (url === KEY) return Ed25519Signature2020.CONTEXT;
    const root = roots.find((one) => rootId(one) === url);
    if (root) return { '@context': ZCAP, id: url, invocationTarget: root.target, controller: [...root.controllers] };
    if (url.includes('#')) return methodOf(url);
    const key = `${url}#${url.slice('did:key:'.length)}`;
    const method = methodOf(key);
    return {
      '@context': [DID_CONTEXT, KEY],
      id: url,
      verificationMethod: [method],
      capabilityInvocation: [key],
      capabilityDelegation: [key],
    };
  }

  const loaderOf = (roots: readonly RootCapability[]) => async (url: string) => ({
    contextUrl: null,
    documentUrl: url,
    document: documentOf(url, roots),
    tag: 'static',
  });

  let atOnce = 0;
  /** Runs a verification within the common bounds. @throws AppError `forbidden` for every error of a library */
  async function bounded<T>(verify: () => Promise<T>): Promise<T> {
    if (atOnce >= MAX_AT_ONCE) throw new AppError('unavailable', 'too many requests are verified');
    atOnce++;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new AppError('unavailable', 'a verification took too long')), VERIFY_MS);
    });
    try {
      return await Promise.race([verify(), late]);
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError('forbidden', 'the request could not be verified', { cause: error });
    } finally {
      clearTimeout(timer);
      atOnce--;
    }
  }

  async function checkBody(headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<void> {
    const { 'content-type': type, digest } = headers;
    if (type === undefined && digest === undefined && body.length === 0) return;
    if (type === undefined || digest === undefined || digest.length > 200) throw new AppError('forbidden', 'the body is not signed');
    const { verified } = await digests.verifyHeaderValue({ data: body, headerValue: digest });
    if (!verified) throw new AppError('forbidden', 'the body is another one');
  }

  return {
    checkBody,

    async invoked({ method, url, headers, body, action, roots, now }) {
      const { signature, capability } = partsOf(headers, action, now);
      const chain: readonly DelegatedCapability[] = capability ? linksOf(capability, contexts, now) : [];
      return await bounded(async () => {
        await checkBody(headers, body);
        const documentLoader = loaderOf(roots);
        const { verified, error, invoker } = await verifyCapabilityInvocation({
          ...{ url, method, headers: { ...headers }, documentLoader, suite },
          async getVerifier({ keyId }) {
            const verificationMethod = methodOf(keyId);
            return { verifier: (await Ed25519VerificationKey2020.from(verificationMethod)).verifier(), verificationMethod };
          },
          expectedHost: new URL(url).host,
          expectedAction: action,
          expectedRootCapability: roots.map(rootId),
          expectedTarget: url,
          // the library adds to it
          additionalHeaders: [],
          allowTargetAttenuation: true,
          maxChainLength: MAX_CHAIN,
          maxClockSkew: SKEW,
          maxDelegationTtl: MAX_DELEGATION_MS,
          now: Math.floor(now / 1000),
        });
        if (!verified || invoker === undefined) throw new AppError('forbidden', 'the capability does not hold', { cause: error });
        return { invoker, chain, signature };
      });
    },

    async shown(capability, roots, now) {
      const chain = linksOf(capability, contexts, now);
      const { controller, target } = chain.at(-1)!;
      const key = `${controller}#${controller.slice('did:key:'.length)}`;
      const { allowedAction: allowed } = capability as { allowedAction?: string | string[] };
      const action = [allowed ?? 'read'].flat()[0]!;
      await bounded(async () => {
        const purpose = new CapabilityInvocation({
          ...{ allowTargetAttenuation: true, date: now, expectedAction: action, expectedTarget: target, suite },
          expectedRootCapability: roots.map(rootId),
          ...{ maxChainLength: MAX_CHAIN, maxClockSkew: SKEW, maxDelegationTtl: MAX_DELEGATION_MS },
        });
        const created = new Date(now).toISOString();
        const proof = {
          '@context': ZCAP,
          capability,
          capabilityAction: action,
          created,
          invocationTarget: target,
          verificationMethod: key,
        };
        const { valid, error } = await purpose.validate(proof, { verificationMethod: methodOf(key), documentLoader: loaderOf(roots) });
        if (!valid) throw new AppError('forbidden', 'the capability does not hold', { cause: error });
      });
      return chain;
    },
  };
}
