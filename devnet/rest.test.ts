import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import algosdk from 'algosdk';
import { type Devnet, startDevnet } from './main.ts';
import { APP_ADDRESS, accountOf, sponsor } from './testing.ts';

/** The server as algosdk sees it. */

let devnet: Devnet;
let algod: algosdk.Algodv2;
before(async () => {
  devnet = await startDevnet();
  algod = new algosdk.Algodv2(devnet.token, devnet.url);
});
after(() => devnet.close());

const admin = async (method: string, path: string, body?: unknown): Promise<Response> =>
  fetch(devnet.url + path, {
    method,
    headers: { 'x-algo-api-token': devnet.token },
    body: body === undefined ? undefined : JSON.stringify(body),
  });

const payment = async (amount: number): Promise<algosdk.Transaction> =>
  algosdk.makePaymentTxnWithSuggestedParamsFromObject({
    sender: sponsor.addr,
    receiver: accountOf('alice').addr,
    amount,
    suggestedParams: await algod.getTransactionParams().do(),
  });

test('answers what algosdk asks', async () => {
  await algod.healthCheck().do();
  assert.equal((await algod.versionsCheck().do()).genesisId, 'flexid-dev-v1');
  assert.match(await algod.genesis().do().then(String), /flexid-dev|object/);
  assert.equal((await algod.status().do()).lastRound, 1n);
  const params = await algod.getTransactionParams().do();
  assert.equal(Buffer.from(params.genesisHash as Uint8Array).toString('base64'), devnet.genesisHash);
  const app = await algod.getApplicationByID(devnet.appId).do();
  assert.equal(app.params?.creator.toString(), sponsor.addr.toString());
  assert.equal((await algod.accountInformation(APP_ADDRESS).do()).amount, 100_000n);
  assert.deepEqual((await algod.getApplicationBoxes(devnet.appId).do()).boxes, []);
  assert.equal((await algod.block(1).do()).block.header.round, 1n);
  assert.equal((await algod.getBlockTxids(1).do()).blocktxids.length, 2);
  assert.equal((await algod.getBlockHash(1).do()).blockhash.length, 52);
  const compiled = await algod.compile('#pragma version 10\npushint 1').do();
  assert.equal(compiled.result, Buffer.from('0a8101', 'hex').toString('base64'));
  await assert.rejects(algod.getApplicationBoxByName(devnet.appId, new Uint8Array(8)).do(), /box not found/);
  await assert.rejects(new algosdk.Algodv2('wrong', devnet.url).status().do(), /Invalid API Token/);
});

test('confirms a payment and waits for it', async () => {
  const { txid } = await algod.sendRawTransaction((await payment(200_000)).signTxn(sponsor.sk)).do();
  const done = await algosdk.waitForConfirmation(algod, txid, 4);
  assert.equal(done.confirmedRound, (await algod.status().do()).lastRound);
  assert.equal(done.txn.txn.payment?.amount, 200_000n);
});

test('simulates without keeping anything', async () => {
  const txn = await payment(123_456);
  const request = new algosdk.modelsv2.SimulateRequest({
    txnGroups: [new algosdk.modelsv2.SimulateRequestTransactionGroup({ txns: [algosdk.decodeSignedTransaction(txn.signTxn(sponsor.sk))] })],
  });
  const answer = await algod.simulateTransactions(request).do();
  assert.equal(answer.txnGroups[0]?.failureMessage, undefined);
  await assert.rejects(algod.pendingTransactionInformation(txn.txID()).do(), /could not find/);
});

test('refuses as algod does', async () => {
  const txn = await payment(1_000);
  const bytes = txn.signTxn(sponsor.sk);
  await algod.sendRawTransaction(bytes).do();
  await assert.rejects(algod.sendRawTransaction(bytes).do(), /TransactionPool\.Remember: transaction already in ledger/);
});

test('words what a program fails with as algod does: the stack first, then the reason with its opcodes', async () => {
  const txn = algosdk.makeApplicationNoOpTxnFromObject({
    sender: sponsor.addr,
    appIndex: devnet.appId,
    appArgs: [algosdk.ABIMethod.fromSignature('didPut(uint64,uint64,byte[])void').getSelector(), new Uint8Array(7)],
    suggestedParams: await algod.getTransactionParams().do(),
  });
  const answer = await fetch(`${devnet.url}/v2/transactions`, {
    method: 'POST',
    headers: { 'x-algo-api-token': devnet.token },
    body: Buffer.from(txn.signTxn(sponsor.sk)),
  });
  assert.equal(answer.status, 400);
  const text = await answer.text();
  assert.match(text, /^\{"data":\{"app-index":1001,"eval-states":\[\{"stack":/);
  const { message } = JSON.parse(text) as { message: string };
  assert.match(
    message,
    /^TransactionPool\.Remember: transaction [A-Z2-7]{52}: logic eval error: assert failed pc=(\d+)\. Details: app=1001, pc=\1, opcodes=.*assert$/,
  );
});

test('lists boxes from the one after the token, which is the last name given, and never more than was asked for', async () => {
  const own = await startDevnet();
  try {
    const base = `${own.url}/v2/applications/${own.appId}/boxes`;
    const get = async (
      query: string,
    ): Promise<{ status: number; body: { boxes?: { name: string }[]; 'next-token'?: string; message?: string } }> => {
      const answer = await fetch(`${base}${query}`, { headers: { 'x-algo-api-token': own.token } });
      return { status: answer.status, body: (await answer.json()) as never };
    };
    for (const name of ['a', 'b', 'c']) {
      const body = JSON.stringify({ app: own.appId, name: Buffer.from(name).toString('base64'), value: '' });
      await fetch(`${own.url}/devnet/corrupt`, { method: 'POST', headers: { 'x-algo-api-token': own.token }, body });
    }
    const first = await get('?limit=2');
    assert.deepEqual(
      first.body.boxes?.map(({ name }) => Buffer.from(name, 'base64').toString()),
      ['a', 'b'],
    );
    assert.equal(first.body['next-token'], `b64:${Buffer.from('b').toString('base64')}`);
    const second = await get(`?limit=2&next=${encodeURIComponent(first.body['next-token'] as string)}`);
    assert.deepEqual(
      second.body.boxes?.map(({ name }) => Buffer.from(name, 'base64').toString()),
      ['c'],
    );
    assert.equal(second.body['next-token'], undefined);
    assert.deepEqual(await get('?max=1'), { status: 400, body: { message: 'Result limit exceeded' } });
    assert.equal((await get('?round=0')).body.message, 'given round is no longer available; use a more recent round');
  } finally {
    await own.close();
  }
});

test('plays the faults it is asked for, each as often as asked', async () => {
  await admin('POST', '/devnet/faults', { kind: 'status', status: 502, path: '/v2/status' });
  await assert.rejects(algod.status().do(), /502/);
  await algod.status().do();
  await admin('POST', '/devnet/faults', { kind: 'drop', times: 2 });
  await assert.rejects(algod.status().do());
  await assert.rejects(algod.status().do());
  await algod.status().do();
  await admin('POST', '/devnet/faults', { kind: 'expire' });
  const lost = await payment(2_000);
  await algod.sendRawTransaction(lost.signTxn(sponsor.sk)).do();
  await assert.rejects(algod.pendingTransactionInformation(lost.txID()).do(), /could not find/);
  assert.ok((await algod.status().do()).lastRound > lost.lastValid);
  const { lastRound } = await algod.status().do();
  await admin('POST', '/devnet/lag', { rounds: 5 });
  assert.equal((await algod.status().do()).lastRound, lastRound - 5n);
  await admin('DELETE', '/devnet/faults');
  assert.equal((await algod.status().do()).lastRound, lastRound);
  assert.equal((await admin('POST', '/devnet/faults', { kind: 'nonsense' })).status, 400);
});

test('closes blocks by the clock when asked, with the pool in between', async () => {
  const timed = await startDevnet({ blockMs: 40 });
  try {
    const client = new algosdk.Algodv2(timed.token, timed.url);
    const txn = algosdk.makePaymentTxnWithSuggestedParamsFromObject({
      sender: sponsor.addr,
      receiver: accountOf('alice').addr,
      amount: 100_000,
      suggestedParams: await client.getTransactionParams().do(),
    });
    const { txid } = await client.sendRawTransaction(txn.signTxn(sponsor.sk)).do();
    await assert.rejects(client.sendRawTransaction(txn.signTxn(sponsor.sk)).do(), /already in ledger/);
    assert.ok((await algosdk.waitForConfirmation(client, txid, 4)).confirmedRound);
  } finally {
    await timed.close();
  }
});

describe('the times of blocks', () => {
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const times = async ({ url, token }: Devnet): Promise<number[]> => {
    const client = new algosdk.Algodv2(token, url);
    const { lastRound } = await client.status().do();
    const rounds = Array.from({ length: Number(lastRound) }, (_none, i) => i + 1);
    return await Promise.all(rounds.map(async (round) => Number((await client.block(round).headerOnly(true).do()).block.header.timestamp)));
  };
  const advance = async ({ url, token }: Devnet, rounds: number): Promise<void> => {
    const headers = { 'x-algo-api-token': token };
    assert.ok((await fetch(`${url}/devnet/advance`, { method: 'POST', headers, body: JSON.stringify({ rounds }) })).ok);
  };

  test('are the same at each run by the virtual clock', async () => {
    const own = await startDevnet();
    try {
      await advance(own, 3);
      const genesis = Date.UTC(2026, 0, 1) / 1000;
      assert.deepEqual(
        await times(own),
        [3, 6, 9, 12].map((after) => genesis + after),
      );
    } finally {
      await own.close();
    }
  });

  test('are those of the machine by the wall clock, grow by a second at least, and go on after a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flexid-clock-'));
    const journal = join(folder, 'chain.journal');
    try {
      const before = seconds();
      let own = await startDevnet({ clock: 'wall', journal });
      await advance(own, 5);
      const first = await times(own);
      const after = seconds();
      await own.close();
      assert.ok(first[1]! >= before && first[1]! <= after, `${first[1]} lies from ${before} to ${after}`);
      for (const [i, time] of first.slice(2).entries()) assert.ok(time > first[i + 1]!, String(first));
      own = await startDevnet({ clock: 'wall', journal });
      await advance(own, 1);
      const then = await times(own);
      await own.close();
      assert.deepEqual(then.slice(0, -1), first);
      assert.ok(then.at(-1)! > first.at(-1)!, String(then));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
