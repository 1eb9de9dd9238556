import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { fromBase58, toBase58 } from '../didcomm/encoding.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import type { DidDocument } from '../ports/ledger.ts';
import { didcommServices, findMethod, methodKey, verkeysFor } from './did-doc.ts';
import { createDidKey, didKeyPublicKey, ed25519ToX25519, fromJwk, resolveDidKey, toJwk, toMultikey } from './did-key.ts';
import { createPeer2, createPeer4, isOwnDocument, type Purpose, peer4ShortDocument, resolvePeer, shortPeerDid } from './did-peer.ts';
import { webDidUrl } from './did-web.ts';
import { peer4Document } from './own-documents.ts';
import { attachedContact } from './unqualified.ts';

const load = <T>(path: string): T => JSON.parse(readFileSync(new URL(`../../test/vectors/${path}`, import.meta.url), 'utf8')) as T;
const peer = (name: string) => load<DidDocument>(`did-peer/peer/__tests__/__fixtures__/${name}.json`);
const code = (wanted: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === wanted;
const multikey = (method: Record<string, unknown> | undefined): string => toMultikey(methodKey(method)!);
const VERKEY = 'DtPcLpky6Yi6zPecfW8VZH3xNoDkvQfiGWp8u5n9nAj6';

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

  test('a text that is no did:key, or a point of none, is refused', () => {
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
    const encode = (text: string) => {
      const body = `z${toBase58(Buffer.concat([Uint8Array.of(0x80, 4), Buffer.from(text)]))}`;
      return `did:peer:4z${toBase58(Buffer.concat([Uint8Array.of(0x12, 0x20), createHash('sha256').update(body).digest()]))}:${body}`;
    };
    assert.equal(resolvePeer(encode('{"x":1}')).x, 1);
    for (const text of ['{"id":"did:x:y"}', '[]', '{', '{"a":1,"a":2}', '{"service":7}']) {
      assert.throws(() => resolvePeer(encode(text)), code('did-invalid'), text);
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

  test('a document of numalgo 1 is the one that its hash is of; one of numalgo 3 fits the did:peer:2 that it tells', () => {
    const one = peer('didPeer1zQmR');
    assert.ok(isOwnDocument(one.id, one));
    assert.ok(!isOwnDocument(one.id, { ...one, service: [] }));
    assert.throws(() => attachedContact({ ...one, service: [] }, one.id), code('did-invalid'));
    const long = 'did:peer:2.Vz6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V';
    const digest = createHash('sha256').update(long.slice('did:peer:2'.length)).digest();
    const short = `did:peer:3z${toBase58(Buffer.concat([Uint8Array.of(0x12, 0x20), digest]))}`;
    const three = { ...resolvePeer(long), id: short, alsoKnownAs: [long] };
    assert.equal(attachedContact(three, short).recipientKeys.length, 1);
    assert.throws(
      () => attachedContact({ ...three, alsoKnownAs: [`${long}.Ez6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc`] }, short),
      code('did-invalid'),
    );
    assert.ok(isOwnDocument(short, { id: short }));
  });
});

suite('did:web', () => {
  test('where the document is', () => {
    for (const [did, url] of [
      ['did:web:w3c-ccg.github.io', 'https://w3c-ccg.github.io/.well-known/did.json'],
      ['did:web:w3c-ccg.github.io:user:alice', 'https://w3c-ccg.github.io/user/alice/did.json'],
      ['did:web:example.com%3A3000:user:alice', 'https://example.com:3000/user/alice/did.json'],
      ['did:web:Example.com:a%20b', 'https://Example.com/a%20b/did.json'],
    ])
      assert.equal(webDidUrl(did!), url);
    assert.equal(webDidUrl('did:web:localhost%3A80', true), 'http://localhost:80/.well-known/did.json');
    assert.equal(webDidUrl('did:web:example.com', true), 'https://example.com/.well-known/did.json');
  });

  test('a document of another DID than its own is refused', () => {
    for (const id of [
      '',
      'a..b%2f',
      'x:..:y',
      'x:%2e%2e:y',
      'x:.',
      'x::y',
      'x%3A99999',
      'x%3Ay',
      'u@x',
      '127.0.0.1',
      '10.1',
      '0x7f000001',
      'x%2Fy',
      'x:',
    ])
      assert.throws(() => webDidUrl(`did:web:${id}`), code('did-invalid'), id);
    assert.throws(() => webDidUrl('did:web:10.0.0.1', true), code('did-invalid'));
  });
});
