import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { fromBase58, toBase58, verkeyToDidKey } from '../didcomm/encoding.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import type { DidDocument, Ledger } from '../ports/ledger.ts';
import { contactOf } from './contact.ts';
import { canonicalAlgoId, parseDidAlgo } from './did-algo.ts';
import { checkDidDocument, didcommServices, findMethod, methodKey, verkeyOf, verkeysFor } from './did-doc.ts';
import { createDidKey, ed25519ToX25519, fromMultikey, toJwk } from './did-key.ts';
import { createPeer4, QUEUE_ENDPOINT, resolvePeer } from './did-peer.ts';
import { algoDocument, peer4Document } from './own-documents.ts';
import { resolver } from './resolver.ts';

const code = (wanted: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === wanted;
const VERKEY = 'DtPcLpky6Yi6zPecfW8VZH3xNoDkvQfiGWp8u5n9nAj6';
const ALGO = `did:algo:testnet:app:742:${'ab'.repeat(32)}`;

suite('did:algo', () => {
  test('has one spelling', () => {
    const hex = 'AB'.repeat(32);
    assert.equal(parseDidAlgo(`did:algo:app:1:${hex}`).did, `did:algo:mainnet:app:1:${hex.toLowerCase()}`);
    const parsed = parseDidAlgo(ALGO);
    assert.equal(parsed.did, ALGO);
    assert.deepEqual([parsed.network, parsed.appId, parsed.publicKey.length], ['testnet', 742n, 32]);
    assert.equal(
      canonicalAlgoId(`did:algo:app:1:${hex}/anoncreds/v1/SCHEMA/Ab`),
      `did:algo:mainnet:app:1:${hex.toLowerCase()}/anoncreds/v1/SCHEMA/Ab`,
    );
    assert.equal(canonicalAlgoId('did:algo:x'), 'did:algo:x');
    assert.equal(canonicalAlgoId('WgWxqztrNooG92RXvxSTWv:2:s:1.0'), 'WgWxqztrNooG92RXvxSTWv:2:s:1.0');
  });

  test('anything else is refused', () => {
    const hex = 'ab'.repeat(32);
    for (const did of [
      `did:algo:localnet:app:1:${hex}`,
      `did:algo:app:0:${hex}`,
      `did:algo:app:01:${hex}`,
      `did:algo:app:18446744073709551616:${hex}`,
      `did:algo:app:1:${hex}0`,
      `did:algo:app:1:${hex}\n`,
      `did:algo:asset:1:${hex}`,
      '',
    ]) {
      assert.throws(() => parseDidAlgo(did), code('did-invalid'), did);
    }
  });
});

suite('DID documents', () => {
  const x25519 = toBase58(ed25519ToX25519(fromBase58(VERKEY)));
  const didKey = verkeyToDidKey(VERKEY);
  const jwk = toJwk({ type: 'ed25519', bytes: fromBase58(VERKEY) });
  const withMethod = (method: Record<string, unknown>): DidDocument => ({
    id: 'did:example:1',
    verificationMethod: [{ id: '#k', ...method }],
  });

  test('a verkey is found however it is written', () => {
    const forms: [Record<string, unknown>, string | undefined][] = [
      [{ type: 'Ed25519VerificationKey2018', publicKeyBase58: VERKEY }, VERKEY],
      [{ type: 'Ed25519VerificationKey2020', publicKeyMultibase: didKey.slice(8) }, VERKEY],
      [{ type: 'Ed25519VerificationKey2020', publicKeyMultibase: `z${VERKEY}` }, VERKEY],
      [{ type: 'Ed25519VerificationKey2018', publicKeyHex: Buffer.from(fromBase58(VERKEY)).toString('hex') }, VERKEY],
      [{ type: 'Multikey', publicKeyMultibase: didKey.slice(8) }, VERKEY],
      [{ type: 'JsonWebKey2020', publicKeyJwk: jwk }, VERKEY],
      [{ type: 'X25519KeyAgreementKey2019', publicKeyBase58: x25519 }, undefined],
      [{ type: 'Ed25519VerificationKey2018', publicKeyBase58: 'short' }, undefined],
      [{ type: 'Multikey', publicKeyMultibase: 'zNonsense' }, undefined],
      [{ type: 'X25519KeyAgreementKey2020', publicKeyMultibase: didKey.slice(8) }, undefined],
      [{ type: 'Unknown', publicKeyBase58: VERKEY }, undefined],
      [{ type: 'JsonWebKey2020', publicKeyJwk: null }, undefined],
    ];
    for (const [method, expected] of forms) assert.equal(verkeyOf(withMethod(method), '#k'), expected, JSON.stringify(method));
  });

  test('references: relative, absolute, other name, embedded, did:key, raw; of another subject they mean nothing', () => {
    const key = { type: 'Ed25519VerificationKey2018', publicKeyBase58: VERKEY };
    const doc: DidDocument = {
      id: 'did:example:1',
      alsoKnownAs: ['did:example:other'],
      authentication: [{ id: 'did:example:1#k', ...key }],
      publicKey: [{ id: 'did:example:1#old', ...key }],
    };
    for (const reference of ['#k', 'did:example:1#k', 'did:example:other#k', '#old', didKey, `${didKey}#${didKey.slice(8)}`, VERKEY]) {
      assert.equal(verkeyOf(doc, reference), VERKEY, reference);
    }
    for (const reference of ['did:example:2#k', '#x', 'did:key:zx', '', `${VERKEY}x`])
      assert.equal(verkeyOf(doc, reference), undefined, reference);
    assert.deepEqual(verkeysFor(doc, 'authentication'), [VERKEY]);
  });

  test('services come in the order of their priority, without those that we cannot use', () => {
    const service = (id: string, more: Record<string, unknown>) => ({
      id,
      type: 'did-communication',
      recipientKeys: [VERKEY],
      serviceEndpoint: `https://${id}`,
      ...more,
    });
    const doc: DidDocument = {
      id: 'did:example:1',
      service: [
        service('c', { priority: 2 }),
        service('a', { priority: 0, routingKeys: [didKey] }),
        service('b', { type: 'IndyAgent', priority: 1 }),
        service('no-key', { recipientKeys: ['#missing'] }),
        service('no-keys', { recipientKeys: [] }),
        service('no-route', { routingKeys: ['did:example:mediator#k'] }),
        service('linked', { type: 'LinkedDomains' }),
        service('v2', {
          type: ['DIDCommMessaging'],
          priority: 9,
          serviceEndpoint: [{ uri: 'https://v2', routingKeys: [didKey], accept: ['didcomm/aip1'] }],
        }),
        service('no-endpoint', { serviceEndpoint: { x: 1 } }),
      ],
    };
    const found = didcommServices(checkDidDocument(doc));
    assert.deepEqual(
      found.map(({ id }) => id),
      ['a', 'b', 'c', 'v2'],
    );
    assert.deepEqual(found[0]?.routingKeys, [VERKEY]);
    assert.deepEqual(found[3], {
      id: 'v2',
      serviceEndpoint: 'https://v2',
      recipientKeys: [VERKEY],
      routingKeys: [VERKEY],
      priority: 9,
      accept: ['didcomm/aip1'],
    });
  });

  test('a contact is the most preferred service, and knows the other addresses of the same keys', () => {
    const other = createDidKey({ type: 'ed25519', bytes: new Uint8Array(32).fill(9) });
    const at = (id: string, serviceEndpoint: string, more: object = {}) => ({
      ...{ id, type: 'did-communication', priority: 1, recipientKeys: [didKey], routingKeys: [], serviceEndpoint },
      ...more,
    });
    const document = (service: object[]): DidDocument => ({ id: 'did:example:1', service }) as DidDocument;
    const contact = contactOf(
      document([
        at('#a', 'ws://one.example'),
        at('#b', 'http://one.example', { priority: 0 }),
        at('#c', 'wss://routed.example', { routingKeys: [other] }),
        at('#d', 'wss://another.example', { recipientKeys: [other] }),
        at('#e', QUEUE_ENDPOINT),
        at('#f', 'ws://one.example'),
      ]),
    );
    assert.deepEqual(contact, {
      recipientKeys: [VERKEY],
      routingKeys: [],
      endpoint: 'http://one.example',
      endpoints: ['http://one.example', 'ws://one.example'],
    });
    assert.equal('endpoints' in contactOf(document([at('#a', 'ws://one.example')])), false);
    for (const [first, taken] of [
      ['ws://one.example', 'ws://one.example'],
      ['WSS://one.example', 'WSS://one.example'],
      ['http://one.example', 'http://one.example'],
      ['smtp://one.example', 'https://two.example'],
      [QUEUE_ENDPOINT, 'https://two.example'],
    ] as const)
      assert.equal(contactOf(document([at('#a', first), at('#b', 'https://two.example')])).endpoint, taken, first);
    const listed = [{ uri: 'smtp://one.example' }, { uri: 'ws://two.example', routingKeys: [other] }, { uri: 'https://three.example' }];
    const v2 = contactOf(document([{ ...at('#a', ''), type: 'DIDCommMessaging', routingKeys: undefined, serviceEndpoint: listed }]));
    assert.deepEqual([v2.endpoint, v2.routingKeys.length], ['ws://two.example', 1]);
    assert.equal(contactOf(document([at('#a', 'smtp://one.example')])).endpoint, 'smtp://one.example');
  });

  test('hostile shapes are refused as did-invalid', () => {
    for (const bad of [
      null,
      [],
      {},
      { id: 7 },
      { id: 'x' },
      { id: 'did:x:y', verificationMethod: {} },
      { id: 'did:x:y', verificationMethod: [null] },
      { id: 'did:x:y', verificationMethod: [{ id: 'a' }] },
      { id: 'did:x:y', authentication: [7] },
      { id: 'did:x:y', service: [{ id: 'a' }] },
      { id: 'did:x:y', service: [{ id: 'a', type: 't', recipientKeys: 'x' }] },
      { id: 'did:x:y', service: Array.from({ length: 101 }, () => ({ id: 'a', type: 't' })) },
      { id: 'did:x:y', alsoKnownAs: [1] },
    ]) {
      assert.throws(() => checkDidDocument(bad), code('did-invalid'), JSON.stringify(bad)?.slice(0, 60));
    }
    assert.throws(() => checkDidDocument({ id: 'did:x:y' }, 'did:x:z'), code('did-invalid'));
    fc.assert(
      fc.property(
        fc.record(
          { id: fc.constant('did:x:y'), service: fc.jsonValue(), verificationMethod: fc.jsonValue(), authentication: fc.jsonValue() },
          { requiredKeys: ['id'] },
        ),
        (doc) => {
          try {
            const checked = checkDidDocument(doc);
            didcommServices(checked);
            verkeysFor(checked, 'authentication');
          } catch (error) {
            assert.ok(error instanceof AppError, String(error));
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

suite('our own documents', () => {
  test('a did:peer:4 for a connection says all that a peer needs', () => {
    const router = toBase58(Buffer.alloc(32, 9));
    const { did, short, document } = createPeer4(peer4Document({ verkey: VERKEY, endpoint: 'https://me.example', routingKeys: [router] }));
    assert.deepEqual(resolvePeer(did), document);
    const [service] = didcommServices(document);
    assert.deepEqual([service?.serviceEndpoint, service?.recipientKeys, service?.routingKeys], ['https://me.example', [VERKEY], [router]]);
    assert.deepEqual(verkeysFor(document, 'authentication'), [VERKEY]);
    assert.equal(verkeyOf(document, `${short}#key-0`), VERKEY);
    assert.deepEqual(methodKey(findMethod(document, '#key-1'))?.bytes, ed25519ToX25519(fromBase58(VERKEY)));
    assert.equal(didcommServices(createPeer4(peer4Document({ verkey: VERKEY })).document)[0]?.serviceEndpoint, QUEUE_ENDPOINT);
  });

  test('a did:algo document is small and read by us', () => {
    const document = checkDidDocument(algoDocument({ did: ALGO, verkey: VERKEY, endpoint: 'https://me.example' }), ALGO);
    const [service] = didcommServices(document);
    assert.deepEqual([service?.serviceEndpoint, service?.recipientKeys], ['https://me.example', [VERKEY]]);
    assert.deepEqual(verkeysFor(document, 'assertionMethod'), [VERKEY]);
    assert.equal(verkeyOf(document, `${ALGO}#key-1`), VERKEY);
    assert.equal('controller' in document, false);
    assert.ok(JSON.stringify(document).length < 1200, `${JSON.stringify(document).length}`);
    assert.equal('service' in algoDocument({ did: ALGO, verkey: VERKEY }), false);
  });
});

suite('resolver', () => {
  const ledgerOf = (answer: (did: string) => Promise<DidDocument>): { ledger: Ledger; calls: string[] } => {
    const calls: string[] = [];
    const ledger = {
      resolve: async (did: string, fresh?: boolean) => {
        calls.push(`${did}${fresh ? ' fresh' : ''}`);
        return { document: await answer(did), metadata: { versionId: '1' } };
      },
    } as Partial<Ledger> as Ledger;
    return { ledger, calls };
  };

  test('dispatches by method', async () => {
    const { ledger } = ledgerOf(async (id) => algoDocument({ did: id, verkey: VERKEY }));
    const { resolve } = resolver({ ledger });
    assert.equal((await resolve(verkeyToDidKey(VERKEY))).document.id, verkeyToDidKey(VERKEY));
    const answer = await resolve(`did:algo:app:1:${'AB'.repeat(32)}`);
    assert.equal(answer.document.id, `did:algo:mainnet:app:1:${'ab'.repeat(32)}`);
    assert.deepEqual(answer.metadata, { canonicalId: answer.document.id, versionId: '1' });
    await assert.rejects(resolve('did:web:example.com'), code('did-unsupported'));
    await assert.rejects(resolve('did:sov:WgWxqztrNooG92RXvxSTWv'), code('did-unsupported'));
    for (const bad of ['', 'x', 'did:', 'did:key:', 'did:algo:x', `did:key:${'z'.repeat(9000)}`, 'did:key:zA#b'])
      await assert.rejects(resolve(bad), code('did-invalid'), bad);
    await assert.rejects(resolver().resolve(ALGO), code('ledger-none'));
  });

  test('joins requests, keeps answers for their time, never an error, and stays within its bound', async () => {
    let clock = 0;
    let fail = true;
    const { ledger, calls } = ledgerOf(async (id) => {
      if (fail) throw new AppError('ledger-unavailable');
      return algoDocument({ did: id, verkey: VERKEY });
    });
    const { resolve } = resolver({ ledger, max: 2, ttl: 100, now: () => clock });
    await assert.rejects(resolve(ALGO), code('ledger-unavailable'));
    fail = false;
    const [a, b] = await Promise.all([resolve(ALGO), resolve(ALGO)]);
    assert.equal(a, b);
    assert.equal(calls.length, 2);
    clock = 99;
    assert.equal(await resolve(ALGO), a);
    clock = 100;
    assert.notEqual(await resolve(ALGO), a);
    assert.equal(calls.length, 3);
    await resolve(ALGO, { fresh: true });
    assert.equal(calls.at(-1), `${ALGO} fresh`);
    for (let i = 0; i < 3; i++) await resolve(createDidKey({ type: 'x25519', bytes: new Uint8Array(32).fill(i) }));
    await resolve(ALGO);
    assert.equal(calls.length, 5);
  });

  test('an answer cannot be changed by who got it', async () => {
    const { document } = await resolver().resolve(verkeyToDidKey(VERKEY));
    assert.throws(() => {
      document.id = 'x';
    }, TypeError);
    assert.throws(() => (document.authentication as string[]).push('x'), TypeError);
  });

  test('the document of another DID is refused', async () => {
    const { ledger } = ledgerOf(async () => algoDocument({ did: `${ALGO.slice(0, -2)}00`, verkey: VERKEY }));
    await assert.rejects(resolver({ ledger }).resolve(ALGO), code('did-invalid'));
  });

  test('the short form of a did:peer:4 resolves after the long one was seen', async () => {
    const { resolve } = resolver();
    const { did, short } = createPeer4(peer4Document({ verkey: VERKEY }));
    await assert.rejects(resolve(short), code('did-not-found'));
    await resolve(did);
    assert.equal((await resolve(short)).document.id, short);
  });

  test('multibase text of unknown codecs is nothing', () =>
    assert.equal(fromMultikey('zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme'), undefined));
});
