import { createSecretKey, timingSafeEqual } from 'node:crypto';
import { base58 } from '@scure/base';
import { createWallet, enterWallet, leaveWallet, lockWallet } from '../admin/routes/multitenancy.ts';
import { AppError, asAppError } from '../errors.ts';
import { hashId, newId } from '../kernel/ids.ts';
import { checkedAs } from '../kernel/json.ts';
import { validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { accountChanges, Phrase } from './account-changes.ts';
import { type Account, createAccounts } from './accounts.ts';
import { createLimit } from './limits.ts';
import { type AssertionGiven, createPasskeys, passkeyRefused, Registration, type RegistrationGiven, userOf } from './passkeys.ts';
import { Asserted, accountIn, closed, hashOf, type PersonOptions, type PersonParts, Proof, Wrap } from './person-parts.ts';
import type { Session } from './sessions.ts';
import { WALLET_SETTINGS } from './wallet-operations.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Attempts that are answered: from one address, and new wallets in all. */
const MOST = { begin: 120, signIn: 30, words: 10, signUp: 30, signUpsOfAll: 1000 };

/** 32 random bytes, base64url: a text that people think of would be guessed, and costs time to try. */
const WalletKey = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });
const Name = Type.String({ minLength: 1, maxLength: 60, pattern: '\\S' });
const Code = Type.Optional(Type.String({ maxLength: 200 }));
const Begin = validator(
  Type.Object(
    { purpose: Type.Union(['up', 'in', 'add', 'again'].map((one) => Type.Literal(one))), name: Type.Optional(Name), code: Code },
    closed,
  ),
);
const SignUp = validator(
  Type.Object(
    {
      user: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
      name: Name,
      code: Code,
      mode: Type.Union([Type.Literal('own'), Type.Literal('kept')]),
      response: Registration,
      wrap: Type.Optional(Wrap),
      phrase: Phrase,
      wallet_key: Type.Optional(WalletKey),
    },
    closed,
  ),
);
const ByProof = validator(Type.Object({ proof: Proof }, closed));
const Open = validator(Type.Object({ wallet_key: WalletKey }, closed));

const whoOf = ({ id }: Account): string => hashOf(`wallet person ${id}`);

/** A raw wallet key as the store takes it. */
const rawKey = (given: string | undefined): string | undefined =>
  given === undefined ? undefined : base58.encode(new Uint8Array(Buffer.from(given, 'base64url')));

/** Opening wallets for sessions, and locking them. */
function doorsOf({ admin, sessions, kind, accounts }: PersonParts) {
  const { now } = admin.kernel;

  /** A session of an account whose wallet is open. @throws AppError `unauthorized` for another key, and where the wallet is gone */
  async function enter(account: Account, walletKey: string | undefined) {
    if (account.making) await make(account, walletKey);
    const entry = { walletKey, until: now() + kind.idleMs, seconds: Math.ceil(kind.longestMs / 1000) };
    let entered: { token: string };
    try {
      entered = await enterWallet(admin, account.wallet, entry);
    } catch (error) {
      const { code: why } = asAppError(error);
      if (why === 'not-found') {
        // it was deleted, and this remained
        await accounts.remove(account.id);
        throw passkeyRefused();
      }
      if (why !== 'bad-request' || account.mode === 'kept') throw error;
      // so many sessions in so short a time are no person's: all begin anew
      await sessions.endAll(whoOf(account));
      await lockWallet(admin, account.wallet);
      entered = await enterWallet(admin, account.wallet, entry);
    }
    return await sessions.begin({ role: 'tenant-admin', who: whoOf(account), wallet: account.id, token: entered.token });
  }

  /** Makes the wallet of a new account; repeated, it is the same one. */
  async function make(account: Account, walletKey: string | undefined): Promise<void> {
    const own = account.mode === 'own';
    const body: JsonObject = {
      label: account.name,
      key_management_mode: own ? 'unmanaged' : 'managed',
      ...(own ? { wallet_key: walletKey! } : {}),
      expires_in: 60,
      extra_settings: { ...WALLET_SETTINGS },
    };
    await createWallet(admin, body, walletCall(account.id));
    await accounts.change(account.id, ({ making: _made, ...rest }) => rest);
  }

  /** The token of a session is void; the wallet is locked with the last session of its owner. */
  async function leave(session: Session): Promise<void> {
    await sessions.end(session.id);
    const account = session.wallet === undefined ? undefined : await accounts.find(session.wallet);
    if (!account || session.token === undefined) return;
    const others = (await sessions.of(session.who)).filter(({ token }) => token !== undefined);
    try {
      if (account.mode === 'own' && others.length === 0) {
        await lockWallet(admin, account.wallet);
        return;
      }
      const { token } = await admin.authority().walletOf(session.token, 'read');
      await leaveWallet(admin, account.wallet, token.jti);
    } catch (error) {
      // it has ended already
      if (asAppError(error).row.status >= 500) throw error;
    }
  }

  return { enter, leave };
}

/** Signing up, in and out at the web wallet, and what an account has: passkeys, words, its end. */
export function createPersons({ admin, sessions, kind, origin, code }: PersonOptions) {
  const { kernel, base } = admin;
  const { now } = kernel;
  const accounts = createAccounts(kernel.db, base);
  const passkeys = createPasskeys(kernel.db, base, origin);
  const accountOf: PersonParts['accountOf'] = (session) => accountIn(accounts, session);
  const parts: PersonParts = { admin, sessions, kind, accounts, passkeys, accountOf };
  const { enter, leave } = doorsOf(parts);
  /** A session of an account whose wallet is locked: its key is asked for. */
  const half = (account: Account) => sessions.begin({ role: 'reader', who: whoOf(account), wallet: account.id });
  const limits = {
    begin: createLimit(now, MOST.begin, MINUTE),
    signIn: createLimit(now, MOST.signIn, MINUTE),
    words: createLimit(now, MOST.words, MINUTE),
    signUp: createLimit(now, MOST.signUp, HOUR),
    all: createLimit(now, MOST.signUpsOfAll, HOUR),
  };
  const wanted = code === undefined ? undefined : createSecretKey(Buffer.from(hashOf(code)));

  /** @throws AppError `forbidden` */
  function checkCode(given: string | undefined): void {
    if (wanted && !timingSafeEqual(Buffer.from(hashOf(given ?? '')), wanted.export()))
      throw new AppError('forbidden', 'Signing up here needs the code that the operator gives you');
  }

  return {
    accountOf,
    leave,
    ...accountChanges(parts),

    /** Options for the browser's passkeys. */
    async begin(address: string, body: JsonObject, session: Session | undefined): Promise<JsonObject> {
      limits.begin(address);
      Begin.parse(body, 'unprocessable');
      const { purpose, name, code: given } = checkedAs<{ purpose: string; name?: string; code?: string }>(body);
      if (purpose === 'up') {
        checkCode(given);
        const user = newId();
        return { user, options: checkedAs<JsonObject>(await passkeys.registration(`up ${user}`, user, name ?? 'FlexID', [])) };
      }
      if (purpose === 'in') return { options: checkedAs<JsonObject>(await passkeys.assertion('in')) };
      const account = await accountOf(session);
      if (purpose === 'again')
        return { options: checkedAs<JsonObject>(await passkeys.assertion(`again ${session!.id}`, account.passkeys)) };
      return {
        options: checkedAs<JsonObject>(await passkeys.registration(`add ${session!.id}`, account.id, account.name, account.passkeys)),
      };
    },

    /** A new account with its wallet. @returns its first session */
    async signUp(address: string, body: JsonObject) {
      limits.signUp(address);
      SignUp.parse(body, 'unprocessable');
      const { user, name, code: given, mode, response, wrap, phrase, wallet_key: key } = checkedAs<SignUpGiven>(body);
      checkCode(given);
      if ((mode === 'own') !== (wrap !== undefined && key !== undefined))
        throw new AppError('unprocessable', 'A wallet that only you can open has a key of its own, sealed by your passkey');
      const passkey = await passkeys.register(`up ${user}`, response);
      limits.all('');
      const account: Account = {
        id: user,
        wallet: hashId(`wallet ${walletCall(user)}`),
        name: name.trim(),
        mode,
        passkeys: [{ ...passkey, ...(wrap === undefined ? {} : { wrap, ...(phrase && { phrase }) }) }],
        making: true,
        made: now(),
      };
      await accounts.add(account);
      return { account, ...(await enter(account, rawKey(key))) };
    },

    /** Who has the passkey: a session, of a wallet that is open where this agent keeps its key; else with what the passkey opens. */
    async signIn(address: string, body: JsonObject) {
      limits.signIn(address);
      Asserted.parse(body, 'unprocessable');
      const { response } = checkedAs<{ response: AssertionGiven }>(body);
      const account = await accounts.find(userOf(response));
      if (!account) throw passkeyRefused();
      const passkey = await passkeys.check('in', response, account.passkeys);
      if (passkey.counter > 0)
        await accounts.change(account.id, (one) => ({
          ...one,
          passkeys: one.passkeys.map((each) => (each.id === passkey.id ? passkey : each)),
        }));
      if (account.mode === 'kept') return { account, ...(await enter(account, undefined)) };
      return { account, wrap: passkey.wrap, phrase: passkey.phrase, ...(await half(account)) };
    },

    /** Who knows the words: the same. */
    async signInByWords(address: string, body: JsonObject) {
      limits.words(address);
      ByProof.parse(body, 'unprocessable');
      const account = await accounts.byWords(hashOf(String(body.proof)));
      if (!account) throw new AppError('unauthorized', 'No wallet here has these words');
      if (account.mode === 'kept') return { account, ...(await enter(account, undefined)) };
      return { account, wrap: account.words!.wrap, ...(await half(account)) };
    },

    /** Who has the link for another device: the same, once. */
    async signInByDevice(address: string, body: JsonObject) {
      limits.words(address);
      ByProof.parse(body, 'unprocessable');
      const proof = hashOf(String(body.proof));
      const gone = (): AppError => new AppError('unauthorized', 'This link was used already, or its time is over: make another one');
      const account = await accounts.byDevice(proof);
      if (!account) throw gone();
      const { wrap } = account.device!;
      await accounts.change(account.id, ({ device, ...rest }) => {
        if (device?.proof !== proof || device.ends <= now()) throw gone();
        return rest;
      });
      if (account.mode === 'kept') return { account, ...(await enter(account, undefined)) };
      return { account, wrap, ...(await half(account)) };
    },

    /** Opens the wallet of a session with the key that its owner has. @returns a new session in its place */
    async open(session: Session, body: JsonObject) {
      Open.parse(body, 'unprocessable');
      const account = await accountOf(session);
      if (account.mode !== 'own') throw new AppError('bad-request', 'This wallet has no key of its owner');
      limits.signIn(account.id);
      const made = await enter(account, rawKey(String(body.wallet_key)));
      await leave(session);
      return { account, ...made };
    },

    /** Ends every session of the account, and locks its wallet. */
    async leaveEverywhere(session: Session): Promise<void> {
      const account = await accountOf(session);
      await sessions.endAll(session.who);
      if (account.mode === 'own') await lockWallet(admin, account.wallet);
      else await leave(session);
    },
  };
}

interface SignUpGiven {
  readonly user: string;
  readonly name: string;
  readonly code?: string;
  readonly mode: Account['mode'];
  readonly response: RegistrationGiven;
  readonly wrap?: string;
  readonly phrase?: true;
  readonly wallet_key?: string;
}

/** The name of the call that makes an account's wallet. */
const walletCall = (account: string): string => `web account ${account}`;

export type Persons = ReturnType<typeof createPersons>;
