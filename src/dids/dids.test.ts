import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { fromBase58, toBase58, verkeyToDidKey } from '../didcomm/encoding.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import type { DidDocument, Ledger } from '../ports/ledger.ts';
import { canonicalAlgoId, parseDidAlgo } from './did-algo.ts';
import { checkDidDocument, didcommServices, findMethod, methodKey, verkeyOf, verkeysFor } from './did-doc.ts';
import { createDidKey, didKeyPublicKey, ed25519ToX25519, fromJwk, fromMultikey, resolveDidKey, toJwk, toMultikey } from './did-key.ts';
import { createPeer2, createPeer4, type Purpose, peer4ShortDocument, QUEUE_ENDPOINT, resolvePeer, shortPeerDid } from './did-peer.ts';
import { algoDocument, peer4Document } from './own-documents.ts';
import { resolver } from './resolver.ts';

const load = <T>(path: string): T => JSON.parse(readFileSync(new URL(`../../test/vectors/${path}`, import.meta.url), 'utf8')) as T;
const peer = (name: string) => load<DidDocument>(`did-peer/peer/__tests__/__fixtures__/${name}.json`);
const code = (wanted: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === wanted;
const multikey = (method: Record<string, unknown> | undefined): string => toMultikey(methodKey(method)!);
const VERKEY = 'DtPcLpky6Yi6zPecfW8VZH3xNoDkvQfiGWp8u5n9nAj6';
const ALGO = `did:algo:testnet:app:742:${'ab'.repeat(32)}`;

suite('did:key', () => {
  const ed =
    load<Record<string, { didDocument: DidDocument; keyAgreementKeyPair?: { publicKeyBase58?: string } }>>('did-key/ed25519-x25519.json');
  for (const [did, { didDocument }] of Object.entries(ed)) {
    test(`Ed25519 ${did}`, () => {
      const key = didKeyPublicKey(did);
      assert.equal(key.type, 'ed25519');
      assert.equal(createDidKey(key), did);
      // Some documents of the suite are in JWK form: their keys must be the same.
      const ours = resolveDidKey(did);
      const methods = didDocument.verificationMethod as Record<string, unknown>[];
      if (methods.every((method) => 'publicKeyBase58' in method)) assert.deepEqual(ours, didDocument);
      else for (const method of methods) assert.deepEqual(multikey(findMethod(ours, method.id as string)), multikey(method));
    });
  }

  const x = load<{ didDocument: Record<string, DidDocument> }>('did-key/x25519.json').didDocument;
  for (const [did, document] of Object.entries(x)) {
    test(`X25519 ${did}`, () => {
      const ours = resolveDidKey(did);
      const [method] = document.verificationMethod as Record<string, unknown>[];
      if ('publicKeyBase58' in method!) assert.deepEqual(ours, document);
      assert.deepEqual(multikey(findMethod(ours, method!.id as string)), multikey(method));
    });
  }

  const nist = load<Record<string, { didDocument: DidDocument }>>('did-key/nist-curves.json');
  for (const [did, { didDocument }] of Object.entries(nist)) {
    test(`NIST ${did}`, () => {
      if (!did.startsWith('did:key:zDn')) {
        assert.throws(() => resolveDidKey(did), code('did-unsupported'));
        return;
      }
      const key = didKeyPublicKey(did);
      const [method] = didDocument.verificationMethod as Record<string, unknown>[];
      if (method?.type === 'JsonWebKey2020') assert.deepEqual(resolveDidKey(did), didDocument);
      else assert.equal(toBase58(key.bytes), method?.publicKeyBase58);
      assert.deepEqual(fromJwk(toJwk(key))?.bytes, Buffer.from(key.bytes));
    });
  }

  test('what is no did:key, or a point of none, is refused', () => {
    for (const did of ['did:key:', 'did:key:z', 'did:key:abc', 'did:key:z0OIl0OIl', 'did:web:x', `did:key:z${'1'.repeat(2000)}`]) {
      assert.throws(() => resolveDidKey(did), code('did-invalid'), did);
    }
    assert.throws(() => resolveDidKey(createDidKey({ type: 'ed25519', bytes: new Uint8Array(32) })), code('did-invalid'));
    assert.throws(
      () => resolveDidKey(createDidKey({ type: 'p256', bytes: Uint8Array.of(2, ...new Uint8Array(32).fill(255)) })),
      code('did-invalid'),
    );
    assert.throws(() => toMultikey({ type: 'p256', bytes: new Uint8Array(32) }), code('did-invalid'));
    assert.equal(fromJwk({ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }), undefined);
  });
});

suite('did:peer', () => {
  /** The keys of a relationship, by value: other implementations name and nest them otherwise. */
  const keysOf = (doc: DidDocument, member: string) =>
    ((doc[member] ?? []) as (string | Record<string, unknown>)[]).map((item) => {
      const key = methodKey(typeof item === 'string' ? findMethod(doc, item) : item);
      return key && toMultikey(key);
    });
  const servicesOf = (doc: DidDocument) => ((doc.service ?? []) as Record<string, unknown>[]).map(({ id: _, ...rest }) => rest);

  for (const name of [
    'didPeer2Ez6L',
    'didPeer2Ez6LMoreServices',
    'didPeer2Ez6LMultipleServicesSingleToken',
    'didPeer2Ez6LSe3YyteKQAcaPy',
  ]) {
    test(`numalgo 2: ${name}`, () => {
      const expected = peer(name);
      const ours = resolvePeer(expected.id);
      for (const member of ['authentication', 'keyAgreement', 'assertionMethod'])
        assert.deepEqual(keysOf(ours, member), keysOf(expected, member));
      assert.deepEqual(servicesOf(ours), servicesOf(expected));
    });
  }

  test('numalgo 2 as ACA-Py makes it: two DIDComm v1 services with the key by a relative reference', () => {
    const services = didcommServices(resolvePeer(peer('didPeer2Ez6LSe3YyteKQAcaPy').id));
    assert.deepEqual(
      services.map(({ serviceEndpoint, recipientKeys }) => [serviceEndpoint, recipientKeys]),
      [
        ['https://us-east.proven.mediator.indiciotech.io/message', ['GtfgyFMiPxp2kdWM9oboanEXhyzQL7N4cCNE6efHSTVo']],
        ['wss://ws.us-east.proven.mediator.indiciotech.io/ws', ['GtfgyFMiPxp2kdWM9oboanEXhyzQL7N4cCNE6efHSTVo']],
      ],
    );
  });

  test('numalgo 2: created and resolved', () => {
    const ed = { type: 'ed25519', bytes: fromBase58(VERKEY) } as const;
    const agreement = { type: 'x25519', bytes: ed25519ToX25519(ed.bytes) } as const;
    const service = {
      type: 'DIDCommMessaging',
      serviceEndpoint: { uri: 'https://x.example', accept: ['didcomm/v2'], routingKeys: [] },
      id: '#one',
    };
    const other = {
      type: 'did-communication',
      serviceEndpoint: 'https://y.example',
      recipientKeys: ['#key-1'],
      routingKeys: [],
      accept: ['didcomm/aip1'],
    };
    const keys: { purpose: Purpose; key: typeof ed | typeof agreement }[] = [
      { purpose: 'verification', key: ed },
      { purpose: 'agreement', key: agreement },
      { purpose: 'assertion', key: ed },
    ];
    const did = createPeer2(keys, [service, other]);
    assert.match(did, /^did:peer:2\.Vz6Mk\w+\.Ez6LS\w+\.Az6Mk\w+\.S[\w-]+\.S[\w-]+$/);
    const doc = resolvePeer(did);
    assert.deepEqual(doc.service, [service, { ...other, id: '#service-1' }]);
    assert.deepEqual(didcommServices(doc)[0]?.recipientKeys, [VERKEY]);
    assert.deepEqual(doc.authentication, ['#key-1']);
    assert.deepEqual(doc.keyAgreement, ['#key-2']);
    assert.deepEqual(verkeysFor(doc, 'assertionMethod'), [VERKEY]);
  });

  test('the spec example of numalgo 2 names services as the spec does', () => {
    const did = peer('didPeer2Ez6LMoreServices').id;
    assert.deepEqual(
      (resolvePeer(did).service as { id: string }[]).map(({ id }) => id),
      ['#service', '#service-1'],
    );
  });

  for (const name of ['didPeer4zQmUJdJ', 'didPeer4zQmd8Cp']) {
    test(`numalgo 4: ${name}`, () => {
      const expected = peer(name);
      assert.deepEqual(resolvePeer(expected.id), expected);
      const short = shortPeerDid(expected.id);
      assert.equal(short, (expected.alsoKnownAs as string[])[0]);
      const shortDoc = peer4ShortDocument(expected.id);
      assert.equal(shortDoc.id, short);
      assert.deepEqual(shortDoc.alsoKnownAs, [expected.id]);
      assert.equal((shortDoc.verificationMethod as { controller: string }[])[0]?.controller, short);
      assert.throws(() => resolvePeer(short), code('did-not-found'));
    });
  }

  test('numalgo 4: the document of another hash, with an id, or not JSON is refused', () => {
    const { did } = createPeer4(peer4Document({ verkey: VERKEY }));
    const [, , hash, encoded] = did.split(':');
    const other = createPeer4(peer4Document({ verkey: VERKEY, endpoint: 'https://x.example' })).did.split(':')[3];
    for (const bad of [`did:peer:${hash}:${other}`, `did:peer:${hash}:${encoded}1`, `did:peer:${hash}:`, `did:peer:${hash}:z`]) {
      assert.throws(() => resolvePeer(bad), code('did-invalid'), bad);
    }
    assert.throws(() => createPeer4({ id: 'did:x:y' }), code('did-invalid'));
    assert.throws(() => createPeer4({ service: 'x' }), code('did-invalid'));
    assert.throws(() => createPeer4({ long: 'x'.repeat(5000) }), code('did-invalid'));
  });

  test('numalgo 0 is a did:key under another name', () => {
    const expected = peer('didPeer0z6MksLe');
    const ours = resolvePeer(expected.id);
    for (const member of ['authentication', 'assertionMethod', 'keyAgreement'])
      assert.deepEqual(keysOf(ours, member), keysOf(expected, member));
    assert.equal(ours.id, expected.id);
  });

  test('other numalgos and malformed ones are refused; nothing hostile throws anything else', () => {
    assert.throws(() => resolvePeer(peer('didPeer1zQmR').id), code('did-unsupported'));
    for (const did of [
      'did:peer:',
      'did:peer:9x',
      'did:peer:2',
      'did:peer:2.',
      'did:peer:2.Vx',
      'did:peer:2.S!!',
      'did:peer:2.Xz6Mk',
      `did:peer:2${'.SWzFd'.repeat(60)}`,
    ]) {
      assert.throws(() => resolvePeer(did), code('did-invalid'), did);
    }
    fc.assert(
      fc.property(
        fc.constantFrom('0', '2.V', '2.S', '2.Vz6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V.S', '4z'),
        fc.base64String(),
        (start, rest) => {
          try {
            resolvePeer(`did:peer:${start}${rest}`);
          } catch (error) {
            assert.ok(error instanceof AppError, String(error));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

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
    const document = checkDidDocument(algoDocument({ did: ALGO, verkeys: [VERKEY], endpoint: 'https://me.example' }), ALGO);
    const [service] = didcommServices(document);
    assert.deepEqual([service?.serviceEndpoint, service?.recipientKeys], ['https://me.example', [VERKEY]]);
    assert.deepEqual(verkeysFor(document, 'assertionMethod'), [VERKEY]);
    assert.equal(verkeyOf(document, `${ALGO}#key-1`), VERKEY);
    assert.equal('controller' in document, false);
    assert.ok(JSON.stringify(document).length < 1200, `${JSON.stringify(document).length}`);
    assert.equal('service' in algoDocument({ did: ALGO, verkeys: [VERKEY] }), false);
    assert.throws(() => algoDocument({ did: ALGO, verkeys: [] }), RangeError);
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
    const { ledger } = ledgerOf(async (id) => algoDocument({ did: id, verkeys: [VERKEY] }));
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
      return algoDocument({ did: id, verkeys: [VERKEY] });
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
    const { ledger } = ledgerOf(async () => algoDocument({ did: `${ALGO.slice(0, -2)}00`, verkeys: [VERKEY] }));
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
