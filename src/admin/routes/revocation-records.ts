import { readFile } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import { ISSUING_FOR, revokedIn } from '../../formats/registry-index.ts';
import type { endorserIn } from '../../kernel/endorsement.ts';
import { hashId, newId } from '../../kernel/ids.ts';
import { checkedAs } from '../../kernel/json.ts';
import { type LoadedRecord, loadedRecord, viewOf } from '../../kernel/record.ts';
import { waitFor } from '../../kernel/wait-for.ts';
import type { Json, JsonObject } from '../../ports/json.ts';
import type { LedgerWrite } from '../../ports/ledger.ts';
import type { StoredRecord } from '../../ports/store.ts';
import type { TailsReference } from '../../ports/tails.ts';
import {
  ANY,
  type CredentialRevocationValue,
  credentialRevocation,
  credentialRevocationId,
  type RevocationNotice,
} from '../../records/credential-revocation.ts';
import { type RevocationRegistryValue, revocationRegistry } from '../../records/revocation-registry.ts';
import { endorsementOf, isEndorsementOver, type TransactionValue, transaction } from '../../records/transaction.ts';
import type { Admin, Call } from '../route.ts';

/** The work of both families of revocation operations, which are two views of one set of records. */

export type RegistryRow = LoadedRecord<RevocationRegistryValue>;
type CredentialRow = LoadedRecord<CredentialRevocationValue>;
/** Indices by the id of their registry. */
type ByRegistry = Readonly<Record<string, readonly string[]>>;

/** How long a call waits until the ledger has what it publishes. */
const PUBLISHED_MS = 15_000;
const PAGE = 1000;

/** All records of a kind that a query finds. */
export async function allOf(admin: Admin, tenant: string, category: string, query: { state?: string; tags?: Record<string, string> }) {
  const rows: StoredRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await admin.kernel.db.store.find(tenant, category, { ...query, limit: PAGE, cursor });
    rows.push(...page.rows);
    cursor = page.next;
  } while (cursor !== undefined);
  return rows;
}

/** A registry of this wallet. @throws AppError `code` where there is none */
export async function registryOf(
  admin: Admin,
  tenant: string,
  id: string,
  code: 'not-found' | 'bad-request' = 'not-found',
): Promise<RegistryRow> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: revocationRegistry.category, tag: 'rev_reg_id', equals: id }]);
  if (!rows?.[0]) throw new AppError(code, `Revocation registry ${id.slice(0, 300)} is not in this wallet`);
  return loadedRecord(rows[0]);
}

/** The registry that issues for a credential definition. @throws AppError `not-found` */
export async function activeRegistry(admin: Admin, tenant: string, credDefId: string): Promise<RegistryRow> {
  const tags = { [ISSUING_FOR]: credDefId };
  const { rows } = await admin.kernel.db.store.find(tenant, revocationRegistry.category, { state: 'active', tags, limit: 1 });
  if (!rows[0]) throw new AppError('not-found', `No active registry for the credential definition ${credDefId.slice(0, 300)}`);
  return loadedRecord(rows[0]);
}

/** Runs a command on a registry, then reads it again. */
export async function onRegistry(
  admin: Admin,
  tenant: string,
  id: string,
  command: string,
  body: JsonObject,
  key?: string,
): Promise<RegistryRow> {
  await admin.calls.call(tenant, 'revocation-registry', command, { record: id, input: { body, query: {} }, key });
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: revocationRegistry.category, id }]);
  if (!rows?.[0]) throw new AppError('not-found', 'The registry is gone');
  return loadedRecord(rows[0]);
}

/** A registry as ACA-Py's records show it. */
export async function shownRegistry(admin: Admin, tenant: string, row: RegistryRow): Promise<JsonObject> {
  const pending = (await pendingOf(admin, tenant, row.id)).map(({ value }) => value.index).sort((a, b) => a - b);
  return { ...viewOf(revocationRegistry, row, admin.kernel.registry.formats), pending_pub: pending.map(String) };
}

const pendingOf = async (admin: Admin, tenant: string, registry: string): Promise<CredentialRow[]> =>
  (await allOf(admin, tenant, credentialRevocation.category, { tags: { pending: registry } })).map((row) => loadedRecord(row));

const viewOfCredential = (admin: Admin, row: StoredRecord): JsonObject =>
  viewOf(credentialRevocation, loadedRecord<CredentialRevocationValue>(row), admin.kernel.registry.formats);

export const issuedCount = async (admin: Admin, tenant: string, { id }: RegistryRow): Promise<number> =>
  (await admin.kernel.db.store.find(tenant, credentialRevocation.category, { tags: { registry: id }, limit: 1 })).total;

export const issuedDetails = async (admin: Admin, tenant: string, { id }: RegistryRow): Promise<JsonObject[]> =>
  (await allOf(admin, tenant, credentialRevocation.category, { tags: { registry: id } })).map((row) => viewOfCredential(admin, row));

/** The record of one credential, by its exchange or its index. @throws AppError `unprocessable`, `code` */
async function credentialOf(admin: Admin, tenant: string, given: Readonly<Record<string, unknown>>, code: 'not-found' | 'bad-request') {
  const { cred_ex_id, rev_reg_id, cred_rev_id } = given as Record<string, string | undefined>;
  const byIndex = rev_reg_id !== undefined && cred_rev_id !== undefined;
  if (cred_ex_id !== undefined ? rev_reg_id !== undefined || cred_rev_id !== undefined : !byIndex)
    throw new AppError('unprocessable', 'Either cred_ex_id, or rev_reg_id and cred_rev_id, must be given');
  if (cred_ex_id !== undefined) {
    const lookup = { category: credentialRevocation.category, tag: 'cred_ex_id', equals: cred_ex_id };
    const [rows] = await admin.kernel.db.store.load(tenant, [lookup]);
    if (!rows?.[0]) throw new AppError(code, `No revocable credential was issued in the exchange ${cred_ex_id}`);
    return { row: rows[0], index: rows[0].value.index as number, registry: rows[0].value.registry as string };
  }
  const registry = await registryOf(admin, tenant, rev_reg_id!, code);
  const index = Number(cred_rev_id);
  const [rows] = await admin.kernel.db.store.load(tenant, [
    { category: credentialRevocation.category, id: credentialRevocationId(registry.id, index) },
  ]);
  return { row: rows?.[0], index, registry: registry.id };
}

export async function credentialRecord(admin: Admin, { tenant, query }: Call): Promise<JsonObject> {
  const { row } = await credentialOf(admin, tenant, query, 'not-found');
  if (!row) throw new AppError('not-found', 'No credential was issued at this index');
  return { result: viewOfCredential(admin, row) };
}

/** An endorser that a call asks for. */
export type Endorser = ReturnType<typeof endorserIn>;

type Endorsement = LoadedRecord<TransactionValue>;

/** The last endorsement of a registry's writes of this kind. */
async function lastEndorsement(admin: Admin, tenant: string, id: string, kind: LedgerWrite['kind']): Promise<Endorsement | undefined> {
  const [rows = []] = await admin.kernel.db.store.load(tenant, [endorsementOf(revocationRegistry.category, id)]);
  return rows.map((row) => loadedRecord<TransactionValue>(row)).find(({ value }) => value.order?.write.kind === kind);
}

const isOpen = (endorsement: Endorsement): boolean => !isEndorsementOver(endorsement) && endorsement.state !== 'transaction_acked';
const shownEndorsement = (admin: Admin, one: Endorsement): JsonObject => viewOf(transaction, one, admin.kernel.registry.formats);

/** The endorsement that a registry's definition, or its publication, waits for, as controllers see it; undefined where it waits for none. */
export async function endorsementAwaited(
  admin: Admin,
  tenant: string,
  id: string,
  kind: LedgerWrite['kind'] = 'registry-put',
): Promise<JsonObject | undefined> {
  const last = await lastEndorsement(admin, tenant, id, kind);
  return last && isOpen(last) ? shownEndorsement(admin, last) : undefined;
}

/** Whether another agent pays for what a call publishes. */
const isEndorsed = async (admin: Admin, tenant: string, endorser: Endorser): Promise<boolean> =>
  endorser !== undefined || (await admin.kernel.profiles.of(tenant)).settings.endorsement.role === 'author';

/**
 * Revokes a credential: at once with `publish`, otherwise with the next publication.
 * @returns the endorsement that the publication waits for, under `txn`, where another agent pays
 */
export async function revoke(admin: Admin, { tenant, body, key }: Call, endorser?: Endorser): Promise<JsonObject> {
  const { row, index, registry } = await credentialOf(admin, tenant, body, 'bad-request');
  const notice = await noticeOf(admin, tenant, body, row);
  const publish = body.publish === true;
  const endorsed = await isEndorsed(admin, tenant, endorser);
  const awaited = await awaitedOf(admin, tenant, { id: registry, indices: [index], endorsed });
  await admin.calls.call(tenant, 'revocation-registry', 'revoke', {
    record: registry,
    input: { body: { index, publish, ...(notice && { notice }), ...(endorser && { endorser }) }, query: {} },
    key,
  });
  if (!publish) return {};
  const [waiting] = await published(admin, tenant, [awaited]);
  return waiting ? { txn: waiting.txn } : {};
}

/** The recipient of a notification. @throws AppError where the call asks for a notification that has no recipient */
async function noticeOf(
  { kernel }: Admin,
  tenant: string,
  body: JsonObject,
  row: StoredRecord | undefined,
): Promise<RevocationNotice | undefined> {
  const { settings } = await kernel.profiles.of(tenant);
  if (!(body.notify ?? settings.notifyRevocation)) return undefined;
  const connection = (body.connection_id ?? row?.connection) as string | undefined;
  if (connection === undefined)
    throw new AppError(
      body.notify === undefined ? 'bad-request' : 'unprocessable',
      'Whom to notify is not known: connection_id must be given where the exchange had no connection',
    );
  const [rows] = await kernel.db.store.load(tenant, [{ category: 'connection', id: connection }]);
  if (!rows?.[0]) throw new AppError('not-found', `Connection ${connection} not found`);
  return {
    connection,
    version: (body.notify_version as RevocationNotice['version'] | undefined) ?? 'v1_0',
    ...(body.thread_id !== undefined && { thread_id: body.thread_id as string }),
    ...(body.comment !== undefined && { comment: body.comment as string }),
  };
}

/** A publication that a call waits for: the registry, its version before, and the indices that it is about. */
interface Awaited {
  readonly id: string;
  readonly before: number;
  readonly indices: readonly number[];
  /** Another agent pays for it. */
  readonly endorsed: boolean;
  /** The endorsement before. */
  readonly former?: string;
}

/** The condition that a call waits for, before it is made. */
async function awaitedOf(admin: Admin, tenant: string, given: Pick<Awaited, 'id' | 'indices' | 'endorsed'>): Promise<Awaited> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: revocationRegistry.category, id: given.id }]);
  const former = given.endorsed ? await lastEndorsement(admin, tenant, given.id, 'status-append') : undefined;
  return { ...given, before: rows?.[0]?.version ?? 0, former: former?.id };
}

/**
 * Waits until the ledger has revoked these; where another agent pays, until its endorsement has begun.
 * @returns the endorsements that registries wait for
 * @throws AppError `bad-request` where the ledger refuses, `timeout`; they stay pending
 */
async function published(
  admin: Admin,
  tenant: string,
  all: readonly Awaited[],
): Promise<{ readonly id: string; readonly txn: JsonObject }[]> {
  const { db, tenantLimiter } = admin.kernel;
  tenantLimiter?.pass();
  const open = new Map(all.map((one) => [one.id, one]));
  const waiting: { id: string; txn: JsonObject }[] = [];
  await waitFor(
    async (late) => {
      for (const { id, before, indices, endorsed, former } of open.values()) {
        const last = endorsed ? await lastEndorsement(admin, tenant, id, 'status-append') : undefined;
        if (last && (isOpen(last) || last.id !== former)) {
          waiting.push({ id, txn: shownEndorsement(admin, last) });
          open.delete(id);
          continue;
        }
        const wanted = new Set(indices);
        if (!(await pendingOf(admin, tenant, id)).some(({ value }) => wanted.has(value.index))) {
          open.delete(id);
          continue;
        }
        const [rows] = await db.store.load(tenant, [{ category: revocationRegistry.category, id }]);
        const { publishing, error_msg: reason } = (rows?.[0]?.value ?? {}) as Partial<RevocationRegistryValue>;
        if (reason !== undefined && !publishing && (rows?.[0]?.version ?? 0) > before) throw new AppError('bad-request', reason);
        if (late)
          throw new AppError(
            'timeout',
            `The ledger has not confirmed the revocation yet${reason ? `: ${reason}` : ''}; it goes on by itself`,
          );
      }
      return open.size === 0 || undefined;
    },
    {
      deadline: Date.now() + PUBLISHED_MS,
      wakeOn: (wake) =>
        db.jobs.subscribe(
          ({ events }) =>
            void (events.some(({ event }) => [credentialRevocation.category, transaction.category].includes(event.category)) && wake()),
        ),
    },
  );
  return waiting;
}

/** The part of the pending revocations: all, all of a registry, or single indices. */
async function meant(
  admin: Admin,
  tenant: string,
  named: ByRegistry | undefined,
): Promise<{ row: RegistryRow; indices: number[]; all: boolean }[]> {
  if (named && Object.keys(named).length > 0) {
    const found: { row: RegistryRow; indices: number[]; all: boolean }[] = [];
    for (const [id, indices] of Object.entries(named)) {
      const row = await registryOf(admin, tenant, id, 'bad-request');
      const pending = (await pendingOf(admin, tenant, row.id)).map(({ value }) => value.index);
      const wanted = new Set(indices.map(Number));
      found.push({ row, all: wanted.size === 0, indices: wanted.size === 0 ? pending : pending.filter((index) => wanted.has(index)) });
    }
    return found;
  }
  const rows = await allOf(admin, tenant, credentialRevocation.category, { tags: { pending: ANY } });
  const byRegistry = Map.groupBy(rows, ({ value }) => value.registry as string);
  const registries = await admin.kernel.db.store.load(
    tenant,
    [...byRegistry.keys()].map((id) => ({ category: revocationRegistry.category, id })),
  );
  return registries.flatMap(([row]) =>
    row
      ? [
          {
            row: loadedRecord<RevocationRegistryValue>(row),
            all: true,
            indices: byRegistry.get(row.id)!.map(({ value }) => value.index as number),
          },
        ]
      : [],
  );
}

/** The state of a publication. */
export interface Published {
  /** The revoked indices on the ledger, by registry, in order. */
  readonly revoked: Record<string, number[]>;
  /** The endorsements that the rest waits for; undefined where the wallet pays for itself. */
  readonly txn?: JsonObject[];
}

/** Publishes what is pending. */
export async function publish(admin: Admin, { tenant, body }: Call, endorser?: Endorser): Promise<Published> {
  const targets = (await meant(admin, tenant, body.rrid2crid as ByRegistry | undefined)).filter(({ indices }) => indices.length > 0);
  const asked = endorser && { endorser };
  const endorsed = await isEndorsed(admin, tenant, endorser);
  const awaited = await Promise.all(targets.map(({ row, indices }) => awaitedOf(admin, tenant, { id: row.id, indices, endorsed })));
  for (const { row, all, indices } of targets)
    await onRegistry(admin, tenant, row.id, 'publish', { ...(!all && { indices }), ...asked } as JsonObject);
  const waiting = await published(admin, tenant, awaited);
  const done = targets.filter(({ row }) => !waiting.some(({ id }) => id === row.id));
  return {
    revoked: Object.fromEntries(done.map(({ row, indices }) => [row.value.rev_reg_id!, indices.sort((a, b) => a - b)])),
    ...(endorsed && { txn: waiting.map(({ txn }) => txn) }),
  };
}

/** Takes revocations back that are not published yet. @returns what is pending after that */
export async function clearPending(admin: Admin, { tenant, body }: Call): Promise<Record<string, string[]>> {
  for (const { row, all, indices } of await meant(admin, tenant, body.purge as ByRegistry | undefined))
    await onRegistry(admin, tenant, row.id, 'clear', all ? {} : { indices });
  const left = await meant(admin, tenant, undefined);
  return Object.fromEntries(left.map(({ row, indices }) => [row.value.rev_reg_id!, indices.sort((a, b) => a - b).map(String)]));
}

/** The delta of a registry from its first state to the one that the ledger has. */
export async function ledgerDelta(admin: Admin, tenant: string, { value }: RegistryRow): Promise<JsonObject> {
  const { status } = await admin.work(tenant).ledger().statusAt(value.rev_reg_id!, undefined, { fresh: true });
  const revoked = revokedIn(status);
  const indices = Array.from({ length: value.max_cred_num }, (_, index) => index).filter(revoked);
  return { ver: '1.0', value: { accum: status.accumulator, issued: [], revoked: indices } };
}

/** Compares the wallet with the ledger, and with `apply` brings both to the same revocations. */
export async function fixRegistry(admin: Admin, tenant: string, row: RegistryRow, apply: boolean): Promise<JsonObject> {
  const { status } = await admin.work(tenant).ledger().statusAt(row.value.rev_reg_id!, undefined, { fresh: true });
  const onLedger = revokedIn(status);
  const rows = await allOf(admin, tenant, credentialRevocation.category, { tags: { registry: row.id } });
  const indicesOf = (state: string, wanted: boolean): number[] =>
    rows.filter((one) => one.state === state && onLedger(one.value.index as number) === wanted).map(({ value }) => value.index as number);
  const [behind, ahead] = [indicesOf('revoked', false), indicesOf('issued', true)];
  if (behind.length === 0 && ahead.length === 0) return { rev_reg_delta: {}, accum_calculated: {}, accum_fixed: {} };
  const calculated = { ver: '1.0', value: { accum: status.accumulator, revoked: behind, issued: [] } };
  if (!apply) return { rev_reg_delta: calculated, accum_calculated: calculated, accum_fixed: {} };
  const endorsed = await isEndorsed(admin, tenant, undefined);
  const awaited = await awaitedOf(admin, tenant, { id: row.id, indices: behind, endorsed });
  await onRegistry(admin, tenant, row.id, 'fix', { behind, ahead });
  if (behind.length > 0) await published(admin, tenant, [awaited]);
  return { rev_reg_delta: calculated, accum_calculated: calculated, accum_fixed: await ledgerDelta(admin, tenant, row) };
}

/** The registry that stands by issues from now on. @returns ids of those that were rotated out */
export async function rotate(admin: Admin, tenant: string, credDefId: string): Promise<string[]> {
  const active = await activeRegistry(admin, tenant, credDefId);
  const full = await allOf(admin, tenant, revocationRegistry.category, { state: 'full', tags: { cred_def_id: credDefId } });
  await onRegistry(admin, tenant, active.id, 'rotate', { cred_def_id: credDefId });
  admin.kernel.tenantLimiter?.pass();
  await waitFor(
    async (late) => {
      try {
        return await activeRegistry(admin, tenant, credDefId);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'not-found') throw error;
        if (late) throw new AppError('timeout', 'The next registry is still being made: it issues as soon as it is there');
        return undefined;
      }
    },
    { deadline: Date.now() + PUBLISHED_MS, wakeOn: (wake) => admin.kernel.db.jobs.subscribe(() => wake()) },
  );
  return [active, ...full].map(({ value }) => value.rev_reg_id as string);
}

/** A credential definition of this wallet whose credentials can be revoked. @throws AppError `not-found`, `bad-request` */
export async function revocableDefinition(admin: Admin, tenant: string, credDefId: string): Promise<StoredRecord> {
  const { rows } = await admin.kernel.db.store.find(tenant, 'cred_def', { state: 'finished', tags: { cred_def_id: credDefId }, limit: 1 });
  if (!rows[0]) throw new AppError('not-found', `Credential definition ${credDefId.slice(0, 300)} is not in this wallet`);
  const { value } = (rows[0].value.credential_definition ?? {}) as JsonObject;
  if (!(value as JsonObject | undefined)?.revocation) throw new AppError('bad-request', 'Credentials of this definition cannot be revoked');
  return rows[0];
}

/** A registry that is to be made. */
interface NewRegistry {
  readonly definition: StoredRecord;
  readonly tag: string;
  readonly size: number;
  readonly kind: 'manual' | 'spare';
  readonly endorser?: Endorser;
}

/** Makes a registry. @throws AppError `bad-request` for a size out of bounds */
export async function createRegistry(
  admin: Admin,
  { tenant, key }: Call,
  { definition, tag, size, kind, endorser }: NewRegistry,
): Promise<RegistryRow> {
  if (size < 4 || size > 32_768) throw new AppError('bad-request', 'A registry has 4 to 32768 entries');
  const id = key === undefined ? newId() : hashId(`${tenant} registry ${key}`);
  const { issuerId, cred_def_id, verkey } = definition.value as Record<string, string>;
  const body = { id, issuerId, cred_def_id, tag, max_cred_num: size, verkey, [kind]: true, ...(endorser && { endorser }) } as JsonObject;
  return await onRegistry(admin, tenant, id, 'create', body, key);
}

/** The tails file of a registry, as it is served. */
export async function tailsFile(admin: Admin, tenant: string, { value }: RegistryRow): Promise<Json> {
  const path = await admin.work(tenant).tails(checkedAs<TailsReference>(value.definition));
  return checkedAs<Json>(await readFile(path));
}
