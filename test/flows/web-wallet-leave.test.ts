import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { base58 } from '@scure/base';
import { type WebPerson, webPerson } from '../../harness/web-person.ts';
import { newWords, recoveryKeys } from '../../src/backup/recovery.ts';
import { backupCommand } from '../../src/backup-command.ts';
import { createWorld } from '../support/agents.ts';

/** A person leaves a web wallet with all that is in it, and goes on at another agent. */

const world = createWorld();
after(() => world.close());

/** What the page makes of 24 words and sends: proofs and a public key. */
const ofWords = (words: string): object => ({
  proof: randomBytes(32).toString('base64url'),
  recovery: Buffer.from(base58.decode(recoveryKeys(words).publicKey.slice(1)).slice(2)).toString('base64url'),
});

const met = (person: WebPerson): Promise<{ connection_id: string }> =>
  person.call('post_out_of_band_receive_invitation', {
    query: { auto_accept: false },
    body: {
      '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
      '@id': randomUUID(),
      label: 'Library',
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
      services: [
        {
          id: '#inline',
          type: 'did-communication',
          recipientKeys: ['did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'],
          serviceEndpoint: 'http://127.0.0.1:1',
        },
      ],
    },
  });

test('a copy of a web wallet opens by the words of its person alone, and goes on at another agent, which keeps its key where that is wanted', async () => {
  const flags = ['--multitenant', '--jwt-secret', 'a secret of this test', '--multitenant-admin', '--wallet', '127.0.0.1', '0'];
  const first = await world.start('first', { noWebhook: true, flags });
  const words = newWords();
  const ada = webPerson(first.agent.walletOrigin!);
  const key = randomBytes(32);
  await ada.signUp('Ada', key.toString('base64url'));
  const { connection_id: contact } = await met(ada);

  assert.equal((await ada.send('/account/copy', {})).status, 400, 'there are no words yet');
  assert.equal((await ada.send('/account/words', { ...ofWords(words), wrap: 'A'.repeat(80), recovery: 'short' })).status, 422);
  const { can_leave } = await ada.ask('/account/words', { ...ofWords(words), wrap: 'A'.repeat(80) });
  assert.equal(can_leave, true);
  assert.equal((await ada.send('/account/copy', {}, { 'x-csrf': undefined })).status, 403);
  const copy = await ada.send('/account/copy', {});
  assert.deepEqual([copy.status, copy.headers.get('content-type')], [200, 'application/vnd.flexid.backup']);
  await ada.ask('/logout', {});
  assert.equal((await ada.send('/account/copy', {})).status, 401, 'it is locked');
  const file = join(world.folder, 'ada.flexid-backup');
  writeFileSync(file, copy.text);
  const [id] = (await first.get('/multitenancy/wallets')).results.map((one: { wallet_id: string }) => one.wallet_id);

  /** Takes the copy into an agent that is there. @returns the call that reads the person's contact there */
  async function takenIn(name: string, more: readonly string[], tokenBody: object) {
    const agent = await world.start(name, { noWebhook: true, flags });
    await agent.stop();
    const imported = (by: string): Promise<number> =>
      backupCommand(
        'import',
        [file, '--words', '-', '--wallet', id, '--store', `sqlite:${agent.store}`, '--log-level', 'error', ...more],
        {},
        { input: Readable.from([by]), print: () => {} },
      );
    await assert.rejects(imported(newWords()), 'other words');
    assert.equal(await imported(words), 0);
    const again = await world.start(name, { noWebhook: true, flags, store: agent.store, receiver: agent.receiver });
    const answer = await again.call('POST', `/multitenancy/wallet/${id}/token`, tokenBody);
    if (answer.status !== 200) return answer.status;
    const headers = { authorization: `Bearer ${answer.body.token}`, 'x-api-key': '' };
    return (await again.call('GET', `/connections/${contact}`, undefined, headers)).body.their_label;
  }
  assert.equal(await takenIn('second', ['--managed'], {}), 'Library');
  assert.equal(await takenIn('third', [], {}), 401, 'its owner keeps the key');
  assert.equal(await takenIn('fourth', [], { wallet_key: base58.encode(key) }), 'Library');
});
