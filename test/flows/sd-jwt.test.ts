import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sdHash } from '../../src/formats/sd-jwt.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';

/** RFC 9901 by the admin API, under ACA-Py's names. */

const world = createWorld({ held: true });
let alice: TestAgent;
let did: string;

before(async () => {
  alice = await world.start('alice');
  did = (await alice.post('/wallet/did/create', { method: 'key' })).result.did;
});
after(() => world.close());

const PAYLOAD = { iss: 'x', given_name: 'Alice', address: { street: 'Main', country: 'DE' }, nationalities: ['US', 'DE', 'SA'] };
const signing = async (body: object): Promise<string> => JSON.parse((await alice.call('POST', '/wallet/sd-jwt/sign', body)).text);
const verify = (sd_jwt: string): Promise<Body> => alice.post('/wallet/sd-jwt/verify', { sd_jwt });
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a signed SD-JWT is verified, with the claims that are shown', async () => {
  const text = await signing({ did, payload: PAYLOAD, non_sd_list: ['address', 'nationalities', 'nationalities[1:3]'] });
  const [jwt, ...disclosures] = text.split('~') as [string, ...string[]];
  assert.equal(disclosures.pop(), '');
  const whole = await verify(text);
  assert.deepEqual([whole.valid, whole.headers.alg, whole.kid, whole.error], [true, 'EdDSA', whole.headers.kid, undefined]);
  assert.deepEqual([whole.payload.iss, whole.payload._sd.length, whole.payload.address._sd.length], ['x', 1, 2]);
  assert.deepEqual(whole.payload.nationalities.slice(1), ['DE', 'SA']);
  const shown = whole.disclosures.map(([, ...rest]: unknown[]) => rest);
  for (const one of [['given_name', 'Alice'], ['street', 'Main'], ['country', 'DE'], ['US']])
    assert.ok(
      shown.some((other: unknown) => JSON.stringify(other) === JSON.stringify(one)),
      JSON.stringify(one),
    );
  assert.equal(shown.length, 4);
  const part = await verify(`${jwt}~${disclosures[0]}~`);
  assert.deepEqual([part.valid, part.disclosures.length], [true, 1]);
  const method = await signing({ verificationMethod: whole.kid, headers: { typ: 'dc+sd-jwt' }, payload: PAYLOAD });
  assert.equal((await verify(method)).headers.typ, 'dc+sd-jwt');
});

test('a foreign disclosure, another signature and what is no SD-JWT', async () => {
  const text = await signing({ did, payload: PAYLOAD });
  const foreign = await verify(`${text}${encode(['salt', 'admin', true])}~`);
  assert.deepEqual([foreign.valid, foreign.error], [false, 'The SD-JWT is not valid: a disclosure has no place']);
  const [jwt, ...rest] = text.split('~');
  const [head, , signature] = jwt!.split('.');
  assert.equal((await verify([`${head}.${encode({ iss: 'y' })}.${signature}`, ''].join('~'))).valid, false);
  for (const sd_jwt of [jwt, `~${rest.join('~')}`, `${jwt}~!~`]) {
    assert.equal((await alice.call('POST', '/wallet/sd-jwt/verify', { sd_jwt })).status, 422, sd_jwt);
  }
  assert.equal((await alice.call('POST', '/wallet/sd-jwt/sign', { did, payload: { _sd: [] } })).status, 400);
  assert.equal((await alice.call('POST', '/wallet/sd-jwt/sign', { did: 'did:key:z6Mk', payload: {} })).status, 404);
  assert.equal((await alice.call('POST', '/wallet/sd-jwt/sign', { payload: {} })).status, 400);
});

test('a key binding JWT is of the holder and of what is shown', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const text = await signing({ did, payload: { ...PAYLOAD, cnf: { jwk: publicKey.export({ format: 'jwk' }) } } });
  const payload = JSON.parse(Buffer.from(text.split('.')[1]!, 'base64url').toString('utf8'));
  const bind = (claims: object, typ = 'kb+jwt'): string => {
    const body = `${encode({ alg: 'ES256', typ })}.${encode(claims)}`;
    return `${text}${body}.${sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const good = bind({ aud: 'a', nonce: 'n', sd_hash: sdHash(payload, text) });
  assert.equal((await verify(good)).valid, true);
  assert.match((await verify(bind({ sd_hash: 'x' }))).error, /another presentation/);
  assert.match((await verify(bind({ sd_hash: sdHash(payload, text) }, 'JWT'))).error, /another type/);
  const forged = good.slice(0, good.lastIndexOf('.'));
  assert.match((await verify(`${forged}.${'A'.repeat(86)}`)).error, /not signed by the key/);
});
