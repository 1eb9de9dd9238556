import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  admin,
  algorandLedger,
  between,
  configOf,
  type Devnet,
  devLedgerOnly,
  documentOf,
  type Issuer,
  newIssuer,
  objectWrite,
  perform,
  prepared,
  published,
  schemaOf,
  startDevnet,
} from '../../../test/support/ledger.ts';
import { CALL_MS } from '../../../test/support/waiting.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { Ledger, LedgerWrite } from '../../ports/ledger.ts';
import type { AlgorandConfig } from './algorand.ts';
import { infoBox, parseDid, parseObjectId, resourceBox } from './ids.ts';

/** Several nodes, of which some lie, lag, hang or are away. */

const fails = (act: Promise<unknown>, code: ErrorCode, detail = /./): Promise<void> =>
  assert.rejects(act, (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, detail);
    return true;
  });

type Own = { status: number; body: string | Uint8Array };
/** What a node answers in the place of the true answer, which it may ask for; undefined: the true one. */
type Lie = (path: string, truth: () => Promise<Own>) => Promise<Own | undefined> | Own | undefined;

let devnet: Devnet;
let honest: Ledger;
/** What the three nodes answer. */
let lies: [Lie | undefined, Lie | undefined, Lie | undefined];
let nodes: { url: string; close(): Promise<void> }[];
/** How many requests each node had. */
let asked: [number, number, number];

before(async () => {
  devnet = await startDevnet();
  nodes = await Promise.all(
    [0, 1, 2].map((i) =>
      between(devnet, async (path) => {
        asked[i]! += 1;
        const truth = async (): Promise<Own> => {
          const answer = await fetch(devnet.url + path, { headers: { 'x-algo-api-token': devnet.token } });
          return { status: answer.status, body: new Uint8Array(await answer.arrayBuffer()) };
        };
        return await lies[i]?.(path, truth);
      }),
    ),
  );
});
beforeEach(() => {
  lies = [undefined, undefined, undefined];
  asked = [0, 0, 0];
  honest = algorandLedger(configOf(devnet));
});
after(async () => {
  await Promise.all(nodes.map((node) => node.close()));
  await devnet.close();
});

const urls = (count = 3): string[] => nodes.slice(0, count).map(({ url }) => url);
const ledgerOf = (change: Partial<AlgorandConfig> = {}): Ledger => algorandLedger(configOf(devnet, { algodUrl: urls(), ...change }));
const text = ({ body }: Own): string => Buffer.from(body).toString();

const HTML: Lie = () => ({ status: 200, body: '<!doctype html><title>Sign in</title>' });
const DOWN: Lie = () => ({ status: 503, body: '' });
const never = new Promise<Own>(() => {});
const HANGS: Lie = () => never;
/** Answers of one path alone. */
const at =
  (pattern: RegExp, lie: Lie): Lie =>
  (path, truth) =>
    pattern.test(decodeURIComponent(path)) ? lie(path, truth) : undefined;
const boxed = (name: Uint8Array): RegExp => new RegExp(`name=b64:${Buffer.from(name).toString('base64').replace(/[+]/g, '[+]')}$`);
/** A box with other bytes. */
const other = (name: Uint8Array, change: (value: Buffer) => Uint8Array): Lie =>
  at(boxed(name), async (_path, truth) => {
    const own = await truth();
    if (own.status !== 200) return own;
    const box = JSON.parse(text(own)) as { value: string };
    return {
      status: 200,
      body: JSON.stringify({ ...box, value: Buffer.from(change(Buffer.from(box.value, 'base64'))).toString('base64') }),
    };
  });
const params = (change: (answer: Record<string, unknown>) => object): Lie =>
  at(/transactions\/params$/, async (_path, truth) => {
    const answer = JSON.parse(text(await truth())) as Record<string, unknown>;
    return { status: 200, body: JSON.stringify({ ...answer, ...change(answer) }) };
  });
const GONE: Lie = () => ({ status: 404, body: '{"message":"box not found"}' });
const keyOf = (did: string): Uint8Array => parseDid(did).key;
const put = (did: string, a: number): LedgerWrite => ({ kind: 'did-put', did, document: documentOf(did, { a }) });
const version = async (ledger: Ledger, did: string): Promise<string | undefined> => (await ledger.resolve(did, true)).metadata.versionId;

describe('an object', () => {
  let id: string;
  let name: string;
  before(async () => {
    lies = [undefined, undefined, undefined];
    honest = algorandLedger(configOf(devnet));
    const { did, issuer } = await published(honest);
    const write = objectWrite(honest, did, 'SCHEMA', schemaOf(did));
    await perform(honest, write, issuer);
    id = (write as { id: string }).id;
    name = 'degree';
  });
  const box = (): Uint8Array => {
    const { owner, oid } = parseObjectId(id);
    return resourceBox(owner.key, oid);
  };

  for (const [what, lie] of [
    ['has other bytes for it', () => other(box(), (value) => Buffer.concat([value.subarray(0, 40), Buffer.from([1]), value.subarray(41)]))],
    ['does not have it', () => at(boxed(box()), GONE)],
    ['is of another network', () => params(() => ({ 'genesis-hash': Buffer.alloc(32, 9).toString('base64') }))],
    ['answers HTML', () => HTML],
    ['is down', () => DOWN],
    ['hangs', () => HANGS],
  ] as const)
    test(`is read from the next node where one ${what}`, async () => {
      lies = [lie(), lie(), undefined];
      const read = await ledgerOf({ timeoutMs: what === 'hangs' ? 2_000 : CALL_MS }).read(id, 'SCHEMA');
      assert.equal(read.name, name);
      assert.ok(asked[2] > 0);
    });

  test('that the first node has costs the others nothing', async () => {
    assert.equal((await ledgerOf().read(id, 'SCHEMA')).name, name);
    assert.deepEqual(asked.slice(1), [0, 0]);
  });

  test('that every node lies about is refused, and one that none has is absent', async () => {
    const lie = other(box(), (value) => value.subarray(0, 30));
    lies = [lie, lie, lie];
    await fails(ledgerOf().read(id, 'SCHEMA'), 'object-invalid');
    lies = [DOWN, at(boxed(box()), GONE), DOWN];
    await fails(ledgerOf().read(id, 'SCHEMA'), 'object-not-found');
    lies = [DOWN, DOWN, HTML];
    await fails(ledgerOf().read(id, 'SCHEMA'), 'ledger-unavailable');
  });
});

describe('a DID', () => {
  let did: string;
  let issuer: Issuer;
  before(async () => {
    lies = [undefined, undefined, undefined];
    honest = algorandLedger(configOf(devnet));
    ({ did, issuer } = await published(honest));
    await perform(honest, put(did, 1), issuer);
  });
  const older = (shown: bigint): Lie =>
    other(keyOf(did), (value) => {
      const changed = Buffer.from(value);
      changed.writeBigUInt64BE(shown, 25);
      return changed;
    });
  const ended = (): Lie =>
    other(keyOf(did), (value) => {
      const changed = Buffer.from(value);
      changed[16] = 2;
      return changed;
    });

  for (const [what, lie] of [
    [
      'shows another document',
      () =>
        at(/name=b64:[^=]{11}=$/, async (_path, truth) => {
          const own = await truth();
          const one = JSON.parse(text(own)) as { value: string };
          const document = Buffer.from(one.value, 'base64').toString().replace('"a":1', '"a":6');
          return { status: own.status, body: JSON.stringify({ ...one, value: Buffer.from(document).toString('base64') }) };
        }),
    ],
    ['shows an older version', () => older(1n)],
    ['shows a newer version', () => older(99n)],
    ['says that it has ended', ended],
    ['does not have it', () => at(boxed(keyOf(did)), GONE)],
    [
      'has another operator for it',
      () => other(infoBox(keyOf(did)), (value) => Buffer.concat([value.subarray(0, 24), Buffer.alloc(32, 1), value.subarray(56)])),
    ],
    ['is of another network', () => params(() => ({ 'genesis-hash': Buffer.alloc(32, 9).toString('base64') }))],
    ['answers HTML', () => HTML],
    ['is down', () => DOWN],
    ['hangs', () => HANGS],
  ] as const)
    test(`is what the others give where one ${what}`, async () => {
      for (const liar of [0, 1, 2]) {
        lies = [undefined, undefined, undefined];
        lies[liar] = lie();
        const { document, metadata } = await ledgerOf().resolve(did);
        assert.deepEqual([document.a, metadata.versionId, metadata.deactivated], [1, '2', undefined], `liar ${liar}`);
      }
    });

  test('is not believed where two of three lie, each in its own way, or are away', async () => {
    lies = [older(1n), ended(), undefined];
    await fails(ledgerOf().resolve(did), 'ledger-unavailable', /disagree/);
    lies = [DOWN, HTML, undefined];
    await fails(ledgerOf().resolve(did), 'ledger-unavailable', /^1 of the 2 nodes that must agree answer: /);
    const foreign = params(() => ({ 'genesis-hash': Buffer.alloc(32, 9).toString('base64') }));
    lies = [foreign, foreign, undefined];
    await fails(ledgerOf().resolve(did), 'ledger-wrong-network', /genesis/);
  });

  test('has as many nodes behind it as the configuration says', async () => {
    lies = [older(1n), undefined, undefined];
    assert.equal(await version(ledgerOf({ quorum: 2 }), did), '2');
    await fails(ledgerOf({ quorum: 3 }).resolve(did), 'ledger-unavailable', /disagree/);
    lies = [DOWN, DOWN, undefined];
    assert.equal(await version(ledgerOf({ quorum: 1 }), did), '2');
    for (const quorum of [0, 4, 1.5]) assert.throws(() => ledgerOf({ quorum }), RangeError);
  });

  test('never goes back: a node that shows an older version than was seen is not believed, alone or with others', async () => {
    const [alone, three] = [ledgerOf({ algodUrl: urls(1) }), ledgerOf()];
    for (const ledger of [alone, three]) assert.equal(await version(ledger, did), '2');
    lies = [older(1n), older(1n), undefined];
    await fails(alone.resolve(did, true), 'ledger-unavailable', /shows version 1 of .*, and 2 was seen before/);
    await fails(three.resolve(did, true), 'ledger-unavailable', /shows version 1/);
    lies = [at(boxed(keyOf(did)), GONE), undefined, undefined];
    await fails(alone.resolve(did, true), 'ledger-unavailable', /shows version 0/);
    assert.equal(await version(three, did), '2');
    lies = [undefined, undefined, undefined];
    assert.equal(await version(alone, did), '2');
  });

  test('is read anew where nodes do not have the same block yet', async () => {
    let left = 4;
    const late = older(1n);
    const once: Lie = (path, truth) => {
      if (left === 0 || !boxed(keyOf(did)).test(decodeURIComponent(path))) return undefined;
      left -= 1;
      return late(path, truth);
    };
    lies = [undefined, once, DOWN];
    assert.equal(await version(ledgerOf(), did), '2');
  });
});

describe('a node', () => {
  test('that goes back in rounds is not believed', async () => {
    const ledger = ledgerOf({ algodUrl: urls(1) });
    assert.equal((await ledger.health()).ok, true);
    await admin(devnet, 'POST', 'advance', { rounds: 12 });
    await ledger.health();
    lies = [params(({ 'last-round': round }) => ({ 'last-round': Number(round) - 11 })), undefined, undefined];
    const { ok, reason } = await ledger.health();
    assert.deepEqual([ok, /went back from round \d+ to \d+/.test(String(reason))], [false, true], reason);
  });

  test('that is behind another one is passed over by writes, and readiness shows it', async () => {
    const ledger = ledgerOf();
    await admin(devnet, 'POST', 'advance', { rounds: 15 });
    lies = [params(({ 'last-round': round }) => ({ 'last-round': Number(round) - 14 })), undefined, undefined];
    const health = await ledger.health();
    assert.deepEqual([health.ok, health.quorum, health.nodes?.map(({ ok }) => ok)], [true, 2, [false, true, true]]);
    assert.match(health.nodes?.[0]?.reason ?? '', /14 rounds behind/);
    const { did, issuer } = await published(ledger);
    assert.equal((await perform(ledger, put(did, 2), issuer)).state, 'confirmed');
    lies = [lies[0], DOWN, undefined];
    const worse = await ledger.health();
    assert.deepEqual(
      [worse.ok, worse.reason],
      [false, '1 of the 2 nodes that must agree are well; node 1: the node is 14 rounds behind another one'],
    );
  });
});

describe('a write', () => {
  const stops: [string, Lie][] = [
    ['is down', DOWN],
    ['answers HTML', HTML],
    ['is of another network', params(() => ({ 'genesis-hash': Buffer.alloc(32, 9).toString('base64') }))],
    ['takes no groups', at(/v2\/transactions$/, DOWN)],
    [
      'has a full pool',
      at(/v2\/transactions$/, () => ({
        status: 400,
        body: '{"message":"TransactionPool.checkPendingQueueSize: transaction pool has reached capacity"}',
      })),
    ],
  ];
  for (const [what, lie] of stops)
    test(`goes to the next node where one ${what}`, async () => {
      lies = [lie, undefined, undefined];
      const ledger = ledgerOf({ timeoutMs: 20_000 });
      const { did, issuer } = await published(ledger);
      assert.equal((await perform(ledger, objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), issuer)).state, 'confirmed');
      assert.equal(await version(honest, did), '1');
    });

  test('is confirmed when as many nodes say so as must agree', async () => {
    const ledger = ledgerOf({ algodUrl: urls(2) });
    const { did, issuer } = await published(ledger);
    const signed = await prepared(ledger, put(did, 5), issuer);
    lies = [undefined, at(/transactions\/pending\//, () => ({ status: 404, body: '{"message":"not found"}' })), undefined];
    assert.deepEqual(await ledger.send(signed), { state: 'pending' });
    assert.deepEqual(await ledger.outcome(signed), { state: 'pending' });
    lies = [undefined, undefined, undefined];
    assert.equal((await ledger.outcome(signed)).state, 'confirmed');
  });

  test('that a lying node would make too expensive is not made, and one with a wrong deposit lands when it is planned anew', async () => {
    const { did, issuer } = await published(honest);
    const alone = ledgerOf({ algodUrl: urls(1) });
    lies = [params(() => ({ fee: 1_000 })), undefined, undefined];
    await fails(alone.plan(objectWrite(alone, did, 'SCHEMA', schemaOf(did)), 'dear'), 'ledger-waiting', /above the cap/);
    lies = [params(() => ({ 'min-fee': 1_000_000 })), undefined, undefined];
    await fails(alone.plan(objectWrite(alone, did, 'SCHEMA', schemaOf(did)), 'dearer'), 'ledger-waiting', /above the cap/);
    // a document said to be larger than it is frees more than it locks
    const larger = other(keyOf(did), (value) => {
      const changed = Buffer.from(value);
      changed.writeBigUInt64BE(30_000n, 17);
      return changed;
    });
    lies = [larger, undefined, undefined];
    const write: LedgerWrite = { kind: 'did-put', did, document: documentOf(did, { pad: 'p'.repeat(800) }) };
    const refused = await perform(alone, write, issuer);
    assert.deepEqual([refused.state, refused.state === 'rejected' && refused.rebuild], ['rejected', true], JSON.stringify(refused));
    lies = [undefined, undefined, undefined];
    assert.equal((await perform(alone, write, issuer)).state, 'confirmed');
  });

  test('under a consensus version that nobody knows keeps to the smaller limits, and lands', { skip: devLedgerOnly }, async () => {
    lies = [params(() => ({ 'consensus-version': 'https://example.org/a/version/of/tomorrow' })), undefined, undefined];
    const alone = ledgerOf({ algodUrl: urls(1) });
    const owner = newIssuer();
    const did = alone.didOf(owner.publicKey);
    const write: LedgerWrite = { kind: 'did-put', did, document: documentOf(did, { pad: 'p'.repeat(20_000) }) };
    assert.equal((await perform(alone, write, owner)).state, 'confirmed');
    assert.equal((await honest.resolve(did)).document.pad, 'p'.repeat(20_000));
  });
});
