import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { anchor, type Body, connect, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import {
  checkAxe,
  checkInert,
  checkNarrow,
  HOSTILE,
  launch,
  PICTURES,
  skipReason,
  type Visited,
  visit,
  visitPages,
} from '../support/browser.ts';
import { addAuthenticator } from '../support/passkeys.ts';
import { until } from '../support/waiting.ts';

/**
 * What peers may put where a person looks: names of others, goals, values and their media types, names of attributes and requests, comments, reasons, messages,
 * pictures and looks. In console and wallet all of it is text: no script runs, no request leaves the origin, and the policy has nothing to refuse.
 */

const skip = skipReason() ?? false;
const world = createWorld();
const ALL = [...HOSTILE, ...PICTURES];
const TYPES = ['image/png', 'image/svg+xml', 'image/jpeg', 'text/html', 'image/*', '"><script>alert(1)</script>'];
/** What can be signed and asked for has no U+0000: the admin API refuses it. */
const SIGNABLE = ALL.map((text) => text.replaceAll('\0', ''));
/** Attributes of the credential, each with one of the texts. */
const NAMES = Array.from({ length: 11 }, (_none, i) => `attribute ${i}`);
/** The look of its cards: the same texts as names and labels, colours that are hardly seen, pictures of all kinds. */
const HOSTILE_LOOK = {
  capture_base: { type: 'spec/capture_base/1.0', attributes: Object.fromEntries(NAMES.map((name) => [name, 'Text'])) },
  overlays: [
    {
      ...{ type: 'aries/overlays/branding/1.1', primary_background_color: '#fff94d', secondary_background_color: 'url(//evil.example/c)' },
      ...{ logo: PICTURES.find((one) => one.startsWith('data:image/png;base64,iVBOR')), primary_attribute: NAMES[3] },
      ...{ background_image: PICTURES[0], background_image_slice: PICTURES[4] },
    },
    ...PICTURES.map((logo) => ({ type: 'aries/overlays/branding/1.0', logo, background_image: logo, primary_background_color: logo })),
    {
      type: 'spec/overlays/meta/1.0',
      language: 'en',
      name: HOSTILE[18],
      description: HOSTILE.join(' '),
      issuer: HOSTILE[0],
      issuer_url: PICTURES[0],
    },
    {
      type: 'spec/overlays/label/1.0',
      language: 'en',
      attribute_labels: Object.fromEntries(NAMES.map((name, i) => [name, HOSTILE[i * 3]])),
    },
  ],
};
let browser: Browser;
let issuer: TestAgent;
let holder: TestAgent;
let agency: TestAgent;
let credDefId: string;

before(async () => {
  if (skip) return;
  browser = await launch();
  world.defer(() => browser.close());
  const devnet = await world.devnet();
  const auto = ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation'];
  issuer = await world.start('issuer', { devnet, sponsor: true, flags: [...auto, '--preserve-exchange-records', '--store-messages'] });
  holder = await world.start('holder', { devnet, flags: ['--store-messages'] });
  const many = ['--multitenant', '--jwt-secret', 'a secret of these tests', '--wallet', '127.0.0.1', '0'];
  agency = await world.start('agency', { devnet, flags: many });
  ({ credDefId } = await anchor(issuer, NAMES));
  await issuer.post('/oca-bundles', { cred_def_id: credDefId, bundle: HOSTILE_LOOK });
});
after(() => world.close());

/** The texts, so many at a time. */
const chunks = Array.from({ length: Math.ceil(SIGNABLE.length / NAMES.length) }, (_none, i) =>
  SIGNABLE.slice(i * NAMES.length, (i + 1) * NAMES.length),
);

/** All that an issuer and verifier may write to a peer. @returns the exchanges of the request for a proof */
async function write(connection_id: string): Promise<{ offers: string[]; request: string; asked: string[] }> {
  const offers: string[] = [];
  for (const [n, texts] of chunks.entries()) {
    const attributes = NAMES.map((name, i) => ({ name, value: texts[i] ?? '', 'mime-type': TYPES[(n + i) % TYPES.length] }));
    const made = await issuer.call('POST', '/issue-credential-2.0/send-offer', {
      connection_id,
      comment: texts[0],
      credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes },
      filter: { anoncreds: { cred_def_id: credDefId } },
    });
    assert.equal(made.status, 200, `${JSON.stringify(texts).slice(0, 300)}: ${made.text}`);
    offers.push(made.body.cred_ex_id);
  }
  const names = [...new Set(SIGNABLE.map((text) => text.slice(0, 200)))];
  const asked: string[] = [];
  const requested: Record<string, object> = {};
  for (const [n, name] of names.entries()) {
    asked.push(`a${n}`);
    requested[`a${n}`] = { name };
  }
  const { pres_ex_id } = await issuer.post('/present-proof-2.0/send-request', {
    connection_id,
    comment: HOSTILE[1],
    presentation_request: { anoncreds: { name: HOSTILE[0], version: '1.0', requested_attributes: requested, requested_predicates: {} } },
  });
  for (const content of ALL) {
    const sent = await issuer.call('POST', `/connections/${connection_id}/send-message`, { content });
    assert.equal(sent.status, 200, sent.text);
  }
  return { offers, request: pres_ex_id, asked };
}

/** Invitations of others, as whoever writes them likes: label, goal, and the picture that `imageUrl` names. @returns how many were taken */
async function invite(to: TestAgent): Promise<number> {
  let taken = 0;
  for (const [n, text] of ALL.entries()) {
    const { invitation } = await issuer.post('/out-of-band/create-invitation', HANDSHAKE);
    const changed = {
      ...invitation,
      label: text,
      goal: text,
      goal_code: text.slice(0, 50),
      imageUrl: PICTURES[n % PICTURES.length],
      profileUrl: text,
    };
    const { status } = await to.call('POST', '/out-of-band/receive-invitation?auto_accept=false', changed);
    if (status === 200) taken++;
  }
  return taken;
}

async function look(visited: Visited, place: string, own: readonly string[] = []): Promise<void> {
  await visited.go(place);
  await checkInert(visited, own);
  await checkNarrow(visited);
}

test('console: labels, goals, pictures, values, names, comments, reasons and messages of peers are text', {
  skip,
  timeout: 600_000,
}, async () => {
  const { inviter, invitee } = await connect(issuer, holder);
  const { request } = await write(inviter);
  const taken = await invite(holder);
  assert.ok(taken > 30, `${taken} invitations were taken`);
  const records = async (path: string, count: number): Promise<Body[]> =>
    await until(async () => {
      const { results } = await holder.get(path);
      return results.length >= count && results;
    }, path);
  const offers = await records('/issue-credential-2.0/records?state=offer-received', chunks.length);
  const [asked] = await records('/present-proof-2.0/records?state=request-received', 1);
  await until(async () => (await holder.get('/basicmessages?limit=1000')).results.length >= ALL.length, 'the messages');

  const theirs = await visit(browser, holder, 'home');
  for (const place of [
    'home',
    'connections',
    `connections/one/${invitee}`,
    'credentials',
    'events',
    'audit',
    'records/get_out_of_band_records',
  ])
    await look(theirs, place);
  const shown = await theirs.page.locator('#app').textContent();
  assert.ok(shown!.length > 100);
  for (const { cred_ex_record: one } of offers) await look(theirs, `credentials/offer/${one.cred_ex_id}`);
  await look(theirs, `credentials/request/${asked!.pres_ex_id}`);
  await look(theirs, `records/get_connections/${invitee}`);
  await look(theirs, `records/get_issue_credential_2_0_records/${offers[0]!.cred_ex_record.cred_ex_id}`);
  // a kind of record of which there is no single one to read
  await look(theirs, `records/get_out_of_band_records/${'0'.repeat(8)}`);

  // what the holder says itself, and why it will not have an offer
  const { requested_attributes: wanted } = asked!.by_format.pres_request.anoncreds;
  const said = Object.fromEntries(Object.keys(wanted).map((name, n) => [name, SIGNABLE[n % SIGNABLE.length]!.slice(0, 5000)]));
  await holder.post(`/present-proof-2.0/records/${asked!.pres_ex_id}/send-presentation`, {
    anoncreds: { requested_attributes: {}, requested_predicates: {}, self_attested_attributes: said },
  });
  await holder.post(`/issue-credential-2.0/records/${offers[0]!.cred_ex_record.cred_ex_id}/problem-report`, { description: HOSTILE[2] });
  await issuer.event('present_proof_v2_0', (one) => one.pres_ex_id === request && one.state === 'done', 'a verdict');
  const declined = await issuer.event('issue_credential_v2_0', ({ state }) => state === 'abandoned', 'a refusal');
  await theirs.go('credentials');
  await checkInert(theirs);
  await theirs.close();

  const ours = await visit(browser, issuer, 'home');
  for (const place of ['connections', 'issue', `issue/one/${declined.cred_ex_id}`, 'verify', `verify/one/${request}`, 'events', 'home'])
    await look(ours, place);
  await ours.go(`verify/one/${request}`);
  assert.ok((await ours.page.locator('tbody bdi').allTextContents()).includes(PICTURES[0]!), 'the values are shown');
  await ours.close();
});

test('wallet: labels, goals, pictures, values, names, comments and messages of peers are text', { skip, timeout: 600_000 }, async () => {
  const eve = await visitPages(browser, agency.agent.walletOrigin!, '/', {});
  const { page } = eve;
  page.setDefaultTimeout(60_000);
  await addAuthenticator(page);
  await eve.go('');
  const click = (name: string): Promise<void> => page.getByRole('button', { name, exact: true }).first().click();
  await click('Make a wallet');
  await page.getByLabel('Your name').fill('Eve');
  await click('Make it with a passkey');
  await page.getByRole('heading', { name: 'Your wallet' }).waitFor();
  const answer = async (invitation: object): Promise<void> => {
    await eve.go('receive');
    await page.getByLabel('The invitation').fill(JSON.stringify(invitation));
    await click('Answer it');
    await page.getByRole('heading', { name: 'Your wallet' }).waitFor();
  };
  const made = await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  await answer({ ...made.invitation, label: HOSTILE[2], goal: HOSTILE[4], imageUrl: PICTURES[3] });
  const active = (one: Body): boolean => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id;
  const { connection_id } = await issuer.event('connections', active, 'the connection');
  // others, each with a picture of its own
  for (const [n, imageUrl] of PICTURES.entries()) {
    if (n % 4 !== 0) continue;
    const { invitation } = await issuer.post('/out-of-band/create-invitation', HANDSHAKE);
    await answer({ ...invitation, label: imageUrl, goal: imageUrl, imageUrl });
  }
  const { offers, request } = await write(connection_id);
  const offered = page.getByRole('link', { name: /^Offer of a card/ });
  for (let n = 0; n < offers.length; n++) {
    await eve.go('home');
    await offered.nth(offers.length - 1).waitFor();
    await offered.nth(n).click();
    await page.locator('.card bdi').first().waitFor();
    await checkInert(eve);
    await checkNarrow(eve);
  }
  // the look: bytes that are here, and a text that is seen on the colour
  await page.locator('.branded img.logo').waitFor();
  assert.equal(
    await page.evaluate("document.querySelector('img.logo').decode().then(() => document.querySelector('img.logo').naturalWidth)"),
    1,
  );
  await page.locator('.band', { hasText: HOSTILE[0] }).waitFor();
  await checkAxe(eve);
  await click('Accept');
  await page.getByText('The card is in your wallet.').waitFor();
  await look(eve, 'home');
  await page.locator('.cards .branded h3').waitFor();
  await checkAxe(eve);
  await page.locator('main .cards a').first().click();
  await page.getByRole('button', { name: 'Delete this card' }).waitFor();
  await checkInert(eve);
  await checkNarrow(eve);

  await eve.go('home');
  await page.getByRole('link', { name: /^Request:/ }).click();
  await page.getByLabel('You may say it yourself').first().waitFor();
  const fields = await page.getByLabel('You may say it yourself').all();
  assert.ok(fields.length > 40, `${fields.length} fields`);
  for (const [n, field] of fields.entries()) await field.fill(SIGNABLE[n % SIGNABLE.length]!.slice(0, 1000));
  await checkInert(eve);
  await checkNarrow(eve);
  await click('Share');
  await page.getByRole('heading', { name: 'What you showed' }).waitFor();
  await issuer.event('present_proof_v2_0', (one) => one.pres_ex_id === request && one.state === 'done', 'a verdict');
  await look(eve, 'history');
  await page.locator('tbody a').first().click();
  await page.getByRole('button', { name: 'Delete this entry' }).waitFor();
  await checkInert(eve);
  await checkNarrow(eve);
  await look(eve, 'connections');
  await page.locator('tbody a').last().click();
  await page.getByLabel('Message').waitFor();
  await checkInert(eve);
  await eve.close();
});
