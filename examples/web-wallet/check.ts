import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type WebPerson, webPerson } from '../../harness/web-person.ts';
import type { Body } from '../demo/controller.ts';
import type { Kit } from '../lib/kit.ts';
import { until } from '../lib/until.ts';
import { ask, CARD, offer, prepare } from './run.ts';

/** The way of a person by the pages' own calls, with a passkey in software: it needs no browser. `./flexid test web/wallet` takes the same way in a Chromium. */
export async function check(kit: Kit): Promise<void> {
  const { step } = kit;
  const town = await prepare(kit);
  const walletKey = randomBytes(32).toString('base64url');
  const [ada, ben] = [webPerson(town.origin), webPerson(town.origin)];
  await step('Ada signs up by passkey', async () => {
    const { mode, label, signed_in } = await ada.signUp('Ada', walletKey);
    assert.deepEqual([mode, label, signed_in], ['own', 'Ada', true]);
    await ben.signUp('Ben');
    return [undefined, 'a wallet that only she can open'];
  });
  await step('she accepts a card', async () => {
    await receive(ada, (await offer(town)).link);
    const one = await waiting(ada, 'get_issue_credential_2_0_records', 'offer-received');
    const params = { cred_ex_id: one.cred_ex_record.cred_ex_id };
    await ada.call('post_issue_credential_2_0_records_cred_ex_id_send_request', { params, body: { auto_remove: false } });
    await waiting(ada, 'get_issue_credential_2_0_records', 'credential-received');
    await ada.call('post_issue_credential_2_0_records_cred_ex_id_store', { params, body: {} });
    const { results } = await ada.call('get_credentials');
    assert.deepEqual(results[0].attrs, CARD);
    assert.deepEqual((await ben.call('get_credentials')).results, [], 'nobody else has it');
    const looks = await ada.call('get_oca_bundles', { query: { cred_def_id: town.credDefId } });
    assert.equal(looks.results[0].look.names.fr.name, 'Carte de bibliothèque');
    return [undefined, JSON.stringify(CARD)];
  });
  await step('she shows her name, and that the year is 2020 or later', async () => {
    const { id, link } = await ask(town);
    await receive(ada, link);
    const { pres_ex_id } = await waiting(ada, 'get_present_proof_2_0_records', 'request-received');
    const params = { pres_ex_id };
    const [found] = await ada.call('get_present_proof_2_0_records_pres_ex_id_credentials', { params });
    const { referent: cred_id } = found.cred_info;
    await ada.call('post_present_proof_2_0_records_pres_ex_id_send_presentation', {
      params,
      body: {
        auto_remove: false,
        anoncreds: {
          requested_attributes: { who: { cred_id, revealed: true } },
          requested_predicates: { since: { cred_id } },
          self_attested_attributes: {},
        },
      },
    });
    const done: Body = await until(async () => {
      const record = await town.library.controller.get(`/present-proof-2.0/records/${id}`);
      return record.verified !== undefined && record;
    }, 'a verdict');
    assert.equal(done.verified, 'true');
    const shown = JSON.stringify(done.by_format.pres);
    assert.ok(shown.includes(CARD.name) && !shown.includes(CARD.member), 'the name, and not the number');
    const { results } = await ada.call('get_present_proof_2_0_records', { query: { role: 'prover' } });
    assert.equal(results[0].by_format.pres.anoncreds.requested_proof.revealed_attr_groups.who.values.name.raw, CARD.name);
    return [undefined, `verified: ${CARD.name}`];
  });
  await step('locked, it takes mail, and opens with her key alone', async () => {
    await ada.ask('/logout', { everywhere: true });
    const message = 'The reading room is open';
    const { results } = await town.library.controller.get('/connections?state=active');
    for (const { connection_id } of results)
      await town.library.controller.post(`/connections/${connection_id}/send-message`, { content: message });
    assert.equal((await ada.send('/call/get_credentials', {})).status, 401);
    await ada.signIn();
    const another = await ada.send('/open', { wallet_key: randomBytes(32).toString('base64url') });
    assert.equal(another.status, 401, another.text);
    await ada.signIn(walletKey);
    await until(async () => {
      const { results: all } = await ada.call('get_basicmessages');
      return all.some(({ content }: Body) => content === message);
    }, 'the message that came meanwhile');
    assert.equal((await ada.call('get_credentials')).results.length, 1);
    return [undefined, message];
  });
}

const receive = (person: WebPerson, link: string): Promise<Body> =>
  person.call('post_out_of_band_receive_invitation', { query: { auto_accept: true }, body: { invitation_url: link } });

const waiting = (person: WebPerson, operation: string, state: string): Promise<Body> =>
  until(async () => (await person.call(operation, { query: { state } })).results[0] as Body | undefined, state);
