import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RAW_WALLET_KEY, startBenchAgent } from '../../bench/agent.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { openDatabase } from '../../src/database.ts';
import { toBase58 } from '../../src/didcomm/encoding.ts';
import { sweepChunks } from '../../src/hub.ts';
import { CHUNKS, edvChunk } from '../../src/records/edv-chunk.ts';
import { startPostgres } from '../postgres.ts';
import type { Body } from '../support/agents.ts';
import { isFull, STORES } from '../support/extent.ts';
import { configOf, documentOf, invoke, newCaller, send } from '../support/hub.ts';
import { TEST_MS } from '../support/waiting.ts';

/** A stream of 100 MiB that is written over another one, by an agent that is killed in the middle, on both stores. */

const undo: (() => unknown)[] = [];
after(async () => {
  while (undo.length > 0) await undo.pop()!();
});

const CHUNKS_OF_ONE = 100;
const AT_ONCE = 4;
const SILENT = { info() {}, warn() {}, error() {} };

/** Of a process, in MiB: what it has, and the most that it had. */
function memoryOf(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
  return { now: of('VmRSS'), most: of('VmHWM') };
}

/** Runs for each chunk, some at once, until it says that it is over. */
async function each(run: (index: number) => Promise<boolean>, indices: readonly number[]): Promise<void> {
  const left = [...indices];
  const one = async (): Promise<void> => {
    for (let index = left.shift(); index !== undefined; index = left.shift()) if (!(await run(index))) left.length = 0;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

for (const kind of STORES)
  test(`[S2-53] ${kind}: 100 MiB are written over 100 MiB by an agent that is killed, in little memory, and nothing torn is left`, {
    skip: !isFull && 'takes long: --full',
    timeout: TEST_MS,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flexid-streams-'));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    const server = kind === 'postgres' ? await startPostgres() : undefined;
    if (server) undo.push(server.stop);
    const store = server?.url ?? `sqlite:${join(folder, 'hub.db')}`;
    const agent = await startBenchAgent(store, ['--hub', '--no-ledger']);
    let isUp = true;
    undo.push(() => isUp && agent.stop());

    const owner = newCaller();
    const headers = { 'x-api-key': agent.key, 'content-type': 'application/json' };
    const made = await send(`${agent.admin}/hub/vaults`, { method: 'POST', headers, body: JSON.stringify(configOf(owner)) });
    const vault = made.body.id as string;
    const document = await documentOf(owner, 1);
    const url = `${vault}/documents/${document.id}`;
    const post = async (to: string, json: Body): Promise<number> => (await invoke(owner, { url: to, json })).status;
    /** The document at a sequence, before and after its stream. */
    const at = (sequence: number, chunks?: number): Body => ({
      ...document,
      sequence,
      stream: chunks === undefined ? {} : { sequence: sequence - 1, chunks },
    });
    const all = Array.from({ length: CHUNKS_OF_ONE }, (_none, index) => index);
    const chunk = (index: number, sequence: number): Body => ({
      ...{ sequence, index, offset: index << 20 },
      jwe: { ...document.jwe, ciphertext: Buffer.alloc(1 << 20, index + sequence).toString('base64url') },
    });
    const textOf = async (index: number): Promise<string> => {
      const { status, text } = await invoke(owner, { url: `${url}/chunks/${index}` });
      assert.equal(status, 200);
      return text;
    };
    const put = async (index: number, sequence: number): Promise<boolean> => {
      assert.equal(await post(`${url}/chunks/${index}`, chunk(index, sequence)), 204);
      return true;
    };

    const before = memoryOf(agent.pid).now;
    assert.equal(await post(`${vault}/documents`, at(0)), 204);
    await each((index) => put(index, 0), all);
    assert.equal(await post(url, at(1, CHUNKS_OF_ONE)), 204);
    const read = async (index: number, sequence: number): Promise<boolean> => {
      assert.ok((await textOf(index)) === JSON.stringify(chunk(index, sequence)), `chunk ${index} of ${sequence}`);
      return true;
    };
    await each((index) => read(index, 0), all);
    const first = memoryOf(agent.pid).most - before;

    assert.equal(await post(url, at(2)), 204);
    const answered = new Set<number>();
    let killed: Promise<void> | undefined;
    await each(async (index) => {
      const status = await post(`${url}/chunks/${index}`, chunk(index, 2)).catch(() => undefined);
      if (status === undefined) return false;
      assert.equal(status, 204);
      answered.add(index);
      if (answered.size === CHUNKS_OF_ONE / 2) killed = agent.kill();
      return killed === undefined;
    }, all);
    assert.ok(killed && answered.size < CHUNKS_OF_ONE);
    await killed;
    await agent.restart();

    assert.deepEqual((await invoke(owner, { url })).body, at(2), 'the document is whole');
    let old = 0;
    await each(async (index) => {
      const text = await textOf(index);
      const isNew = text === JSON.stringify(chunk(index, 2));
      assert.ok(isNew || text === JSON.stringify(chunk(index, 0)), `chunk ${index} is whole, of one generation`);
      assert.ok(isNew || !answered.has(index), `chunk ${index} was answered`);
      if (!isNew) old += 1;
      return true;
    }, all);
    assert.ok(old > 0);
    await each(
      (index) => put(index, 2),
      all.filter((index) => !answered.has(index)),
    );
    assert.equal(await post(url, at(3, CHUNKS_OF_ONE)), 204);
    await each((index) => read(index, 2), all);
    const second = memoryOf(agent.pid).most - before;
    for (const grown of [first, second]) assert.ok(grown < 160, `the agent has grown by ${grown} MiB`);

    const [row] = (await send(`${agent.admin}/hub/vaults`, { headers })).body.results;
    const size = all.reduce((sum, index) => sum + JSON.stringify(chunk(index, 2)).length, JSON.stringify(at(3, CHUNKS_OF_ONE)).length);
    assert.deepEqual([row.bytes, row.documents], [size, 1]);

    await agent.stop();
    isUp = false;
    const { config } = readConfig(['--store', store, '--wallet-key', toBase58(RAW_WALLET_KEY)], {});
    const db = await openDatabase(config, SILENT);
    try {
      await sweepChunks({ db }, db.now() + 2 * 3600_000);
      const blobs = await db.blobs.list('base', { limit: 1000 });
      const rows = (await db.store.find('base', edvChunk.category, { limit: 1000 })).rows.map(({ value }) => String(value.blob));
      assert.equal(rows.length, CHUNKS_OF_ONE);
      assert.deepEqual(
        blobs.map(({ name }) => name).filter((name) => name.startsWith(CHUNKS)),
        rows.sort(),
      );
    } finally {
      await db.admin.close();
    }
  });
