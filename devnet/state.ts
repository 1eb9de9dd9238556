import algosdk from 'algosdk';
import type { Value } from './avm-values.ts';

/** An account as the ledger keeps it; amounts in microALGO, `auth` is the address it is rekeyed to. */
export interface Account {
  balance: bigint;
  auth?: string;
  apps: number;
  extraPages: number;
  uints: number;
  byteSlices: number;
  boxes: number;
  boxBytes: number;
}

export interface App {
  id: bigint;
  creator: string;
  address: string;
  approval: Uint8Array;
  clear: Uint8Array;
  extraPages: number;
  uints: number;
  byteSlices: number;
  globals: Map<string, Value>;
  /** Boxes by the hexadecimal form of their names. */
  boxes: Map<string, Uint8Array>;
}

const EMPTY: Account = Object.freeze({ balance: 0n, apps: 0, extraPages: 0, uints: 0, byteSlices: 0, boxes: 0, boxBytes: 0 });

/** The minimum balance that go-algorand's config/consensus.go asks of an account, in microALGO. */
export const minBalance = (account: Account): bigint =>
  100_000n +
  100_000n * BigInt(account.apps + account.extraPages) +
  28_500n * BigInt(account.uints) +
  50_000n * BigInt(account.byteSlices) +
  2_500n * BigInt(account.boxes) +
  400n * BigInt(account.boxBytes);

/** Whether the accounts table may forget it; only then may its balance be under the minimum. */
const isEmpty = (account: Account): boolean =>
  account.balance === 0n &&
  account.auth === undefined &&
  account.apps === 0 &&
  account.boxes === 0 &&
  account.uints === 0 &&
  account.byteSlices === 0;

/** Accounts, applications and boxes, with an undo list: whatever happens after `mark()` can be taken back by `rollback(mark)`. */
export interface State {
  account(address: string): Account;
  put(address: string, change: Partial<Account>): void;
  app(id: bigint): App | undefined;
  addApp(app: App): void;
  setGlobal(app: App, key: string, value: Value | undefined): void;
  box(app: App, name: Uint8Array): Uint8Array | undefined;
  /** Writes, creates or (undefined) deletes a box and keeps the application account's totals. */
  setBox(app: App, name: Uint8Array, content: Uint8Array | undefined): void;
  /** The transaction counter; application ids come from it. */
  counter(): bigint;
  count(): bigint;
  mark(): number;
  rollback(mark: number): void;
  /** Forgets the undo list: what happened stays. */
  settle(): void;
  /** The first account touched since `mark` that is under its minimum balance, but for `exempt`. */
  shortfall(mark: number, exempt: string): { address: string; balance: bigint; minimum: bigint } | undefined;
}

/** An empty state; the counter starts at 1000, as every network's does. */
export const emptyState = (): State => {
  const accounts = new Map<string, Account>();
  const apps = new Map<bigint, App>();
  let counter = 1000n;
  const undo: { address?: string; back: () => void }[] = [];
  const account = (address: string): Account => accounts.get(address) ?? EMPTY;

  const put = (address: string, change: Partial<Account>): void => {
    const before = accounts.get(address);
    accounts.set(address, { ...account(address), ...change });
    undo.push({
      address,
      back: () => {
        if (before === undefined) accounts.delete(address);
        else accounts.set(address, before);
      },
    });
  };

  return {
    account,
    put,
    app: (id) => apps.get(id),
    addApp: (app) => {
      apps.set(app.id, app);
      undo.push({ back: () => apps.delete(app.id) });
    },
    setGlobal: (app, key, value) => {
      const before = app.globals.get(key);
      if (value === undefined) app.globals.delete(key);
      else app.globals.set(key, value);
      undo.push({
        back: () => {
          if (before === undefined) app.globals.delete(key);
          else app.globals.set(key, before);
        },
      });
    },
    box: (app, name) => app.boxes.get(Buffer.from(name).toString('hex')),
    setBox: (app, name, content) => {
      const key = Buffer.from(name).toString('hex');
      const before = app.boxes.get(key);
      const totals = account(app.address);
      if (content === undefined) app.boxes.delete(key);
      else app.boxes.set(key, content);
      undo.push({
        back: () => {
          if (before === undefined) app.boxes.delete(key);
          else app.boxes.set(key, before);
        },
      });
      const size = (bytes: Uint8Array | undefined): number => (bytes === undefined ? 0 : name.length + bytes.length);
      const boxes = totals.boxes + (content === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
      const boxBytes = totals.boxBytes + size(content) - size(before);
      if (boxes !== totals.boxes || boxBytes !== totals.boxBytes) put(app.address, { boxes, boxBytes });
    },
    counter: () => counter,
    count: () => {
      counter += 1n;
      undo.push({
        back: () => {
          counter -= 1n;
        },
      });
      return counter;
    },
    mark: () => undo.length,
    rollback: (mark) => {
      while (undo.length > mark) undo.pop()?.back();
    },
    settle: () => {
      undo.length = 0;
    },
    shortfall: (mark, exempt) => {
      for (const address of new Set(undo.slice(mark).flatMap((entry) => entry.address ?? []))) {
        const now = account(address);
        if (address !== exempt && !isEmpty(now) && now.balance < minBalance(now))
          return { address, balance: now.balance, minimum: minBalance(now) };
      }
      return undefined;
    },
  };
};

/** The address of an application's own account. */
export const appAddress = (id: bigint): string => algosdk.getApplicationAddress(id).toString();
