import { AppError, asAppError } from '../errors.ts';
import type { Calls } from '../kernel/calls.ts';
import { keptMail } from '../kernel/commit-plan.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { backoff, type JobOutcome } from '../kernel/job-outcome.ts';
import { type KeylistPayload, type KeyRegistrationBarrier, payloadOf } from '../kernel/jobs.ts';
import { idIn2018 } from '../kernel/key-owners.ts';
import type { ClaimedJob, Database, Lookup, StoredRecord } from '../ports/store.ts';
import { edgeDeviceId, mediationId } from './names.ts';
import { createUpdateQueue, type UpdateQueue } from './update-queue.ts';

const CAP_MS = 10 * 60_000;
/** Tries of a registration that nothing waits for: a week of them. */
const MAX_TRIES = 1000;
const PROTOCOL = 'coordinate-mediation';
const AGENCY = 'agency';

type Registration = Extract<KeylistPayload, { keys: unknown }>;

/** The state of keys at their mediator. */
export type Standing = 'known' | 'unknown' | { readonly refused: string };

/** Where this side notes what a mediator knows: of a key, or of a name that its agency knows. */
function entryOf(name: string): Lookup {
  const id = idIn2018(name);
  return id === undefined ? { category: 'keylist', tag: 'client', equals: name } : { category: 'agency_route', tag: 'edge', equals: id };
}

/** Whether a mediator has confirmed keys of ours, by the database. */
export async function standingOf({ store }: Pick<Database, 'store'>, { mediation, keys }: KeyRegistrationBarrier): Promise<Standing> {
  const rows = await store.load(mediation.tenant, [{ category: 'mediation', id: mediation.id }, ...keys.map((name) => entryOf(name))]);
  const [[granted] = [], ...found] = rows;
  if (granted?.state !== 'granted') return { refused: 'the mediation is over' };
  const of = (list: StoredRecord[]): StoredRecord | undefined => list.find((row) => row.connection === granted.connection);
  const refused = found.map((list) => of(list)?.value.refused).find((reason) => reason !== undefined);
  if (refused !== undefined) return { refused: String(refused) };
  return found.every((list) => of(list)?.value.confirmed === true) ? 'known' : 'unknown';
}

/** Keys that their mediator has neither confirmed nor refused; none where the mediation is over. */
async function unanswered({ store }: Pick<Database, 'store'>, { mediation, keys }: Registration): Promise<Registration['keys']> {
  const [[granted] = [], ...found] = await store.load(mediation.tenant, [
    { category: 'mediation', id: mediation.id },
    ...keys.map(({ verkey }) => entryOf(verkey)),
  ]);
  if (granted?.state !== 'granted') return [];
  const isAnswered = (list: StoredRecord[]): boolean =>
    list.some(({ connection, value }) => connection === granted.connection && (value.confirmed === true || value.refused !== undefined));
  return keys.filter((_key, i) => !isAnswered(found[i]!));
}

/** Registers keys with mediators, and releases what shows them when they are registered. */
export function createKeylistWorker(
  kernel: Kernel,
  engine: Engine,
  calls: Calls,
  owner: string,
  stopping: () => boolean,
): (job: ClaimedJob, lease: string) => Promise<JobOutcome> {
  const { db } = kernel;
  const awaited = ({ mediation, keys }: Registration): KeyRegistrationBarrier => ({ mediation, keys: keys.map(({ verkey }) => verkey) });

  const update = createUpdateQueue(db, stopping);

  /** Ends a job: what waited for it goes on its way, or fails for good. */
  async function end(job: ClaimedJob, lease: string, payload: Registration, failure?: { code: string; text: string }): Promise<void> {
    const held = { id: job.id, lease };
    const failures = failure && job.callId ? [{ callId: job.callId, ...failure }] : undefined;
    // where mail waits, its delivery fails in the same way, and writes to the connection
    const reported = failure && payload.lanes.length === 0 ? payload.connection : undefined;
    const [rows] = reported ? await db.store.load(job.tenant, [{ category: 'connection', id: reported }]) : [];
    const row = rows?.[0];
    const protocol = row && kernel.registry.owner('connection', row.value);
    if (!failure) {
      const { settings } = await kernel.profiles.of(job.tenant);
      const mail = payload.kept.map(({ connection, envelope }) => keptMail(connection!, envelope, db.now(), settings.mailbox.life));
      await db.store.commit(job.tenant, { done: [held], jobs: payload.jobs, mail: mail.length > 0 ? mail : undefined });
    } else if (!row || !protocol) await db.store.commit(job.tenant, { done: [held], failures });
    else
      await engine.transition({
        tenant: job.tenant,
        protocol,
        record: { category: 'connection', id: row.id },
        from: '*',
        origin: { callId: job.callId, job: held, failure },
        otherwise: 'ignore',
        step: () => ({ record: { patch: { error_msg: failure.text } } }),
      });
    for (const lane of payload.lanes)
      await wake(lane).catch((error: unknown) => kernel.log.warn({ err: error }, 'mail that waited for a mediator goes a little later'));
  }

  /** Tells a mediator of keys, and of names, as far as it does not know them. */
  async function registerAll(mediation: Registration['mediation'], keys: Registration['keys']): Promise<void> {
    const [verkeys, names] = [
      keys.filter(({ verkey }) => idIn2018(verkey) === undefined),
      keys.filter(({ verkey }) => idIn2018(verkey) !== undefined),
    ];
    const input = (body: object) => ({ body, query: {} });
    if (verkeys.length > 0)
      await calls.call(mediation.tenant, PROTOCOL, 'register', { record: mediation.id, input: input({ keys: verkeys }) });
    if (names.length === 0) return;
    const connection = await agencyOf(db, mediation);
    if (connection === undefined) return;
    const routes = names.map(({ verkey, wallet, route }) => ({ name: idIn2018(verkey)!, wallet, ...route }));
    await calls.call(mediation.tenant, AGENCY, 'register', { record: edgeDeviceId('edge', connection), input: input({ routes }) });
  }

  /** Mail that waits at the head of a lane is looked at now. Where somebody has the lane, or this process dies before, that happens a little later by itself. */
  async function wake(name: string): Promise<void> {
    const [claimed] = await db.jobs.claim({ owner, lanes: 1, perLane: 1, leaseMs: 10_000, lane: name });
    const head = claimed?.jobs[0];
    if (!claimed) return;
    const { lane, lease } = claimed;
    const waits = head?.payload.blockedBy !== undefined;
    await db.jobs.settle([{ lane, lease, ...(head && waits ? { retry: [{ id: head.id, at: db.now(), error: 'awaited' }] } : {}) }]);
  }

  return async (job, lease) => {
    const payload = payloadOf('keylist', job);
    if ('removedKeys' in payload) {
      await deregister(kernel, calls, update, job.tenant, payload.removedKeys);
      return { state: 'done' };
    }
    const { mediation } = payload;
    const isAwaited = payload.lanes.length + payload.kept.length + payload.jobs.length > 0 || job.callId !== undefined;
    /** Where nothing waits for the keys, a refusal of one is none of the others. */
    const standing = async (): Promise<Standing> => {
      const all = await standingOf(db, awaited(payload));
      if (isAwaited || typeof all === 'string') return all;
      return (await unanswered(db, payload)).length > 0 ? 'unknown' : all;
    };
    try {
      let now = await standing();
      if (now === 'unknown') {
        const register = async (): Promise<unknown> => registerAll(mediation, await unanswered(db, payload));
        await update(mediation, register, async () => (await standing()) !== 'unknown');
        now = await standing();
      }
      const error = 'the mediator has not answered';
      if (now === 'unknown' && !isAwaited && job.attempts >= MAX_TRIES) return { state: 'dead', error };
      if (now === 'unknown') return { state: 'retry', at: backoff(job.attempts, CAP_MS), error };
      await end(
        job,
        lease,
        payload,
        now === 'known' ? undefined : { code: 'bad-request', text: `The mediator does not take the key: ${now.refused}` },
      );
      return { state: 'committed' };
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === 'lease-lost') return { state: 'committed' };
      if (error.row.retry || (await kernel.profiles.isTenantDeleted(job.tenant, error))) throw thrown instanceof AppError ? thrown : error;
      await end(job, lease, payload, { code: error.code, text: `The key cannot be registered with the mediator: ${error.message}` });
      return { state: 'committed' };
    }
  };
}

/** The connection of a mediation. */
async function agencyOf({ store }: Pick<Database, 'store'>, { tenant, id }: Registration['mediation']): Promise<string | undefined> {
  const [[row] = []] = await store.load(tenant, [{ category: 'mediation', id }]);
  return row?.connection;
}

/** Deregisters names of a tenant with the agency that has them, its own or the base wallet's. */
async function deregisterNames(
  { db, base }: Kernel,
  calls: Calls,
  update: UpdateQueue,
  tenant: string,
  names: readonly string[],
): Promise<void> {
  for (const of of new Set([tenant, base])) {
    const lists = (): Promise<StoredRecord[][]> =>
      db.store.load(
        of,
        names.map((name) => ({ category: 'agency_route', tag: 'edge', equals: name })),
      );
    const known = new Map<string, string[]>();
    for (const { value, connection } of (await lists()).flat()) {
      const { name, wallet_id = of } = value as { name: string; wallet_id?: string };
      if (wallet_id === tenant && connection) known.set(connection, [...(known.get(connection) ?? []), name]);
    }
    for (const [connection, removed] of known) {
      const record = edgeDeviceId('edge', connection);
      const unregister = (): Promise<unknown> =>
        calls.call(of, AGENCY, 'unregister', { record, input: { body: { names: removed }, query: {} } });
      const isForgotten = async (): Promise<boolean> => !(await lists()).flat().some((row) => row.connection === connection);
      await update({ tenant: of, id: mediationId('client', connection) }, unregister, isForgotten).catch((thrown: unknown) => {
        if (asAppError(thrown).row.retry) throw thrown;
      });
    }
  }
}

/** Deregisters keys of a tenant with the mediators that have them, its own or the base wallet's. */
async function deregister(kernel: Kernel, calls: Calls, update: UpdateQueue, tenant: string, keys: readonly string[]): Promise<void> {
  const { db } = kernel;
  const names = keys.flatMap((name) => idIn2018(name) ?? []);
  if (names.length > 0) await deregisterNames(kernel, calls, update, tenant, names);
  for (const of of new Set([tenant, kernel.base])) {
    const rows = await db.store.load(
      of,
      keys.map((verkey) => ({ category: 'keylist', tag: 'client', equals: verkey })),
    );
    const known = new Map<string, string[]>();
    for (const row of rows.flat()) {
      const { verkey, wallet_id = of } = row.value as { verkey: string; wallet_id?: string };
      if (wallet_id === tenant && row.connection) known.set(row.connection, [...(known.get(row.connection) ?? []), verkey]);
    }
    for (const [connection, removed] of known) {
      const id = mediationId('client', connection);
      const unregister = (): Promise<unknown> =>
        calls.call(of, PROTOCOL, 'unregister', { record: id, input: { body: { keys: removed }, query: {} } });
      const isForgotten = async (): Promise<boolean> => {
        const lists = await db.store.load(
          of,
          removed.map((verkey) => ({ category: 'keylist', tag: 'client', equals: verkey })),
        );
        return !lists.flat().some((row) => row.connection === connection);
      };
      await update({ tenant: of, id }, unregister, isForgotten).catch((thrown: unknown) => {
        // a mediation that is over knows no keys
        if (asAppError(thrown).row.retry) throw thrown;
      });
    }
  }
}
