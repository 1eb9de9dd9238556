import type { AppError } from '../../errors.ts';
import type { Commit, JobKind } from '../../ports/store.ts';
import { addToBox, type BoxRow, type CommitRows } from '../../vault/rows.ts';
import { draftCommit, draftWaiting, type KnownTenant, type NotificationDraft, notificationDraft, notifiedNames } from '../store/shared.ts';
import { COMMIT_SETS, type CommitSet } from './commit-sql.ts';
import { fullBox, type Link, type Statement } from './link.ts';

/** A lease token in its parts: the lane that is held, its tenant, and the id of the hold. */
export interface LeaseParts {
  id: string;
  t: number;
  lane: string;
}
export const leaseToken = ({ id, t, lane }: LeaseParts): string => `${id}.${t}.${lane}`;
export function leaseParts(token: string): LeaseParts {
  const [, id = '', t = '0', lane = ''] = /^([^.]*)\.(\d+)\.(.*)$/s.exec(token) ?? [];
  return { id, t: Number(t), lane };
}

const MAX_BATCH = 200;
/** The bound of a batch's ciphertexts together, if it has several members: each travels as text of twice its length. */
const MAX_BATCH_BYTES = 8 << 20;
const SETS = Object.entries(COMMIT_SETS) as [CommitSet, readonly string[]][];
const PARAMETERS = 4 + SETS.reduce((sum, [, columns]) => sum + columns.length, 0);
const TEXT = `SELECT * FROM flexid.commit(${Array.from({ length: PARAMETERS }, (_, i) => `$${i + 1}`).join(', ')})`;

interface Member {
  tenant: KnownTenant;
  rows: CommitRows;
  commit: Commit;
  resolve: () => void;
  reject: (error: AppError) => void;
}

type Columns = Record<CommitSet, unknown[][]>;

function add(columns: Columns, set: CommitSet, ...row: unknown[]): void {
  const of = columns[set];
  for (let i = 0; i < row.length; i++) of[i]!.push(row[i]);
}

/** Marks in the order of their hashes, so that two batches that bring the same ones never wait for each other in a circle. */
function addDedupKeys(columns: Columns, members: readonly Member[]): void {
  const dedupKeys = members.flatMap(({ tenant: { n }, rows }) => rows.dedupKeys.map((dedupKey) => ({ n, ...dedupKey })));
  dedupKeys.sort((a, b) => a.n - b.n || Buffer.compare(a.hash, b.hash));
  for (const m of dedupKeys) add(columns, 'dedup', m.n, m.hash, m.expires, m.answer);
}

function addMember(columns: Columns, { tenant: { n }, rows }: Member): void {
  for (const { id, lease } of rows.done) {
    const parts = leaseParts(lease);
    add(columns, 'done', id, parts.lane, parts.id);
  }
  for (const d of rows.deletes) add(columns, 'gone', n, d.category, d.id, d.expect);
  for (const r of rows.records) {
    if (r.expect === 0) add(columns, 'fresh', n, r.category, r.id, r.state, r.role, r.connection, r.tags, r.value);
    else add(columns, 'changed', n, r.category, r.id, r.expect, r.state, r.role, r.connection, r.tags, r.value);
  }
  for (const k of rows.keys) add(columns, 'key', n, k.hash, k.value);
  for (const hash of rows.removedKeys) add(columns, 'removed_key', n, hash);
  for (const hash of rows.removedKeyOwners) add(columns, 'removed_owner', n, hash);
  for (const r of rows.keyOwners) add(columns, 'owner', n, r.hash, r.kind, r.target);
  for (const j of rows.jobs) add(columns, 'job', n, j.id, j.kind, j.lane, j.due, j.callId, j.payload);
  for (const e of rows.events) add(columns, 'event', n, e.id, e.topic, e.category, e.record, e.value);
  for (const { box, ids } of rows.acknowledged) for (const id of ids) add(columns, 'acknowledged', n, box, id);
  for (const { box, ids } of rows.unacknowledged) for (const id of ids) add(columns, 'unacknowledged', n, box, id);
  for (const m of rows.mail) add(columns, 'mail', n, m.box, m.id, m.recipient, m.size, m.expires, m.body);
  for (const c of rows.counters) add(columns, 'counter', n, c.hash, c.upTo, c.job);
  for (const s of rows.results) add(columns, 'call', n, s.callId, s.value, null);
  for (const f of rows.failures) add(columns, 'call', n, f.callId, null, f.value);
}

/** A box of a batch: what all commits of the batch add to it. */
type BatchBox = BoxRow & { tenant: KnownTenant };
const boxKey = (tenant: KnownTenant, box: string): string => `${tenant.n} ${box}`;

/** Every box that the members touch, each once. */
function boxesOf(members: readonly Member[]): BatchBox[] {
  const boxes = new Map<string, BatchBox>();
  const none = (box: string): BoxRow => ({ box, messages: 0, bytes: 0, maxMessages: Infinity, maxBytes: Infinity });
  for (const { tenant, rows } of members) {
    for (const more of [...[...rows.acknowledged, ...rows.unacknowledged].map(({ box }) => none(box)), ...rows.boxes]) {
      const key = boxKey(tenant, more.box);
      const sum = boxes.get(key);
      if (sum) addToBox(sum, more);
      else boxes.set(key, { ...more, tenant });
    }
  }
  return [...boxes.values()];
}

const bound = (max: number): number | null => (Number.isFinite(max) ? Math.trunc(max) : null);

/** One call for all members; the draft holds what they announce. */
function statement(members: readonly Member[], from: string): { call: Statement; draft: NotificationDraft; boxes: BatchBox[] } {
  const columns = Object.fromEntries(SETS.map(([set, names]) => [set, names.map((): unknown[] => [])])) as Columns;
  const draft = notificationDraft();
  for (const member of members) {
    addMember(columns, member);
    draftCommit(draft, member.tenant.keys.tenant, member.commit);
  }
  addDedupKeys(columns, members);
  const boxes = boxesOf(members);
  for (const b of boxes) add(columns, 'box', b.tenant.n, b.box, b.messages, b.bytes, bound(b.maxMessages), bound(b.maxBytes));
  const tenants = [...new Set(members.map((member) => member.tenant.n))];
  const values = [tenants, from, [...draft.kinds], notifiedNames(draft), ...SETS.flatMap(([set]) => columns[set])];
  return { call: { name: 'commit', text: TEXT, values }, draft, boxes };
}

/** The size of what a commit carries for others: the rest is small beside it. */
const sizeOf = ({ mail, jobs }: CommitRows): number =>
  mail.reduce((sum, { body }) => sum + body.length, 0) + jobs.reduce((sum, { payload }) => sum + payload.length, 0);

/** Takes the members of the next batch off the queue. */
function nextBatch(queue: Member[]): Member[] {
  let count = 0;
  for (let bytes = 0; count < Math.min(queue.length, MAX_BATCH); count++) {
    bytes += sizeOf(queue[count]!.rows);
    if (bytes > MAX_BATCH_BYTES && count > 0) break;
  }
  return queue.splice(0, count);
}

/** Errors after which each member may still succeed by itself: one of them was the reason. */
const ofOneMember = (error: AppError): boolean => !['store-unavailable', 'store-full', 'store-corrupt'].includes(error.code);

/**
 * Group commit: what was asked for in one turn, or while the call before was under way, goes to the database in one call and one transaction. When that fails for
 * a reason that may be one member's, nothing of it is stored, and each member is tried by itself.
 */
export function commitBatcher(link: Link, from: string, publish: (draft: NotificationDraft) => void) {
  const counters = { commits: 0, conflicts: 0 };
  const queue: Member[] = [];
  let working: Promise<void> | undefined;

  async function send(members: readonly Member[]): Promise<void> {
    const { call, draft, boxes } = statement(members, from);
    const [row] = await link.query<{ call_ids: string[]; waiting: number[] }>(call);
    for (const callId of row?.call_ids ?? []) draft.callIds.add(callId);
    for (const [i, waiting] of (row?.waiting ?? []).entries()) draftWaiting(draft, boxes[i]!.tenant.keys.tenant, boxes[i]!.box, waiting);
    counters.commits += members.length;
    publish(draft);
    for (const member of members) member.resolve();
  }

  async function sendAll(members: readonly Member[]): Promise<void> {
    try {
      await send(members);
    } catch (error) {
      const reason = error as AppError;
      if (members.length > 1 && ofOneMember(reason)) {
        // a flood of a full box must not cost the others their batch
        const full = fullBox(reason);
        const inBox = ({ tenant, rows }: Member) => full === undefined || rows.boxes.some(({ box }) => boxKey(tenant, box) === full);
        const others = members.filter((member) => !inBox(member));
        const alone = members.filter(inBox).map((member) => [member]);
        await Promise.all([...alone, ...(others.length > 0 ? [others] : [])].map(sendAll));
        return;
      }
      if (reason.code === 'conflict') counters.conflicts += members.length;
      for (const member of members) member.reject(reason);
    }
  }

  async function work(): Promise<void> {
    // the rest of this turn may bring more
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      await sendAll(nextBatch(queue));
    }
    working = undefined;
  }

  return {
    counters,
    commit: (tenant: KnownTenant, rows: CommitRows, commit: Commit): Promise<void> =>
      new Promise<void>((resolve, reject) => {
        queue.push({ tenant, rows, commit, resolve, reject });
        working ??= work();
      }),
    /** Resolves when nothing is under way. */
    async drain(): Promise<void> {
      while (working) await working;
    },
    /** For notifications of statements that are no commit. */
    announce(callIds: readonly string[], kinds: readonly JobKind[]): void {
      const draft = notificationDraft();
      for (const callId of callIds) draft.callIds.add(callId);
      for (const kind of kinds) draft.kinds.add(kind);
      publish(draft);
    },
  };
}
export type CommitBatcher = ReturnType<typeof commitBatcher>;
