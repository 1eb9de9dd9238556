import { createHash } from 'node:crypto';
import type { FaceParts } from '../admin/face.ts';
import { BoundedMap } from '../bounded-map.ts';
import { AppError, asAppError } from '../errors.ts';
import { checkedAs } from '../kernel/json.ts';
import { validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Login, LoginRule } from './oidc.ts';
import { OF_WALLET, ROLES, type Role } from './roles.ts';
import type { NewSession, Session, Sessions } from './sessions.ts';

/** Wrong attempts to sign in that are answered: from one address, and at one wallet, within a minute. */
const MAX_WRONG = { address: 5, wallet: 20 };
const MINUTE = 60_000;
const MAX_COUNTED = 10_000;
/** How long a token lives that was made for a session. */
const TOKEN_SECONDS = 12 * 3600;

const Text = (maxLength: number) => Type.Optional(Type.String({ minLength: 1, maxLength }));
const SignIn = validator(
  Type.Object(
    {
      key: Text(4096),
      token: Text(4096),
      wallet_id: Text(200),
      wallet_key: Text(1000),
      role: Type.Optional(Type.Union(ROLES.map((role) => Type.Literal(role)))),
    },
    { additionalProperties: false },
  ),
);

interface Given {
  readonly key?: string;
  readonly token?: string;
  readonly wallet_id?: string;
  readonly wallet_key?: string;
  readonly role?: Role;
}

const wrong = (): AppError => new AppError('unauthorized', 'This is not right: nobody is signed in by it');
const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Counts wrong attempts by name, over a minute. */
function createAttempts(now: () => number, max: number) {
  const counted = new BoundedMap<string, { readonly since: number; count: number }>(MAX_COUNTED);
  const current = (name: string) => {
    const found = counted.get(name);
    return found && now() - found.since < MINUTE ? found : undefined;
  };
  return {
    /** @throws AppError `busy` */
    check(name: string): void {
      if ((current(name)?.count ?? 0) >= max) throw new AppError('busy', 'Too many wrong attempts: wait a minute');
    },
    /** An attempt counts before its outcome is known, so that many at once are counted too. */
    begin(name: string): () => void {
      const entry = current(name) ?? { since: now(), count: 0 };
      entry.count++;
      counted.set(name, entry);
      return () => void entry.count--;
    },
  };
}

interface DeskParts {
  readonly parts: FaceParts;
  readonly sessions: Sessions;
  /** A hash of the operator's key. */
  readonly key: string;
  readonly login?: Login;
}

/** Where people sign in and out: by the operator's key, by a wallet's token, by a wallet's id and key, or at an OpenID Provider. */
export function createDesk({ parts, sessions, key, login }: DeskParts) {
  const { admin, authority, operations } = parts;
  const { kernel, base } = admin;
  const byAddress = createAttempts(kernel.now, MAX_WRONG.address);
  const byWallet = createAttempts(kernel.now, MAX_WRONG.wallet);
  const tokens = operations.find((op) => op.operationId === 'post_multitenancy_wallet_wallet_id_token');
  const isOpen = authority.isOperator(undefined);

  /** A token for the wallet whose key is given, or which this agent keeps the key of. @throws AppError */
  async function tokenFor(wallet: string, walletKey?: string): Promise<string> {
    if (!tokens) throw wrong();
    const body = { ...(walletKey !== undefined && { wallet_key: walletKey }), expires_in: TOKEN_SECONDS, keep_others: true };
    try {
      const answer = await tokens.handle(admin, { tenant: base, params: { wallet_id: wallet }, query: {}, body, key: undefined });
      return String((answer as JsonObject).token);
    } catch (error) {
      const { row } = asAppError(error);
      if (row.status >= 500 || row.status === 429) throw error;
      throw wrong();
    }
  }

  /** Whom the given secret stands for. @throws AppError `unauthorized`, `forbidden` for a role beyond it */
  async function recognized({ key: given, token, wallet_id: wallet, wallet_key: walletKey, role }: Given): Promise<NewSession> {
    if (token !== undefined || wallet !== undefined) {
      const text = token ?? (await tokenFor(wallet!, walletKey ?? ''));
      const found = await authority.walletOf(text, 'read');
      const narrow = found.token.scope !== undefined && !found.token.scope.includes('write');
      const own = role ?? (narrow ? 'reader' : 'tenant-admin');
      if (!OF_WALLET.includes(own) || (narrow && own !== 'reader'))
        throw new AppError('forbidden', 'This role is more than the token allows');
      return { role: own, who: hash(`wallet ${found.wallet}`), token: text, ...(token === undefined ? { ownToken: true } : {}) };
    }
    if (!isOpen && (given === undefined || !authority.isOperator(given))) throw wrong();
    const own = role ?? 'operator';
    if (authority.multitenant && OF_WALLET.includes(own))
      throw new AppError('forbidden', 'The operator has no wallet of this role: sign in with a token');
    return { role: own, who: 'operator', key };
  }

  /** The session of somebody whom the provider knows. @throws AppError `unauthorized` */
  async function ofLogin({ role, wallet }: LoginRule, sub: string): Promise<NewSession> {
    const who = hash(`login ${login?.name} ${sub}`);
    if (wallet !== undefined) return { role, who, sub, token: await tokenFor(wallet), ownToken: true };
    // the operator has no wallet of such a role where there are several
    if (authority.multitenant && OF_WALLET.includes(role)) throw wrong();
    return { role, who, sub, key };
  }

  return {
    /** What a page may know before anybody has signed in. */
    facts: (): JsonObject => ({
      insecure: isOpen,
      multitenant: authority.multitenant,
      wallet_keys: tokens !== undefined,
      version: admin.version,
      ...(login && { login: login.name }),
    }),

    /**
     * Signs in who comes back from the OpenID Provider.
     * @param query the query of the callback
     * @param kept the text of the cookie that its login began with
     * @throws AppError `unauthorized` where the provider refused, or no rule is about them; `busy`
     */
    async signInAt(address: string, query: string, kept: string): Promise<{ cookie: string; session: Session }> {
      byAddress.check(address);
      const right = byAddress.begin(address);
      if (!login) throw wrong();
      let rule: LoginRule | undefined;
      let sub: string;
      try {
        const claims = await login.finish(query, kept);
        sub = claims.sub;
        rule = login.ruleFor(claims);
      } catch (error) {
        kernel.log.warn({ err: error }, 'a login at the OpenID Provider failed');
        throw wrong();
      }
      if (!rule) throw wrong();
      const made = await ofLogin(rule, sub);
      right();
      return await sessions.begin(made);
    },

    /** @throws AppError `unauthorized`, `forbidden`, `busy`, `unprocessable` */
    async signIn(address: string, body: JsonObject): Promise<{ cookie: string; session: Session }> {
      SignIn.parse(body, 'unprocessable');
      const given = checkedAs<Given>(body);
      byAddress.check(address);
      if (given.wallet_id !== undefined) byWallet.check(given.wallet_id);
      const right = [byAddress.begin(address), ...(given.wallet_id === undefined ? [] : [byWallet.begin(given.wallet_id)])];
      const made = await recognized(given);
      for (const uncount of right) uncount();
      return await sessions.begin(made);
    },

    /** Ends a session, and the token that was made for it. */
    async signOut(session: Session): Promise<void> {
      await sessions.end(session.id);
      if (!session.ownToken) return;
      try {
        const { wallet, token } = await authority.walletOf(session.token!, 'read');
        const { kept } = await authority.issue(wallet, { expiresIn: 1 });
        const input = { body: { token: { ...kept }, keep: true, instead: token.jti }, query: {} };
        await admin.calls.call(base, 'multitenancy', 'admit', { record: wallet, input: input as never });
      } catch (error) {
        // it has ended already
        if (asAppError(error).row.status >= 500) throw error;
      }
    },
  };
}
