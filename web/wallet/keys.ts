import { type Answer, currentSession, onSession, request, type SessionFacts, take } from '../lib/api.ts';
import { t } from '../lib/i18n.ts';
import { askPhrase } from './phrase.ts';

/**
 * Passkeys, and the key of the wallet. The key is random and made here. The agent keeps it sealed: under what the passkey gives for this page alone (the `prf`
 * extension of Web Authentication, Level 3), or under a passphrase, and under the recovery words. It is in this page's memory while the wallet is open, and nowhere else in the browser.
 */

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));
/** The same for all passkeys, so that a browser that has one asks once. */
const PRF_INPUT = bytesOf('flexid web wallet: the key of the wallet');
const IV_BYTES = 12;

let held: Uint8Array<ArrayBuffer> | undefined;
onSession(() => {
  if (!currentSession().signed_in) held = undefined;
});

const toText = (bytes: ArrayBuffer | Uint8Array): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
const fromText = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
const random = (length: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(length));

const hkdf = (info: string): HkdfParams => ({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: bytesOf(info) });

async function sealingKey(secret: BufferSource): Promise<CryptoKey> {
  const from = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
  return await crypto.subtle.deriveKey(hkdf('flexid web wallet: seal'), from, { name: 'AES-GCM', length: 256 }, false, [
    'encrypt',
    'decrypt',
  ]);
}

async function sealed(key: Uint8Array<ArrayBuffer>, secret: BufferSource): Promise<string> {
  const iv = random(IV_BYTES);
  const box = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, await sealingKey(secret), key));
  return toText(Uint8Array.from([...iv, ...box]));
}

async function unsealed(wrap: string, secret: BufferSource): Promise<Uint8Array<ArrayBuffer>> {
  const all = fromText(wrap);
  const [iv, box] = [all.slice(0, IV_BYTES), all.slice(IV_BYTES)];
  return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, await sealingKey(secret), box));
}

interface Prompted {
  /** What the server checks. The secret of the passkey is not in it. */
  readonly response: object;
  readonly secret?: BufferSource;
}

/** A passkey's failure in words: browsers name few, since pages should not know more. */
function failed(error: unknown): Error {
  const { name } = error as Error;
  if (name === 'NotAllowedError' || name === 'AbortError') return new Error(t('wallet.passkey.cancelled'));
  if (name === 'InvalidStateError') return new Error(t('wallet.passkey.known'));
  return new Error(t('wallet.passkey.failed'));
}

const evaluated = { prf: { eval: { first: PRF_INPUT } } };

async function asked(publicKey: PublicKeyCredentialRequestOptions): Promise<Prompted> {
  let found: PublicKeyCredential;
  try {
    found = (await navigator.credentials.get({ publicKey: { ...publicKey, extensions: evaluated } })) as PublicKeyCredential;
  } catch (error) {
    throw failed(error);
  }
  const { id, rawId, type, response } = found.toJSON();
  const { clientDataJSON, authenticatorData, signature, userHandle } = response as AuthenticatorAssertionResponseJSON;
  return {
    response: { id, rawId, type, response: { clientDataJSON, authenticatorData, signature, userHandle } },
    secret: found.getClientExtensionResults().prf?.results?.first,
  };
}

/** A new passkey. Some give their secret at once, some when they are asked again, some have none. */
async function made(options: Answer): Promise<Prompted> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  let found: PublicKeyCredential;
  try {
    found = (await navigator.credentials.create({ publicKey: { ...publicKey, extensions: evaluated } })) as PublicKeyCredential;
  } catch (error) {
    throw failed(error);
  }
  const { prf } = found.getClientExtensionResults();
  const { id, rawId, type, response } = found.toJSON();
  const { clientDataJSON, attestationObject } = response as AuthenticatorAttestationResponseJSON;
  let secret = prf?.results?.first;
  if (!secret && prf?.enabled) {
    const allowCredentials = [{ type: 'public-key' as const, id: found.rawId }];
    ({ secret } = await asked({ challenge: random(32), rpId: publicKey.rp.id, allowCredentials, userVerification: 'required' }));
  }
  return { response: { id, rawId, type, response: { clientDataJSON, attestationObject } }, secret };
}

export const passkeysWork = (): boolean => typeof PublicKeyCredential === 'function' && window.isSecureContext;

/** A passkey that was made for a new wallet, which is not there yet. */
export interface Begun {
  readonly user: string;
  readonly name: string;
  readonly code?: string;
  readonly prompted: Prompted;
  /** Whether the passkey can seal a key. */
  readonly seals: boolean;
}

/** The first half of signing up. */
export async function beginSignUp(name: string, code: string): Promise<Begun> {
  const given = { name, ...(code && { code }) };
  const { user, options } = await request('/begin', { purpose: 'up', ...given });
  const prompted = await made(options);
  return { user, ...given, prompted, seals: prompted.secret !== undefined };
}

/** The second half. A wallet whose passkey seals nothing is kept by the agent, or has a passphrase. */
export async function signUp({ user, name, code, prompted: { response, secret } }: Begun, phrase = false): Promise<SessionFacts> {
  const common = { user, name, ...(code && { code }), response };
  if (!secret && !phrase) return take(await request('/sign-up', { ...common, mode: 'kept' }));
  const key = random(32);
  const seal = await sealedBy(key, secret, user);
  const facts = await request('/sign-up', { ...common, mode: 'own', ...seal, wallet_key: toText(key) });
  held = key;
  return take(facts);
}

/** Argon2id (RFC 9106): some seconds of a page, in 32 MiB. */
const ARGON = { t: 2, m: 32 << 10, p: 1, dkLen: 32 };

/** What a passphrase stands for, of one account. */
async function phraseSecret(phrase: string, user: string): Promise<Uint8Array<ArrayBuffer>> {
  const { argon2idAsync } = await import('@noble/hashes/argon2.js');
  return new Uint8Array(await argon2idAsync(bytesOf(phrase), bytesOf(`flexid web wallet ${user}`), ARGON));
}

/** The key under the secret of a passkey; under a passphrase where it has none. */
async function sealedBy(
  key: Uint8Array<ArrayBuffer>,
  secret: BufferSource | undefined,
  user: string,
): Promise<{ wrap: string; phrase?: true }> {
  if (secret) return { wrap: await sealed(key, secret) };
  return { wrap: await sealed(key, await phraseSecret(await askPhrase('new'), user)), phrase: true };
}

/** What is sealed for a passkey. @throws Error in words */
async function keyFrom({ wrap, phrase, user }: Answer, secret: BufferSource | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const by = phrase ? await phraseSecret(await askPhrase('known'), user) : secret;
  if (!by || !wrap) throw new Error(t('wallet.passkey.no-key'));
  return await unsealed(wrap, by).catch(() => {
    throw new Error(t(phrase ? 'wallet.phrase.wrong' : 'wallet.passkey.no-key'));
  });
}

async function opened(facts: Answer, secret: BufferSource | undefined): Promise<SessionFacts> {
  if (facts.signed_in) return take(facts);
  take(facts);
  const key = await keyFrom(facts, secret);
  const open = await request('/open', { wallet_key: toText(key) });
  held = key;
  return take(open);
}

export async function signInByPasskey(): Promise<SessionFacts> {
  const { options } = await request('/begin', { purpose: 'in' });
  const { response, secret } = await asked(PublicKeyCredential.parseRequestOptionsFromJSON(options));
  return await opened(await request('/sign-in', { response }), secret);
}

/** The words of a secret (BIP-39), and what proves that somebody knows them. */
async function bip39(): Promise<{ toWords(secret: Uint8Array): string; toSecret(words: string): Uint8Array<ArrayBuffer> }> {
  const [{ entropyToMnemonic, mnemonicToEntropy }, { wordlist }] = await Promise.all([
    import('@scure/bip39'),
    import('@scure/bip39/wordlists/english.js'),
  ]);
  return {
    toWords: (secret) => entropyToMnemonic(secret, wordlist),
    toSecret: (words) => new Uint8Array(mnemonicToEntropy(words, wordlist)),
  };
}

async function proofOf(secret: BufferSource, of = 'proof of the words'): Promise<string> {
  const from = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  return toText(await crypto.subtle.deriveBits(hkdf(`flexid web wallet: ${of}`), from, 256));
}

const OF_DEVICE = 'proof of a device';

/** A link that opens the wallet on another device, once and soon. The agent sees it in no request: its secret is the fragment. */
export async function newDeviceLink(): Promise<string> {
  const key = await walletKey();
  const secret = random(32);
  await request('/account/device', { proof: await proofOf(secret, OF_DEVICE), ...(key && { wrap: await sealed(key, secret) }) });
  return `${location.origin}/#device=${toText(secret)}`;
}

export async function signInByDevice(text: string): Promise<SessionFacts> {
  const secret = fromText(text);
  return await opened(await request('/device-in', { proof: await proofOf(secret, OF_DEVICE) }), secret);
}

export async function signInByWords(given: string): Promise<SessionFacts> {
  const { toSecret } = await bip39();
  let secret: Uint8Array<ArrayBuffer>;
  try {
    secret = toSecret(given.trim().toLowerCase().split(/\s+/).join(' '));
  } catch {
    throw new Error(t('wallet.words.wrong'));
  }
  return await opened(await request('/words-in', { proof: await proofOf(secret) }), secret);
}

/** The key of the open wallet; undefined for one that the agent keeps. A page that was loaded again asks for a passkey. */
async function walletKey(): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (currentSession().mode !== 'own') return undefined;
  if (held) return held;
  const { options } = await request('/begin', { purpose: 'again' });
  const { response, secret } = await asked(PublicKeyCredential.parseRequestOptionsFromJSON(options));
  held = await keyFrom(await request('/account/again', { response }), secret);
  return held;
}

/** 24 new words. The former ones are void when these are kept. */
export async function newWords(): Promise<{ words: string; keep(): Promise<Answer> }> {
  const key = await walletKey();
  const secret = random(32);
  const { toWords } = await bip39();
  return {
    words: toWords(secret),
    keep: async () =>
      await request('/account/words', {
        proof: await proofOf(secret),
        recovery: await recoveryKey(secret),
        ...(key && { wrap: await sealed(key, secret) }),
      }),
  };
}

/** The head of an X25519 private key in PKCS #8 (RFC 8410, section 7). */
const PKCS8_X25519 = '302e020100300506032b656e04220420';

/** The public key that copies of the wallet are encrypted for, from what the words stand for (docs/Backup.md, The format). */
async function recoveryKey(secret: BufferSource): Promise<string> {
  const from = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const way = { name: 'HKDF', hash: 'SHA-256', salt: bytesOf('flexid wallet backup 1'), info: bytesOf('keyAgreement') };
  const seed = new Uint8Array(await crypto.subtle.deriveBits(way, from, 256));
  const head = Uint8Array.from(PKCS8_X25519.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  const own = await crypto.subtle.importKey('pkcs8', Uint8Array.from([...head, ...seed]), { name: 'X25519' }, true, ['deriveBits']);
  return (await crypto.subtle.exportKey('jwk', own)).x!;
}

/** A copy of the wallet, which the words open. */
export const takeAway = async (): Promise<Blob> => await request('/account/copy', {});

/** Another passkey, as of a second device. */
export async function addPasskey(): Promise<Answer> {
  const key = await walletKey();
  const { options } = await request('/begin', { purpose: 'add' });
  const { response, secret } = await made(options);
  // the user of a passkey is the account
  const user = new TextDecoder().decode(fromText(options.user.id));
  return await request('/account/passkeys/add', { response, ...(key && (await sealedBy(key, secret, user))) });
}
