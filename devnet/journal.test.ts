import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import algosdk from 'algosdk';
import { startDevnet } from './main.ts';
import { accountOf, sponsor } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'devnet-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const start = async (journal: string): Promise<{ child: ChildProcess; algod: algosdk.Algodv2; ready: Record<string, unknown> }> => {
  const args = [join(import.meta.dirname, 'main.ts'), '--port', '0', '--idle-ms', '0', '--journal', journal];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let last = '';
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    if (line.startsWith('{')) break;
  }
  const ready: Record<string, unknown> = JSON.parse(last);
  return { child, ready, algod: new algosdk.Algodv2(String(ready.token), String(ready.algod)) };
};

const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once('exit', resolve));

const pay = async (algod: algosdk.Algodv2, to: string, amount: number): Promise<string> => {
  const suggestedParams = await algod.getTransactionParams().do();
  const txn = algosdk.makePaymentTxnWithSuggestedParamsFromObject({ sender: sponsor.addr, receiver: to, amount, suggestedParams });
  return (await algod.sendRawTransaction(txn.signTxn(sponsor.sk)).do()).txid;
};

const alice = accountOf('alice').addr.toString();

test('acknowledged rounds survive kill -9, and the chain goes on', async () => {
  const journal = join(folder, 'kill.journal');
  const one = await start(journal);
  await pay(one.algod, alice, 200_000);
  const txid = await pay(one.algod, alice, 300_000);
  const gone = ended(one.child);
  one.child.kill('SIGKILL');
  await gone;
  const two = await start(journal);
  assert.equal((await two.algod.accountInformation(alice).do()).amount, 500_000n);
  assert.equal((await two.algod.pendingTransactionInformation(txid).do()).confirmedRound, 3n);
  assert.equal(two.ready.genesisHash, one.ready.genesisHash);
  await pay(two.algod, alice, 1);
  const over = ended(two.child);
  two.child.kill('SIGTERM');
  assert.equal(await over, 0);
  assert.equal(readFileSync(journal, 'utf8').trimEnd().split('\n').length, 4);
});

test('a torn last line is cut off; damage before it stops the start', async () => {
  const journal = join(folder, 'torn.journal');
  const first = await startDevnet({ journal });
  await pay(new algosdk.Algodv2(first.token, first.url), alice, 200_000);
  await pay(new algosdk.Algodv2(first.token, first.url), alice, 300_000);
  await first.close();
  const whole = readFileSync(journal, 'utf8');
  appendFileSync(journal, '{"r":4,"t":17672');
  const second = await startDevnet({ journal });
  assert.equal((await new algosdk.Algodv2(second.token, second.url).accountInformation(alice).do()).amount, 500_000n);
  await second.close();
  assert.equal(readFileSync(journal, 'utf8'), whole);
  writeFileSync(journal, whole.replace('{"r":2', '{"r":'));
  await assert.rejects(startDevnet({ journal }), /damaged at line 2/);
});

test('a journal of another genesis is not replayed', async () => {
  const journal = join(folder, 'other.journal');
  await (await startDevnet({ journal })).close();
  await assert.rejects(startDevnet({ journal, salt: 'other' }), /another genesis/);
});
