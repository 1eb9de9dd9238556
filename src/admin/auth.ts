import { createHash, createSecretKey, type KeyObject, randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { jwtVerify, SignJWT } from 'jose';
import { AppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { WalletToken } from '../records/wallet.ts';

/** Who calls: the tenant, and by which of its tokens. */
export interface Caller {
  readonly tenant: string;
  readonly token?: string;
}

/** What an operation asks of its caller. */
export interface Demand {
  readonly method: string;
  readonly auth: 'none' | 'admin' | 'tenant';
}

/** Decides who may call. */
export interface Authority {
  readonly multitenant: boolean;
  /** @throws AppError `unauthorized`, or `forbidden` where a token's scope does not reach */
  admit(demand: Demand, path: string, headers: IncomingHttpHeaders): Promise<Caller>;
  /** Whether a key is the operator's; always, in insecure mode. */
  isOperator(key: string | string[] | undefined): boolean;
  /** The wallet of a token. @throws AppError `unauthorized` */
  walletOf(token: string): Promise<{ wallet: string; token: WalletToken }>;
  /** A token for a wallet: what is to be kept of it, and its text, which is not. */
  issue(wallet: string, wishes: { expiresIn?: number; scope?: readonly string[] }): Promise<{ kept: WalletToken; text: string }>;
}

export interface AuthorityOptions {
  /** Absent: insecure mode. */
  readonly apiKey?: string;
  readonly base: string;
  /** Absent: one tenant. */
  readonly multitenant?: { readonly secret: string; readonly baseRoutes: readonly string[] };
}

/** What a token's scope may hold; without a scope it may do everything. */
export const SCOPES = ['read', 'write'] as const;

/** Compares without telling by its time how much of the key was right. @returns whether the key is the operator's */
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

  async function walletOf(text: string): Promise<{ wallet: string; token: WalletToken }> {
    const invalid = (): AppError => new AppError('unauthorized', 'Authorization token missing or invalid');
    if (!secret || text.length > 4096) throw invalid();
    let claims: { wallet_id?: unknown; jti?: string };
    try {
      claims = (await jwtVerify(text, secret, { algorithms: ['HS256'] })).payload;
    } catch {
      throw invalid();
    }
    const { wallet_id: wallet, jti } = claims;
    if (typeof wallet !== 'string' || jti === undefined || wallet === base) throw invalid();
    let token: WalletToken | undefined;
    try {
      token = (await kernel.profiles.of(wallet)).tokens?.find((known) => known.jti === jti);
    } catch (error) {
      if (!(error instanceof AppError) || error.row.status >= 500) throw error;
    }
    // its end is what was decided, not what the token says: whoever has the secret could say anything
    if (!token || (token.exp !== undefined && token.exp * 1000 <= kernel.now())) throw invalid();
    return { wallet, token };
  }

  return {
    multitenant: multitenant !== undefined,
    isOperator,
    walletOf,
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
        const { wallet, token } = await walletOf(text);
        const needed = method === 'GET' ? 'read' : 'write';
        if (token.scope && !token.scope.includes(needed)) throw new AppError('forbidden', `The token does not allow to ${needed}`);
        return { tenant: wallet, token: token.jti };
      }
      if (!isOperator(key) || !baseRoutes?.test(path)) throw new AppError('unauthorized', 'Authorization token missing or invalid');
      return { tenant: base };
    },
    async issue(wallet, { expiresIn, scope }) {
      if (!secret) throw new AppError('internal', 'tokens without multitenancy');
      const iat = Math.floor(kernel.now() / 1000);
      const kept: WalletToken = {
        jti: randomUUID(),
        iat,
        ...(expiresIn === undefined ? {} : { exp: iat + expiresIn }),
        ...(scope === undefined ? {} : { scope }),
      };
      const { jti, exp } = kept;
      const claims = { wallet_id: wallet, iat, jti, ...(exp === undefined ? {} : { exp }), ...(scope ? { scope: scope.join(' ') } : {}) };
      return { kept, text: await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(secret) };
    },
  };
}
