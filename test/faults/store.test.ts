import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** A database that is locked, foreign, damaged or full. */

const world = createWorld();
after(() => world.close());

const PAGE = 16_384;
const oneSentence = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AppError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.length > 20 && error.message.length < 300 && !error.message.includes('\n'), error.message);
  return true;
};
const invite = (agent: TestAgent, alias: string): ReturnType<TestAgent['call']> =>
  agent.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, alias });

test('another wallet key opens nothing and changes nothing', async () => {
  const first = await world.start('keyed', { flags: ['--wallet-key', 'the right passphrase'] });
  await first.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: 'kept' });
  await first.close();
  const before = readFileSync(first.store);
  for (const key of ['a wrong passphrase', '11111111111111111111111111111111'])
    await assert.rejects(world.start('wrong', { store: first.store, flags: ['--wallet-key', key] }), oneSentence('wrong-master-key'));
  assert.ok(before.equals(readFileSync(first.store)), 'the file is as it was');
  const again = await world.start('keyed-again', { store: first.store, flags: ['--wallet-key', 'the right passphrase'] });
  assert.equal((await again.get('/connections')).results[0].alias, 'kept');
});

test('a database that another agent has open is refused', async () => {
  const first = await world.start('locker');
  await assert.rejects(world.start('second', { store: first.store }), oneSentence('store-locked'));
  assert.equal((await invite(first, 'still works')).status, 200);
});

test('a damaged page is one clear sentence or no harm; never other data, and never overwritten', async () => {
  const first = await world.start('damaged');
  for (let i = 0; i < 60; i++) await invite(first, `alias ${i}`);
  const whole = await first.get('/connections?limit=1000');
  await first.close();
  const pages = Math.floor(statSync(first.store).size / PAGE);
  assert.ok(pages > 8, `${pages} pages`);
  const known = new Map<string, Body>(whole.results.map((one: Body) => [one.connection_id, one]));
  let notified = 0;
  const tries = Math.min(24, pages);
  for (let i = 0; i < tries; i++) {
    const page = Math.floor((i * pages) / tries);
    const copy = join(world.folder, `damaged-${i}.db`);
    const bytes = readFileSync(first.store);
    // the middle of a page: cells, whatever the page is
    for (let at = page * PAGE + PAGE / 2; at < page * PAGE + PAGE / 2 + 600; at++) bytes[at]! ^= 0x55;
    writeFileSync(copy, bytes);
    copyFileSync(`${first.store}.key`, `${copy}.key`);
    let agent: TestAgent;
    try {
      agent = await world.start(`damaged-${i}`, { store: copy, noWebhook: true });
    } catch (error) {
      assert.ok(error instanceof AppError, `page ${page}: ${String(error)}`);
      assert.match(error.code, /store-corrupt|wrong-master-key/);
      assert.ok(!error.message.includes('\n'));
      notified++;
      continue;
    }
    const list = await agent.call('GET', '/connections?limit=1000');
    if (list.status === 200) for (const one of list.body.results) assert.deepEqual(one, known.get(one.connection_id), `page ${page}`);
    else {
      notified++;
      assert.equal(list.status, 500, list.text);
      assert.match(list.text, /^500: .*(damaged|integrity)/);
    }
    for (const id of known.keys()) {
      const one = await agent.call('GET', `/connections/${id}`);
      assert.ok([200, 500].includes(one.status), `${one.status} ${one.text}: a damaged record is not a missing one`);
      if (one.status === 200) assert.deepEqual(one.body, known.get(id));
      else {
        notified++;
        assert.match(one.text, /^500: .*(damaged|integrity)/);
      }
    }
    await agent.close();
  }
  assert.ok(notified > 0, 'some damage was seen');
});

test('a full database acknowledges nothing that it does not store, and goes on where there is room', async () => {
  const store = join(world.folder, 'full.db');
  const first = await world.start('full', { store: `${store}?max_page_count=60`, noWebhook: true });
  const kept: string[] = [];
  let refusal: Awaited<ReturnType<typeof invite>> | undefined;
  for (let i = 0; i < 2000 && !refusal; i++) {
    const answer = await invite(first, `${'x'.repeat(900)} ${i}`);
    if (answer.status === 200) kept.push(answer.body.oob_id);
    else refusal = answer;
  }
  assert.ok(refusal, 'it was never full');
  assert.ok(kept.length > 5);
  assert.deepEqual([refusal.status, refusal.text], [503, '503: The database is full: nothing was stored']);
  assert.equal((await first.get('/connections?limit=1000')).results.length, kept.length);
  assert.equal((await first.call('GET', '/status/live')).status, 200);
  await first.close();
  const again = await world.start('full2', { store });
  assert.equal((await again.get('/connections?limit=1000')).results.length, kept.length, 'what was acknowledged is there, and no more');
  assert.equal((await invite(again, 'room')).status, 200);
});

test('a message that a full database cannot store is not acknowledged; sent again, it is handled', async () => {
  const store = join(world.folder, 'full-mail.db');
  const first = await world.start('full-mail', { store });
  const stranger = await startStranger();
  world.defer(stranger.close);
  const link = await connectStranger(first, stranger);
  await first.close();
  const pages = Math.ceil(statSync(store).size / PAGE);
  const port = Number(new URL(first.inbound).port);
  const tight = await world.start('full-mail-tight', { store: `${store}?max_page_count=${pages}`, port, noWebhook: true });
  const texts: Body[] = [];
  let refused: Body | undefined;
  for (let i = 0; i < 200 && !refused; i++) {
    const text = message('issue-credential/2.0/offer-credential', {
      formats: [{ attach_id: 'a', format: 'anoncreds/credential-offer@v1.0' }],
      'offers~attach': [{ '@id': 'a', data: { base64: Buffer.from('{}').toString('base64') } }],
      comment: 'x'.repeat(8000),
    });
    const { status, body } = await link.send(text);
    assert.equal(body, '');
    if (status === 202) texts.push(text);
    else {
      assert.equal(status, 503);
      refused = text;
    }
  }
  assert.ok(refused, 'it was never full');
  assert.equal((await tight.get('/issue-credential-2.0/records?limit=1000')).results.length, texts.length);
  await tight.close();
  const again = await world.start('full-mail-again', { store, port, noWebhook: true });
  assert.equal((await link.send(refused)).status, 202);
  assert.equal((await again.get('/issue-credential-2.0/records?limit=1000')).results.length, texts.length + 1);
});
