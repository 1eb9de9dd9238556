import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import algosdk from 'algosdk';
import {
  admin,
  algorandLedger,
  configOf,
  credDefOf,
  type Devnet,
  devLedgerOnly,
  documentOf,
  type Issuer,
  newIssuer,
  objectWrite,
  perform,
  published,
  schemaOf,
  startDevnet,
} from '../../../test/support/ledger.ts';
import { appendWrite, registryOf, registryWrite, statusOf } from '../../../test/support/status.ts';
import type { EndorsedGroup, EndorsementRequest } from '../../ports/endorsement.ts';
import type { Ledger, LedgerWrite } from '../../ports/ledger.ts';

/** An endorser with the sponsor's account, and an author that can only read. */
let devnet: Devnet;
let endorser: Ledger;
let author: Ledger;
before(async () => {
  devnet = await startDevnet();
  endorser = algorandLedger(configOf(devnet));
  author = algorandLedger(configOf(devnet, { sponsorMnemonic: undefined }));
});
after(() => devnet.close());

let requests = 0;
const TERMS = { rounds: 300 };

const requestOf = async (write: LedgerWrite): Promise<EndorsementRequest> => {
  const asked = await author.endorsement.request(write);
  assert.equal(asked.state, 'requested');
  return asked.state === 'requested' ? asked.request : assert.fail();
};
const endorse = async (request: unknown, operationId = `request ${requests++}`) =>
  // as it comes: JSON of a stranger
  await endorser.endorsement.endorse(JSON.parse(JSON.stringify(request)), { ...TERMS, operationId });
const groupOf = async (write: LedgerWrite, operationId?: string): Promise<EndorsedGroup> => {
  const endorsed = await endorse(await requestOf(write), operationId);
  if (endorsed.state !== 'endorsed') assert.fail(JSON.stringify(endorsed));
  return endorsed.group;
};
const land = async (write: LedgerWrite, group: unknown, { sign }: Issuer) => {
  const checked = await author.endorsement.check(write, group);
  if (checked.state !== 'checked') assert.fail(JSON.stringify(checked));
  const { signed } = await author.sign(checked.planned, { account: sign });
  assert.ok(signed);
  return await author.send(signed);
};

describe('an endorsed write', () => {
  test('of every kind lands, signed by the author and paid by the endorser', async () => {
    const issuer = newIssuer();
    const did = author.didOf(issuer.publicKey);
    const document = documentOf(did);
    const large = { ...document, pad: 'p'.repeat(6000) };
    const schema = schemaOf(did);
    const definition = credDefOf(did, author.idOf(did, 'SCHEMA', schema));
    const registry = registryWrite(author, registryOf(did, 100), []);
    const writes: LedgerWrite[] = [
      { kind: 'did-put', did, document },
      objectWrite(author, did, 'SCHEMA', schema),
      objectWrite(author, did, 'CLAIM_DEF', definition),
      registry,
      appendWrite(registry.id, 1, statusOf(100, [3, 7])),
      appendWrite(registry.id, 2, statusOf(100, [3])),
      { kind: 'did-put', did, document: large },
      { kind: 'did-put', did, document },
      { kind: 'did-deactivate', did },
    ];
    const { port } = new URL(devnet.url);
    const node = new algosdk.Algodv2(devnet.token, 'http://127.0.0.1', port);
    const account = async (): Promise<bigint> => (await node.accountInformation(algosdk.encodeAddress(issuer.publicKey)).do()).amount;
    for (const write of writes) {
      assert.equal((await land(write, await groupOf(write), issuer)).state, 'confirmed', write.kind);
      assert.deepEqual(await author.endorsement.request(write), { state: 'done' });
    }
    assert.equal(await account(), 0n, 'the author has paid nothing');
  });

  test('lands once, however often it is endorsed and sent', async () => {
    const { did, issuer } = await published(endorser);
    const write = objectWrite(author, did, 'SCHEMA', schemaOf(did, 'once'));
    const first = await groupOf(write, 'one name');
    // the next block: the same group would have the same name
    await published(endorser);
    const second = await groupOf(write, 'one name');
    const other = await author.endorsement.check(write, second);
    assert.equal((await land(write, first, issuer)).state, 'confirmed');
    assert.equal((await land(write, first, issuer).catch(() => undefined))?.state ?? 'done', 'done');
    assert.equal(other.state, 'checked');
    const { signed } = await author.sign(other.state === 'checked' ? other.planned : assert.fail(), { account: issuer.sign });
    const outcome = await author.send(signed!);
    assert.match(outcome.state === 'rejected' ? outcome.reason : outcome.state, /lease/, 'its lease is taken');
    assert.deepEqual(await endorse({ ...(await requestOf({ kind: 'did-deactivate', did })), write }), {
      state: 'refused',
      reason: 'stale',
      detail: 'the ledger holds exactly that',
    });
  });

  test('that is late is expired, and nothing of it is to be signed', async () => {
    const { did } = await published(endorser);
    const write = objectWrite(author, did, 'SCHEMA', schemaOf(did, 'late'));
    const endorsed = await endorser.endorsement.endorse(await requestOf(write), { operationId: 'late', rounds: 10 });
    assert.equal(endorsed.state, 'endorsed');
    for (let i = 0; i < 12; i++) await published(endorser);
    assert.deepEqual(await author.endorsement.check(write, endorsed.state === 'endorsed' && endorsed.group), { state: 'expired' });
  });

  test('on a version that has moved is not the author’s plan any more', async () => {
    const { did, issuer } = await published(endorser);
    const write: LedgerWrite = { kind: 'did-put', did, document: documentOf(did, { a: 1 }) };
    const group = await groupOf(write);
    await perform(endorser, { kind: 'did-put', did, document: documentOf(did, { a: 2 }) }, issuer);
    const checked = await author.endorsement.check(write, group);
    assert.deepEqual([checked.state, 'detail' in checked && checked.detail], ['refused', 'call 1 is not that of this write']);
  });

  test('waits while the sponsor has no money', async () => {
    const { did } = await published(endorser);
    const poor = algosdk.generateAccount();
    const ledger = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(poor.sk) }));
    const waiting = await ledger.endorsement.endorse(await requestOf({ kind: 'did-put', did, document: documentOf(did, { a: 1 }) }), {
      ...TERMS,
      operationId: 'poor',
    });
    assert.deepEqual([waiting.state, 'held' in waiting && waiting.held], ['wait', 0]);
  });
});

describe('a lying author is refused', () => {
  let did: string;
  let request: EndorsementRequest;
  before(async () => {
    ({ did } = await published(endorser));
    request = await requestOf(objectWrite(author, did, 'SCHEMA', schemaOf(did, 'lies')));
  });
  const other = newIssuer();
  const cases: readonly (readonly [string, (honest: EndorsementRequest) => object, string])[] = [
    ['another format', (honest) => ({ ...honest, format: 'indy' }), 'network'],
    ['another network', (honest) => ({ ...honest, network: 'testnet' }), 'network'],
    ['another genesis', (honest) => ({ ...honest, genesisHash: Buffer.alloc(32).toString('base64') }), 'network'],
    ['another application', (honest) => ({ ...honest, appId: honest.appId + 1 }), 'network'],
    ['another DID', (honest) => ({ ...honest, did: endorser.didOf(other.publicKey) }), 'sender'],
    ['no DID', (honest) => ({ ...honest, did: 'did:sov:x' }), 'sender'],
    ['another account', (honest) => ({ ...honest, account: algosdk.encodeAddress(other.publicKey) }), 'sender'],
    ['a smaller deposit', (honest) => ({ ...honest, deposit: honest.deposit - 1 }), 'amount'],
    ['a larger deposit', (honest) => ({ ...honest, deposit: honest.deposit + 1 }), 'amount'],
    [
      'an object of another id',
      (honest) => ({ ...honest, write: { ...honest.write, id: `${'id' in honest.write && honest.write.id.slice(0, -1)}A` } }),
      'object',
    ],
    ['another object', (honest) => ({ ...honest, write: { ...honest.write, object: { a: 1 } } }), 'object'],
    [
      'a document of another DID',
      (honest) => ({ ...honest, write: { kind: 'did-put', did: honest.did, document: { id: 'did:algo:x' } } }),
      'object',
    ],
  ];
  for (const [title, lie, reason] of cases)
    test(`for ${title}: ${reason}`, async () => {
      const answer = await endorse(lie(request));
      assert.deepEqual([answer.state, 'reason' in answer && answer.reason], ['refused', reason], JSON.stringify(answer));
    });
  test('for a DID that is not on the ledger, or was ended: sender', async () => {
    const absent = newIssuer();
    const name = author.didOf(absent.publicKey);
    const write = objectWrite(author, name, 'SCHEMA', schemaOf(name));
    const claimed = { ...request, did: name, account: algosdk.encodeAddress(absent.publicKey), write };
    assert.equal('reason' in (await endorse(claimed)), true);
    const ended = await published(endorser);
    const later = await requestOf(objectWrite(author, ended.did, 'SCHEMA', schemaOf(ended.did)));
    await perform(endorser, { kind: 'did-deactivate', did: ended.did }, ended.issuer);
    for (const one of [claimed, later]) {
      const answer = await endorse(one);
      assert.deepEqual([answer.state, 'reason' in answer && answer.reason], ['refused', 'sender'], JSON.stringify(answer));
    }
  });
});

describe('a lying endorser gets no signature', () => {
  let did: string;
  let write: LedgerWrite;
  let group: EndorsedGroup;
  before(async () => {
    ({ did } = await published(endorser));
    write = objectWrite(author, did, 'SCHEMA', schemaOf(did, 'lied to'));
    group = await groupOf(write);
  });
  const refused = async (given: unknown, what: string): Promise<void> => {
    const checked = await author.endorsement.check(write, given);
    assert.equal(checked.state, 'refused', `${what}: ${JSON.stringify(checked)}`);
  };
  const flipped = (text: string, at: number): string => {
    const bytes = Buffer.from(text, 'base64');
    bytes[at]! ^= 1;
    return bytes.toString('base64');
  };

  test('where any byte of a transaction is another', async () => {
    assert.equal((await author.endorsement.check(write, group)).state, 'checked');
    for (let at = 0; at < Buffer.from(group.payment, 'base64').length; at++)
      await refused({ ...group, payment: flipped(group.payment, at) }, `payment, byte ${at}`);
    for (let at = 0; at < Buffer.from(group.calls[0]!, 'base64').length; at++)
      await refused({ ...group, calls: [flipped(group.calls[0]!, at), ...group.calls.slice(1)] }, `call, byte ${at}`);
  });

  /** The group with its transactions changed, grouped and signed anew: every signature is right. */
  const forged = (
    change: (payment: algosdk.Transaction, calls: algosdk.Transaction[]) => algosdk.Transaction[],
    more: object = {},
  ): object => {
    const { sk } = algosdk.mnemonicToSecretKey(devnet.sponsor.mnemonic);
    const payment = algosdk.decodeSignedTransaction(Buffer.from(group.payment, 'base64')).txn;
    const calls = group.calls.map((text) => algosdk.decodeUnsignedTransaction(Buffer.from(text, 'base64')));
    for (const txn of [payment, ...calls]) txn.group = undefined;
    const [first, ...rest] = change(payment, calls);
    algosdk.assignGroupID([first!, ...rest]);
    const signed = first!.signTxn(sk);
    return {
      ...group,
      payment: Buffer.from(signed).toString('base64'),
      calls: rest.map((txn) => Buffer.from(algosdk.encodeUnsignedTransaction(txn)).toString('base64')),
      ...more,
    };
  };
  const paramsOf = (txn: algosdk.Transaction, fee = txn.fee): algosdk.SuggestedParams => ({
    fee,
    flatFee: true,
    minFee: 1000,
    firstValid: txn.firstValid,
    lastValid: txn.lastValid,
    genesisHash: txn.genesisHash!,
    genesisID: txn.genesisID!,
  });
  const paying = (
    payment: algosdk.Transaction,
    change: Partial<Parameters<typeof algosdk.makePaymentTxnWithSuggestedParamsFromObject>[0]> = {},
    fee?: bigint,
  ) =>
    algosdk.makePaymentTxnWithSuggestedParamsFromObject({
      sender: payment.sender,
      receiver: payment.payment!.receiver,
      amount: payment.payment!.amount,
      suggestedParams: paramsOf(payment, fee),
      ...change,
    });
  const calling = (
    call: algosdk.Transaction,
    change: Partial<Parameters<typeof algosdk.makeApplicationNoOpTxnFromObject>[0]> = {},
    fee?: bigint,
  ) =>
    algosdk.makeApplicationNoOpTxnFromObject({
      sender: call.sender,
      appIndex: call.applicationCall!.appIndex,
      appArgs: [...call.applicationCall!.appArgs],
      boxes: call.applicationCall!.boxes.map(({ appIndex, name }) => ({ appIndex, name })),
      suggestedParams: paramsOf(call, fee),
      ...change,
    });

  test('where what it has signed is another group', async () => {
    const mine = algosdk.generateAccount().addr;
    const ok = forged((payment, calls) => [paying(payment), ...calls.map((call) => calling(call))]);
    assert.equal((await author.endorsement.check(write, ok)).state, 'checked', 'the control');
    for (const [what, given] of [
      ['pays less', forged((payment, calls) => [paying(payment, { amount: payment.payment!.amount - 1n }), ...calls])],
      ['pays less fees', forged((payment, calls) => [paying(payment, {}, payment.fee - 1n), ...calls])],
      ['pays another', forged((payment, calls) => [paying(payment, { receiver: mine }), ...calls])],
      ['closes its account', forged((payment, calls) => [paying(payment, { closeRemainderTo: mine }), ...calls])],
      ['rekeys its own account', forged((payment, calls) => [paying(payment, { rekeyTo: mine }), ...calls])],
      ['rekeys the author', forged((payment, calls) => [payment, calling(calls[0]!, { rekeyTo: mine }), ...calls.slice(1)])],
      ['has the author pay', forged((payment, calls) => [payment, calling(calls[0]!, {}, 1000n), ...calls.slice(1)])],
      ['calls another application', forged((payment, calls) => [payment, calling(calls[0]!, { appIndex: 7 }), ...calls.slice(1)])],
      [
        'calls with other arguments',
        forged((payment, calls) => [payment, calling(calls[0]!, { appArgs: [Uint8Array.of(1)] }), ...calls.slice(1)]),
      ],
      ['adds a call', forged((payment, calls) => [payment, ...calls, calling(calls[0]!, { note: Uint8Array.of(1) })])],
      ['notes something', forged((payment, calls) => [payment, calling(calls[0]!, { note: Uint8Array.of(1) }), ...calls.slice(1)])],
      [
        'adds a payment of the author',
        forged((payment, calls) => [payment, ...calls, paying(payment, { sender: calls[0]!.sender, receiver: mine })]),
      ],
      ['leaves a call out', forged((payment) => [payment, paying(payment)])],
      ['names another sponsor', { ...group, sponsor: mine.toString() }],
      ['names other rounds', { ...group, lastValid: group.lastValid + 1 }],
      ['is no group', 'nothing'],
      ['is of another format', { ...group, format: 'x' }],
      ['has no calls', { ...group, calls: [] }],
      ['has a hundred calls', { ...group, calls: new Array(100).fill(group.calls[0]) }],
    ] as const)
      await refused(given, what);
  });

  test('where it is the group of another write', async () => {
    const another = objectWrite(author, did, 'SCHEMA', schemaOf(did, 'another'));
    await refused(await groupOf(another), 'another schema');
    await refused(await groupOf({ kind: 'did-deactivate', did }), 'the end of the DID');
  });
});

test('a request under congestion is left for later', { skip: devLedgerOnly }, async () => {
  const { did } = await published(endorser);
  const request = await requestOf({ kind: 'did-deactivate', did });
  await admin(devnet, 'POST', 'pool', { feePerByte: 5 });
  await assert.rejects(endorse(request), { code: 'ledger-waiting' });
  await admin(devnet, 'POST', 'pool', {});
  assert.equal((await endorse(request)).state, 'endorsed');
});
