import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anchor, connect, eachOf, type Revocable, type Step } from '../../examples/demo/flow.ts';
import type { LedgerFacts } from '../../harness/network.ts';
import { type Replicas, type ReplicasOptions, startLedger, startReplicas, type Tenant } from '../../harness/replicas.ts';
import { startPostgres } from '../postgres.ts';
import type { Body } from './agents.ts';

/** Many issue flows at once between two wallets on interchangeable agents, while something happens to the agents. */

export interface Scene {
  readonly replicas: Replicas;
  readonly issuer: Tenant;
  readonly holder: Tenant;
  readonly credDefId: string;
  readonly connection: string;
  /** The superuser's URL of the database. */
  readonly adminUrl: string;
  readonly folder: string;
  readonly ledger: LedgerFacts;
  close(): Promise<void>;
}

const silent: Step = async (_name, run) => (await run())[0];

/** Agents, an issuer with all that it needs on a ledger, and a holder that is connected with it. */
export async function startScene({
  revocable = false,
  ...options
}: Partial<ReplicasOptions> & { readonly revocable?: Revocable } = {}): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-replicas-'));
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    while (undo.length > 0) await undo.pop()!();
  };
  try {
    const database = await startPostgres();
    undo.push(() => database.stop());
    const ledger = await startLedger(folder);
    undo.push(() => ledger.program.stop());
    const replicas = await startReplicas(folder, { count: 3, store: database.url, ledger, ...options });
    undo.push(() => replicas.stop());
    const issuer = await replicas.tenant('issuer', { 'auto-accept-requests': true, 'auto-respond-credential-request': true });
    const holder = await replicas.tenant('holder', {
      'auto-accept-invites': true,
      'auto-respond-credential-offer': true,
      'auto-store-credential': true,
    });
    const { credDefId } = await anchor(issuer, ['number'], silent, revocable);
    const connection = await connect(issuer, holder);
    return { replicas, issuer, holder, credDefId, connection, adminUrl: database.adminUrl, folder, ledger, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Issues credentials, so many at once. `at` is called after each, with how many there are. @returns the threads */
export async function issueMany(scene: Scene, count: number, parallel: number, at: (done: number) => void = () => {}): Promise<string[]> {
  const { issuer, holder, connection, credDefId } = scene;
  const threads: string[] = [];
  let done = 0;
  await eachOf(Array.from({ length: count }), parallel, async (_none, index) => {
    const offer = await issuer.post('/issue-credential-2.0/send', {
      connection_id: connection,
      filter: { anoncreds: { cred_def_id: credDefId } },
      credential_preview: {
        '@type': 'issue-credential/2.0/credential-preview',
        attributes: [{ name: 'number', value: String(index) }],
      },
    });
    threads.push(offer.thread_id);
    const ended = ({ thread_id, state }: Body): boolean => thread_id === offer.thread_id && (state === 'done' || state === 'abandoned');
    const [kept, acked] = await Promise.all([
      holder.event('issue_credential_v2_0', ended, `credential ${index}`),
      issuer.event('issue_credential_v2_0', ended, `ack of credential ${index}`),
    ]);
    assert.deepEqual([kept.state, acked.state], ['done', 'done'], `credential ${index}: ${kept.error_msg ?? acked.error_msg}`);
    at(++done);
  });
  return threads;
}

export interface Figures {
  readonly credentials: number;
  readonly exchanges: number;
  readonly events: number;
}

/** Checks that each flow came to its end, once, and that each event was delivered; both sides are asked through the proxy. */
export async function assertNothingLost(scene: Scene, count: number): Promise<Figures> {
  const { issuer, holder } = scene;
  const { results } = await holder.get('/credentials?limit=10000');
  const numbers = (results as Body[]).map((one) => Number(one.attrs.number)).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: count }, (_none, i) => i),
    'one credential for each number, and none twice',
  );
  let exchanges = 0;
  for (const wallet of [issuer, holder]) {
    const records = (await wallet.get('/issue-credential-2.0/records?limit=10000')).results as Body[];
    assert.equal(records.length, count, `exchanges of ${wallet.name}`);
    assert.deepEqual([...new Set(records.map((one) => one.cred_ex_record.state))], ['done']);
    exchanges += records.length;
  }
  let events = 0;
  for (const wallet of [issuer, holder]) {
    const happened = await eventsOf(wallet);
    const seen = new Map<string, string>();
    for (const { id, topic, payload } of happened) {
      const record = payload.cred_ex_id ?? payload.connection_id ?? payload.oob_id;
      if (record === undefined || payload.state === undefined || topic.includes('anoncreds')) continue;
      const change = `${topic} ${record} ${payload.state}`;
      assert.equal(seen.get(change), undefined, `two events of ${wallet.name} tell of ${change}`);
      seen.set(change, id);
    }
    // the last ones may be on their way: whoever died held their lanes for a while
    const missing = (): string[] => {
      const delivered = new Set(wallet.received.map(({ id }) => id));
      return happened.filter(({ id }) => !delivered.has(id)).map(({ id, topic }) => `${topic} ${id}`);
    };
    const deadline = Date.now() + 120_000;
    while (missing().length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(missing(), [], `events of ${wallet.name} that were not delivered`);
    events += happened.length;
  }
  return { credentials: numbers.length, exchanges, events };
}

/** Every event of a wallet, as the agent keeps them. */
export async function eventsOf(wallet: Tenant): Promise<{ id: string; topic: string; payload: Body }[]> {
  const all: { id: string; topic: string; payload: Body }[] = [];
  for (let after = ''; ; ) {
    const { results, next } = await wallet.get(`/events?limit=1000${after && `&after=${after}`}`);
    if (results.length === 0) return all;
    for (const { event_id, topic, payload } of results) all.push({ id: event_id, topic, payload });
    after = next;
  }
}
