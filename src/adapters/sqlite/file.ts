import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { newWalletKey, openMaster } from '../../vault/master.ts';
import { guardedMaster } from '../store/shared.ts';

/** The rows of a query. Their type is that of its columns, which the compiler cannot see in its text. */
export const rowsOf = <T>(rows: readonly object[]): T[] => rows as T[];
export const rowOf = <T>(row: object | undefined): T | undefined => row as T | undefined;

// https://www.sqlite.org/rescode.html
const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;
/** Extended: primary key, unique index, row id. Any other constraint that breaks is a defect of ours, not a race. */
const TAKEN: ReadonlySet<number> = new Set([1555, 2067, 2579]);
/** How it names the id of a message. */
const MAIL_ID = 'mail.t, mail.id';

/** SQLite's own error number with its extension, or undefined for any other error. */
const extendedCode = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;

/** An error of SQLite as one of the error table. */
export function sqliteError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const extended = extendedCode(error);
  const code = extended === undefined ? undefined : extended & 0xff;
  const text = error instanceof Error ? error.message : String(error);
  if (extended !== undefined && TAKEN.has(extended) && text.includes(MAIL_ID))
    return new AppError('mail-known', undefined, { cause: error });
  if (extended !== undefined && TAKEN.has(extended))
    return new AppError('conflict', `An id of the commit exists already (${text})`, { cause: error });
  if (code === FULL) return new AppError('store-full', undefined, { cause: error });
  if (code === CORRUPT || code === NOT_A_DATABASE) {
    return new AppError('store-corrupt', `The database file is damaged (${text}): restore it from a backup`, { cause: error });
  }
  if (code !== undefined) return new AppError('store-unavailable', `The database does not answer (${text})`, { cause: error });
  return new AppError('internal', text, { cause: error });
}

/** The file an SQLite path means, with its folder created, readable by its owner only. */
export function preparedPath(path: string): string {
  const full = resolve(path);
  mkdirSync(dirname(full), { recursive: true });
  closeSync(openSync(full, 'a', 0o600));
  // two names of one file must meet at one lock
  return realpathSync(full);
}

/**
 * Takes the lock that keeps a second process off the file: a side file held by BEGIN EXCLUSIVE, which the system releases when the process ends however it ends.
 * @returns the function that releases it. @throws AppError `store-locked`.
 */
export function lockFile(path: string): () => void {
  const side = new DatabaseSync(`${path}.lock`, { timeout: 0 });
  try {
    chmodSync(`${path}.lock`, 0o600);
    side.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    side.close();
    const code = (extendedCode(error) ?? 0) & 0xff;
    if (code === BUSY || code === LOCKED) throw new AppError('store-locked', `Another process has this database open: ${path}`);
    throw sqliteError(error);
  }
  return () => side.close();
}

/** The wallet key that was generated for this database, if one was. */
export function savedWalletKey(path: string, suffix = ''): string | undefined {
  const file = `${path}.key${suffix}`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Generates a wallet key for a fresh database and puts it, durably, beside it, readable by its owner only. */
export function generateWalletKey(path: string, suffix = ''): string {
  const key = newWalletKey();
  const file = openSync(`${path}.key${suffix}`, 'wx', 0o600);
  try {
    writeSync(file, `${key}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  syncFolder(path);
  return key;
}

/**
 * The master key that a key file beside the database gives; undefined where there is none. A rotation that was committed, and ended before the new key had its name,
 * is finished here.
 * @throws AppError `wrong-master-key`
 */
export function savedMaster(path: string, header: string): Uint8Array | undefined {
  const saved = savedWalletKey(path);
  const next = savedWalletKey(path, '.next');
  if (saved !== undefined) {
    try {
      return guardedMaster(() => openMaster(saved, header));
    } catch (error) {
      if (next === undefined) throw error;
    }
  }
  if (next === undefined) return undefined;
  const key = guardedMaster(() => openMaster(next, header));
  if (saved !== undefined) renameSync(`${path}.key`, `${path}.key.old`);
  renameSync(`${path}.key.next`, `${path}.key`);
  syncFolder(path);
  return key;
}

/** Makes names of files in a database's folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
