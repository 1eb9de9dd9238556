import { createHash, createSecretKey, type KeyObject, randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { AppError } from '../errors.ts';
import type { Kernel, Profile } from '../kernel/context.ts';
import type { WalletToken } from '../records/wallet.ts';

/** The caller: a tenant, and which of its tokens. */
export interface Caller {
  readonly tenant: string;
  readonly token?: string;
  /** The person behind it, as a login names them. */
  readonly sub?: string;
}

/** The requirement of an operation on its caller. */
export interface Demand {
  readonly method: string;
  readonly auth: 'none' | 'admin' | 'tenant';
}

/** The values of a token's scope; without a scope it may do everything. */
export const SCOPES = ['read', 'write'] as const;

/** The scope that a call, or a stream of events, needs. */
export type Need = (typeof SCOPES)[number];

/** Decides who may call. */
export interface Authority {
  readonly multitenant: boolean;
  /** @throws AppError `unauthorized`, or `forbidden` where a token's scope does not reach */
  admit(demand: Demand, path: string, headers: IncomingHttpHeaders): Promise<Caller>;
  /** Whether a key is the operator's; always, in insecure mode. */
  isOperator(key: string | string[] | undefined): boolean;
  /** The wallet of a token that is valid now. @throws AppError `unauthorized`; `forbidden` where its scope does not hold what is needed */
  walletOf(token: string, need: Need): Promise<{ wallet: string; token: WalletToken }>;
  /** Whether who was admitted once still is: by a token that was neither voided nor replaced, has not ended, and is of a wallet that is there. Others stay. */
  holds(caller: Caller): boolean | Promise<boolean>;
  /** A token for a wallet, which ends no later than at `notAfter` (seconds since 1970): what is to be kept of it, and its text, which is not. */
  issue(
    wallet: string,
    wishes: { expiresIn?: number; notAfter?: number; scope?: readonly string[] },
  ): Promise<{ kept: WalletToken; text: string }>;
}

export interface AuthorityOptions {
  /** Absent: insecure mode. */
  readonly apiKey?: string;
  readonly base: string;
  /** Absent: one tenant. */
  readonly multitenant?: { readonly secret: string; readonly baseRoutes: readonly string[] };
}

/** Whether an error means that a wallet is not there; one of the store does not. */
const isGone = (error: unknown): boolean => error instanceof AppError && error.row.status < 500;

/** Compares in constant time. @returns whether the key is the operator's */
function keyCheck(apiKey: string | undefined): (given: string | string[] | undefined) => boolean {
  if (apiKey === undefined) return () => true;
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = hash(apiKey);
  return (given) => typeof given === 'string' && timingSafeEqual(hash(given), expected);
}

/**
 * ACA-Py's rules: the operator's key for its operations, and for everything where there is one tenant; with several, a tenant's token (a JWT, HS256, with
 * `wallet_id`), and for the base wallet the operator's key where a route was opened to it. A token names its wallet and itself; no key is in it.
 */
export function createAuthority(kernel: Kernel, { apiKey, base, multitenant }: AuthorityOptions): Authority {
  const isOperator = keyCheck(apiKey);
  const secret: KeyObject | undefined = multitenant && createSecretKey(Buffer.from(multitenant.secret, 'utf8'));
  // as ACA-Py joins them: each a whole path, as a regular expression
  const opened = multitenant?.baseRoutes.flatMap((text) => text.split(' ')).filter(Boolean) ?? [];
  const baseRoutes = opened.length > 0 ? new RegExp(`^(?:${opened.join('|')})$`) : undefined;

  /** Its end is the wallet's record of it, not the token's: the holder of the secret could write anything there. */
  const liveToken = ({ tokens }: Profile, jti: string): WalletToken | undefined =>
    tokens?.find((known) => known.jti === jti && (known.exp === undefined || known.exp * 1000 > kernel.now()));

  async function walletOf(text: string, need: Need): Promise<{ wallet: string; token: WalletToken }> {
    const invalid = (): AppError => new AppError('unauthorized', 'Authorization token missing or invalid');
    if (!secret || text.length > 4096) throw invalid();
    let claims: { wallet_id?: unknown; jti?: string };
    // tokens are of agents with several tenants
    const { jwtVerify } = await import('jose');
    try {
      claims = (await jwtVerify(text, secret, { algorithms: ['HS256'] })).payload;
    } catch {
      throw invalid();
    }
    const { wallet_id: wallet, jti } = claims;
    if (typeof wallet !== 'string' || jti === undefined || wallet === base) throw invalid();
    let token: WalletToken | undefined;
    let suspended: boolean | undefined;
    try {
      const profile = await kernel.profiles.of(wallet);
      token = liveToken(profile, jti);
      suspended = profile.suspended;
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    if (!token) throw invalid();
    if (suspended) throw new AppError('forbidden', 'The wallet is suspended: ask the operator of this agent');
    if (token.scope && !token.scope.includes(need)) throw new AppError('forbidden', `The token does not allow to ${need}`);
    return { wallet, token };
  }

  function holds({ tenant, token }: Caller): boolean | Promise<boolean> {
    if (token === undefined) return true;
    const profile = kernel.profiles.of(tenant);
    const isHeld = (read: Profile): boolean => !read.suspended && liveToken(read, token) !== undefined;
    if (!(profile instanceof Promise)) return isHeld(profile);
    return profile.then(isHeld, (error: unknown) => {
      if (!isGone(error)) throw error;
      return false;
    });
  }

  return {
    multitenant: multitenant !== undefined,
    isOperator,
    walletOf,
    holds,
    async admit({ method, auth }, path, headers) {
      if (auth === 'none') return { tenant: base };
      const key = headers['x-api-key'];
      if (auth === 'admin' || !multitenant) {
        if (!isOperator(key)) throw new AppError('unauthorized', 'API Key invalid or missing');
        return { tenant: base };
      }
      const { authorization } = headers;
      if (authorization !== undefined) {
        const [bearer, text] = authorization.split(' ');
        if (bearer !== 'Bearer' || !text) throw new AppError('unauthorized', 'Invalid Authorization header structure');
        const { wallet, token } = await walletOf(text, method === 'GET' ? 'read' : 'write');
        return { tenant: wallet, token: token.jti };
      }
      if (!isOperator(key) || !baseRoutes?.test(path)) throw new AppError('unauthorized', 'Authorization token missing or invalid');
      return { tenant: base };
    },
    async issue(wallet, { expiresIn, notAfter, scope }) {
      if (!secret) throw new AppError('internal', 'tokens without multitenancy');
      const iat = Math.floor(kernel.now() / 1000);
      const ends = [...(expiresIn === undefined ? [] : [iat + expiresIn]), ...(notAfter === undefined ? [] : [notAfter])];
      const kept: WalletToken = {
        jti: randomUUID(),
        iat,
        ...(ends.length === 0 ? {} : { exp: Math.min(...ends) }),
        ...(scope === undefined ? {} : { scope }),
      };
      const { jti, exp } = kept;
      const claims = { wallet_id: wallet, iat, jti, ...(exp === undefined ? {} : { exp }), ...(scope ? { scope: scope.join(' ') } : {}) };
      const { SignJWT } = await import('jose');
      return { kept, text: await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(secret) };
    },
  };
}
