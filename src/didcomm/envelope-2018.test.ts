import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, suite, test } from 'node:test';
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import wasm from 'libsodium-wrappers';
import { agent2018Type, NAMES } from './agent-2018-types.ts';
import { toBase58, verkeyBytes } from './encoding.ts';
import {
  decodeText,
  EnvelopeRefused,
  encodeText,
  type KeyPair,
  MAX_ID_LENGTH,
  openAnon,
  openAuth,
  packBase,
  parseBase,
  payloadOf,
  sealAnon,
  sealAuth,
  sealedIn,
} from './envelope-2018.ts';
import { pack } from './envelope-v1.ts';
import { keyCache, loadSharedKeys } from './key-cache.ts';
import { newKeyPair } from './keys.ts';

// caches are warm at the second meeting
before(loadSharedKeys);

await wasm.ready;

interface Entry {
  name: string;
  outer_recipient: string;
  base_message: { id: string; type: string; message: unknown };
  base_message_utf8: string;
  payload_base64: string;
  outer_ephemeral_index: number;
  expect?: string;
  inner_plaintext_utf8?: string;
  inner_sender?: string;
  inner_recipient?: string;
  inner_ephemeral_index?: number;
  box_nonce_index?: number;
  combo_box_msgpack_hex?: string;
}
const vectors = JSON.parse(readFileSync(new URL('../../test/vectors/agent-protocol-2018/messages.json', import.meta.url), 'utf8')) as {
  keys: Record<string, { seed_utf8: string; did: string; verkey: string; x25519_public_b64: string }>;
  libindy_anchor: Record<string, string> & { authcrypt_ephemeral_index: number };
  transcript: Entry[];
};

/** Every key of the vectors by its DID. */
const byDid = new Map(Object.values(vectors.keys).map(({ did, seed_utf8 }) => [did, newKeyPair(Buffer.from(seed_utf8))]));
const ofDid = (did: string): KeyPair => byDid.get(did)!;
const keyOf = (name: string): KeyPair => ofDid(vectors.keys[name]!.did);
const entry = (name: string): Entry => vectors.transcript.find((one) => one.name === name)!;
const innerOf = (one: Entry): Buffer => sealedIn(one.base_message.message);
const refused =
  (reason?: RegExp) =>
  (error: unknown): boolean =>
    error instanceof EnvelopeRefused && (!reason || reason.test(error.reason));

const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const sha256 = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest());
const x25519 = (verkey: string): Uint8Array => wasm.crypto_sign_ed25519_pk_to_curve25519(verkeyBytes(verkey));
const x25519Secret = (pair: KeyPair): Uint8Array => wasm.crypto_sign_ed25519_sk_to_curve25519(pair.secretKey);

/** A sealed box with a known ephemeral: libsodium's own parts, put together as its documentation says. For tests alone. */
function sealWith(index: number, verkey: string, bytes: Uint8Array): Uint8Array {
  const secret = sha256(`ephemeral-${index}`);
  const epk = wasm.crypto_scalarmult_base(secret);
  const to = x25519(verkey);
  const nonce = wasm.crypto_generichash(24, Buffer.concat([epk, to]), null);
  return Buffer.concat([epk, wasm.crypto_box_easy(bytes, nonce, to, secret)]);
}

const nonceOf = (index: number): Uint8Array => sha256(`nonce-${index}`).subarray(0, 24);

/** The MessagePack of an auth-crypt by hand: one fixmap, fixstr keys, str8 or str16 values. */
function comboByHand(box: Uint8Array, sender: string, nonce: Uint8Array): Buffer {
  const string = (text: string): Buffer => {
    const bytes = Buffer.from(text);
    if (bytes.length < 32) return Buffer.concat([Buffer.of(0xa0 | bytes.length), bytes]);
    if (bytes.length < 256) return Buffer.concat([Buffer.of(0xd9, bytes.length), bytes]);
    return Buffer.concat([Buffer.of(0xda, bytes.length >> 8, bytes.length & 255), bytes]);
  };
  return Buffer.concat([Buffer.of(0x83), ...['msg', b64(box), 'sender', sender, 'nonce', b64(nonce)].map(string)]);
}

/** The inside of an auth-crypt by libsodium-wrappers and by hand; `claimed` is whom it names as its sender. */
const authByHand = (from: KeyPair, to: string, bytes: Uint8Array, nonce: Uint8Array, claimed = from.verkey): Buffer =>
  comboByHand(wasm.crypto_box_easy(bytes, nonce, x25519(to), x25519Secret(from)), claimed, nonce);

suite('the vectors of the 2018 protocol', () => {
  test('the keys are those of the seeds', () => {
    for (const { seed_utf8, did, verkey, x25519_public_b64 } of Object.values(vectors.keys)) {
      const pair = newKeyPair(Buffer.from(seed_utf8));
      assert.equal(pair.verkey, verkey);
      assert.equal(toBase58(verkeyBytes(verkey).subarray(0, 16)), did);
      assert.equal(b64(x25519(verkey)), x25519_public_b64);
    }
  });

  for (const one of vectors.transcript) {
    test(`${one.name}: the payload opens to the base message, with the endpoint key of its recipient and no other key`, () => {
      const sealed = payloadOf(Buffer.from(one.payload_base64));
      const opened = openAnon(ofDid(one.outer_recipient), sealed);
      assert.equal(opened.toString('utf8'), one.base_message_utf8);
      const { idFrom, ignored, ...base } = parseBase(opened);
      assert.deepEqual([base, idFrom, ignored], [one.base_message, 'id', []]);
      for (const [did, pair] of byDid) if (did !== one.outer_recipient) assert.throws(() => openAnon(pair, sealed), refused(/seal/));
    });

    test(`${one.name}: an encoder with the ephemerals of the vector gives its bytes`, () => {
      const text = Buffer.from(JSON.stringify(one.base_message));
      assert.equal(b64(sealWith(one.outer_ephemeral_index, ofDid(one.outer_recipient).verkey, text)), one.payload_base64);
      if (one.inner_ephemeral_index !== undefined) {
        const inside = Buffer.from(one.inner_plaintext_utf8!);
        assert.equal(b64(sealWith(one.inner_ephemeral_index, ofDid(one.inner_recipient!).verkey, inside)), one.base_message.message);
      }
      if (one.box_nonce_index !== undefined) {
        const combo = authByHand(
          ofDid(one.inner_sender!),
          ofDid(one.inner_recipient!).verkey,
          Buffer.from(one.inner_plaintext_utf8!),
          nonceOf(one.box_nonce_index),
        );
        assert.equal(combo.toString('hex'), one.combo_box_msgpack_hex);
        assert.equal(b64(sealWith(7, ofDid(one.inner_recipient!).verkey, combo)), one.base_message.message);
      }
    });

    test(`${one.name}: what this agent packs opens elsewhere to the same base message`, () => {
      const payload = packBase(ofDid(one.outer_recipient).verkey, one.base_message);
      assert.match(payload, /^[A-Za-z0-9+/]+={0,2}$/);
      assert.equal(payload.length % 4, 0);
      const to = ofDid(one.outer_recipient);
      const opened = wasm.crypto_box_seal_open(Buffer.from(payload, 'base64'), x25519(to.verkey), x25519Secret(to));
      assert.equal(Buffer.from(opened).toString('utf8'), one.base_message_utf8);
    });
  }

  test('the response opens with the pairwise key of the requester and not with his endpoint key', () => {
    const one = entry('connection_response');
    assert.equal(openAnon(keyOf('bob_pairwise'), innerOf(one)).toString('utf8'), one.inner_plaintext_utf8);
    assert.throws(() => openAnon(keyOf('bob_endpoint'), innerOf(one)), refused(/seal does not open/));
  });

  test('the acknowledgement opens, names its sender and its nonce', () => {
    const one = entry('connection_acknowledgement');
    const { message, sender, nonce } = openAuth(keyOf('alice_pairwise'), innerOf(one));
    assert.equal(message.toString('utf8'), '"success"');
    assert.equal(sender, keyOf('bob_pairwise').verkey);
    assert.deepEqual(new Uint8Array(nonce), new Uint8Array(nonceOf(one.box_nonce_index!)));
  });

  test('negative: a sender that is not the one of the connection is named as what it is', () => {
    const one = entry('NEGATIVE_ack_sender_not_pairwise');
    const { sender } = openAuth(keyOf('alice_pairwise'), innerOf(one));
    assert.equal(sender, keyOf('mallory').verkey);
    assert.notEqual(sender, ofDid(one.base_message.id).verkey);
  });

  test('negative: a sender that is only claimed does not open the box', () => {
    assert.throws(() => openAuth(keyOf('alice_pairwise'), innerOf(entry('NEGATIVE_ack_sender_claimed'))), refused(/box is not from/));
  });

  test('negative: a response with another nonce, and one whose verkey is not that of its did, open, and say so', () => {
    const inside = (name: string) => JSON.parse(openAnon(keyOf('bob_pairwise'), innerOf(entry(name))).toString('utf8'));
    const pending = entry('connection_response').base_message.id;
    const nonce = inside('NEGATIVE_response_wrong_inner_nonce');
    assert.notEqual(nonce.request_nonce, pending);
    const mixed = inside('NEGATIVE_response_verkey_not_of_did');
    assert.equal(mixed.request_nonce, pending);
    assert.notEqual(toBase58(verkeyBytes(mixed.verkey).subarray(0, 16)), mixed.did);
  });

  test('the constants of libindy: box, container and signature', () => {
    const anchor = vectors.libindy_anchor;
    const [from, to] = [ofDid(anchor.sender!), ofDid(anchor.recipient!)];
    const opened = openAuth(to, decodeText(anchor.authcrypt_b64!));
    assert.equal(opened.message.toString('utf8'), anchor.plaintext_utf8);
    assert.equal(opened.sender, from.verkey);
    assert.equal(b64(opened.nonce), anchor.nonce_b64);
    const combo = Buffer.from(anchor.combo_box_msgpack_hex!, 'hex');
    assert.equal(b64(sealWith(anchor.authcrypt_ephemeral_index, to.verkey, combo)), anchor.authcrypt_b64);
    const signed = wasm.crypto_sign_verify_detached(
      Buffer.from(anchor.ed25519_signature_b64!, 'base64'),
      anchor.plaintext_utf8!,
      verkeyBytes(ofDid(anchor.ed25519_signature_by!).verkey),
    );
    assert.ok(signed);
  });

  test('with the nonce of libindy, the container that this agent makes is the same to the byte', () => {
    const anchor = vectors.libindy_anchor;
    const to = ofDid(anchor.recipient!);
    for (const cache of [keyCache(), keyCache(), undefined]) {
      const sealed = sealAuth(
        ofDid(anchor.sender!),
        to.verkey,
        Buffer.from(anchor.plaintext_utf8!),
        Buffer.from(anchor.nonce_b64!, 'base64'),
        cache,
      );
      const combo = wasm.crypto_box_seal_open(sealed, x25519(to.verkey), x25519Secret(to));
      assert.equal(Buffer.from(combo).toString('hex'), anchor.combo_box_msgpack_hex);
    }
  });
});

suite('anon-crypt and auth-crypt', () => {
  const alice = newKeyPair();
  const bob = newKeyPair();
  const eve = newKeyPair();

  test('a sealed message opens, with a cold and a warm cache, here and in another libsodium', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
        for (const cache of [undefined, keyCache(4)]) {
          for (let again = 0; again < 2; again++) {
            assert.deepEqual(new Uint8Array(openAnon(bob, sealAnon(bob.verkey, bytes, cache), cache)), bytes);
            const sealed = sealAuth(alice, bob.verkey, bytes, undefined, cache);
            const opened = openAuth(bob, sealed, cache);
            assert.deepEqual(new Uint8Array(opened.message), bytes);
            assert.equal(opened.sender, alice.verkey);
            const combo = wasm.crypto_box_seal_open(sealed, x25519(bob.verkey), x25519Secret(bob));
            const box = wasm.crypto_box_easy(bytes, opened.nonce, x25519(bob.verkey), x25519Secret(alice));
            assert.deepEqual(Buffer.from(combo), comboByHand(box, alice.verkey, opened.nonce));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('long messages too, whose strings have longer headers', () => {
    for (const length of [150, 200, 60_000, 200_000]) {
      const bytes = Buffer.alloc(length, 7);
      const opened = openAuth(bob, sealAuth(alice, bob.verkey, bytes));
      assert.ok(opened.message.equals(bytes));
    }
  });

  test('no two nonces are the same', () => {
    const nonces = Array.from({ length: 50 }, () => openAuth(bob, sealAuth(alice, bob.verkey, Buffer.of(1))).nonce.toString('hex'));
    assert.equal(new Set(nonces).size, 50);
  });

  for (const [what, sealed, open] of [
    ['anon-crypt', sealAnon(bob.verkey, Buffer.from('{"a":1}')), openAnon],
    ['auth-crypt', sealAuth(alice, bob.verkey, Buffer.from('{"a":1}')), openAuth],
  ] as const) {
    test(`one flipped bit anywhere is refused (${what})`, () => {
      for (let at = 0; at < sealed.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const bent = Buffer.from(sealed);
          bent[at]! ^= 1 << bit;
          assert.throws(() => open(bob, bent), refused(/seal does not open/), `byte ${at} bit ${bit}`);
        }
      }
    });

    test(`a truncated or longer one is refused (${what})`, () => {
      for (let length = 0; length < sealed.length; length++) assert.throws(() => open(bob, sealed.subarray(0, length)), refused());
      assert.throws(() => open(bob, Buffer.concat([sealed, Buffer.of(0)])), refused());
    });

    test(`another key does not open it (${what})`, () => {
      assert.throws(() => open(eve, sealed), refused(/seal does not open/));
      assert.throws(() => open({ ...bob, secretKey: bob.secretKey.subarray(0, 32) }, sealed), refused(/wrong size/));
    });
  }

  test('a flipped bit of the box, inside an intact seal, is refused', () => {
    const nonce = nonceOf(1);
    const box = wasm.crypto_box_easy('"success"', nonce, x25519(bob.verkey), x25519Secret(alice));
    const open = (bent: Uint8Array, sender = alice.verkey, other = nonce) =>
      openAuth(bob, sealAnon(bob.verkey, comboByHand(bent, sender, other)));
    assert.equal(open(box).message.toString(), '"success"');
    for (let at = 0; at < box.length; at++) {
      const bent = Buffer.from(box);
      bent[at]! ^= 1;
      assert.throws(() => open(bent), refused(/box is not from/));
    }
    assert.throws(() => open(box, eve.verkey), refused(/box is not from/));
    assert.throws(() => open(box, alice.verkey, nonceOf(2)), refused(/box is not from/));
  });

  test('bytes that are no key, or one of small order, are refused as a recipient and as a sender', () => {
    const small = toBase58(Buffer.from('0100000000000000000000000000000000000000000000000000000000000000', 'hex'));
    const box = Buffer.alloc(20);
    for (const verkey of ['', 'x', 'O'.repeat(44), `${alice.verkey}1`, small]) {
      assert.throws(() => sealAnon(verkey, Buffer.of(1)), refused());
      assert.throws(() => sealAuth(alice, verkey, Buffer.of(1)), refused());
      assert.throws(() => openAuth(bob, sealAnon(bob.verkey, comboByHand(box, verkey, nonceOf(1)))), refused(/verkey/));
    }
    assert.throws(() => sealAuth(alice, bob.verkey, Buffer.of(1), Buffer.alloc(12)), refused(/nonce/));
  });

  suite('the container inside', () => {
    const nonce = nonceOf(3);
    const box = wasm.crypto_box_easy('m', nonce, x25519(bob.verkey), x25519Secret(alice));
    const fields = { msg: b64(box), sender: alice.verkey, nonce: b64(nonce) };
    const open = (combo: Uint8Array) => openAuth(bob, sealAnon(bob.verkey, combo));
    const bin = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

    const accepted: Record<string, Uint8Array> = {
      'as libindy writes it': encode(fields),
      'in another order': encode({ nonce: fields.nonce, msg: fields.msg, sender: fields.sender }),
      'an array of the values': encode([fields.msg, fields.sender, fields.nonce]),
      'bin in place of str': encode({ msg: bin(fields.msg), sender: bin(fields.sender), nonce: bin(fields.nonce) }),
      'an array of bin': encode([bin(fields.msg), bin(fields.sender), bin(fields.nonce)]),
      'the other alphabet, unpadded': encode({
        ...fields,
        msg: Buffer.from(box).toString('base64url'),
        nonce: Buffer.from(nonce).toString('base64url'),
      }),
    };
    for (const [what, combo] of Object.entries(accepted)) {
      test(`accepted: ${what}`, () => {
        const opened = open(combo);
        assert.equal(opened.message.toString(), 'm');
        assert.deepEqual([opened.sender, b64(opened.nonce)], [alice.verkey, fields.nonce]);
      });
    }

    const good = Buffer.from(encode(fields));
    const twice = Buffer.concat([Buffer.of(0x84), good.subarray(1), Buffer.from(encode('msg')), Buffer.from(encode(fields.msg))]);
    const hidden = Buffer.concat([
      Buffer.of(0x83),
      ...['msg', fields.msg, 'sender', fields.sender, 'sender', fields.sender].map((text) => Buffer.from(encode(text))),
    ]);
    const overlong = Buffer.from(good);
    overlong.set([0xc1, 0xad], 2);
    const hostile: Record<string, Uint8Array> = {
      'nothing at all': Buffer.alloc(0),
      'a container and nothing in it': Buffer.of(0x83),
      'trailing bytes': Buffer.concat([good, Buffer.of(0xc0)]),
      'a trailing string': Buffer.concat([good, Buffer.from(encode('x'))]),
      'a trailing member': Buffer.concat([good, Buffer.from(encode('x')), Buffer.from(encode('y'))]),
      'an array with a trailing string': Buffer.concat([Buffer.from(encode([fields.msg, fields.sender, fields.nonce])), Buffer.of(0xa0)]),
      'a name without its value': good.subarray(0, good.length - fields.nonce.length - 2),
      'a fourth member': encode({ ...fields, more: 'x' }),
      'a member twice, counted': twice,
      'a member twice, in place of another': hidden,
      'a member less': encode({ msg: fields.msg, sender: fields.sender }),
      'another name': encode({ message: fields.msg, sender: fields.sender, nonce: fields.nonce }),
      'a name in another form of UTF-8': overlong,
      'an array of two': encode([fields.msg, fields.sender]),
      'an array of four': encode([fields.msg, fields.sender, fields.nonce, 'x']),
      'an array in another order': encode([fields.sender, fields.msg, fields.nonce]),
      'a map in a longer form': Buffer.concat([Buffer.of(0xde, 0, 3), good.subarray(1)]),
      'a number': encode({ ...fields, nonce: 1 }),
      nil: encode({ ...fields, nonce: null }),
      'a map as a value': encode({ ...fields, nonce: {} }),
      'a full map as a value': encode({ ...fields, nonce: { nonce: fields.nonce } }),
      'a million arrays in each other': Buffer.alloc(1 << 20, 0x93),
      'a million nils': Buffer.concat([Buffer.of(0x83), Buffer.alloc(1 << 20, 0xc0)]),
      'a string of four gigabytes': Buffer.concat([Buffer.of(0x83), Buffer.of(0xdb, 0xff, 0xff, 0xff, 0xff), good]),
      'an extension': Buffer.concat([Buffer.of(0x83), Buffer.of(0xc7, 0, 1), good.subarray(1)]),
      'a time': Buffer.concat([Buffer.of(0x83), Buffer.of(0xd6, 0xff, 0, 0, 0, 0), good.subarray(1)]),
      'a byte that is never used': Buffer.concat([Buffer.of(0x83, 0xc1), good.subarray(1)]),
      'a box too short for its tag': encode({ ...fields, msg: b64(Buffer.alloc(15)) }),
      'a nonce too short': encode({ ...fields, nonce: b64(Buffer.alloc(23)) }),
      'a nonce too long': encode({ ...fields, nonce: b64(Buffer.alloc(25)) }),
      'no base64': encode({ ...fields, nonce: '*'.repeat(32) }),
      'JSON in place of MessagePack': Buffer.from(JSON.stringify(fields)),
    };
    for (const [what, combo] of Object.entries(hostile)) {
      test(`refused: ${what}`, () => assert.throws(() => open(combo), refused()));
    }

    test('millions of arrays in each other cost nothing', () => {
      const sealed = sealAnon(bob.verkey, Buffer.alloc(12 << 20, 0x93));
      const before = process.memoryUsage().heapUsed;
      assert.throws(() => openAuth(bob, sealed), refused());
      assert.ok(process.memoryUsage().heapUsed - before < 100 << 20);
    });

    test('cut anywhere, or with random bytes, it is refused and nothing else is thrown', () => {
      for (let length = 0; length < good.length; length++) assert.throws(() => open(good.subarray(0, length)), refused());
      fc.assert(
        fc.property(fc.constantFrom(0x83, 0x93, 0xde, 0x80), fc.uint8Array({ maxLength: 200 }), (first, rest) => {
          assert.throws(() => open(Buffer.concat([Buffer.of(first), rest])), refused());
        }),
        { numRuns: 300 },
      );
    });

    test('any byte of it changed opens to the same message from the same sender, or is refused', () => {
      fc.assert(
        fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
          const bent = Buffer.from(good);
          bent[at] = value;
          try {
            const opened = open(bent);
            assert.deepEqual([opened.message.toString(), opened.sender, b64(opened.nonce)], ['m', alice.verkey, fields.nonce]);
          } catch (error) {
            if (!(error instanceof EnvelopeRefused)) throw error;
          }
        }),
        { numRuns: 1000 },
      );
    });
  });
});

suite('base64 of the 2018 protocol', () => {
  test('comes out as RFC 4648 section 4, and back in every spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const text = encodeText(bytes);
        assert.equal(text, Buffer.from(bytes).toString('base64'));
        const spellings = [
          text,
          text.replace(/=+$/, ''),
          Buffer.from(bytes).toString('base64url'),
          text.replaceAll('+', '-').replaceAll('/', '_'),
          text.replace(/.{76}/g, '$&\r\n'),
          ` \t\f${text}\n`,
          [...text].join(' '),
        ];
        for (const spelling of spellings) assert.deepEqual(new Uint8Array(decodeText(spelling)), bytes);
      }),
    );
  });

  for (const text of [
    '*',
    'é',
    'AAé=',
    'A',
    'AAAAA',
    'AA=',
    'AA===',
    'A=AA',
    '=',
    '====',
    'AA==AA==',
    'AB==',
    'AAB=',
    'A+-A',
    'A_/A',
    'AA\0A',
    'AA\u{a0}A',
    'AA\vA',
    '"AAAA"',
  ]) {
    test(`refused: ${JSON.stringify(text)}`, () => assert.throws(() => decodeText(text), refused(/base64/)));
  }

  test('two texts with one alphabet, padding and no whitespace never mean the same bytes', () => {
    const character = fc.constantFrom(...'ABCDwxyz0189+/=');
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
        let bytes: Buffer;
        try {
          bytes = decodeText(text);
        } catch {
          return;
        }
        assert.equal(encodeText(bytes).replace(/=+$/, ''), text.replace(/=+$/, ''));
      }),
      { numRuns: 2000 },
    );
  });
});

suite('the body of a POST', () => {
  const bob = newKeyPair();
  const sealed = sealAnon(bob.verkey, Buffer.from('{"id":"a","type":"b"}'));
  const text = Buffer.from(encodeText(sealed));
  const message = Buffer.from(JSON.stringify({ message: text.toString() }));

  const forms: [string, Buffer][] = [
    ['text', text],
    ['text in lines', Buffer.from(text.toString().replace(/.{76}/g, '$&\n'))],
    ['JSON', message],
    ['JSON with space', Buffer.from(`\n { "message" :\t"${text}" }\r\n`)],
    ['JSON with escaped slashes', Buffer.from(message.toString().replaceAll('/', '\\/'))],
    ['raw', sealed],
  ];
  for (const [form, body] of forms) {
    test(`${form} gives the sealed bytes`, () => assert.ok(payloadOf(body).equals(sealed)));
  }

  const v1 = pack({ message: '{}', recipients: [bob.verkey], sender: newKeyPair() });
  const strangers: Record<string, string | Buffer> = {
    'a DIDComm v1 envelope': v1,
    'one with a message beside': v1.replace('{', `{"message":"${text}",`),
    'one with a message at its end': v1.replace(/}$/, `,"message":"${text}"}`),
    'a JWE in one string': `${v1.length}.${'A'.repeat(80)}.AAAA`,
    'protected behind message': `{"message":"${text}","protected":"${text}"}`,
    'a base message in clear': `{"id":"a","type":"b","message":"${text}"}`,
    'a value that does not begin': '{"message":"}'.padEnd(100),
    'a message twice': `{"message":"${text}","message":"${text}"}`,
    'a message that is an object': `{"message":{"a":"${text}"}}`,
    'a name in escapes': `{"mess\\u0061ge":"${text}"}`,
    'another member': `{"massage":"${text}"}`,
    'a JSON string': `"${text}"`,
    'a JSON array': `["${text}"]`,
    'other text': 'hello, is anybody there? '.repeat(10),
    'a form': `a=b&c=${'d'.repeat(80)}&e`,
    nothing: '',
    space: ' '.repeat(20),
    'text too short for a seal': 'AAAA',
    'raw bytes too short for a seal': Buffer.alloc(47, 0xff),
    'text with a star': `${text}*`,
    'text with é': `${text}é`,
  };
  for (const [what, body] of Object.entries(strangers)) {
    test(`refused: ${what}`, () => assert.throws(() => payloadOf(Buffer.from(body as string)), refused()));
  }

  test('base64 that is malformed in a way that only decoding shows is refused', () => {
    for (const bent of [`${text}=`, `A${text}`, `${'A'.repeat(60)}    `]) assert.throws(() => payloadOf(Buffer.from(bent)), refused());
  });

  test('any bytes are refused by their own error, and no JSON text but the one form is taken', () => {
    const taken = (bytes: Uint8Array): boolean => {
      try {
        payloadOf(bytes);
        return true;
      } catch (error) {
        assert.ok(error instanceof EnvelopeRefused);
        return false;
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void taken(bytes)),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.object({ key: fc.constantFrom('message', 'protected', 'iv', 'tag'), maxDepth: 1 }), (value) => {
        if (taken(Buffer.from(JSON.stringify(value).padEnd(100))))
          assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(value))), ['message']);
      }),
      { numRuns: 1000 },
    );
  });

  test('a long body is looked at in a moment', () => {
    const long = [
      Buffer.alloc(8 << 20, 'A'),
      Buffer.alloc(8 << 20, ' '),
      Buffer.from(`{"message":"${'"'.repeat(8 << 20)}"}`),
      Buffer.alloc(8 << 20, '{'),
    ];
    const before = performance.now();
    for (const body of long.slice(1)) assert.throws(() => payloadOf(body), refused());
    assert.ok(performance.now() - before < 3000);
    assert.throws(() => payloadOf(Buffer.alloc((16 << 20) + 1, 'A')), refused());
  });
});

suite('base messages', () => {
  const type = agent2018Type('connection_offer');
  const read = (value: unknown) => parseBase(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));

  test('a packed message has exactly the three members, and is read again', () => {
    const pair = newKeyPair();
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 64 }),
        fc.constantFrom(...NAMES),
        fc.jsonValue({ maxDepth: 5 }),
        (id, name, message) => {
          // a key of it may not hold a backslash
          fc.pre(id.isWellFormed() && !/__proto__|\\/.test(JSON.stringify(message)));
          const base = { id, type: agent2018Type(name), message: JSON.parse(JSON.stringify(message)) };
          const opened = openAnon(pair, payloadOf(Buffer.from(packBase(pair.verkey, { ...base, more: 1 } as typeof base))));
          assert.deepEqual(Object.keys(JSON.parse(opened.toString())), ['id', 'type', 'message']);
          assert.deepEqual(parseBase(opened), { ...base, idFrom: 'id', ignored: [] });
        },
      ),
      { numRuns: 200 },
    );
  });

  test('four kinds of id', () => {
    for (const id of [
      '2PRyVHmkXQnQzJQKxHxnXC',
      'b7a4c2de0f1947d3a9e6c85d21f0e3b4',
      'did:algo:testnet:app:1:ab',
      'x',
      'a'.repeat(MAX_ID_LENGTH),
    ]) {
      assert.equal(read({ id, type, message: {} }).id, id);
    }
  });

  test('a message may be absent, which its type decides upon; unknown members are listed and not kept', () => {
    assert.ok(!('message' in read({ id: 'a', type })));
    assert.equal(read({ id: 'a', type, message: null }).message, null);
    assert.deepEqual(read({ id: 'a', type, message: 'b', x: 1, y: 2 }), { id: 'a', idFrom: 'id', type, message: 'b', ignored: ['x', 'y'] });
  });

  const wrong: Record<string, unknown> = {
    'no id': { type, message: {} },
    'an empty id': { id: '', type },
    'an id that is a number': { id: 1, type },
    'an id that is null': { id: null, type },
    'a long id': { id: 'a'.repeat(MAX_ID_LENGTH + 1), type },
    'no type': { id: 'a', message: {} },
    'an empty type': { id: 'a', type: '' },
    'a type that is an object': { id: 'a', type: {} },
    'a long type': { id: 'a', type: 'a'.repeat(513) },
    'a member twice': `{"id":"a","id":"b","type":"${type}"}`,
    'a member twice, in escapes': `{"id":"a","\\u0069d":"b","type":"${type}"}`,
    'a member twice, deep': `{"id":"a","type":"${type}","message":{"did":"a","did":"b"}}`,
    'an array': [1],
    'a string': '"a"',
    null: 'null',
    'two values': `{"id":"a","type":"${type}"}{}`,
    'a thousand deep': `{"id":"a","type":"${type}","message":${'['.repeat(1000)}${']'.repeat(1000)}}`,
    'too much': { id: 'a', type, message: 'a'.repeat(1 << 20) },
    'an aud that is no text': { id: 'a', type, aud: 1 },
    'an origin that is no text': { id: 'a', type, origin: [] },
    'an aud in place of an id': { aud: 'a', type },
    'an origin in place of an id': { origin: 'a', type },
    __proto__: `{"id":"a","type":"${type}","__proto__":{}}`,
  };
  for (const [what, value] of Object.entries(wrong)) test(`refused: ${what}`, () => assert.throws(() => read(value), refused()));

  test('bytes that are not UTF-8 are refused', () => {
    assert.throws(() => parseBase(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), refused(/UTF-8/));
    assert.throws(() => parseBase(Buffer.from(`\u{feff}{"id":"a","type":"${type}"}`)), refused());
  });

  test('an encrypted message is base64, in a wrapper or not, and nothing else', () => {
    const sealed = sealAnon(newKeyPair().verkey, Buffer.of(1));
    const text = encodeText(sealed);
    for (const message of [text, { encrypted: text }]) assert.ok(sealedIn(message).equals(sealed));
    const others = [
      undefined,
      null,
      1,
      {},
      [],
      [text],
      '',
      'AAAA',
      '{"did":"x"}',
      { encrypted: 1 },
      { encrypted: text, more: 1 },
      { message: text },
    ];
    for (const message of others) assert.throws(() => sealedIn(message), refused(), JSON.stringify(message));
  });

  suite('of the indy-node profile, which has no id', () => {
    const node = (name: Parameters<typeof agent2018Type>[0]) => agent2018Type(name, 'indy-node');

    test('the sender, the nonce or the recipient stands for it', () => {
      const request = { type: node('connection_request'), message: { did: 'd', endpointDid: 'e', nonce: 'n' } };
      assert.deepEqual([read(request).id, read(request).idFrom], ['n', 'nonce']);
      const response = { aud: 'd', type: node('connection_response'), message: 'AAAA' };
      assert.deepEqual([read(response).id, read(response).idFrom, read(response).aud], ['d', 'aud', 'd']);
      const proof = { origin: 'o', type: node('proof'), message: 'AAAA' };
      assert.deepEqual([read(proof).id, read(proof).idFrom, read(proof).origin], ['o', 'origin', 'o']);
    });

    test('an id comes first where there is one', () => {
      assert.deepEqual(read({ id: 'i', origin: 'o', type: node('proof'), message: '' }).idFrom, 'id');
    });

    test('none of them is refused, and so is one that is no text', () => {
      const type = node('connection_request');
      for (const more of [{}, { message: {} }, { message: { nonce: 1 } }, { message: { nonce: '' } }, { origin: '' }, { message: null }]) {
        assert.throws(() => read({ type, ...more }), refused());
      }
    });
  });
});
