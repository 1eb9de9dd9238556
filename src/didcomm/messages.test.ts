import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import {
  attachedMessage,
  attachmentBytes,
  attachmentJson,
  base64Attachment,
  type JwsSignature,
  MessageRefused,
  readAttachment,
  signedAttachment,
  verifySigned,
  verifySignedBy,
  writeAttachment,
} from './attachments.ts';
import { lift, lower, threadId } from './decorators.ts';
import { didKeyToVerkey, fromBase64, fromBase64url, toBase58, toBase64url, verkeyToDidKey } from './encoding.ts';
import { type KeyPair, unpack } from './envelope-v1.ts';
import { FORWARD_TYPE, readForward, wrapForward } from './forward.ts';
import { messageInUrl, urlOfInvitation } from './invitation-url.ts';
import { bareMediaType, mayHoldEnvelope, sendMediaType } from './media-types.ts';
import { compatible, parseMessageType, parseProtocol } from './message-types.ts';
import { signDecorator, verifyDecorator } from './signature-decorator.ts';
import { sodium } from './sodium.ts';

function key(seed?: string): KeyPair {
  const publicKey = new Uint8Array(32);
  const secretKey = new Uint8Array(64);
  if (seed === undefined) sodium.crypto_sign_keypair(publicKey, secretKey);
  else sodium.crypto_sign_seed_keypair(publicKey, secretKey, Buffer.from(seed, 'utf8'));
  return { verkey: toBase58(publicKey), secretKey };
}
const refused = (reason: RegExp) => (error: unknown) => error instanceof MessageRefused && reason.test(error.reason);

suite('encodings', () => {
  test('base64url is strict', () => {
    for (let length = 0; length < 40; length++) {
      const bytes = Buffer.alloc(length, 251);
      assert.deepEqual(fromBase64url(toBase64url(bytes)), bytes);
      assert.deepEqual(fromBase64url(bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')), bytes);
      assert.deepEqual(fromBase64(bytes.toString('base64')), bytes);
    }
    for (const bad of [
      'A',
      'AAAAA',
      'AB',
      'AAB',
      'AA=',
      'AAA==',
      'AA==AA==',
      '=',
      '====',
      '==',
      'A===',
      '++++',
      '////',
      'AA A',
      'AA\n',
      'AAé',
      'é',
      'A=AA',
    ]) {
      assert.equal(fromBase64url(bad), undefined, bad);
    }
  });

  test('did:key of a verkey, both ways', () => {
    const verkey = '4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS';
    const did = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp';
    assert.equal(verkeyToDidKey(verkey), did);
    assert.equal(didKeyToVerkey(did), verkey);
    assert.equal(didKeyToVerkey(`${did}#${did.slice(8)}`), verkey);
    for (const bad of [`${did}#x`, `${did}1`, 'did:key:z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F', verkey])
      assert.equal(didKeyToVerkey(bad), undefined);
  });
});

suite('message types (RFC 0003)', () => {
  test('both prefixes, versions and names', () => {
    const ping = parseMessageType('https://didcomm.org/trust_ping/1.0/ping');
    assert.deepEqual(ping, { prefix: 'https://didcomm.org/', family: 'trust_ping', major: 1, minor: 0, name: 'ping' });
    const old = parseMessageType('did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/trust_ping/1.3/ping');
    assert.ok(ping && old);
    assert.equal(compatible(ping, old), true);
    assert.equal(parseMessageType('https://example.com/a/b/fam/2.1/x-y')?.prefix, 'https://example.com/a/b/');
    assert.equal(parseMessageType('did:example:123;spec/fam/2.1/x')?.prefix, 'did:example:123;spec/');
    assert.equal(parseProtocol('https://didcomm.org/issue-credential/2.0')?.family, 'issue-credential');
  });

  test('another major version or family is not compatible', () => {
    const a = parseMessageType('https://didcomm.org/x/1.0/m')!;
    for (const uri of ['https://didcomm.org/x/2.0/m', 'https://didcomm.org/y/1.0/m', 'https://example.com/x/1.0/m']) {
      assert.equal(compatible(a, parseMessageType(uri)!), false);
    }
  });

  test('anything else is refused', () => {
    const bad = [
      'https://didcomm.org/x/1/m',
      'https://didcomm.org/x/1.0',
      'https://didcomm.org/x/1.0/',
      'https://didcomm.org/x/01.0/m',
      'https://didcomm.org/a/x/1.0/m',
      'https://didcomm.org//1.0/m',
      'http://didcomm.org/x/1.0/m',
      'x/1.0/m',
      '/x/1.0/m',
      '',
      'https://didcomm.org/x/1.0/m\n',
      'https://didcomm.org/x/99999.0/m',
      `https://didcomm.org/x/1.0/${'m'.repeat(300)}`,
      7,
      null,
    ];
    for (const uri of bad) assert.equal(parseMessageType(uri), undefined, String(uri));
    assert.equal(parseProtocol('https://didcomm.org/x/1.0/m'), undefined);
  });
});

suite('media types (RFC 0044)', () => {
  test('accepted and sent', () => {
    for (const type of [
      'application/didcomm-envelope-enc',
      'Application/SSI-Agent-Wire; charset=utf-8',
      'application/jwe',
      ' application/json ;x=y',
      undefined,
    ]) {
      assert.equal(mayHoldEnvelope(type), true, type);
    }
    for (const type of ['text/plain', 'application/jsonx', ';', 'x'.repeat(500)]) assert.equal(mayHoldEnvelope(type), false);
    assert.equal(bareMediaType('A/B;c'), 'a/b');
    assert.equal(sendMediaType(), 'application/didcomm-envelope-enc');
    assert.equal(sendMediaType(true), 'application/ssi-agent-wire');
  });
});

suite('forward (RFC 0094)', () => {
  test('each mediator learns only who is next', () => {
    const [near, far] = [key(), key()];
    const recipient = key().verkey;
    const inner = '{"protected":"x","iv":"y","ciphertext":"z","tag":"t"}';
    const open = (packed: string, by: KeyPair) => {
      const opened = unpack(Buffer.from(packed), (verkey) => (verkey === by.verkey ? by : undefined));
      assert.equal(opened.sender, undefined);
      const message = JSON.parse(Buffer.from(opened.message).toString()) as Record<string, unknown>;
      assert.equal(message['@type'], FORWARD_TYPE);
      assert.equal(typeof message['@id'], 'string');
      return readForward(message)!;
    };
    const outer = open(wrapForward(inner, recipient, [near.verkey, verkeyToDidKey(far.verkey)]), far);
    assert.equal(outer.to, near.verkey);
    assert.deepEqual(open(outer.msg, near), { to: recipient, msg: inner });
    assert.equal(wrapForward(inner, recipient, []), inner);
  });

  test('msg as JSON text and to as did:key are read; the rest is not a forward', () => {
    const { verkey } = key();
    assert.deepEqual(readForward({ to: verkeyToDidKey(verkey), msg: '{"a":1}' }), { to: verkey, msg: '{"a":1}' });
    for (const body of [
      {},
      { to: verkey },
      { to: 'x', msg: {} },
      { to: verkey, msg: [] },
      { to: verkey, msg: 'eyJ9' },
      { to: verkey, msg: null },
    ]) {
      assert.equal(readForward(body), undefined);
    }
    assert.throws(() => wrapForward('{}', verkey, ['did:example:1#k']), RangeError);
  });
});

suite('attachments (RFC 0017)', () => {
  test('JSON in base64 and as it is', () => {
    const value = { a: 'ä', n: 1 };
    for (const attachment of [base64Attachment(value, 'one'), { id: 'one', mimeType: 'application/json', data: { json: value } }]) {
      const again = readAttachment(JSON.parse(JSON.stringify(writeAttachment(attachment))));
      assert.deepEqual(again, attachment);
      assert.deepEqual(attachmentJson(again), value);
      assert.equal(writeAttachment(attachment)['@id'], 'one');
      assert.equal(writeAttachment(attachment)['mime-type'], 'application/json');
    }
    assert.deepEqual(attachmentBytes({ data: { base64: '-_8=' } }), Buffer.from([251, 255]));
    assert.throws(() => attachmentJson({ data: { links: ['https://example.com'] } }), refused(/links, which are not followed/));
    assert.throws(() => attachmentJson({ data: { base64: '!!' } }), refused(/base64/));
    assert.throws(() => attachmentJson({ data: { base64: 'e30x' } }), refused(/not JSON/));
    for (const bad of [null, [], {}, { data: {} }, { data: { base64: 1 } }, { '@id': 1, data: { json: 1 } }, { data: { links: [1] } }]) {
      assert.throws(() => readAttachment(bad), MessageRefused);
    }
  });

  test('an attached message is read in every form; what is signed wrongly or has another hash is refused', () => {
    const value = { '@type': 'https://didcomm.org/a/1.0/b', text: '~~??>>ä' };
    const bytes = Buffer.from(JSON.stringify(value));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const standard = bytes.toString('base64');
    const { data: signed } = signedAttachment(bytes, key());
    const forms = [
      { json: value },
      { base64: standard },
      { base64: standard.replace(/=+$/, '') },
      { base64: bytes.toString('base64url') },
      { base64: standard.replaceAll('+', '-').replaceAll('/', '_') },
      { base64: standard, links: ['https://example.com'], sha256: sha256.toUpperCase() },
      { base64: standard, sha256: 'of an encoding of its own' },
      signed,
      { ...signed, jws: { signatures: [signed.jws] } },
    ];
    for (const data of forms) assert.deepEqual(attachedMessage({ '@id': 'request-0', data }), value, JSON.stringify(data));
    for (const [data, why] of [
      [{ links: ['https://example.com'], sha256 }, /links/],
      [{ base64: standard, sha256: sha256.replace(/./, (c) => (c === '0' ? '1' : '0')) }, /sha256/],
      [{ ...signed, base64: Buffer.from('{}').toString('base64') }, /jws signature/],
      [{ json: value, jws: signed.jws }, /not signed/],
      [{ base64: Buffer.alloc(200_000, ' ').toString('base64'), jws: { signatures: Array(16).fill(signed.jws) } }, /too much to verify/],
      [{ ...signed, json: value }, /two contents/],
      [{ base64: standard, sha256, json: {} }, /two contents/],
      [{ base64: Buffer.from('[1]').toString('base64') }, /JSON object/],
      [{ json: 'text' }, /JSON object/],
      [{}, /without content/],
    ] as const)
      assert.throws(() => attachedMessage({ data }), refused(why), JSON.stringify(data));
  });

  test('the URL of an invitation is read back, whatever the endpoint has already', () => {
    for (const endpoint of ['https://a.example', 'https://a.example/x?tenant=1']) {
      const url = urlOfInvitation(endpoint, { '@id': '1' });
      assert.equal(new URL(url).searchParams.get('tenant'), endpoint.includes('?') ? '1' : null);
      assert.deepEqual(messageInUrl(url)?.message, { '@id': '1' });
    }
  });

  test('a signed attachment names its signer, who must be the expected one', () => {
    const [signer, other] = [key(), key()];
    const payload = Buffer.from('{"id":"did:peer:4z"}');
    const wire = JSON.parse(JSON.stringify(writeAttachment(signedAttachment(payload, signer))));
    const attachment = readAttachment(wire);
    assert.deepEqual(verifySignedBy(attachment, signer.verkey), payload);
    assert.deepEqual(verifySigned(attachment).signers, [signer.verkey]);
    assert.throws(() => verifySignedBy(attachment, other.verkey), refused(/another key/));
    // Standard base64 of the same bytes is the same payload.
    assert.deepEqual(verifySignedBy({ data: { ...attachment.data, base64: payload.toString('base64') } }, signer.verkey), payload);
    assert.throws(() => verifySigned({ data: { ...attachment.data, base64: toBase64url(Buffer.from('{}')) } }), refused(/signature/));
    assert.throws(() => verifySigned({ data: { base64: 'e30' } }), refused(/not signed/));
  });

  test('headers that disagree, other algorithms and unknown critical members are refused', () => {
    const [signer, other] = [key(), key()];
    const signedWith = (head: Record<string, unknown>, header?: { kid: string }) => {
      const text = Buffer.from(JSON.stringify(head)).toString('base64url');
      const signature = Buffer.alloc(64);
      sodium.crypto_sign_detached(signature, Buffer.from(`${text}.e30`), signer.secretKey);
      const jws: JwsSignature = { protected: text, signature: toBase64url(signature) };
      if (header) jws.header = header;
      return { data: { base64: 'e30', jws } };
    };
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64url(signer.secretKey.subarray(32)) };
    const kid = verkeyToDidKey(signer.verkey);
    // Credo: the key as jwk, its did:key outside; ACA-Py: did:key within the jwk; others: did:key alone.
    for (const good of [
      signedWith({ alg: 'EdDSA', jwk }, { kid }),
      signedWith({ alg: 'EdDSA', jwk: { ...jwk, kid } }),
      signedWith({ alg: 'EdDSA', kid }),
      signedWith({ alg: 'EdDSA' }, { kid }),
      signedWith({ alg: 'EdDSA', jwk }, { kid: 'did:web:a#key-1' }),
    ]) {
      assert.deepEqual(verifySigned(good).signers, [signer.verkey]);
    }
    const wrong = verkeyToDidKey(other.verkey);
    for (const bad of [
      signedWith({ alg: 'EdDSA', jwk }, { kid: wrong }),
      signedWith({ alg: 'EdDSA', jwk: { ...jwk, kid: wrong } }),
      signedWith({ alg: 'EdDSA', jwk, kid: wrong }),
      signedWith({ alg: 'none', jwk }),
      signedWith({ alg: 'EdDSA' }),
      signedWith({ alg: 'EdDSA', jwk, crit: ['b64'] }),
      signedWith({ alg: 'EdDSA', jwk, b64: false }),
      signedWith({ alg: 'EdDSA', jwk: { ...jwk, crv: 'X25519' } }),
    ]) {
      assert.throws(() => verifySigned(bad), MessageRefused);
    }
  });

  test('several signatures: all must hold', () => {
    const [a, b] = [key(), key()];
    const payload = Buffer.from('{}');
    const sign = (by: KeyPair) => signedAttachment(payload, by).data.jws as JwsSignature;
    const both = readAttachment({ data: { base64: 'e30', jws: { signatures: [sign(a), sign(b)] } } });
    assert.deepEqual(verifySigned(both).signers, [a.verkey, b.verkey]);
    const bent = { ...sign(b), signature: sign(a).signature };
    assert.throws(
      () => verifySigned(readAttachment({ data: { base64: 'e30', jws: { signatures: [sign(a), bent] } } })),
      refused(/signature/),
    );
  });
});

suite('signature decorator (RFC 0234)', () => {
  const vector = JSON.parse(readFileSync(new URL('../../test/vectors/didcomm-v1/signature-decorator.json', import.meta.url), 'utf8')) as {
    seed_utf8: string;
    data: unknown;
    signed: Record<string, string>;
    must_fail_signature: string;
  };

  test('the outside vector is made and verified', () => {
    const signer = key(vector.seed_utf8);
    assert.deepEqual(signDecorator(vector.data, signer, 0), vector.signed);
    assert.deepEqual(verifyDecorator(vector.signed, signer.verkey), { value: vector.data, time: 0 });
    const old = { ...vector.signed, '@type': 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/signature/1.0/ed25519Sha512_single' };
    assert.deepEqual(verifyDecorator(old, signer.verkey).value, vector.data);
    assert.throws(
      () => verifyDecorator({ ...vector.signed, signature: vector.must_fail_signature }, signer.verkey),
      refused(/^signature$/),
    );
  });

  test('another signer is refused although the signature holds', () => {
    assert.throws(() => verifyDecorator(signDecorator({}, key()), key().verkey), refused(/another key/));
    for (const bad of [null, {}, { ...vector.signed, sig_data: 'AAAA' }, { ...vector.signed, '@type': 'x' }]) {
      assert.throws(() => verifyDecorator(bad, vector.signed.signer!), MessageRefused);
    }
  });
});

suite('decorators', () => {
  const message = {
    '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
    '@id': 'id-1',
    '~thread': { thid: 't', pthid: 'p', sender_order: 1, received_orders: { 'did:x': 2 }, goal_code: 'g' },
    '~transport': { return_route: 'all', return_route_thread: 'rt' },
    '~l10n': { locale: 'de' },
    '~please_ack': { on: ['OUTCOME'] },
    '~timing': { expires_time: '2020-01-01' },
    '~trace': { target: 'log' },
    '~service': { recipientKeys: ['k'], routingKeys: [], serviceEndpoint: 'https://x' },
    '~other': [1],
    'offers~attach': [{ '@id': 'a', data: { json: 1 } }],
    'did_doc~attach': { '@id': 'd', data: { base64: 'e30' } },
    'connection~sig': { signer: 'x' },
    'comment~foo': 1,
    '~attach': [{ data: { json: {} } }],
    comment: 'c',
    formats: [],
  };

  test('everything is lifted and put back', () => {
    const lifted = lift(message);
    assert.deepEqual(lifted.body, { comment: 'c', formats: [] });
    assert.deepEqual(lifted.thread, { thid: 't', pthid: 'p', senderOrder: 1, receivedOrders: { 'did:x': 2 }, goalCode: 'g' });
    assert.deepEqual(lifted.transport, { returnRoute: 'all', returnRouteThread: 'rt' });
    assert.deepEqual(Object.keys(lifted.attachments ?? {}).sort(), ['', 'did_doc', 'offers']);
    assert.deepEqual(lifted.signatures, { connection: { signer: 'x' } });
    assert.deepEqual(lifted.other, { '~other': [1], 'comment~foo': 1 });
    assert.deepEqual(lower(lifted), message);
    assert.equal(threadId(lifted), 't');
  });

  test('attachments beside what the message is about are left out where nobody can read them', () => {
    const base = { '@type': 't', '@id': 'i' };
    const good = { id: 'a', data: { json: 1 } };
    for (const bad of [null, 7, {}, { data: {} }, { '@id': 7, data: { json: 1 } }, { data: { base64: 'e30', json: {} } }])
      assert.deepEqual(lift({ ...base, '~attach': [bad, { '@id': 'a', data: { json: 1 } }] }).attachments, { '': [good] });
    assert.deepEqual(lift({ ...base, '~attach': 'x' }).attachments, { '': [] });
    assert.equal(lift({ ...base, '~attach': Array.from({ length: 101 }, () => good) }).attachments?.['']?.length, 100);
  });

  test('a bare message has nothing but its body', () => {
    const lifted = lift({ '@type': 't', '@id': 'i', a: 1, '~thread': null });
    assert.deepEqual(lifted, { type: 't', id: 'i', body: { a: 1 } });
    assert.equal(threadId(lifted), 'i');
    assert.deepEqual(lift({ '@type': 't', '@id': 'i', '~please_ack': {} }).pleaseAck, { on: ['RECEIPT'] });
  });

  test('malformed values are refused', () => {
    const base = { '@type': 't', '@id': 'i' };
    const bad: Record<string, unknown>[] = [
      { '@id': 'i' },
      { '@type': 't' },
      { '@type': 't', '@id': '' },
      { '@type': 't', '@id': 'a b' },
      { '@type': 't', '@id': 'x'.repeat(300) },
      { ...base, '~thread': 'x' },
      { ...base, '~thread': { thid: 7 } },
      { ...base, '~thread': { sender_order: -1 } },
      { ...base, '~thread': { received_orders: { a: 'b' } } },
      { ...base, '~transport': { return_route: 'maybe' } },
      { ...base, '~service': { recipientKeys: 'k', serviceEndpoint: 'x' } },
      { ...base, 'x~attach': [null] },
      { ...base, 'x~attach': Array.from({ length: 101 }, () => ({ data: { json: 1 } })) },
      { ...base, '__proto__~attach': [] },
    ];
    for (const one of bad) assert.throws(() => lift(one), MessageRefused, JSON.stringify(one).slice(0, 80));
  });
});
