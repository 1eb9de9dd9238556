import { BoundedMap } from '../bounded-map.ts';
import type { Kernel } from '../kernel/context.ts';
import { newId } from '../kernel/ids.ts';
import { eventOf } from '../kernel/jobs.ts';
import type { JsonObject } from '../ports/json.ts';

/** Notices that one tenant's controller has in a minute; the others are only counted. */
const PER_MINUTE = 60;
/** How long they are gathered. */
const GATHERED_MS = 100;
/** Tenants whose minute is remembered. */
const MAX_TENANTS = 10_000;

/** A message of the 2018 Agent Protocol that came to nothing: the protocol has no problem report, so the controller gets a webhook. */
export interface Problem2018 {
  readonly tenant: string;
  readonly reason: string;
  readonly type?: string;
  readonly connection?: string;
}

/** Webhooks `legacy_problem` about messages that came to nothing, within bounds, since any stranger can cause them. */
export interface Notices {
  add(problem: Problem2018): void;
  /** Writes those that were gathered. */
  flush(): Promise<void>;
}

/**
 * Notices are written a moment after the answer, with others: were they written before it, its time would show a stranger whose bounds are reached, and so whether
 * a wallet has what was asked about.
 */
export function createNotices(kernel: Kernel): Notices {
  const counts = new BoundedMap<string, { minute: number; count: number }>(MAX_TENANTS);
  const gathered: Problem2018[] = [];
  let timer: NodeJS.Timeout | undefined;

  function add(problem: Problem2018): void {
    const { tenant } = problem;
    const minute = Math.floor(kernel.now() / 60_000);
    const earlier = counts.get(tenant);
    const count = earlier?.minute === minute ? earlier.count + 1 : 1;
    counts.set(tenant, { minute, count });
    if (count > PER_MINUTE) return;
    gathered.push(problem);
    timer ??= setTimeout(() => void flush(), GATHERED_MS);
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    for (const [tenant, problems] of Map.groupBy(gathered.splice(0), (one) => one.tenant)) {
      try {
        const { webhooks } = await kernel.profiles.of(tenant);
        const all = problems.map(({ reason, type, connection }) => {
          const payload: JsonObject = {
            reason,
            ...(type === undefined ? {} : { type }),
            ...(connection === undefined ? {} : { connection_id: connection }),
          };
          return eventOf(tenant, webhooks, 'legacy_problem', connection ?? newId(), payload);
        });
        await kernel.db.store.commit(tenant, { events: all.flatMap(({ events }) => events), jobs: all.flatMap(({ jobs }) => jobs) });
      } catch (error) {
        kernel.log.warn({ tenant, err: error, count: problems.length }, 'notices about messages could not be written');
      }
    }
  }

  return { add, flush };
}
