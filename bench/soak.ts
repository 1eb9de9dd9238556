import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Body, pause } from '../examples/demo/controller.ts';
import { eachOf } from '../examples/demo/flow.ts';
import { type LedgerFacts, type Network, ROLES, type Role, startLedger, startNetwork } from '../harness/network.ts';
import { statusLog } from '../harness/status-log.ts';
import { openStores } from '../harness/stores.ts';
import { cpuSeconds, median, printTable, residentMiB } from './reference.ts';

const BATCH = 100;
/** Batches under way at once, and how much of each: one revokes or waits for a block while the other issues. */
const BATCHES = 2;
const IN_FLIGHT = 6;
const SIZE = 1000;
/**
 * How much more memory an agent may have at its least in the last quarter of the run than in the second, in MiB. Garbage that V8 has not collected yet comes and
 * goes by 100 MiB; it is nearly none at the least.
 */
const MORE_MIB = 32;
/** How long nothing may come, in ms. */
const PATIENCE_MS = 120_000;
const HELP = `./flexid bench soak [--count 10000] [--minutes 30] [--revoked 100] [--presented 100] [--store sqlite]

Issues credentials that can be revoked, in batches of ${BATCH}; revokes so many of each by one call, and presents so many: half of them after they are revoked, half
while they are not. It ends with the count or the time, whichever comes first. Then wallet and ledger must be equal, and the agents' memory flat. --store is sqlite
or postgres.
`;

interface Credential {
  readonly id: string;
  readonly registry: string;
  readonly index: number;
  revoked: boolean;
}

/** The webhooks of all agents, each kept until somebody asks for it: a run has too many to look through. */
async function startInbox() {
  const kept = new Map<string, Body>();
  const waiting = new Map<string, (payload: Body) => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(200).end();
      const [, role, , topic] = (request.url ?? '').split('/');
      const payload = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Body;
      const state = payload.state === 'abandoned' ? 'done' : payload.state;
      if (!['active', 'done', 'request-received'].includes(state)) return;
      const key = `${role} ${topic} ${state} ${payload.thread_id ?? payload.invitation_msg_id ?? payload.tag}`;
      const waiter = waiting.get(key);
      if (waiter) waiter(payload);
      else if (topic !== 'issue_credential_v2_0' || state === 'done') kept.set(key, payload);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** A state of a thread at an agent, once. @throws Error where it does not come, or the exchange was abandoned */
    async next(role: Role, topic: string, state: string, thread: string): Promise<Body> {
      const key = `${role} ${topic} ${state} ${thread}`;
      const payload =
        kept.get(key) ??
        (await new Promise<Body>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`${key} did not come`)), PATIENCE_MS);
          waiting.set(key, (one) => {
            clearTimeout(timer);
            resolve(one);
          });
        }));
      kept.delete(key);
      waiting.delete(key);
      if (payload.state === 'abandoned') throw new Error(`${key}: ${payload.error_msg}`);
      return payload;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What the run drives: the agents' admin APIs and the states that they tell. */
interface Stage {
  readonly network: Network;
  readonly next: Awaited<ReturnType<typeof startInbox>>['next'];
  call(role: Role, path: string, body?: object): Promise<Body>;
}

const stageOf = (network: Network, next: Stage['next']): Stage => ({
  network,
  next,
  async call(role, path, body) {
    const { url, key } = network.admin[role];
    const answer = await fetch(`${url}${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { 'x-api-key': key, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path} of the ${role} answered ${answer.status} ${text}`);
    return JSON.parse(text);
  },
});

async function connected({ call, next }: Stage, inviter: Role): Promise<string> {
  const made = await call(inviter, '/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
  await call('holder', '/out-of-band/receive-invitation', made.invitation);
  return (await next(inviter, 'connections', 'active', made.invi_msg_id)).connection_id;
}

async function prepared(stage: Stage) {
  const { call } = stage;
  const { result } = await call('issuer', '/wallet/did/create', { method: 'algo' });
  const issuerId = result.did as string;
  await call('issuer', `/wallet/did/public?did=${encodeURIComponent(issuerId)}`, {});
  const schema = { issuerId, name: 'soak', version: '1.0', attrNames: ['number'] };
  const { schema_state } = await call('issuer', '/anoncreds/schema', { schema });
  const { credential_definition_state: state } = await call('issuer', '/anoncreds/credential-definition', {
    credential_definition: { issuerId, schemaId: schema_state.schema_id, tag: 'soak' },
    options: { support_revocation: true, revocation_registry_size: SIZE },
  });
  if (state.state !== 'finished') throw new Error(`the credential definition is ${state.state}`);
  const credDefId = state.credential_definition_id as string;
  return { credDefId, issuing: await connected(stage, 'issuer'), verifying: await connected(stage, 'verifier') };
}
type Prepared = Awaited<ReturnType<typeof prepared>>;

async function issue({ call, next }: Stage, { issuing, credDefId }: Prepared, number: number): Promise<Credential> {
  const { thread_id } = await call('issuer', '/issue-credential-2.0/send', {
    connection_id: issuing,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'number', value: String(number) }] },
  });
  const [, kept] = await Promise.all([
    next('issuer', 'issue_credential_v2_0', 'done', thread_id),
    next('holder', 'issue_credential_v2_0', 'done', thread_id),
  ]);
  const { anoncreds } = await call('holder', `/issue-credential-2.0/records/${kept.cred_ex_id}`);
  return { id: anoncreds.cred_id_stored, registry: anoncreds.rev_reg_id, index: Number(anoncreds.cred_rev_id), revoked: false };
}

/** @returns whether the verdict is the right one */
async function present({ call, next }: Stage, { verifying, credDefId }: Prepared, credential: Credential): Promise<boolean> {
  const now = Math.floor(Date.now() / 1000);
  const { thread_id } = await call('verifier', '/present-proof-2.0/send-request', {
    connection_id: verifying,
    presentation_request: {
      anoncreds: {
        name: 'soak',
        version: '1.0',
        requested_attributes: { number: { name: 'number', restrictions: [{ cred_def_id: credDefId }] } },
        requested_predicates: {},
        non_revoked: { from: now, to: now },
      },
    },
  });
  const { pres_ex_id } = await next('holder', 'present_proof_v2_0', 'request-received', thread_id);
  await call('holder', `/present-proof-2.0/records/${pres_ex_id}/send-presentation`, {
    anoncreds: {
      requested_attributes: { number: { cred_id: credential.id, revealed: true } },
      requested_predicates: {},
      self_attested_attributes: {},
    },
  });
  const { verified } = await next('verifier', 'present_proof_v2_0', 'done', thread_id);
  return (verified === 'true') === !credential.revoked;
}

/** How much of each batch is revoked and presented. */
interface Shares {
  readonly revoked: number;
  readonly presented: number;
}

interface Batch {
  readonly credentials: Credential[];
  readonly presented: number;
  /** Verdicts that were. */
  readonly wrong: number;
}

/** Until the clock has come to the last state of a registry: blocks within one second take the time of later ones. */
async function reached(ledger: LedgerFacts, registry: string): Promise<void> {
  const { time } = await statusLog(ledger, registry);
  await pause(Math.max(0, time * 1000 - Date.now()));
}

/** One batch: half of what is presented is revoked then. Others are not revoked yet, or never. */
async function batch(stage: Stage, own: Prepared, ledger: LedgerFacts, from: number, count: number, share: Shares): Promise<Batch> {
  const credentials: Credential[] = [];
  await eachOf(Array.from({ length: count }), IN_FLIGHT, async (_none, i) => {
    credentials.push(await issue(stage, own, from + i));
  });
  const due = credentials.slice(0, Math.ceil((share.revoked * count) / BATCH));
  const presented = Math.ceil((share.presented * count) / BATCH);
  const late = due.slice(0, presented >> 1);
  const good = [...credentials.slice(due.length), ...due.slice(late.length)].slice(0, presented - late.length);
  let wrong = 0;
  const show = (some: readonly Credential[]): Promise<void> =>
    eachOf(some, IN_FLIGHT, async (one) => {
      if (!(await present(stage, own, one))) wrong++;
    });
  await show(good.filter((one) => due.includes(one)));
  await eachOf(due, IN_FLIGHT, async ({ registry, index }) => {
    await stage.call('issuer', '/anoncreds/revocation/revoke', { rev_reg_id: registry, cred_rev_id: String(index) });
  });
  await stage.call('issuer', '/anoncreds/revocation/publish-revocations', {});
  for (const one of due) one.revoked = true;
  for (const registry of new Set(due.map((one) => one.registry))) await reached(ledger, registry);
  await show([...late, ...good.filter((one) => !due.includes(one))]);
  return { credentials, presented: late.length + good.length, wrong };
}

/** Batches, so many at once, until there are enough or the time is over. `done` is called after each. */
async function batches(
  count: number,
  ms: number,
  one: (from: number, size: number) => Promise<Batch>,
  done: (all: { credentials: number; presented: number; seconds: number }) => void,
) {
  const all = { credentials: [] as Credential[], presented: 0, wrong: 0, seconds: 0 };
  const start = performance.now();
  let from = 0;
  await Promise.all(
    Array.from({ length: BATCHES }, async () => {
      while (from < count && performance.now() < start + ms) {
        const size = Math.min(BATCH, count - from);
        from += size;
        const { credentials, presented, wrong } = await one(from - size, size);
        all.credentials.push(...credentials);
        all.presented += presented;
        all.wrong += wrong;
        all.seconds = (performance.now() - start) / 1000;
        done({ ...all, credentials: all.credentials.length });
      }
    }),
  );
  return all;
}

/** What of wallet and ledger is not what was issued and revoked. */
async function differences({ call }: Stage, ledger: LedgerFacts, credentials: readonly Credential[]): Promise<string[]> {
  const found: string[] = [];
  if (new Set(credentials.map(({ registry, index }) => `${registry} ${index}`)).size !== credentials.length)
    found.push('an index was given out twice');
  for (const [registry, of] of Map.groupBy(credentials, (one) => one.registry)) {
    const wanted = of
      .filter(({ revoked }) => revoked)
      .map(({ index }) => index)
      .sort((a, b) => a - b);
    const { revoked } = await statusLog(ledger, registry);
    const records = (await call('issuer', `/revocation/registry/${registry}/issued/details`)) as Body[];
    const inWallet = records
      .filter(({ state }) => state === 'revoked')
      .map(({ cred_rev_id }) => Number(cred_rev_id))
      .sort((a, b) => a - b);
    if (records.length !== of.length) found.push(`${registry}: ${records.length} records for ${of.length} credentials`);
    for (const [where, indices] of [
      ['the ledger', revoked],
      ['the wallet', inWallet],
    ] as const)
      if (JSON.stringify(indices) !== JSON.stringify(wanted))
        found.push(`${registry}: ${where} has ${indices.length} revoked, not ${wanted.length}`);
  }
  return found;
}

/** Many credentials in one run: memory must stay flat, and ledger and wallet must be equal at the end. */
export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '10000' },
      minutes: { type: 'string', default: '30' },
      revoked: { type: 'string', default: String(BATCH) },
      presented: { type: 'string', default: String(BATCH) },
      store: { type: 'string', default: 'sqlite' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [count, minutes] = [Number(values.count), Number(values.minutes)];
  if (!Number.isInteger(count) || count < 1 || !(minutes > 0)) throw new Error('--count and --minutes take numbers above 0');
  const share = { revoked: Number(values.revoked), presented: Number(values.presented) };
  if (Object.values(share).some((part) => !Number.isInteger(part) || part < 0 || part > BATCH))
    throw new Error(`--revoked and --presented take numbers from 0 to ${BATCH}`);
  const folder = mkdtempSync(join(tmpdir(), 'flexid-soak-'));
  const stores = await openStores(values.store, folder);
  const inbox = await startInbox();
  let network: Network | undefined;
  try {
    const ledger = await startLedger(folder);
    network = await startNetwork(folder, stores.of, undefined, { url: inbox.url, key: 'soak' }, false, ledger);
    const { agents } = network;
    const stage = stageOf(network, inbox.next);
    const own = await prepared(stage);
    const memory: Record<Role, number>[] = [];
    const each = (of: (pid: number) => number): Record<Role, number> =>
      Object.fromEntries(ROLES.map((role) => [role, of(agents[role].pid!)])) as Record<Role, number>;
    const before = each(cpuSeconds);
    const all = await batches(
      count,
      minutes * 60_000,
      (from, size) => batch(stage, own, ledger, from, size, share),
      ({ credentials, presented, seconds }) => {
        memory.push(each(residentMiB));
        process.stderr.write(`${credentials} of ${count} issued, ${presented} presented after ${seconds.toFixed(0)} s\n`);
      },
    );
    const after = each(cpuSeconds);
    const { credentials, presented, wrong, seconds } = all;
    const revoked = credentials.filter((one) => one.revoked).length;
    process.stdout.write(`${credentials.length} issued, ${revoked} revoked, ${presented} presented in ${seconds.toFixed(0)} s\n`);
    const quarter = Math.max(1, Math.floor(memory.length / 4));
    const of = (role: Role, rows: readonly Record<Role, number>[]) => {
      const all = rows.map((row) => row[role]);
      return { least: Math.min(...all), median: median(all) };
    };
    const grown = ROLES.map((role) => ({
      role,
      before: of(role, memory.slice(quarter, 2 * quarter + 1)),
      after: of(role, memory.slice(-quarter)),
      cpuMs: ((after[role] - before[role]) * 1000) / credentials.length,
    }));
    printTable(
      ['', 'MiB, second quarter: least', 'median', 'last quarter: least', 'median', 'CPU ms for each credential'],
      grown.map(({ role, before, after, cpuMs }) => [role, before.least, before.median, after.least, after.median, cpuMs]),
    );
    const failures = [
      ...(wrong > 0 ? [`${wrong} verdicts were wrong`] : []),
      ...(await differences(stage, ledger, credentials)),
      ...grown.filter((one) => one.after.least > one.before.least + MORE_MIB).map(({ role }) => `the memory of the ${role} grows`),
    ];
    return { issued: credentials.length, revoked, presented, seconds, agents: grown, failures };
  } finally {
    await network?.stop();
    await Promise.all([stores.stop(), inbox.close()]);
    rmSync(folder, { recursive: true, force: true });
  }
}
