import type { Readable } from 'node:stream';
import { base58 } from '@scure/base';
import { eraseWallet } from '../admin/routes/multitenancy.ts';
import { backupOf } from '../admin/routes/wallet-backup.ts';
import { AppError } from '../errors.ts';
import { checkedAs } from '../kernel/json.ts';
import { validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { type Account, MAX_PASSKEYS } from './accounts.ts';
import { type AssertionGiven, Registration, type RegistrationGiven } from './passkeys.ts';
import { Asserted, closed, hashOf, type PersonParts, Proof, Wrap } from './person-parts.ts';
import type { Session } from './sessions.ts';

/** Whether a wrap is sealed under a passphrase. */
export const Phrase = Type.Optional(Type.Literal(true));
const AddPasskey = validator(Type.Object({ response: Registration, wrap: Type.Optional(Wrap), phrase: Phrase }, closed));
const SetDevice = validator(Type.Object({ proof: Proof, wrap: Type.Optional(Wrap) }, closed));
/** How long a link opens the wallet on another device. */
const DEVICE_MS = 10 * 60_000;
const RemovePasskey = validator(Type.Object({ id: Type.String({ maxLength: 1400 }) }, closed));
/** 32 bytes, base64url. */
const PublicKey = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });
const SetWords = validator(Type.Object({ proof: Proof, wrap: Type.Optional(Wrap), recovery: Type.Optional(PublicKey) }, closed));
/** Multicodec of an X25519 public key. */
const X25519_PUB = [0xec, 0x01] as const;
const multibase = (key: string): string => `z${base58.encode(Uint8Array.from([...X25519_PUB, ...Buffer.from(key, 'base64url')]))}`;
const Erase = validator(Type.Object({ name: Type.String({ maxLength: 60 }) }, closed));

/** What a person whose wallet is open does with the account: passkeys, words, its end. */
export function accountChanges({ admin, sessions, kind, accounts, passkeys, accountOf }: PersonParts) {
  const { kernel } = admin;
  const { now } = kernel;
  return {
    /** The person is there: the wallet stays open. @throws AppError `unauthorized` where it was locked meanwhile */
    async stay(session: Session): Promise<void> {
      const account = await accountOf(session);
      if (account.mode === 'kept' || session.token === undefined) return;
      await kernel.db.admin.keepOpen(account.wallet, Math.min(now() + kind.idleMs, session.ends));
    },

    /** What one of the account's passkeys opens, shown to whoever has it. */
    async again(session: Session, body: JsonObject): Promise<JsonObject> {
      Asserted.parse(body, 'unprocessable');
      const { response } = checkedAs<{ response: AssertionGiven }>(body);
      const account = await accountOf(session);
      const { wrap, phrase } = await passkeys.check(`again ${session.id}`, response, account.passkeys);
      return { wrap: wrap ?? null, phrase: phrase === true, user: account.id };
    },

    async addPasskey(session: Session, body: JsonObject): Promise<Account> {
      AddPasskey.parse(body, 'unprocessable');
      const { response, ...seal } = checkedAs<{ response: RegistrationGiven; wrap?: string; phrase?: true }>(body);
      const account = await accountOf(session);
      if (account.mode === 'own' && seal.wrap === undefined)
        throw new AppError('unprocessable', 'A passkey of this wallet must seal its key');
      if (account.passkeys.length >= MAX_PASSKEYS) throw new AppError('bad-request', `A wallet has ${MAX_PASSKEYS} passkeys at most`);
      const passkey = await passkeys.register(`add ${session.id}`, response);
      return await accounts.change(account.id, (one) => ({
        ...one,
        passkeys: [...one.passkeys.slice(0, MAX_PASSKEYS - 1), { ...passkey, ...seal }],
      }));
    },

    /** A link for another device, in place of a former one. */
    async setDevice(session: Session, body: JsonObject): Promise<Account> {
      SetDevice.parse(body, 'unprocessable');
      const { proof, wrap } = checkedAs<{ proof: string; wrap?: string }>(body);
      return await accounts.change((await accountOf(session)).id, (one) => {
        if ((one.mode === 'own') !== (wrap !== undefined))
          throw new AppError('unprocessable', 'A link seals the key of a wallet that has one');
        return { ...one, device: { proof: hashOf(proof), ends: now() + DEVICE_MS, ...(wrap === undefined ? {} : { wrap }) } };
      });
    },

    async removePasskey(session: Session, body: JsonObject): Promise<Account> {
      RemovePasskey.parse(body, 'unprocessable');
      return await accounts.change((await accountOf(session)).id, (one) => {
        const left = one.passkeys.filter(({ id }) => id !== body.id);
        if (left.length === 0) throw new AppError('bad-request', 'The last passkey stays: add another one first');
        return { ...one, passkeys: left };
      });
    },

    async setWords(session: Session, body: JsonObject): Promise<Account> {
      SetWords.parse(body, 'unprocessable');
      const { proof, wrap, recovery } = checkedAs<{ proof: string; wrap?: string; recovery?: string }>(body);
      return await accounts.change((await accountOf(session)).id, (one) => {
        if ((one.mode === 'own') !== (wrap !== undefined))
          throw new AppError('unprocessable', 'The words seal the key of a wallet that has one');
        const words = {
          proof: hashOf(proof),
          ...(wrap === undefined ? {} : { wrap }),
          ...(recovery === undefined ? {} : { recovery: multibase(recovery) }),
        };
        return { ...one, words };
      });
    },

    /** A copy of the wallet, which only the words open. @throws AppError `bad-request` where there are none, `busy` */
    async takeAway(session: Session): Promise<Readable> {
      const { words, wallet } = await accountOf(session);
      if (words?.recovery === undefined) throw new AppError('bad-request', 'A copy is opened by recovery words: make them first');
      return await backupOf(admin, wallet, words.recovery);
    },

    /** Deletes the wallet with all that is in it, and the account. */
    async erase(session: Session, body: JsonObject): Promise<void> {
      Erase.parse(body, 'unprocessable');
      const account = await accountOf(session);
      if (String(body.name).trim() !== account.name) throw new AppError('bad-request', 'This is not the name of the wallet');
      await eraseWallet(admin, account.wallet);
      await accounts.remove(account.id);
      await sessions.endAll(session.who);
    },
  };
}
