import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { anchor, HANDSHAKE, type TestAgent } from '../../support/agents.ts';
import { draw, settled, type Visit, visit, visitPages } from '../../support/browser.ts';
import { addAuthenticator } from '../../support/passkeys.ts';
import { type Stage, screenTest } from '../stage.ts';

/** Pictures of every screen, for people: `FLEXID_PICTURES=DIR ./flexid test web --name 'newcomer|pictures'`; `index.html` has them side by side. */
const FOLDER = process.env.FLEXID_PICTURES;

const OF_WALLET = [
  ...['home', 'connections', 'connections/invite', 'connections/receive', 'definitions', 'definitions/new', 'issue', 'issue/new'],
  ...['batches', 'batches/new', 'verify', 'verify/new', 'credentials', 'revocation', 'decisions', 'mediation', 'events', 'audit'],
  ...['settings', 'records', 'records/get_short_links', 'operations', 'operations/post_wallet_did_create'],
];
const OF_OPERATOR = ['home', 'tenants', 'tenants/new', 'reservations'];

/** Pictures of some places. */
async function drawAll(browser: Browser, agent: TestAgent, name: string, places: readonly string[], as?: Visit['as']): Promise<void> {
  const visited = await visit(browser, agent, places[0], as === undefined ? {} : { as });
  for (const place of places) {
    await visited.go(place);
    await settled(visited.page);
    await draw(visited.page, `${name}-${place.replace(/\/one\/.*/, '-one').replaceAll('/', '-') || 'sign-in'}`);
  }
  await visited.close();
}

const LOOK = JSON.parse(readFileSync(new URL('../../../examples/web-wallet/look.json', import.meta.url), 'utf8')) as object;
const CARD = { name: 'Ada Lovelace', member: 'L-4711', year: '2021' };
/** What is clicked, in the words of each language. */
const WORDS = { en: readWords('en'), fr: readWords('fr'), ar: readWords('ar') };
function readWords(language: string): Readonly<Record<string, string>> {
  return JSON.parse(readFileSync(new URL(`../../../web/text/${language}.json`, import.meta.url), 'utf8'));
}

/** A person's way through the web wallet, from the landing page of an offer to what was shown. */
async function drawWallet(stage: Stage, cred_def_id: string, language: keyof typeof WORDS): Promise<void> {
  const [browser, issuer, wallets] = [await stage.browser(), await stage.issuer(), await stage.wallets()];
  const attributes = Object.entries(CARD).map(([name, value]) => ({ name, value }));
  const made = await issuer.post('/issue-credential-2.0/create', {
    auto_remove: false,
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes },
    filter: { anoncreds: { cred_def_id } },
  });
  const link = async (attachment: object): Promise<string> =>
    (
      await issuer.post('/out-of-band/create-invitation?auto_accept=true', {
        ...HANDSHAKE,
        goal: 'A library card',
        attachments: [attachment],
      })
    ).short_url;
  const offer = await link({ id: made.cred_ex_id, type: 'credential-offer' });
  const words = WORDS[language];
  const visited = await visitPages(browser, wallets.agent.walletOrigin!, '/', { language });
  const { page } = visited;
  const landing = await page.context().newPage();
  await landing.goto(offer);
  await draw(landing, `landing-${language}`);
  await landing.close();
  await addAuthenticator(page);
  const drawn = async (name: string): Promise<void> => {
    await settled(page);
    await draw(page, `wallet-${language}-${name}`);
  };
  const click = (key: string): Promise<void> => page.getByRole('button', { name: words[key]!, exact: true }).first().click();
  const answer = async (text: string): Promise<void> => {
    await visited.go('receive');
    await drawn('3-receive');
    await page.getByLabel(words['receive.label']!, { exact: true }).fill(text);
    await click('receive.action');
    await page.getByRole('heading', { name: words['wallet.home']! }).waitFor();
  };
  await visited.go('');
  await drawn('1-start');
  await click('wallet.new');
  await page.getByLabel(words['wallet.name']!, { exact: true }).fill('Ada');
  await drawn('1-new');
  await click('wallet.new.action');
  await page.getByRole('heading', { name: words['wallet.home']! }).waitFor();
  await drawn('2-home-empty');
  await answer(offer);
  await page.locator('ul.waiting a').first().waitFor();
  await drawn('4-home-waiting');
  await page.locator('ul.waiting a').first().click();
  await page.locator('.branded').waitFor();
  await drawn('5-offer');
  await click('wallet.accept');
  await page.getByText(words['wallet.offer.done']!).waitFor();
  await drawn('6-offer-done');
  await visited.go('home');
  await page.locator('.branded').waitFor();
  await drawn('7-home');
  await page.locator('.branded a').click();
  await drawn('8-card');
  const restrictions = [{ cred_def_id }];
  const asked = await issuer.post('/present-proof-2.0/create-request', {
    auto_remove: false,
    presentation_request: {
      anoncreds: {
        ...{ name: 'Reading room', version: '1.0' },
        requested_attributes: { who: { names: ['name'], restrictions }, door: { name: 'door' } },
        requested_predicates: { since: { name: 'year', p_type: '>=', p_value: 2020, restrictions } },
      },
    },
  });
  await answer(await link({ id: asked.pres_ex_id, type: 'present-proof' }));
  await page.locator('ul.waiting a').first().click();
  await page.getByText(words['wallet.not-shared']!).waitFor();
  await drawn('9-request');
  await page.getByLabel(words['wallet.say']!).fill('north');
  await click('credentials.share');
  await page.getByRole('heading', { name: words['wallet.history']! }).waitFor();
  await drawn('a-history');
  await page.locator('tbody a').first().click();
  await drawn('b-history-one');
  for (const place of ['connections', 'settings']) {
    await visited.go(place);
    await drawn(`c-${place}`);
  }
  await page.context().close();
}

if (FOLDER !== undefined)
  screenTest('pictures of every screen', async (stage) => {
    const [browser, issuer, holder, agency] = [await stage.browser(), await stage.issuer(), await stage.holder(), await stage.agency()];
    const { inviter } = await stage.connected();
    const newest = async (path: string, list = 'results'): Promise<Record<string, never>> => (await issuer.get(path))[list]?.[0] ?? {};
    const issued: { cred_ex_record?: { cred_ex_id: string } } = await newest('/issue-credential-2.0/records?role=issuer&descending=true');
    const asked: { pres_ex_id?: string } = await newest('/present-proof-2.0/records?role=verifier&descending=true');
    await drawAll(browser, issuer, 'issuer', [
      ...OF_WALLET,
      `connections/one/${inviter}`,
      ...(issued.cred_ex_record ? [`issue/one/${issued.cred_ex_record.cred_ex_id}`] : []),
      ...(asked.pres_ex_id ? [`verify/one/${asked.pres_ex_id}`] : []),
    ]);
    await drawAll(browser, holder, 'holder', ['credentials', 'home']);
    await drawAll(browser, agency, 'operator', OF_OPERATOR);
    const { wallet_id: wallet } = await agency.post('/multitenancy/wallet', { wallet_name: 'pictured' });
    await drawAll(browser, agency, 'operator', [`tenants/one/${wallet}`]);
    await drawAll(browser, agency, 'stranger', [''], null);
    const { credDefId: cred_def_id } = await anchor(issuer, Object.keys(CARD));
    await issuer.post('/oca-bundles', { cred_def_id, bundle: LOOK });
    for (const language of ['en', 'fr', 'ar'] as const) await drawWallet(stage, cred_def_id, language);
  });
