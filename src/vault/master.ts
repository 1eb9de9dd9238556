import { Buffer } from 'node:buffer';
import { argon2Sync } from 'node:crypto';
import { base58 } from '@scure/base';
import { KEY_BYTES, newKey, open, seal, tenantKeys, unwrapDataKey, VaultError, wrapDataKey } from './seal.ts';

/** How a passphrase becomes a key; stored beside the data, so that the costs can rise for new databases. */
interface Derivation {
  name: 'argon2id';
  salt: string;
  memory: number;
  passes: number;
  parallelism: number;
}

interface Header {
  v: 1;
  kdf?: Derivation;
  check: string;
}

/** RFC 9106 section 4, second recommended option (64 MiB, three passes), with one lane: it runs once per start. */
const COSTS = { memory: 65_536, passes: 3, parallelism: 1 } as const;
const CHECK_TEXT = 'this master key opens this database';
const CHECK_PARTS = ['master key', 'check'] as const;

const checkKeys = (master: Uint8Array) => tenantKeys('', master);

function rawKey(walletKey: string | Uint8Array): Uint8Array | undefined {
  if (typeof walletKey !== 'string') {
    if (walletKey.length !== KEY_BYTES) throw new VaultError(`a raw wallet key has ${KEY_BYTES} bytes, not ${walletKey.length}`);
    return walletKey;
  }
  if (walletKey.length < 32 || walletKey.length > 44) return undefined;
  try {
    const bytes = base58.decode(walletKey);
    return bytes.length === KEY_BYTES ? bytes : undefined;
  } catch {
    return undefined;
  }
}

const derived = (passphrase: string, kdf: Derivation): Buffer =>
  argon2Sync(kdf.name, {
    message: Buffer.from(passphrase.normalize('NFKC')),
    nonce: Buffer.from(kdf.salt, 'base64'),
    memory: kdf.memory,
    passes: kdf.passes,
    parallelism: kdf.parallelism,
    tagLength: KEY_BYTES,
  });

/** A fresh raw master key in the form `--wallet-key` takes: base58 of 32 bytes. */
export const newWalletKey = (): string => base58.encode(newKey());

/**
 * The master key of a new database and the header to store with it (JSON text: derivation, salt, check value; nothing secret).
 * @param walletKey 32 bytes, base58 of 32 bytes, or any other non-empty text as a passphrase (Argon2id).
 */
export function createMaster(walletKey: string | Uint8Array): { key: Uint8Array; header: string } {
  if (walletKey.length === 0) throw new VaultError('the wallet key is empty');
  const raw = rawKey(walletKey);
  const kdf: Derivation | undefined = raw ? undefined : { name: 'argon2id', salt: newKey().toString('base64'), ...COSTS };
  const key = raw ?? derived(walletKey as string, kdf!);
  const header: Header = { v: 1, kdf, check: seal(checkKeys(key), CHECK_PARTS, Buffer.from(CHECK_TEXT)).toString('base64') };
  return { key, header: JSON.stringify(header) };
}

/**
 * A tenant's data key, sealed under a key that only its owner has: text to be stored. Without the wallet key nobody opens it, the operator neither.
 * @param walletKey as for `createMaster`
 */
export function lockDataKey(walletKey: string, tenant: string, dataKey: Uint8Array): string {
  const { key, header } = createMaster(walletKey);
  return JSON.stringify({ header, wrapped: wrapDataKey(key, tenant, dataKey).toString('base64') });
}

/** The reverse of `lockDataKey`. @throws VaultError for another wallet key */
export function unlockDataKey(walletKey: string, tenant: string, lock: string): Buffer {
  const { header, wrapped } = JSON.parse(lock) as { header: string; wrapped: string };
  return unwrapDataKey(openMaster(walletKey, header), tenant, Buffer.from(wrapped, 'base64'));
}

/** The master key of an existing database. @throws VaultError when the wallet key is another one or the header is damaged. */
export function openMaster(walletKey: string | Uint8Array, header: string): Uint8Array {
  const parsed = JSON.parse(header) as Header;
  if (parsed.v !== 1) throw new VaultError('the wallet key header has an unknown version');
  const key = parsed.kdf ? (typeof walletKey === 'string' ? derived(walletKey, parsed.kdf) : undefined) : rawKey(walletKey);
  if (!key) throw new VaultError('the wallet key is of another kind than the one this database was created with');
  open(checkKeys(key), CHECK_PARTS, Buffer.from(parsed.check, 'base64'));
  return key;
}
