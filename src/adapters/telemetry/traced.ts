import type { AnonCreds } from '../../ports/anoncreds.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Commit, Database, Lookup } from '../../ports/store.ts';
import type { Attributes, SpanOptions, Trace } from '../../ports/trace.ts';
import type { Outbound } from '../../ports/transport.ts';

/**
 * The ports with spans around what is asked of them. They are put around an adapter only where traces are on, so that an agent without them runs none of this.
 * A span names kinds and states and never what a record, a key or a message holds.
 */

/** A span within the one that runs; nothing where none does: what an agent does by itself, all the time, is no trace. */
const within =
  (trace: Trace) =>
  <T>(name: string, attributes: Attributes, run: () => Promise<T>, options?: SpanOptions): Promise<T> =>
    trace.context() === undefined ? run() : trace.span(name, attributes, run, options);

const unique = (values: readonly string[] | undefined): string[] | undefined =>
  values && values.length > 0 ? [...new Set(values)].sort() : undefined;

const categories = (lookups: readonly Lookup[]) => unique(lookups.map(({ category }) => category));

/** Jobs that a commit makes carry the trace they belong to, encrypted as the rest of their payload: whoever runs them goes on with it. */
const carrying = (commit: Commit, traceparent: string | undefined): Commit =>
  traceparent === undefined || !commit.jobs?.length
    ? commit
    : { ...commit, jobs: commit.jobs.map((job) => ({ ...job, payload: { ...job.payload, traceparent } })) };

export function tracedDatabase(db: Database, trace: Trace): Database {
  const span = within(trace);
  const { store } = db;
  return {
    ...db,
    store: {
      commit(tenant, commit) {
        const attributes = {
          'flexid.tenant': tenant,
          'flexid.records': unique(commit.records?.map(({ category, state }) => (state === undefined ? category : `${category}:${state}`))),
          'flexid.jobs': unique(commit.jobs?.map(({ kind }) => kind)),
        };
        // the jobs hang on the span around the commit: they outlive it
        const whole = carrying(commit, trace.context());
        return span('store commit', attributes, () => store.commit(tenant, whole), { kind: 'client' });
      },
      load: (tenant, lookups) =>
        span('store load', { 'flexid.tenant': tenant, 'flexid.records': categories(lookups) }, () => store.load(tenant, lookups), {
          kind: 'client',
        }),
      loadWithDedupKey: (tenant, dedupKey, lookups) =>
        span(
          'store load',
          { 'flexid.tenant': tenant, 'flexid.records': categories(lookups) },
          () => store.loadWithDedupKey(tenant, dedupKey, lookups),
          { kind: 'client' },
        ),
      find: (tenant, category, query) =>
        span('store find', { 'flexid.tenant': tenant, 'flexid.records': [category] }, () => store.find(tenant, category, query), {
          kind: 'client',
        }),
      key: (tenant, kid) => span('store key', { 'flexid.tenant': tenant }, () => store.key(tenant, kid), { kind: 'client' }),
      keyOwner: (kid) => span('store route', {}, () => store.keyOwner(kid), { kind: 'client' }),
      events: (tenant, query) => span('store events', { 'flexid.tenant': tenant }, () => store.events(tenant, query), { kind: 'client' }),
      // asked again and again while a call waits
      callStatus: (tenant, callId) => store.callStatus(tenant, callId),
      mail: (tenant, box, query) =>
        span('store mail', { 'flexid.tenant': tenant }, () => store.mail(tenant, box, query), { kind: 'client' }),
      mailbox: (tenant, box, recipient) =>
        span('store mailbox', { 'flexid.tenant': tenant }, () => store.mailbox(tenant, box, recipient), { kind: 'client' }),
    },
  };
}

export function tracedLedger(ledger: Ledger, trace: Trace): Ledger {
  const span = within(trace);
  const of = (name: string) => ({ 'flexid.ledger.network': ledger.network, 'flexid.ledger.write': name });
  return {
    network: ledger.network,
    appId: ledger.appId,
    didOf: (key) => ledger.didOf(key),
    idOf: (did, type, object) => ledger.idOf(did, type, object),
    resolve: (did, fresh) => span('ledger resolve', {}, () => ledger.resolve(did, fresh), { kind: 'client' }),
    read: (id, type) => span('ledger read', { 'flexid.ledger.object': type }, () => ledger.read(id, type), { kind: 'client' }),
    statusAt: (id, time, options) => span('ledger status', {}, () => ledger.statusAt(id, time, options), { kind: 'client' }),
    plan: (write, operationId, keys) =>
      span('ledger plan', of(write.kind), () => ledger.plan(write, operationId, keys), { kind: 'client' }),
    authority: (did, keys) => span('ledger authority', {}, () => ledger.authority(did, keys), { kind: 'client' }),
    account: () => span('ledger account', {}, () => ledger.account(), { kind: 'client' }),
    estimate: (write) => ledger.estimate(write),
    sign: (planned, signers) => ledger.sign(planned, signers),
    send: (signed) => span('ledger write', of(signed.write.kind), () => ledger.send(signed), { kind: 'client' }),
    outcome: (signed) => span('ledger outcome', of(signed.write.kind), () => ledger.outcome(signed), { kind: 'client' }),
    endorsement: {
      request: (write, keys) => span('ledger request', of(write.kind), () => ledger.endorsement.request(write, keys), { kind: 'client' }),
      endorse: (request, terms) => span('ledger endorse', {}, () => ledger.endorsement.endorse(request, terms), { kind: 'client' }),
      check: (write, group, keys) =>
        span('ledger check', of(write.kind), () => ledger.endorsement.check(write, group, keys), { kind: 'client' }),
    },
    health: () => ledger.health(),
  };
}

type Engine = AnonCreds & { close(): Promise<void> };

/** Every method that does something takes the tenant first and answers later; `status` and `close` do neither. */
export function tracedAnonCreds(engine: Engine, trace: Trace): Engine {
  const span = within(trace);
  const traced = Object.entries(engine).map(([name, method]: [string, (...values: never[]) => unknown]) => {
    if (name === 'status' || name === 'close') return [name, method];
    const run = (tenant: string, ...rest: unknown[]): unknown =>
      span(`anoncreds ${name}`, { 'flexid.tenant': tenant }, () => method(...([tenant, ...rest] as never[])) as Promise<unknown>);
    return [name, run];
  });
  return Object.fromEntries(traced) as Engine;
}

export function tracedOutbound(outbound: Outbound, trace: Trace): Outbound {
  const span = within(trace);
  const noted = <T extends { status: number }>(answer: T): T => {
    trace.note({ 'http.response.status_code': answer.status });
    return answer;
  };
  return {
    // a peer gets nothing of the trace: it would learn which of its messages one call caused
    deliver: (endpoint, envelope, mediaType, signal, own) =>
      span('message send', {}, async () => noted(await outbound.deliver(endpoint, envelope, mediaType, signal, own)), { kind: 'client' }),
    link: (endpoint, onFrame) => span('socket open', {}, () => outbound.link(endpoint, onFrame), { kind: 'client' }),
    notify: (url, headers, body, signal) =>
      span(
        'webhook',
        {},
        async () => {
          const traceparent = trace.context();
          return noted(await outbound.notify(url, traceparent === undefined ? headers : { ...headers, traceparent }, body, signal));
        },
        { kind: 'client' },
      ),
    close: () => outbound.close(),
  };
}
