import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import algosdk from 'algosdk';
import { type Body, type Controller, pause, startWebhooks } from '../../examples/demo/controller.ts';
import { startLedger } from '../../harness/network.ts';
import { answers, freePort, type Program, program } from '../../harness/processes.ts';
import { byFull } from '../support/extent.ts';
import { TEST_MS } from '../support/waiting.ts';

/** An author and its endorser as processes, of which one dies at moments of a write. */

/** Writes, and how long (ms) after each was ordered a process dies: in and between the commits of request, group, answer, signature and ack. */
const ALL = [0, 15, 30, 45, 60, 80, 100, 130, 160, 200, 250, 320];
const DELAYS = byFull([0, 120], ALL);
const PATIENCE_MS = 300_000;

const until = async <T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> => {
  for (const began = Date.now(); Date.now() - began < PATIENCE_MS; ) {
    const found = await look();
    if (found) return found;
    await pause(100);
  }
  throw new Error(`${what} did not come`);
};

test('kill -9 of the author and of the endorser at every step: each write lands once and is acknowledged', {
  timeout: TEST_MS,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-endorse-'));
  const running: Program[] = [];
  const webhooks = await startWebhooks();
  try {
    const ledger = await startLedger(folder);
    running.push(ledger.program);
    const agent = async (
      name: string,
      flags: readonly string[],
      env: Record<string, string> = {},
    ): Promise<{ process: Program; controller: Controller }> => {
      const [admin, inbound] = [await freePort(), await freePort()];
      const key = randomBytes(16).toString('hex');
      const url = `http://127.0.0.1:${admin}`;
      const process = program(
        name,
        folder,
        'src/main.ts',
        [
          ...['start', '--label', name, '--admin', '127.0.0.1', String(admin), '--admin-api-key', key],
          ...['--inbound-transport', 'http', '127.0.0.1', String(inbound), '--endpoint', `http://127.0.0.1:${inbound}`],
          ...['--egress-allow', '127.0.0.0/8', '--anoncreds-workers', '1', '--store', `sqlite:${join(folder, `${name}.db`)}`],
          ...ledger.flags,
          ...flags,
        ],
        () => answers(`${url}/status/ready`),
        env,
      );
      await process.start();
      running.push(process);
      return { process, controller: webhooks.controller(name, url, { 'x-api-key': key }) };
    };
    const endorser = await agent(
      'endorser',
      ['--endorser-protocol-role', 'endorser', '--auto-endorse-transactions', '--auto-accept-requests'],
      {
        FLEXID_SPONSOR_MNEMONIC: ledger.sponsor,
      },
    );
    const made = await endorser.controller.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', {
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    });
    const author = await agent('author', [
      ...['--endorser-protocol-role', 'author', '--endorser-alias', 'bank', '--auto-request-endorsement', '--auto-write-transactions'],
      ...['--endorser-invitation', made.invitation_url, '--endorser-public-did', 'did:algo:bank'],
      ...['--seed', 'seed-of-an-author-00000000000000'],
    ]);
    const { result } = await until(async () => {
      const answer = await author.controller.get('/wallet/did/public');
      return answer.result && answer;
    }, 'the public DID');
    const schema = (i: number): Body => ({ schema: { issuerId: result.did, name: `schema ${i}`, version: '1.0', attrNames: ['a'] } });
    let hits = 0;
    for (const { process } of [author, endorser])
      for (const delay of DELAYS) {
        const body = schema(hits++);
        const ordered = author.controller.post('/anoncreds/schema', body).catch(() => {});
        await pause(delay);
        await process.kill();
        await process.start();
        await ordered;
        await until(
          async () => (await author.controller.post('/anoncreds/schema', body)).schema_state.state === 'finished',
          `schema ${hits}`,
        );
      }
    for (const { controller } of [author, endorser])
      await until(async () => {
        const { results } = await controller.get('/transactions?limit=100');
        return results.length === hits + 1 && results.every(({ state }: Body) => state === 'transaction_acked');
      }, `the acks of ${controller.name}`);
    const { hostname, port } = new URL(ledger.url);
    const algod = new algosdk.Algodv2('a'.repeat(64), `http://${hostname}`, port);
    const { boxes } = await algod.getApplicationBoxes(Number(ledger.app)).do();
    assert.equal(boxes.length, 3 + hits, 'the DID’s three boxes, and one for each schema');
  } catch (error) {
    const logs = ['author', 'endorser'].map((name) => {
      try {
        return `${name}:\n${readFileSync(join(folder, `${name}.log`), 'utf8').slice(-3000)}`;
      } catch {
        return name;
      }
    });
    throw new Error(`${(error as Error).message}\n${logs.join('\n')}`, { cause: error });
  } finally {
    await Promise.allSettled([...running].reverse().map((one) => one.stop()));
    await webhooks.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
