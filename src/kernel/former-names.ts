import type { JsonObject } from '../ports/json.ts';
import type { ClaimedJob, ClaimedLane, Database, JobWrite, StoredDedupKey, StoredRecord } from '../ports/store.ts';
import { DEFERRED_ANSWER } from './commit-plan.ts';
import { checkedAs, jsonOf } from './json.ts';
import type { Registry } from './registry.ts';

/**
 * Names under which earlier versions stored members of sealed values. A read gives today's names, the next write that changes the value stores them. A migration
 * cannot do that: values are sealed under the tenant's key, and a locked wallet's key is not at hand. No search tag has changed its name, so rows of both forms are
 * found alike.
 */

/** Commands by their former names. */
const FORMER_COMMANDS = new Map([
  ['forget-key', 'remove-key'],
  ['say-again', 'repeat-response'],
]);

type Upgrade = (value: JsonObject) => JsonObject;

/** The object with a member under its present name; the same object where it has no such member. */
export function renamed(object: JsonObject, former: string, present: string): JsonObject {
  if (!(former in object)) return object;
  const { [former]: value, ...rest } = object;
  return { ...rest, [present]: value! };
}

/** The peer of an exchange without a connection, in the value of a record or the payload of a `local-message`. */
function peerUpgraded(value: JsonObject): JsonObject {
  if (!('reply' in value)) return value;
  const { reply, ...rest } = value;
  return { ...rest, replyTo: renamed(reply as JsonObject, 'own', 'ourAddress') };
}

const mailUpgraded = (payload: JsonObject): JsonObject => renamed(payload, 'awaits', 'blockedBy');

/** A job that waits in the payload of a `keylist` job. */
function orderUpgraded(order: JsonObject): JsonObject {
  const { kind, payload, ...rest } = checkedAs<JobWrite>(renamed(order, 'cause', 'callId'));
  return jsonOf({ ...rest, kind: kind === 'tell' ? 'local-message' : kind, payload: payloadUpgraded(kind, payload) });
}

/** The payload of a job, under today's names. */
export function payloadUpgraded(kind: JobWrite['kind'], payload: JsonObject): JsonObject {
  if (kind === 'deliver') return mailUpgraded(payload);
  if (kind === 'tell') return peerUpgraded(payload);
  if (kind === 'command') {
    const command = FORMER_COMMANDS.get(String(payload.command));
    return command === undefined ? payload : { ...payload, command };
  }
  if (kind !== 'keylist') return payload;
  const { jobs, kept, ...rest } = renamed(payload, 'gone', 'removedKeys');
  return {
    ...rest,
    ...(jobs && { jobs: (jobs as JsonObject[]).map(orderUpgraded) }),
    ...(kept && { kept: (kept as JsonObject[]).map(mailUpgraded) }),
  };
}

/** The answer to a message or call that came before. */
function answerUpgraded({ answer }: StoredDedupKey): StoredDedupKey {
  if (!answer) return {};
  const { mail, ...rest } = renamed(answer, '~withheld', DEFERRED_ANSWER);
  return { answer: mail ? { ...rest, mail: (mail as JsonObject[]).map(mailUpgraded) } : { ...rest } };
}

/** A database whose records, jobs and answers have today's names, whichever version wrote them. */
export function withFormerNames(db: Database, { protocols, records }: Pick<Registry, 'protocols' | 'records'>): Database {
  const { store, jobs } = db;
  const upgrades = new Map<string, Upgrade>();
  for (const { category, upgrade } of records.values()) if (upgrade) upgrades.set(category, upgrade);
  for (const { binds, messages } of protocols) {
    if (!Object.values(messages).some(({ standsAlone }) => standsAlone)) continue;
    const own = binds.upgrade;
    upgrades.set(binds.category, own ? (value) => peerUpgraded(own(value)) : peerUpgraded);
  }
  const row = (stored: StoredRecord): StoredRecord => {
    const value = upgrades.get(stored.category)?.(stored.value) ?? stored.value;
    return value === stored.value ? stored : { ...stored, value };
  };
  const job = (claimed: ClaimedJob): ClaimedJob => {
    const payload = payloadUpgraded(claimed.kind, claimed.payload);
    return payload === claimed.payload ? claimed : { ...claimed, payload };
  };
  const lane = (claimed: ClaimedLane): ClaimedLane => ({ ...claimed, jobs: claimed.jobs.map(job) });
  return {
    ...db,
    store: {
      ...store,
      load: async (tenant, lookups) => (await store.load(tenant, lookups)).map((rows) => rows.map(row)),
      async loadWithDedupKey(tenant, dedupKey, lookups) {
        const { repeated, records: found } = await store.loadWithDedupKey(tenant, dedupKey, lookups);
        return { repeated: repeated && answerUpgraded(repeated), records: found.map((rows) => rows.map(row)) };
      },
      async find(tenant, category, query) {
        const page = await store.find(tenant, category, query);
        return { ...page, rows: page.rows.map(row) };
      },
    },
    jobs: {
      ...jobs,
      claim: async (claim) => (await jobs.claim(claim)).map(lane),
      async settleAndClaim(settled, claim) {
        const claims = await jobs.settleAndClaim(settled, claim);
        return { ...claims, lanes: claims.lanes.map(lane) };
      },
      async dead(tenant, wanted) {
        const page = await jobs.dead(tenant, wanted);
        return { ...page, rows: page.rows.map((one) => ({ ...one, payload: payloadUpgraded(one.kind, one.payload) })) };
      },
    },
  };
}
