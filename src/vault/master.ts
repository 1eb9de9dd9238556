import { Buffer } from 'node:buffer';
import { argon2Sync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { base58 } from '@scure/base';
import { deriveApart } from './derivation.ts';
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

const parameters = (passphrase: string, kdf: Derivation) => ({
  message: Buffer.from(passphrase.normalize('NFKC')),
  nonce: Buffer.from(kdf.salt, 'base64'),
  memory: kdf.memory,
  passes: kdf.passes,
  parallelism: kdf.parallelism,
  tagLength: KEY_BYTES,
});

/** For the start of a process and the tools of its operator, where nobody else waits. */
const derived = (passphrase: string, kdf: Derivation): Buffer => argon2Sync(kdf.name, parameters(passphrase, kdf));

/** Derivations that run at once: each takes a core and 64 MiB. Those that may wait, in all and for one wallet. */
const AT_ONCE = Math.max(1, Math.min(4, availableParallelism() >> 1));
const MAX_WAITING = 64;
const MAX_WAITING_EACH = 4;

/** Too many keys are being tried. */
export class VaultBusy extends Error {}

let running = 0;
/** Waiting calls by wallet: each wallet has its turn, so that many tries of one hold up no other. */
const queues = new Map<string, { go(): void; giveWay(): void }[]>();
let waiting = 0;

function next(): void {
  const [first] = queues;
  if (!first || running >= AT_ONCE) return;
  const [tenant, queue] = first;
  queues.delete(tenant);
  const { go } = queue.shift()!;
  if (queue.length > 0) queues.set(tenant, queue);
  waiting--;
  running++;
  go();
}

/** Where all places are taken, whoever came last of those who try most gives way to one who tries less. @returns whether there is a place now */
function yieldOne(own: number): boolean {
  const most = [...queues.values()].reduce((one, other) => (other.length > one.length ? other : one));
  if (most.length <= own + 1) return false;
  most.pop()!.giveWay();
  waiting--;
  return true;
}

/** `derived` beside the event loop, for wallets of tenants. @throws VaultBusy where too many wait */
async function derivedFor(tenant: string, passphrase: string, kdf: Derivation): Promise<Buffer> {
  const queue = queues.get(tenant) ?? [];
  const busy = (): VaultBusy => new VaultBusy('too many wallet keys are being tried');
  if (queue.length >= MAX_WAITING_EACH || (waiting >= MAX_WAITING && !yieldOne(queue.length))) throw busy();
  await new Promise<void>((resolve, reject) => {
    queue.push({ go: resolve, giveWay: () => reject(busy()) });
    queues.set(tenant, queue);
    waiting++;
    next();
  });
  try {
    return await deriveApart({ name: kdf.name, parameters: parameters(passphrase, kdf) });
  } finally {
    running--;
    next();
  }
}

/** A fresh raw master key in the form `--wallet-key` takes: base58 of 32 bytes. */
export const newWalletKey = (): string => base58.encode(newKey());

/**
 * The master key of a new database and the header to store with it (JSON text: derivation, salt, check value; nothing secret).
 * @param walletKey 32 bytes, base58 of 32 bytes, or any other non-empty text as a passphrase (Argon2id).
 */
export function createMaster(walletKey: string | Uint8Array): { key: Uint8Array; header: string } {
  const { raw, kdf } = newDerivation(walletKey);
  const key = raw ?? derived(walletKey as string, kdf!);
  return { key, header: headerOf(key, kdf) };
}

function newDerivation(walletKey: string | Uint8Array): { raw?: Uint8Array; kdf?: Derivation } {
  if (walletKey.length === 0) throw new VaultError('the wallet key is empty');
  const raw = rawKey(walletKey);
  return raw ? { raw } : { kdf: { name: 'argon2id', salt: newKey().toString('base64'), ...COSTS } };
}

function headerOf(key: Uint8Array, kdf: Derivation | undefined): string {
  const header: Header = { v: 1, kdf, check: seal(checkKeys(key), CHECK_PARTS, Buffer.from(CHECK_TEXT)).toString('base64') };
  return JSON.stringify(header);
}

/**
 * A tenant's data key, sealed under a key that only its owner has: text to be stored. Without the wallet key nobody opens it, the operator neither.
 * @param walletKey as for `createMaster`
 * @throws VaultBusy where too many derive a key already
 */
export async function lockDataKey(walletKey: string, tenant: string, dataKey: Uint8Array): Promise<string> {
  const { raw, kdf } = newDerivation(walletKey);
  const key = raw ?? (await derivedFor(tenant, walletKey, kdf!));
  return JSON.stringify({ header: headerOf(key, kdf), wrapped: wrapDataKey(key, tenant, dataKey).toString('base64') });
}

/** The reverse of `lockDataKey`. @throws VaultError for another wallet key, VaultBusy where too many are being tried */
export async function unlockDataKey(walletKey: string, tenant: string, lock: string): Promise<Buffer> {
  const { header, wrapped } = JSON.parse(lock) as { header: string; wrapped: string };
  const parsed = headerFrom(header);
  const key = parsed.kdf ? await derivedFor(tenant, walletKey, parsed.kdf) : rawKey(walletKey);
  return unwrapDataKey(checkedKey(key, parsed), tenant, Buffer.from(wrapped, 'base64'));
}

/** The master key of an existing database. @throws VaultError when the wallet key is another one or the header is damaged. */
export function openMaster(walletKey: string | Uint8Array, header: string): Uint8Array {
  const parsed = headerFrom(header);
  return checkedKey(parsed.kdf ? (typeof walletKey === 'string' ? derived(walletKey, parsed.kdf) : undefined) : rawKey(walletKey), parsed);
}

function headerFrom(header: string): Header {
  const parsed = JSON.parse(header) as Header;
  if (parsed.v !== 1) throw new VaultError('the wallet key header has an unknown version');
  return parsed;
}

function checkedKey(key: Uint8Array | undefined, { check }: Header): Uint8Array {
  if (!key) throw new VaultError('the wallet key is of another kind than the one this database was created with');
  open(checkKeys(key), CHECK_PARTS, Buffer.from(check, 'base64'));
  return key;
}
