import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RecoveryKeys, signedBy } from '../src/backup/recovery.ts';
import type { Wallet } from './agent.ts';
import type { Api, Body } from './api.ts';
import { exported, setupOf } from './backup.ts';

/** Backups of a wallet at its agency, by messages (docs/Backup.md). The device adds them without a question; only the words get them back. */

/** Bytes of a part. */
const PART_BYTES = 98_304;
/** The time that an agency has to take a guest, and that the own one has for its first answer at the end of a wallet. */
const CONNECT_MS = 60_000;
const FIRST_MS = 15_000;
/** A number of a backup that counts: no agency makes a wallet number its backups beyond what the next one takes. */
const HIGHEST = 2 ** 40;

/** A backup at the agency. */
export interface StoredBackup {
  readonly generation: number;
  readonly sha256: string;
  readonly bytes: number;
  readonly parts: number;
}

/** The means by which a wallet asks its agency. */
interface Asked {
  readonly api: Api;
  /** The connection with the agency. */
  readonly connection: string;
}

/** A proof that the words are here, good on one connection. */
type Proof = { readonly controller: string; readonly signature: string };

/** @throws Error with the agency's reason */
async function ask({ api, connection }: Asked, type: string, body: object): Promise<Body> {
  const { state, answer, error_msg: reason } = await api.post(`/wallet-backups/${connection}/${type}`, body);
  if (state === 'answered') return answer;
  throw new Error(state === 'refused' ? `the agency refuses: ${reason}` : 'the agency does not answer');
}

/** The connection that a list has. @throws Error where there is none for long */
async function connectionIn(api: Api, topic: string, list: string): Promise<Asked> {
  const found = async (): Promise<Asked | undefined> => {
    const { results } = await api.get(list);
    return results[0] && { api, connection: results[0].connection_id };
  };
  return await Promise.race([api.until([topic], found), tooLate(CONNECT_MS)]);
}

/** The connection of an open wallet with its agency. @throws Error where it has none */
export async function agencyOf({ api, mailbox }: Pick<Wallet, 'api' | 'mailbox'>): Promise<Asked> {
  if (mailbox !== 'agency') throw new Error('this wallet has no agency: start it once with --agency URL, which is kept');
  return await connectionIn(api, 'cloud_agent', '/agency/devices?role=edge&state=provisioned');
}

/** The connection of a wallet that is a guest of the agency. @throws Error where the agency does not answer */
export const guestOf = ({ api }: Pick<Wallet, 'api'>): Promise<Asked> =>
  connectionIn(api, 'mediation', '/mediation/requests?state=granted');

/** The proof for a connection. */
export async function proofOf({ api, connection }: Asked, keys: RecoveryKeys): Promise<Proof> {
  const { did } = keys.controller;
  const { statement } = await api.post(`/wallet-backups/${connection}/statement`, { controller: did });
  return { controller: did, signature: signedBy(keys, statement) };
}

/** Lets this wallet add backups for the words. */
export async function openAtAgency(wallet: Wallet, keys: RecoveryKeys): Promise<void> {
  const agency = await agencyOf(wallet);
  await ask(agency, 'open', await proofOf(agency, keys));
}

/** The backups of words, the newest first: of a proof all, without a signature those of the own cloud agent. */
const backupsAt = async (agency: Asked, of: Proof | { readonly controller: string }): Promise<readonly StoredBackup[]> =>
  ((await ask(agency, 'list', of)) as { backups: StoredBackup[] }).backups.toSorted((a, b) => b.generation - a.generation);

/**
 * Adds a backup of an open wallet.
 * @returns its number. @throws Error where the wallet has no agency or no words for it, or the agency refuses or does not answer
 */
export async function backUpToAgency(wallet: Omit<Wallet, 'close'>): Promise<number> {
  const { db, folder } = wallet;
  const setup = setupOf(folder);
  if (setup?.agency === undefined) throw new Error('there are no backups at the agency yet: backup --to-agency begins them');
  const { agency: controller } = setup;
  const agency = await agencyOf(wallet);
  const known = await Promise.race([backupsAt(agency, { controller }), tooLate(FIRST_MS)]).catch((error: Error) => {
    const isNew = error.message.includes('unauthorized');
    throw isNew ? new Error('this agency knows nothing of the words yet: backup --to-agency --words FILE begins there') : error;
  });
  const after = known.find((one) => one.generation < HIGHEST)?.generation;
  const { generation, text } = await exported(db, folder, setup, after);
  const lines: Buffer[] = [];
  for await (const line of text) lines.push(Buffer.from(line));
  const bytes = Buffer.concat(lines);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const about = { controller, generation, sha256, bytes: bytes.length, parts: Math.ceil(bytes.length / PART_BYTES) };
  for (let part = 1; part <= about.parts; part++) {
    const data = bytes.subarray((part - 1) * PART_BYTES, part * PART_BYTES).toString('base64');
    await ask(agency, 'put', { ...about, part, data });
  }
  return generation;
}

async function tooLate(ms: number): Promise<never> {
  await sleep(ms, undefined, { ref: false });
  throw new Error('the agency does not answer');
}

/** The backups at an agency for who has the words, on a connection that may be new. */
export async function foundAtAgency(asked: Asked, keys: RecoveryKeys) {
  const proof = await proofOf(asked, keys);
  return {
    /** The newest first. */
    backups: await backupsAt(asked, proof),
    /** @throws Error where the agency has other bytes than it has announced */
    async fetch({ sha256, parts, bytes }: StoredBackup): Promise<Buffer> {
      const read: Buffer[] = [];
      for (let part = 1; part <= parts; part++)
        read.push(Buffer.from((await ask(asked, 'get', { ...proof, sha256, part })).data, 'base64'));
      const all = Buffer.concat(read);
      if (all.length !== bytes || createHash('sha256').update(all).digest('hex') !== sha256)
        throw new Error('the agency has another backup than it says');
      return all;
    },
  };
}
