import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import { AppError, asAppError } from '../errors.ts';
import { sharedSecret } from '../kernel/shared-secret.ts';
import Type from '../kernel/type.ts';
import type { Database } from '../ports/store.ts';

/** A passkey (Web Authentication, Level 3) of an account. Binary values are base64url. */
export interface Passkey {
  readonly id: string;
  readonly publicKey: string;
  readonly counter: number;
  /** When it was added (ms). */
  readonly made: number;
  /** The wallet key, sealed under what this passkey's PRF gives: the agent cannot open it. */
  readonly wrap?: string;
  /** It seals nothing: `wrap` is sealed under a passphrase of its person. */
  readonly phrase?: true;
}

const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Common = { id: Text(1400), rawId: Text(1400), type: Type.Literal('public-key') };
/** The answer of a browser to `navigator.credentials.create`. */
export const Registration = Type.Object({
  ...Common,
  response: Type.Object({ clientDataJSON: Text(4096), attestationObject: Text(16_384) }),
});
/** The answer of a browser to `navigator.credentials.get`. */
export const Assertion = Type.Object({
  ...Common,
  response: Type.Object({ clientDataJSON: Text(4096), authenticatorData: Text(2048), signature: Text(2048), userHandle: Text(200) }),
});
export interface RegistrationGiven extends Pick<RegistrationResponseJSON, 'id' | 'rawId' | 'type'> {
  readonly response: { readonly clientDataJSON: string; readonly attestationObject: string };
}
export interface AssertionGiven extends Pick<AuthenticationResponseJSON, 'id' | 'rawId' | 'type'> {
  readonly response: {
    readonly clientDataJSON: string;
    readonly authenticatorData: string;
    readonly signature: string;
    readonly userHandle: string;
  };
}

const SECRET = 'wallet-challenges';
const USED = 'web_challenge';
/** How long a person may take over a passkey. */
const LIFE_MS = 5 * 60_000;
const RANDOM = 16;
const MAC = 16;
const SWEPT = 50;

const refused = (): AppError => new AppError('unauthorized', 'This passkey is not known here, or its answer came too late');

/**
 * Challenges without a store: random bytes and an end, under a key of the instance, so that strangers fill nothing and every process knows them. One that was
 * answered rightly is noted, and is never taken again.
 */
export function createChallenges({ store, now }: Pick<Database, 'store' | 'now'>, base: string) {
  let key: Promise<Uint8Array> | undefined;

  async function mac(purpose: string, bytes: Buffer): Promise<Buffer> {
    key ??= sharedSecret(store, base, SECRET).catch((error: unknown) => {
      key = undefined;
      throw error;
    });
    return createHmac('sha256', await key)
      .update(`${purpose}\0`)
      .update(bytes)
      .digest()
      .subarray(0, MAC);
  }

  return {
    async make(purpose: string): Promise<Buffer> {
      const bytes = Buffer.alloc(RANDOM + 6);
      randomBytes(RANDOM).copy(bytes);
      bytes.writeUIntBE(now() + LIFE_MS, RANDOM, 6);
      return Buffer.concat([bytes, await mac(purpose, bytes)]);
    },

    /** Whether a challenge was made here for this purpose, and has not ended. */
    async isOurs(purpose: string, challenge: string): Promise<boolean> {
      const all = Buffer.from(challenge, 'base64url');
      if (all.length !== RANDOM + 6 + MAC) return false;
      const bytes = all.subarray(0, RANDOM + 6);
      if (!timingSafeEqual(await mac(purpose, bytes), all.subarray(RANDOM + 6))) return false;
      return bytes.readUIntBE(RANDOM, 6) > now();
    },

    /** Notes that a challenge was answered. @throws AppError `unauthorized` where it was before */
    async use(challenge: string): Promise<void> {
      const id = createHash('sha256').update(challenge).digest('hex');
      try {
        await store.commit(base, { records: [{ category: USED, id, expect: 0, tags: {}, value: {} }] });
      } catch (error) {
        if (asAppError(error).code === 'conflict') throw refused();
        throw error;
      }
      const { rows } = await store.find(base, USED, { limit: SWEPT });
      const over = rows.filter(({ created }) => created + 2 * LIFE_MS < now());
      for (const { id: old, version } of over)
        await store.commit(base, { deletes: [{ category: USED, id: old, expect: version }] }).catch(() => {});
    },
  };
}

/** The checker of passkeys, loaded with the first person who has one. */
const checker = (): Promise<typeof import('@simplewebauthn/server')> => import('@simplewebauthn/server');

/** EdDSA, ES256 and RS256 (COSE): asked for by name, the library does not try what Node.js calls experimental. */
const supportedAlgorithmIDs = [-8, -7, -257];

/** Registers and checks passkeys of one origin. @param origin - as browsers write it; asked each time, since a port may be chosen late */
export function createPasskeys(db: Pick<Database, 'store' | 'now'>, base: string, origin: () => string) {
  const challenges = createChallenges(db, base);
  const host = (): string => new URL(origin()).hostname;

  /** Runs a check, and notes the challenge that it was for. @throws AppError `unauthorized` */
  async function checked<T>(purpose: string, check: (expected: (challenge: string) => Promise<boolean>) => Promise<T>): Promise<T> {
    let challenge: string | undefined;
    let outcome: T;
    try {
      outcome = await check(async (given) => {
        if (!(await challenges.isOurs(purpose, given))) return false;
        challenge = given;
        return true;
      });
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw refused();
    }
    if (challenge === undefined) throw refused();
    await challenges.use(challenge);
    return outcome;
  }

  return {
    /** Options of `navigator.credentials.create`. @param user - the account's id */
    async registration(
      purpose: string,
      user: string,
      name: string,
      known: readonly Passkey[],
    ): Promise<PublicKeyCredentialCreationOptionsJSON> {
      const { generateRegistrationOptions } = await checker();
      return await generateRegistrationOptions({
        rpName: 'FlexID',
        rpID: host(),
        userName: name,
        userDisplayName: name,
        userID: new Uint8Array(Buffer.from(user)),
        challenge: new Uint8Array(await challenges.make(purpose)),
        timeout: LIFE_MS,
        attestationType: 'none',
        supportedAlgorithmIDs,
        excludeCredentials: known.map(({ id }) => ({ id })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      });
    },

    /** A new passkey. @throws AppError `unauthorized` */
    async register(purpose: string, given: RegistrationGiven): Promise<Passkey> {
      const { verifyRegistrationResponse } = await checker();
      const { verified, registrationInfo } = await checked(purpose, (expectedChallenge) =>
        verifyRegistrationResponse({
          response: { ...given, clientExtensionResults: {} } as RegistrationResponseJSON,
          expectedChallenge,
          expectedOrigin: origin(),
          expectedRPID: host(),
          requireUserVerification: true,
          supportedAlgorithmIDs,
        }),
      );
      if (!verified || !registrationInfo) throw refused();
      const { id, publicKey, counter } = registrationInfo.credential;
      return { id, publicKey: Buffer.from(publicKey).toString('base64url'), counter, made: db.now() };
    },

    /** Options of `navigator.credentials.get`: whichever passkey the person has for this origin, or one of those that are named. */
    async assertion(purpose: string, known: readonly Passkey[] = []): Promise<PublicKeyCredentialRequestOptionsJSON> {
      const { generateAuthenticationOptions } = await checker();
      return await generateAuthenticationOptions({
        rpID: host(),
        challenge: new Uint8Array(await challenges.make(purpose)),
        timeout: LIFE_MS,
        allowCredentials: known.map(({ id }) => ({ id })),
        userVerification: 'required',
      });
    },

    /** Checks the answer of a passkey. @returns it with its new counter. @throws AppError `unauthorized` */
    async check(purpose: string, given: AssertionGiven, known: readonly Passkey[]): Promise<Passkey> {
      const passkey = known.find(({ id }) => id === given.id);
      if (!passkey) throw refused();
      const { verifyAuthenticationResponse } = await checker();
      const { verified, authenticationInfo } = await checked(purpose, (expectedChallenge) =>
        verifyAuthenticationResponse({
          response: { ...given, clientExtensionResults: {} } as AuthenticationResponseJSON,
          expectedChallenge,
          expectedOrigin: origin(),
          expectedRPID: host(),
          credential: {
            id: passkey.id,
            publicKey: new Uint8Array(Buffer.from(passkey.publicKey, 'base64url')),
            counter: passkey.counter,
          },
          requireUserVerification: true,
        }),
      );
      if (!verified) throw refused();
      return { ...passkey, counter: authenticationInfo.newCounter };
    },
  };
}

/** The account that an assertion names. */
export const userOf = ({ response: { userHandle } }: AssertionGiven): string => Buffer.from(userHandle, 'base64url').toString('utf8');
export { refused as passkeyRefused };
