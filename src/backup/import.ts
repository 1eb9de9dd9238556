import { AppError } from '../errors.ts';
import { indexCounter, REVOCATION_REGISTRY } from '../formats/registry-index.ts';
import type { Adoption, CarriedRow, CarriedTenant } from '../ports/carry.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Database } from '../ports/store.ts';
import { edgeDevice } from '../records/edge-device.ts';
import { restored } from '../records/restored.ts';
import { type WalletValue, wallet, walletOwnerName } from '../records/wallet.ts';
import type { Head, OpenedContainer, Tail } from './container.ts';

/** The order for an import. */
export interface ImportOrder {
  readonly base: string;
  /** Opens the container, from its beginning. */
  readonly open: () => Promise<OpenedContainer>;
  /** One wallet into an instance that is there; absent: all of an instance into an empty store. */
  readonly wallet?: string;
  /** With `wallet`: the instance keeps its key from now on, where its owner kept it. Whoever has the words has all that the key opens. */
  readonly managed?: boolean;
  /** The lowest generation that is taken. */
  readonly atLeast?: number;
  readonly progress?: (wallet: string, rows: number) => void;
}

/** A container that was read to its end and is whole. */
export interface Verified extends ImportOrder {
  readonly head: Head;
  readonly counts: Tail['counts'];
}

/** Rows that are written at once. */
const ROWS = 256;
const PROGRESS_ROWS = 2_000;
/** The counter of a registry that issues elsewhere: more numbers are given than any registry has. */
const USED_UP = 2 ** 31 - 1;

/**
 * Reads all of a container, and checks that it is whole and the wanted one; nothing is written.
 * @throws AppError `unauthorized` for other words, `bad-request` for a container that is damaged or of another kind, `conflict` where its generation is too low
 */
export async function verifyContainer(order: ImportOrder): Promise<Verified> {
  const { base, atLeast } = order;
  const { head, lines } = await order.open();
  if (atLeast !== undefined && head.generation < atLeast)
    throw new AppError('conflict', `The backup has generation ${head.generation}, which is older than ${atLeast}: nothing was written`);
  const of = head.wallet === base ? undefined : head.wallet;
  if (order.wallet !== of)
    throw new AppError(
      'bad-request',
      of === undefined ? 'The backup is of a whole instance: leave --wallet out' : `The backup is of the wallet ${of}: give --wallet ${of}`,
    );
  const { counts } = await drained(lines);
  return { ...order, head, counts };
}

/**
 * Writes the wallets of a container. They are hidden until all is written; an import that is cut short leaves nothing visible, and can be begun again.
 * @returns the wallets
 * @throws AppError `conflict` where the store is not empty, or the instance has the wallet; as `verifyContainer` where the container was changed since
 */
export async function importContainer(db: Database, order: Verified): Promise<string[]> {
  const { base, open, wallet: of } = order;
  if (of === undefined) await checkEmpty(db);
  else await checkInstance(db, base, of);
  const opened = await open();
  const adoption = await db.admin.adopt();
  try {
    const { wallets, record } = await adopted(adoption, opened, order);
    if (wallets.length === 0 || (of !== undefined && (wallets.length !== 1 || wallets[0] !== of || !record)))
      throw new AppError('bad-request', 'The backup is damaged: it has other wallets than its head says');
    if (of === undefined && wallets.includes(base)) await adoption.add(base, wallets.map(restoredRow));
    await adoption.finish();
    if (of !== undefined) await enroll(db, base, of, order.managed ? { ...record!, key_management_mode: 'managed' } : record!);
    return wallets;
  } catch (error) {
    await adoption.abandon();
    throw error;
  }
}

/** The mark by which the agent announces a wallet that is back (`workers/restored.ts`). */
function restoredRow(id: string): CarriedRow {
  const now = Date.now();
  return {
    type: 'record',
    category: restored.category,
    id,
    version: 1,
    state: 'imported',
    created: now,
    updated: now,
    tags: '',
    value: {},
  };
}

/** Whether a row is such a mark of an earlier import, before the backup. */
const isMark = ({ type, category }: CarriedRow): boolean => type === 'record' && category === restored.category;

async function drained(lines: OpenedContainer['lines']): Promise<Tail> {
  for (;;) {
    const next = await lines.next();
    if (next.done) return next.value;
  }
}

/** Whether a tenant is there for somebody: not one that was erased, nor one of an import that was cut short. */
const isThere = (db: Database, id: string): Promise<boolean> =>
  db.store.load(id, []).then(
    () => true,
    (error: unknown) => {
      if (error instanceof AppError && error.code === 'not-found') return false;
      if (error instanceof AppError && error.code === 'wallet-locked') return true;
      throw error;
    },
  );

async function checkEmpty(db: Database): Promise<void> {
  for (const id of await db.admin.tenants())
    if (await isThere(db, id)) throw new AppError('conflict', `The store is not empty: it has the wallet ${id}. Give one that is new`);
}

/** Removes the rest of an import that was cut short between its two commits. @throws AppError `conflict` where the instance has the wallet */
async function checkInstance(db: Database, base: string, id: string): Promise<void> {
  if (!(await isThere(db, base))) throw new AppError('conflict', 'There is no instance in the store: run ./flexid provision first');
  const [[row] = []] = await db.store.load(base, [{ category: wallet.category, id }]);
  if (row) throw new AppError('conflict', `The instance has a wallet ${id} already`);
  if (!(await isThere(db, id))) return;
  await db.admin.eraseTenant(id);
  while ((await db.admin.sweepTenant(id)) > 0);
}

/** Writes all lines into an adoption. */
async function adopted(
  adoption: Adoption,
  { head, lines }: OpenedContainer,
  { wallet: of, managed, progress }: ImportOrder,
): Promise<{ wallets: string[]; record?: WalletValue }> {
  const wallets: string[] = [];
  let record: WalletValue | undefined;
  let rows: CarriedRow[] = [];
  let count = 0;
  async function flush(end = false): Promise<void> {
    const id = wallets.at(-1);
    if (id === undefined) return;
    if (rows.length > 0) await adoption.add(id, rows);
    const before = count;
    count += rows.length;
    if (end || Math.floor(before / PROGRESS_ROWS) < Math.floor(count / PROGRESS_ROWS)) progress?.(id, count);
    rows = [];
  }
  for await (const line of lines) {
    if (line.type === 'wallet') {
      if (line.id !== of) throw new AppError('bad-request', 'The backup is damaged: it has the record of another wallet');
      record = line.value as WalletValue;
    } else if (line.type === 'tenant') {
      await flush(true);
      count = 0;
      const { type: _type, ...tenant } = line;
      await adoption.tenant(managed ? withoutLock(tenant as object as CarriedTenant) : (tenant as object as CarriedTenant));
      wallets.push(String(tenant.id));
    } else {
      if (wallets.length === 0) throw new AppError('bad-request', 'The backup is damaged: rows come before their wallet');
      if (isMark(line as CarriedRow)) continue;
      rows.push(...(head.extent === 'move' ? [line as CarriedRow] : asCopy(line as CarriedRow)));
      // a chunk has 256 KiB
      if (rows.length >= ROWS || line.type === 'chunk') await flush();
    }
  }
  await flush(true);
  return { wallets, record };
}

/** @throws AppError `wallet-locked` where the wallet was locked when it was copied: the words open none of it */
function withoutLock({ lock: _lock, ...tenant }: CarriedTenant): CarriedTenant {
  if (tenant.key === undefined)
    throw new AppError('wallet-locked', 'The wallet was locked when it was copied: only its owner’s key opens it. Leave --managed out');
  return tenant;
}

/** A row in a copy of a wallet, of which the original may go on. */
const asCopy = (row: CarriedRow): CarriedRow[] => withoutNumbers(newerDevice(row, Date.now()));

/**
 * The device of a cloud agent in a copy: newer than that of the original, so that the agency serves the copy from its next start on; of two copies, the one that
 * was restored last.
 */
function newerDevice(row: CarriedRow, now: number): CarriedRow {
  if (row.type !== 'record' || row.category !== edgeDevice.category || row.role !== 'edge' || row.sealed !== undefined) return row;
  const value = row.value as JsonObject;
  return { ...row, value: { ...value, generation: Math.max(Number(value.generation) + 1, now) } };
}

/**
 * A registry's indices are given out by one instance. Where that one may go on, as after a copy, the registries of the copy are full: it revokes with them, and
 * issues with new ones.
 */
function withoutNumbers(row: CarriedRow): CarriedRow[] {
  if (row.type === 'counter') return [{ ...row, n: USED_UP }];
  if (row.type !== 'record' || row.category !== REVOCATION_REGISTRY || row.sealed !== undefined) return [row];
  return [row, { type: 'counter', counter: indexCounter(String(row.id)), n: USED_UP }];
}

/** A wallet's record in another instance. Tokens were signed elsewhere: none is valid here. */
const enrolled = (former: WalletValue): WalletValue => ({
  wallet_name: former.wallet_name,
  wallet_type: former.wallet_type,
  label: former.label,
  image_url: former.image_url,
  webhook_urls: former.webhook_urls,
  dispatch_type: former.dispatch_type,
  key_management_mode: former.key_management_mode,
  extra_settings: former.extra_settings,
  tokens: [],
});

/** Makes a wallet known to its instance. @throws AppError `conflict` where another has its name */
async function enroll(db: Database, base: string, id: string, former: WalletValue): Promise<void> {
  const value = enrolled(former);
  const { wallet_name: name } = value;
  try {
    await db.store.commit(base, {
      records: [
        { category: wallet.category, id, expect: 0, state: 'ready', tags: wallet.tags(value), value: value as JsonObject },
        { category: restored.category, id, expect: 0, state: 'imported', value: {} },
      ],
      keyOwners: name === undefined ? [] : [{ kid: walletOwnerName(name), tenant: base, kind: 'wallet', target: id }],
    });
  } catch (error) {
    await db.admin.eraseTenant(id);
    while ((await db.admin.sweepTenant(id)) > 0);
    if (error instanceof AppError && error.code === 'conflict')
      throw new AppError('conflict', `The instance has a wallet of the name ${name} already: nothing was written`);
    throw error;
  }
}
