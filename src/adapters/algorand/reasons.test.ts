import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AlgodError } from './client.ts';
import { rejectionOf } from './reasons.ts';

/** Refusals as algod 5.1.11 words them. */

const dump = `{_struct:{} Sig:[${'17 '.repeat(64)}] Msig:{} Txn:{Header:{Note:[] GenesisID:testnet-v1.0 GenesisHash:JBR3KGFEWPEE5SAQ6IWU6EEBZMHXD4CZU6WCBXWGF57XBZIJHIRA} ApplicationArgs:[${'104 '.repeat(1900)}]}}`;

for (const [text, code, rebuild, detail] of [
  ['TransactionPool.Remember: txgroup with 999uA fees is less than 1mA (usage=1.000000 * base=1mA)', 'fee', true, /^txgroup with/],
  [
    `TransactionPool.Remember: transaction X: logic eval error: group fee 0.0A too small (needs 1mA more) []transactions.SignedTxnWithAD{${dump}}`,
    'fee',
    true,
    /more\)$/,
  ],
  ['TransactionPool.Remember: fee {0} below threshold 2756 (2 per byte * 1378 bytes)', 'fee', true, /^fee \{0\} below/],
  ['TransactionPool.checkPendingQueueSize: transaction pool has reached capacity', 'busy', true, /capacity$/],
  ['transaction pool is shutting down', 'busy', true, /^transaction pool/],
  ['TransactionPool.ingest: no pending block evaluator', 'busy', true, /evaluator$/],
  ['TransactionPool.Remember: transaction X using an overlapping lease (sender, lease):(A, B)', 'lease', true, /lease/],
  ['TransactionPool.Remember: transaction already in ledger: X', 'in-ledger', false, /already/],
  ['TransactionPool.Remember: txn dead: round 9 outside of 1--3', 'expired', true, /dead/],
  [`transaction ${dump} invalid : tx.Note too large, 1025 > 1024`, 'refused', false, /^tx\.Note too large, 1025 > 1024$/],
  [`transaction ${dump} invalid : tx.ApplicationArgs total length is too long. 2049 > 2048`, 'refused', false, /^tx\.ApplicationArgs/],
  [`transaction ${dump} invalid : tx.Boxes too long, max number of box references is 8`, 'refused', false, /^tx\.Boxes/],
  [`transaction ${dump} invalid : signedtxn has no sig`, 'unauthorised', false, /^signedtxn/],
  [`transaction ${dump} invalid : multisig validation failed: Invalid number of signatures`, 'unauthorised', false, /^multisig/],
  ["At least one signature didn't pass verification", 'unauthorised', false, /verification$/],
  ['max group size is 16', 'refused', false, /16$/],
  ['empty txgroup', 'refused', false, /empty/],
  ['TransactionPool.Remember: tx.GenesisHash <AAAA> does not match expected <BBBB>', 'wrong-network', false, /^tx\.GenesisHash/],
  ['TransactionPool.Remember: tx.GenesisID <a-v1> does not match expected <b-v1>', 'wrong-network', false, /^tx\.GenesisID/],
  ['TransactionPool.Remember: transaction X: account Y balance 458300 below min 558300 (0 assets)', 'deposit-short', true, /below min/],
  ['TransactionPool.Remember: transaction X: overspend (account Y, data {}, tried to spend {1})', 'funds-short', true, /overspend/],
  [
    'TransactionPool.Remember: transaction X: logic eval error: invalid Box reference 0x31. Details: app=1, pc=9',
    'box-moved',
    true,
    /reference/,
  ],
  [
    'TransactionPool.Remember: transaction X: logic eval error: dynamic cost budget exceeded, executing b: local program cost was 700. Details: app=1, pc=9',
    'budget',
    false,
    /budget/,
  ],
  ['TransactionPool.Remember: transactionGroup: incomplete group: A != B ({[X]})', 'refused', false, /incomplete/],
] as const) {
  test(`${text.replace(dump, '{…}').slice(0, 110)}`, () => {
    const found = rejectionOf(text);
    assert.deepEqual([found.code, found.rebuild], [code, rebuild]);
    assert.match(found.detail, detail);
    assert.ok(found.detail.length <= 500);
  });
}

test('an assertion of the contract is known by its program counter, with and without what a real node adds', () => {
  const spec = JSON.parse(readFileSync(new URL('../../../contracts/artifacts/FlexidRegistry.arc56.json', import.meta.url), 'utf8'));
  const { pc } = spec.sourceInfo.approval.sourceInfo.find((one: { errorMessage: string }) => one.errorMessage === 'did version');
  for (const text of [
    `assert failed pc=${pc[0]}. Details: app=1001, pc=${pc[0]}, opcodes=itob; ==; assert`,
    `assert failed. Details: app=1001, pc=${pc[0]}`,
  ])
    assert.deepEqual(rejectionOf(`TransactionPool.Remember: transaction X: logic eval error: ${text}`), {
      code: 'version-conflict',
      detail: 'did version',
      rebuild: true,
    });
});

test('the reason is read behind kilobytes of stack', () => {
  const stack = Array.from({ length: 20 }, () => ({ bytes: 'A'.repeat(2_600), type: 1 }));
  const text = 'TransactionPool.Remember: transaction X: account Y balance 1 below min 2 (0 assets)';
  const body = new TextEncoder().encode(JSON.stringify({ data: { 'eval-states': [{ stack }] }, message: text }));
  assert.ok(body.length > 50_000);
  assert.equal(new AlgodError({ status: 400, body, headers: {} }).message, text);
});
