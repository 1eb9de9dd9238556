import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import jsqr from 'jsqr';
import { PNG } from 'pngjs';
import { type Body, createWorld, freePort, type TestAgent } from '../support/agents.ts';
import { makeKey, seal } from '../support/peer-2018.ts';

/** How an offer of the 2018 Agent Protocol gets from one owner to the other: each form of it, and the app that only relays. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const world = createWorld();
let faber: TestAgent;
let bob: TestAgent;
let bobsKey: string;

before(async () => {
  faber = await world.start('faber', { flags: ['--auto-accept-requests'] });
  bob = await world.start('bob', { flags: ['--legacy', 'on'] });
  bobsKey = (await bob.get('/legacy/endpoint')).verkey;
});
after(() => world.close());

const offerOf = async (my_label?: string): Promise<Body> => {
  const { connection_id } = await faber.post('/legacy/connections/offers', { my_label });
  return { connection_id, ...(await faber.get(`/legacy/connections/${connection_id}/offer`)) };
};

/** What another decoder reads from a picture. */
function readQr(dataUrl: string): string {
  const [head, content] = dataUrl.split(',');
  assert.equal(head, 'data:image/png;base64');
  const { data, width, height } = PNG.sync.read(Buffer.from(content!, 'base64'), { checkCRC: true });
  const found = jsqr.default(new Uint8ClampedArray(data), width, height, { inversionAttempts: 'dontInvert' });
  assert.ok(found, 'no QR code was found in the picture');
  return Buffer.from(found.binaryData).toString('utf8');
}

/** The relaying app as a process of its own, with this on its standard input. */
function relay(input: string | Uint8Array, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const app = spawn(process.execPath, [MAIN, 'relay-offer', '-', ...args], { cwd: world.folder, env: { PATH: process.env.PATH } });
  let out = '';
  let err = '';
  app.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString('utf8');
  });
  app.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString('utf8');
  });
  app.stdin.end(input);
  return new Promise((resolve, reject) => app.once('error', reject).once('close', (code) => resolve({ code, out, err })));
}

const received = (nonce: string): Promise<Body> =>
  bob.event('connections', (one) => one.invitation_msg_id === nonce && one.rfc23_state === 'invitation-received', 'the offer');

test('an offer is told again as JSON, text, URL and QR code, and each is imported as the same object', async () => {
  const { connection_id, offer, offer_text, offer_url, offer_qr } = await offerOf('Faber, whose name has an ü');
  const seen: Body[] = [];
  for (const form of [offer, JSON.stringify(offer), offer_text, offer_url, readQr(offer_qr)]) {
    const got = await bob.post('/legacy/connections/receive-offer', { offer: form });
    const { connection_id: id, created_at: _at, updated_at: _then, ...rest } = got;
    assert.equal(rest.their_label, 'Faber, whose name has an ü');
    assert.equal(rest.invitation_msg_id, offer.id);
    const { their_endpoint } = await bob.get(`/connections/${id}/endpoints`);
    seen.push({ ...rest, their_endpoint });
    assert.equal((await bob.call('DELETE', `/connections/${id}`)).status, 200);
  }
  for (const one of seen) assert.deepEqual(one, seen[0]);
  assert.equal(seen[0].their_endpoint, offer.message.endpoint);
  // the same as when it was made, and no second one
  assert.equal((await faber.get(`/legacy/connections/${connection_id}/offer`)).offer_url, offer_url);
});

test('an offer that no QR code holds is told without one', async () => {
  const long = await offerOf('é'.repeat(1000));
  assert.equal(long.offer_qr, null);
  assert.equal(long.offer.message.label.length, 1000);
});

test('a connection without an offer of ours has none to tell: 404', async () => {
  const { offer } = await offerOf();
  const { connection_id } = await bob.post('/legacy/connections/receive-offer', { offer });
  for (const id of [connection_id, '00000000-0000-0000-0000-000000000000'])
    assert.equal((await bob.call('GET', `/legacy/connections/${id}/offer`)).status, 404);
});

test('relay-offer seals an offer in any of its forms to the accepting agent, and ends with 0', async () => {
  for (const form of ['offer', 'offer_text', 'offer_url']) {
    const made = await offerOf();
    const text = form === 'offer' ? JSON.stringify(made.offer, null, 2) : `${made[form]}\n`;
    const { code, out, err } = await relay(text, '--to', bob.inbound, '--verkey', bobsKey);
    assert.deepEqual([code, err, out], [0, '', `${bob.inbound} took the offer ${made.offer.id} of ${made.offer.message.did}\n`]);
    await received(made.offer.id);
  }
});

test('relay-offer posts a payload that is sealed as it is; the connection then goes on as ever', async () => {
  const { offer, connection_id } = await offerOf();
  const sealed = Buffer.from(seal(bobsKey, Buffer.from(JSON.stringify(offer)))).toString('base64');
  const { code, out, err } = await relay(`${sealed}\n`, '--to', `${bob.inbound}/indy`);
  assert.deepEqual([code, err, out], [0, '', `${bob.inbound}/indy took a sealed payload\n`]);
  const got = await received(offer.id);
  await bob.post(`/legacy/connections/${got.connection_id}/accept-offer`);
  await faber.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the connection');
});

test('relay-offer sends nothing of what is no offer, and says in one line what is wrong', async () => {
  const posted: string[] = [];
  const server = createServer((request, response) => {
    posted.push(request.url!);
    response.writeHead(request.url === '/moved' ? 307 : 500, { location: bob.inbound }).end();
    request.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => server.close());
  const to = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { offer, offer_text } = await offerOf();
  const changed = (more: Body): string => JSON.stringify({ ...offer, message: { ...offer.message, ...more } });
  for (const [input, args, why] of [
    ['hello', ['--to', to], /neither JSON nor a text or URL/],
    [JSON.stringify({ ...offer, type: 'urn:x:y:message_type:example.org/z' }), ['--to', to, '--verkey', bobsKey], /no connection offer/],
    [changed({ did: undefined }), ['--to', to, '--verkey', bobsKey], /has no did/],
    [changed({ offer_nonce: 'another' }), ['--to', to, '--verkey', bobsKey], /id that is not its offer_nonce/],
    [changed({ verkey: 'short' }), ['--to', to, '--verkey', bobsKey], /verkey that is none/],
    [offer_text, ['--to', to], /in clear: --verkey must name/],
    [offer_text, ['--to', to, '--verkey', 'short'], /--verkey is no verkey/],
    [offer_text, ['--to', to, '--verkey', '1'.repeat(44)], /--verkey is no verkey/],
    [offer_text, ['--to', 'ftp://127.0.0.1/', '--verkey', bobsKey], /--to must be/],
    ['A'.repeat(200), ['--to', to, '--verkey', bobsKey], /sealed already/],
    [offer_text, ['--to', `http://127.0.0.1:${await freePort()}`, '--verkey', bobsKey], /cannot be reached/],
  ] as const) {
    const { code, out, err } = await relay(input, ...args);
    assert.deepEqual([code, out], [1, ''], err);
    assert.match(err, why);
    assert.match(err, /^flexid relay-offer: [^\n]+\n$/);
  }
  assert.deepEqual(posted, [], 'something was sent');
  for (const [path, status] of [
    ['/moved', 307],
    ['/broken', 500],
  ] as const) {
    const { code, err } = await relay(offer_text, '--to', to + path, '--verkey', bobsKey);
    assert.equal(code, 1);
    assert.match(err, new RegExp(`answered ${status} `));
  }
  assert.deepEqual(posted, ['/moved', '/broken'], 'a redirect was followed');
  const stranger = await relay(offer_text, '--to', bob.inbound, '--verkey', makeKey().verkey);
  assert.match(stranger.err, /answered 400 .*sealed to none of its endpoint keys/);
});
