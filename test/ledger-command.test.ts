import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import algosdk from 'algosdk';
import { assemble } from '../devnet/assembler.ts';
import { sponsorOf } from '../src/adapters/algorand/group.ts';
import { algodNode } from '../src/adapters/algorand/node.ts';
import { createRegistry, REGISTRY_HASH } from '../src/adapters/algorand/registry.ts';
import { ConfigError } from '../src/config/values.ts';
import { AppError } from '../src/errors.ts';
import { ledgerCommand } from '../src/ledger-command.ts';
import { admin, algorandLedger, between, configOf, type Devnet, documentOf, newIssuer, perform, startDevnet } from './support/ledger.ts';

let devnet: Devnet;
before(async () => {
  devnet = await startDevnet();
});
after(() => devnet.close());

/** Runs a command against the dev ledger; `typed` is what somebody answers. */
const run = async (args: string[], { url = devnet.url, typed = '' } = {}): Promise<{ code: number; text: string }> => {
  let text = '';
  const flags = ['--algod-url', url, '--algod-token', devnet.token];
  const terminal = {
    input: Readable.from([typed]),
    print: (more: string) => {
      text += more;
    },
  };
  const [command, ...rest] = args as [string, ...string[]];
  const code = await ledgerCommand([command, ...(command === 'account' ? [] : flags), ...rest], {}, terminal);
  return { code, text };
};
const custom = (): string[] => ['--algorand-genesis-hash', devnet.genesisHash];
const fails = (act: Promise<unknown>, code: string, text: RegExp): Promise<void> =>
  assert.rejects(act, (error) => error instanceof AppError && error.code === code && text.test(error.message));

/** An account with so much money. */
const account = async (amount: number): Promise<{ address: string; words: string }> => {
  const { text } = await run(['account']);
  const [, address = '', words = ''] = /^address {3}([A-Z2-7]{58})\nmnemonic {2}((?:[a-z]+ ){24}[a-z]+)\n$/.exec(text) ?? [];
  assert.equal(algosdk.mnemonicToSecretKey(words).addr.toString(), address);
  if (amount > 0) await admin(devnet, 'POST', 'fund', { address, amount });
  return { address, words };
};
const balanceOf = async (address: string): Promise<bigint> =>
  (await new algosdk.Algodv2(devnet.token, devnet.url).accountInformation(address).do()).amount;

test('a new account, its money, a registry and a first DID: each step by its command', async () => {
  const { address, words } = await account(0);
  const sponsor = [...custom(), '--sponsor-mnemonic', words];
  await fails(run(['deploy', ...sponsor]), 'ledger-waiting', /has 0 microALGO and a deployment needs 302000/);
  await admin(devnet, 'POST', 'fund', { address, amount: 2_000_000 });
  const deployed = await run(['deploy', ...sponsor]);
  assert.equal(deployed.code, 0);
  const [, id = ''] = /^--algorand-app-id (\d+)$/m.exec(deployed.text) ?? [];
  assert.ok(deployed.text.includes(REGISTRY_HASH));
  assert.equal(await balanceOf(address), 2_000_000n - 100_000n - 2_000n, 'the account is funded, the rest is locked in the creator');
  const checked = await run(['check', ...sponsor, '--algorand-app-id', id]);
  assert.equal(checked.code, 0, checked.text);
  assert.match(checked.text, /is this program, and its account is funded/);
  assert.match(checked.text, new RegExp(`sponsor +${address}: 1\\.898 ALGO, of which 1\\.698 ALGO can be spent`));
  assert.deepEqual(await run(['fund', ...sponsor, '--algorand-app-id', id]), {
    code: 0,
    text: `the account of application ${id} lacks nothing\n`,
  });
  const ledger = algorandLedger(configOf(devnet, { appId: BigInt(id), sponsorMnemonic: words }));
  assert.deepEqual(await ledger.health().then(({ ok }) => ok), true);
  const issuer = newIssuer();
  const did = ledger.didOf(issuer.publicKey);
  assert.equal((await perform(ledger, { kind: 'did-put', did, document: documentOf(did) }, issuer)).state, 'confirmed');
  assert.equal((await ledger.resolve(did)).document.id, did);
});

test('a registry without money is known, its writes wait with what is to be done, and go on once it is funded', async () => {
  const { words } = await account(3_000_000);
  const node = algodNode(devnet.url, devnet.token, devnet.genesisHash, Date.now);
  const id = await createRegistry(node, sponsorOf(words));
  const flags = [...custom(), '--sponsor-mnemonic', words, '--algorand-app-id', String(id)];
  const checked = await run(['check', ...flags]);
  assert.deepEqual([checked.code, /lacks 100000 microALGO: \.\/flexid ledger fund pays them/.test(checked.text)], [1, true], checked.text);
  const ledger = algorandLedger(configOf(devnet, { appId: id, sponsorMnemonic: words }));
  const health = await ledger.health();
  assert.deepEqual([health.ok, /lacks 100000 microALGO/.test(health.reason ?? '')], [false, true]);
  const issuer = newIssuer();
  const did = ledger.didOf(issuer.publicKey);
  const write = { kind: 'did-put', did, document: documentOf(did) } as const;
  await fails(ledger.plan(write, 'x'), 'ledger-waiting', /ledger fund/);
  assert.match((await run(['fund', ...flags])).text, /^0\.1 ALGO were paid/);
  assert.equal((await ledger.health()).ok, true);
  assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
});

test('an application that is not there, or is another program, is not ready, gets no money, and is named', async () => {
  const { words } = await account(3_000_000);
  const algod = new algosdk.Algodv2(devnet.token, devnet.url);
  const { addr, sk } = algosdk.mnemonicToSecretKey(words);
  const program = assemble('#pragma version 10\npushint 1').bytes;
  const txn = algosdk.makeApplicationCreateTxnFromObject({
    sender: addr,
    approvalProgram: program,
    clearProgram: program,
    numGlobalInts: 0,
    numGlobalByteSlices: 0,
    numLocalInts: 0,
    numLocalByteSlices: 0,
    onComplete: algosdk.OnApplicationComplete.NoOpOC,
    suggestedParams: await algod.getTransactionParams().do(),
  });
  await algod.sendRawTransaction(txn.signTxn(sk)).do();
  const { applicationIndex } = await algosdk.waitForConfirmation(algod, txn.txID(), 4);
  for (const [id, reason] of [
    [99_999n, /the node has no application 99999/],
    [applicationIndex as bigint, new RegExp(`is another program than the registry: its hash is [A-Z2-7]{58}, not ${REGISTRY_HASH}`)],
  ] as const) {
    const flags = [...custom(), '--sponsor-mnemonic', words, '--algorand-app-id', String(id)];
    const before = await balanceOf(addr.toString());
    const checked = await run(['check', ...flags]);
    assert.deepEqual([checked.code, reason.test(checked.text)], [1, true], checked.text);
    await fails(run(['fund', ...flags]), 'ledger-wrong-network', reason);
    const ledger = algorandLedger(configOf(devnet, { appId: id, sponsorMnemonic: words }));
    assert.match((await ledger.health()).reason ?? '', reason);
    const did = ledger.didOf(newIssuer().publicKey);
    await fails(ledger.plan({ kind: 'did-put', did, document: documentOf(did) }, 'x'), 'ledger-wrong-network', reason);
    assert.equal(await balanceOf(addr.toString()), before);
  }
});

test('mainnet is asked for twice, and another network is no mainnet', async () => {
  const { address, words } = await account(1_000_000);
  const mainnet = ['--algorand-network', 'mainnet', '--sponsor-mnemonic', words];
  await fails(run(['deploy', ...mainnet], { typed: `mainnet\n${address.slice(-6)}\n` }), 'ledger-wrong-network', /the node serves genesis/);
  let sent = 0;
  const genesis = 'wGHE2Pwdvd7S12BL5FaOP20EGYesN73ktiC1qzkkit8=';
  const node = await between(devnet, async (path) => {
    if (path === '/v2/transactions') sent += 1;
    if (!path.endsWith('/params')) return undefined;
    const answer = await fetch(devnet.url + path, { headers: { 'x-algo-api-token': devnet.token } });
    return { status: 200, body: JSON.stringify({ ...((await answer.json()) as object), 'genesis-hash': genesis }) };
  });
  try {
    for (const typed of ['', 'yes\n', 'mainnet\n', 'mainnet\nAAAAAA\n', `testnet\n${address.slice(-6)}\n`]) {
      const { code, text } = await run(['deploy', ...mainnet], { url: node.url, typed });
      assert.deepEqual([code, sent, /Nothing was done\.\n$/.test(text)], [1, 0, true], JSON.stringify(typed));
    }
    await assert.rejects(run(['deploy', ...mainnet], { url: node.url, typed: `mainnet\n${address.slice(-6)}\n` }));
    assert.equal(sent, 1, 'now it is sent, and the dev ledger refuses what is for another network');
  } finally {
    await node.close();
  }
});

test('the cost of definitions is shown, and whether the sponsor has it', async () => {
  let text = '';
  const terminal = {
    input: Readable.from(['']),
    print: (more: string): void => {
      text += more;
    },
  };
  assert.equal(await ledgerCommand(['cost', '--definitions', '3', '--attributes', '10'], {}, terminal), 0);
  assert.match(text, /^DID +0\.4583 ALGO +0\.002 ALGO$/m);
  assert.match(text, /^3 times schema of 10 attributes +0\.\d+ ALGO +0\.006 ALGO$/m);
  assert.match(text, /^3 times credential definition of 10 attributes +5\.[5-8]\d* ALGO +0\.012 ALGO$/m);
  assert.doesNotMatch(text, /revocation/);
  text = '';
  const planned = ['--registries', '2', '--publications', '50'];
  assert.equal(await ledgerCommand(['cost', ...planned], {}, terminal), 0);
  assert.match(text, /^credential definition of 10 attributes +2\.[3-9]\d* ALGO +0\.00[56] ALGO$/m);
  assert.match(text, /^2 times revocation registry +0\.9\d* ALGO +0\.008 ALGO$/m);
  assert.match(text, /^50 times publication of revocations +4\.5 ALGO +0\.1 ALGO$/m);
  const { words } = await account(1_000_000);
  const poor = await run(['cost', ...custom(), '--sponsor-mnemonic', words]);
  assert.deepEqual([poor.code, /can spend 0\.9 ALGO, 1\.\d+ ALGO too little/.test(poor.text)], [1, true], poor.text);
});

test('a missing or wrong setting is one sentence', async () => {
  for (const [args, text] of [
    [['deploy'], /--sponsor-mnemonic is missing/],
    [['deploy', '--sponsor-mnemonic', 'one two'], /not the 25 words/],
    [['check'], /--algorand-app-id is missing/],
    [['cost', '--definitions', '0'], /--definitions takes a number/],
  ] as const) {
    await assert.rejects(run([...args]), (error) => error instanceof ConfigError && text.test(error.message));
  }
  await assert.rejects(
    ledgerCommand(['check', '--algorand-app-id', '1'], {}, { input: Readable.from(['']), print: () => {} }),
    /--algod-url is missing/,
  );
  for (const [args, code] of [
    [['--help'], 0],
    [['nonsense'], 2],
  ] as const) {
    const { code: found, text } = await run([...args]);
    assert.deepEqual([found, text.startsWith('The registry application')], [code, true]);
  }
});

test('a node that makes no empty blocks is ready where its genesis says so, and lags where it does not', async () => {
  for (const devmode of [true, false]) {
    const node = await between(devnet, async (path) => {
      if (path === '/genesis') return { status: 200, body: JSON.stringify({ devmode }) };
      if (path !== '/v2/status') return undefined;
      const answer = await fetch(devnet.url + path, { headers: { 'x-algo-api-token': devnet.token } });
      return { status: 200, body: JSON.stringify({ ...((await answer.json()) as object), 'time-since-last-round': 60_000_000_000 }) };
    });
    try {
      const health = await algorandLedger(configOf(devnet, { algodUrl: node.url })).health();
      assert.deepEqual([health.ok, health.reason], devmode ? [true, undefined] : [false, 'the node has seen no block for half a minute']);
    } finally {
      await node.close();
    }
  }
});
