import { randomBytes } from 'node:crypto';
import { newKeyPair } from '../didcomm/keys.ts';
import { AppError } from '../errors.ts';
import type { MailQuery, Page, StoredDedupKey, StoredRecord } from '../ports/store.ts';
import { type CommitPlan, type Origin, planCommit } from './commit-plan.ts';
import { withDecisions } from './consulting.ts';
import type { Kernel, Profile } from './context.ts';
import { nextAt } from './decisions.ts';
import type { Effects } from './effects.ts';
import { newId } from './ids.ts';
import { lookUp, lookUpWithDedupKey } from './lookups.ts';
import { type Channel, type KeptMail, type Load, NEW, type Pages, type Protocol, type StepContext } from './protocol.ts';
import { connectionlessPeerOf, type LoadedRecord } from './record.ts';

/** How often a transition that lost a race loads again. */
const ATTEMPTS = 12;
/** Ids of queued messages that one read passes over at most. */
const MAX_WITHOUT = 1000;

/** Records to read in one round trip, by what they are read for. A name may stand several times. */
export type Reads = readonly (readonly [name: string, load: Load])[];

/** The loads of a step as reads, under names of their own. */
export const readsOf = (loads: Readonly<Record<string, Load>> = {}): Reads =>
  Object.entries(loads).map(([name, load]) => [`load ${name}`, load] as const);

/** The records that a transition has read. */
export interface Found {
  /** Set where the message or call was handled before. */
  readonly repeated?: StoredDedupKey;
  /** All rows that were read under a name, the newest first. */
  rows(name: string): StoredRecord[];
  /** The record that each of these loads means, by its name. */
  meant(loads: Readonly<Record<string, Load>>): Record<string, StoredRecord | undefined>;
  /** The same for loads that only the record names: one more round trip. */
  also(loads: Readonly<Record<string, Load>>): Promise<Record<string, StoredRecord | undefined>>;
}

/** Why a step's effects are not there: the state or the role does not allow it, or the step has thrown. */
export type Refusal = { readonly because: 'state' } | { readonly because: 'error'; readonly error: unknown };

/** An end without a step. */
export interface End<T> {
  readonly end: T;
}

/** One step on one record. */
export interface Run<T> {
  readonly protocol: Protocol;
  readonly record?: LoadedRecord;
  readonly connection?: LoadedRecord;
  readonly loaded: Readonly<Record<string, StoredRecord | undefined>>;
  readonly pages?: Pages;
  /** The mailbox that the step reads, with the ids that it passes over. */
  readonly mail?: { readonly mailbox: string; readonly query: MailQuery; readonly without?: readonly string[] };
  readonly channel?: Channel;
  readonly from: readonly string[] | '*';
  readonly role?: string;
  /** The command's name, for traces. */
  readonly command?: string;
  readonly origin: Origin;
  step(ctx: StepContext): Effects;
  /** The effects after a refusal, or its end. @throws the caller's error */
  refused(ctx: StepContext, refusal: Refusal): Effects | End<T> | Promise<End<T>>;
  /** Effects that are added to those of any step. */
  completed?(effects: Effects): Effects;
}

/** One run of the loop. */
export interface Transition<T> {
  readonly tenant: string;
  readonly reads: Reads;
  /** The message's or call's name in the table of repetitions. */
  readonly dedupKey?: string;
  /** Which step on which record, by what was found. It runs again after each lost race. */
  choose(found: Found): Run<T> | End<T> | Promise<Run<T> | End<T>>;
}

/** A committed step. */
export interface Committed {
  readonly assembled: CommitPlan;
  readonly effects: Effects;
}

export const isEnd = <T>(one: object): one is End<T> => 'end' in one;

/** The records' state and role as a step demands them. */
export const isExpected = (
  protocol: Protocol,
  from: readonly string[] | '*',
  role: string | undefined,
  record: LoadedRecord | undefined,
): boolean =>
  from === '*' ||
  (from.includes(record ? (record.state ?? '') : NEW) && (!record || !role || record.role === role) && !isForeign(protocol, record));

/** Whether another protocol drives the record: two may bind one kind, and the first message decides. */
export const isForeign = (protocol: Protocol, record: LoadedRecord | undefined): boolean =>
  !protocol.stateless && typeof record?.value.protocol === 'string' && record.value.protocol !== protocol.name;

/** The one path of messages, commands, results and local messages to a commit: load, choose, check, step, seal, commit; after a lost race from the start. */
export type Transitions = <T>(request: Transition<T>) => Promise<Committed | End<T>>;

export function createTransitions(kernel: Kernel): Transitions {
  const { store } = kernel.db;
  const warned = new Set<string>();
  function warnOnce(text: string): void {
    if (!warned.has(text)) kernel.log.warn({}, text);
    warned.add(text);
  }

  async function read({ tenant, reads, dedupKey }: Pick<Transition<unknown>, 'tenant' | 'reads' | 'dedupKey'>): Promise<Found> {
    const loads = reads.map(([, load]) => load);
    const { repeated, records }: { repeated?: StoredDedupKey; records: StoredRecord[][] } =
      dedupKey === undefined ? { records: await lookUp(store, tenant, loads) } : await lookUpWithDedupKey(store, tenant, dedupKey, loads);
    const rowsOf = (load: Load): StoredRecord[] => records[loads.indexOf(load)] ?? [];
    return {
      repeated,
      rows: (name) => records.filter((_, i) => reads[i]![0] === name).flat(),
      meant: (wanted) => Object.fromEntries(Object.entries(wanted).map(([name, load]) => [name, meant(load, rowsOf(load))])),
      async also(wanted) {
        const more = await lookUp(store, tenant, Object.values(wanted));
        return Object.fromEntries(Object.entries(wanted).map(([name, load], i) => [name, meant(load, more[i] ?? [])]));
      },
    };
  }

  async function pagesOf(tenant: string, wanted: Pages): Promise<Record<string, Page<StoredRecord>>> {
    const found = Object.entries(wanted).map(
      async ([name, { category, query }]) => [name, await store.find(tenant, category, query)] as const,
    );
    return Object.fromEntries(await Promise.all(found));
  }

  async function mailOf(tenant: string, { mailbox: box, query, without = [] }: NonNullable<Run<unknown>['mail']>): Promise<KeptMail> {
    const passed = [...(query.without ?? []), ...without].slice(0, MAX_WITHOUT);
    const [messages, status] = await Promise.all([
      query.limit > 0 ? store.mail(tenant, box, { ...query, without: passed }) : [],
      store.mailbox(tenant, box, query.recipient),
    ]);
    return { messages, status };
  }

  async function contextOf<T>(tenant: string, { settings, rules }: Profile, run: Run<T>): Promise<StepContext> {
    const { protocol, record, connection, loaded, channel } = run;
    return {
      tenant,
      now: kernel.now(),
      settings,
      protocol: protocol.name,
      record,
      connection,
      loaded,
      mail: run.mail && (await mailOf(tenant, run.mail)),
      channel,
      pages: run.pages ? await pagesOf(tenant, run.pages) : {},
      declared: kernel.registry,
      auto: (point, at) => nextAt({ settings, rules, uri: protocol.uris[0], connection }, point, at),
      reachable: connection !== undefined || connectionlessPeerOf(record)?.recipientKeys !== undefined,
      features: (match) => kernel.registry.features(match).filter(({ uri }) => settings.agent2018 !== 'off' || !uri.startsWith('urn:')),
      newId: () => newId(),
      newNonce: () => BigInt(`0x${randomBytes(10).toString('hex')}`).toString(),
      newToken: () => randomBytes(16).toString('hex'),
      newKey(seed) {
        const { verkey, secretKey } = newKeyPair(seed);
        return { verkey, write: { kid: verkey, type: 'ed25519', secret: secretKey } };
      },
    };
  }

  /** The step's effects, or what its refusal leads to. */
  function outcomeOf<T>(run: Run<T>, ctx: StepContext): Effects | End<T> | Promise<End<T>> {
    if (!isExpected(run.protocol, run.from, run.role, run.record)) return run.refused(ctx, { because: 'state' });
    try {
      return run.step(ctx);
    } catch (error) {
      return run.refused(ctx, { because: 'error', error });
    }
  }

  async function runOnce<T>(tenant: string, run: Run<T>): Promise<Committed | End<T>> {
    const profile = await kernel.profiles.of(tenant);
    const ctx = await contextOf(tenant, profile, run);
    const outcome = await outcomeOf(run, ctx);
    if (isEnd<T>(outcome)) return outcome;
    const effects = await withDecisions(kernel, run.protocol, ctx, run.completed?.(outcome) ?? outcome, run.origin);
    if (effects.warn !== undefined) warnOnce(effects.warn);
    const assembled = await planCommit(kernel, profile, run.protocol, ctx, effects, run.origin);
    await store.commit(tenant, assembled.commit);
    return { assembled, effects };
  }

  return async (request) => {
    for (let attempt = 1; ; attempt++) {
      const chosen = await request.choose(await read(request));
      if (isEnd(chosen)) return chosen;
      try {
        return await kernel.trace.span('transition', described(request.tenant, chosen), () => runOnce(request.tenant, chosen));
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'conflict' || attempt >= ATTEMPTS) throw error;
        await pause(attempt);
      }
    }
  };
}

/** The record that a load means. */
const meant = ({ among }: Load, rows: readonly StoredRecord[]): StoredRecord | undefined => (among ? rows.find(among) : rows[0]);

/** A transition as a trace shows it. */
const described = (tenant: string, { protocol, record, command }: Run<unknown>) => ({
  'flexid.tenant': tenant,
  'flexid.protocol': protocol.name,
  'flexid.record': protocol.binds.category,
  'flexid.state': record?.state,
  'flexid.command': command,
});

const pause = (attempt: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** Math.min(attempt, 6)));
