import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { openContainer } from '../../src/backup/container.ts';
import { newWords, recoveryKeys } from '../../src/backup/recovery.ts';
import { anchor, type Body, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { checkAria } from '../support/aria.ts';
import { checkNarrow, checkScreen, HOSTILE, launch, skipReason, type Visited, visitPages } from '../support/browser.ts';
import { grant } from '../support/owner.ts';
import { type Authenticator, addAuthenticator, forgetPasskeys } from '../support/passkeys.ts';
import { until } from '../support/waiting.ts';

/** The web wallet in a Chromium: what a person does, from signing up to the end of the wallet. */

const skip = skipReason() ?? false;
const world = createWorld();
let browser: Browser;
let agency: TestAgent;
let issuer: TestAgent;
let credDefId: string;
/** All that the tests need, made with the first one that runs: after a run without any, nothing would end it. */
beforeEach(() => {
  ready ??= skip ? Promise.resolve() : prepare();
  return ready;
});
let ready: Promise<void> | undefined;
async function prepare(): Promise<void> {
  browser = await launch();
  world.defer(() => browser.close());
  const devnet = await world.devnet();
  issuer = await world.start('library', {
    devnet,
    sponsor: true,
    flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
  });
  agency = await world.start('agency', {
    devnet,
    sponsor: false,
    flags: ['--multitenant', '--jwt-secret', 'a secret of these tests', '--wallet', '127.0.0.1', '0'],
  });
  ({ credDefId } = await anchor(issuer, ['name', 'member', 'year']));
}
after(() => world.close());

type Person = Visited & { readonly authenticator: Authenticator };

/** A person with a browser of their own. */
async function person(wishes: { prf?: boolean; language?: 'en' | 'fr' | 'ar' } = {}): Promise<Person> {
  const visited = await visitPages(browser, agency.agent.walletOrigin!, '/', wishes);
  const authenticator = await addAuthenticator(visited.page, wishes.prf);
  await visited.go('');
  return { ...visited, authenticator };
}

const button = ({ page }: Person, name: string) => page.getByRole('button', { name, exact: true }).first().click();

async function signUp(one: Person, name: string): Promise<void> {
  await button(one, 'Make a wallet');
  await one.page.getByLabel('Your name').fill(name);
  await button(one, 'Make it with a passkey');
}

const PREVIEW = '@type';
async function offered(values: Record<string, string>): Promise<string> {
  const { cred_ex_id } = await issuer.post('/issue-credential-2.0/create', {
    auto_remove: false,
    credential_preview: {
      [PREVIEW]: 'issue-credential/2.0/credential-preview',
      attributes: Object.entries(values).map(([name, value]) => ({ name, value })),
    },
    filter: { anoncreds: { cred_def_id: credDefId } },
  });
  return await invitedWith({ id: cred_ex_id, type: 'credential-offer' });
}

async function invitedWith(attachment?: object): Promise<string> {
  const made: Body = await issuer.post('/out-of-band/create-invitation?auto_accept=true', {
    ...HANDSHAKE,
    ...(attachment && { attachments: [attachment] }),
  });
  return made.short_url ?? made.invitation_url;
}

async function asked(request: object): Promise<{ id: string; link: string }> {
  const { pres_ex_id: id } = await issuer.post('/present-proof-2.0/create-request', {
    auto_remove: false,
    presentation_request: { anoncreds: request },
  });
  return { id, link: await invitedWith({ id, type: 'present-proof' }) };
}

async function answerInvitation(one: Person, link: string): Promise<void> {
  await one.go('receive');
  await one.page.getByLabel('The invitation').fill(link);
  await button(one, 'Answer it');
  await one.page.getByRole('heading', { name: 'Your wallet' }).waitFor();
}

test('[S1-33] a person signs up by passkey, takes a card, and shows a part of it', { skip }, async () => {
  const ada = await person();
  await checkScreen(ada);
  await checkAria(ada, 'wallet-start');
  await button(ada, 'Make a wallet');
  await checkScreen(ada);
  await ada.page.getByLabel('Your name').fill('Ada');
  await button(ada, 'Make it with a passkey');
  await ada.page.getByRole('heading', { name: 'Your wallet' }).waitFor();
  await ada.page.getByText('Only you can open it').waitFor();
  await checkScreen(ada);
  await checkAria(ada, 'wallet-navigation', 'nav.main');
  for (const place of ['home', 'connections', 'history', 'settings', 'receive']) {
    await ada.go(place);
    await checkAria(ada, `wallet-${place}`);
  }

  const link = await offered({ name: 'Ada <b>', member: 'L-4711', year: '2021' });
  await ada.go('receive');
  await checkScreen(ada);
  await answerInvitation(ada, link);
  await ada.page.getByRole('link', { name: 'Offer of a card: degree' }).click();
  await ada.page.getByText('4711').waitFor();
  await checkScreen(ada);
  await button(ada, 'Accept');
  await ada.page.getByText('The card is in your wallet.').waitFor();
  await ada.go('home');
  await ada.page.getByRole('link', { name: 'degree 1.0' }).click();
  await ada.page.getByText('Ada <b>').waitFor();
  await checkScreen(ada);

  const { id, link: request } = await asked({
    name: 'Library card',
    version: '1.0',
    requested_attributes: { who: { names: ['name'], restrictions: [{ cred_def_id: credDefId }] } },
    requested_predicates: { since: { name: 'year', p_type: '>=', p_value: 2020, restrictions: [{ cred_def_id: credDefId }] } },
  });
  await answerInvitation(ada, request);
  await ada.page.getByRole('link', { name: 'Request: Library card' }).click();
  await ada.page.getByText('Not shared:').waitFor();
  assert.match((await ada.page.locator('.fields').textContent())!, /Not shared:.*member.*year/);
  await checkScreen(ada);
  await button(ada, 'Share');
  await ada.page.getByRole('heading', { name: 'What you showed' }).waitFor();
  await issuer.event('present_proof_v2_0', ({ pres_ex_id, state }) => pres_ex_id === id && state === 'done', 'a verdict');
  const { verified, by_format } = await issuer.get(`/present-proof-2.0/records/${id}`);
  assert.equal(verified, 'true');
  const shown = JSON.stringify(by_format.pres);
  assert.ok(shown.includes('Ada <b>') && !shown.includes('L-4711'));
  await ada.page.getByRole('link', { name: 'Library card' }).click();
  await ada.page.getByText('Ada <b>').waitFor();
  await checkScreen(ada);
  await ada.close();
});

/** What a copy of a wallet has. */
async function contents(file: string, words: string): Promise<{ wallet: string; categories: string[] }> {
  const { head, lines } = await openContainer(createReadStream(file), recoveryKeys(words).secret);
  const categories = new Set<string>();
  for await (const line of lines) categories.add(String(line.category ?? line.type));
  return { wallet: String(head.wallet), categories: [...categories] };
}

test('recovery words open the wallet in a fresh browser, where a passkey is added', { skip }, async () => {
  const ada = await person();
  await signUp(ada, 'Ada');
  await ada.page.getByRole('link', { name: 'Write the words down' }).click();
  await checkScreen(ada);
  await button(ada, 'Show me the words');
  await ada.page.locator('ol.words li').nth(23).waitFor();
  const words = await ada.page.locator('ol.words li').allTextContents();
  assert.equal(words.length, 24);
  await checkScreen(ada);
  await button(ada, 'I have written them down');
  await ada.page.getByText('Type three of them').waitFor();
  await checkScreen(ada);
  for (const field of await ada.page.locator('main input').all()) await field.fill('wrong');
  await button(ada, 'Check');
  await ada.page.getByText('These are not the words.').waitFor();
  for (const label of await ada.page.locator('main .field label').allTextContents())
    await ada.page.getByLabel(label, { exact: true }).fill(words[Number(label.replace(/\D/g, '')) - 1]!);
  await button(ada, 'Check');
  await ada.page.getByText('You have recovery words.').waitFor();
  await checkScreen(ada);
  const [copy] = await Promise.all([ada.page.waitForEvent('download'), button(ada, 'Download a copy')]);
  assert.match(copy.suggestedFilename(), /^wallet-\d{4}-\d\d-\d\d\.flexid-backup$/);
  const file = await copy.path();
  await assert.rejects(contents(file, newWords()), 'other words open nothing');
  const { wallet, categories } = await contents(file, words.join(' '));
  assert.match(wallet, /^[0-9a-f-]{36}$/);
  assert.ok(categories.includes('did') || categories.includes('wallet'), categories.join());
  await button(ada, 'Lock');
  await ada.page.getByRole('button', { name: 'Open my wallet' }).waitFor();
  await forgetPasskeys(ada.authenticator);
  await ada.close();

  const again = await person();
  await button(again, 'I have no passkey here');
  await checkScreen(again);
  await again.page.getByLabel('Your 24 words').fill('abandon '.repeat(24));
  await button(again, 'Open my wallet');
  await again.page.getByText('These are not 24 words of this kind').waitFor();
  await again.page.getByLabel('Your 24 words').fill(`  ${words.join('\n').toUpperCase()} `);
  await button(again, 'Open my wallet');
  await again.page.getByRole('heading', { name: 'Your wallet' }).waitFor();
  await again.go('settings');
  await button(again, 'Add a passkey');
  await again.page.getByRole('button', { name: 'Remove' }).nth(1).waitFor();
  await button(again, 'Lock');
  await button(again, 'Open my wallet');
  await again.page.getByRole('heading', { name: 'Settings' }).waitFor();
  await again.close();
});

test('a passkey that seals nothing: the other mode is named and chosen, in French; the page is mirrored in Arabic', { skip }, async () => {
  const claude = await person({ prf: false, language: 'fr' });
  await button(claude, 'Créer un portefeuille');
  await claude.page.getByLabel('Votre nom').fill('Claude');
  await button(claude, 'Le créer avec une clé d’accès');
  await claude.page.getByRole('heading', { name: 'Cette clé d’accès ne peut pas sceller un portefeuille' }).waitFor();
  await checkScreen(claude);
  await button(claude, 'Le garder ici pour moi');
  await claude.page.getByText('Gardé ici pour vous').waitFor();
  await button(claude, 'Verrouiller');
  await button(claude, 'Ouvrir mon portefeuille');
  await claude.page.getByText('Gardé ici pour vous').waitFor();
  await claude.close();

  const huda = await person({ language: 'ar' });
  await button(huda, 'إنشاء محفظة');
  await huda.page.getByLabel('اسمك').fill('هدى');
  await button(huda, 'أنشئها بمفتاح مرور');
  await huda.page.getByRole('heading', { name: 'محفظتك' }).waitFor();
  assert.equal(await huda.page.evaluate('document.documentElement.dir'), 'rtl');
  for (const place of ['home', 'receive', 'connections', 'history', 'settings']) {
    await huda.go(place);
    await checkNarrow(huda);
  }
  await huda.close();
});

test('a passkey that seals nothing has a passphrase; a link opens the wallet on another device, once', { skip }, async () => {
  const bea = await person({ prf: false });
  await signUp(bea, 'Bea');
  await button(bea, 'Protect it with a passphrase');
  const dialog = bea.page.getByRole('dialog');
  await dialog.waitFor();
  await checkScreen(bea);
  const fill = async (first: string, second?: string): Promise<void> => {
    await dialog.getByLabel('Passphrase').fill(first);
    if (second !== undefined) await dialog.getByLabel('The same once more').fill(second);
    await dialog.getByRole('button', { name: second === undefined ? 'Open my wallet' : 'Use it' }).click();
  };
  await fill('too short', 'too short');
  await bea.page.getByText('At least 16 characters.').waitFor();
  await fill('six words that nobody guesses', 'six words that somebody guesses');
  await bea.page.getByText('The two are not the same.').waitFor();
  await fill('six words that nobody guesses', 'six words that nobody guesses');
  await bea.page.getByText('Only you can open it').waitFor();
  await button(bea, 'Lock');
  await button(bea, 'Open my wallet');
  await fill('six words that somebody guesses');
  await bea.page.getByText('This is not the passphrase of this passkey.').waitFor();
  await button(bea, 'Open my wallet');
  await fill('six words that nobody guesses');
  await bea.page.getByRole('heading', { name: 'Your wallet' }).waitFor();

  await bea.go('settings');
  await button(bea, 'Make a link');
  await bea.page.getByText('Whoever opens this link has your wallet.').waitFor();
  await checkScreen(bea);
  const link = await bea.page.getByRole('textbox', { name: 'Link for another device' }).inputValue();
  const phone = await person();
  await phone.page.goto(link);
  await phone.page.getByRole('heading', { name: 'Open your wallet on this device' }).waitFor();
  assert.ok(!phone.page.url().includes('device'), 'it is in no history');
  await checkScreen(phone);
  await button(phone, 'Open my wallet');
  await phone.page.getByRole('heading', { name: 'Settings' }).waitFor();
  await phone.page.getByText('(with a passphrase)').waitFor();
  await button(phone, 'Add a passkey');
  await phone.page.getByRole('button', { name: 'Remove' }).nth(1).waitFor();
  await button(phone, 'Lock');
  await button(phone, 'Open my wallet');
  await phone.page.getByText('Only you can open it').first().waitFor();

  const thief = await person();
  await thief.page.goto(link);
  await button(thief, 'Open my wallet');
  await thief.page.getByText('This link was used already').waitFor();
  await button(thief, 'Back');
  await thief.page.getByRole('button', { name: 'Make a wallet' }).waitFor();
  for (const one of [bea, phone, thief]) await one.close();
});

test('the agent of an institution asks the person, who decides in the wallet', { skip }, async () => {
  const cleo = await person();
  await signUp(cleo, 'Cleo');
  await answerInvitation(cleo, await invitedWith());
  const mine = await until(
    async () => (await issuer.get('/connections?state=active')).results.find((one: Body) => one.their_label === 'Cleo'),
    'Cleo at the library',
  );
  await grant(issuer, mine.connection_id, ['agent-config']);
  const { handler_id } = await issuer.post('/agent-config/handlers', {
    match: { types: ['connection-request'] },
    ...{ mode: 'consult', deliver: 'didcomm', approvers: [mine.connection_id], timeout_ms: 600_000 },
  });
  const guest = await person();
  await signUp(guest, HOSTILE[0]!);
  await answerInvitation(guest, (await issuer.post('/out-of-band/create-invitation', HANDSHAKE)).invitation_url);
  await cleo.go('history');
  await cleo.page.getByRole('link', { name: 'You are asked to decide: Request for a connection' }).click();
  await cleo.page.getByText('Yes, go on').waitFor();
  await checkScreen(cleo);
  await button(cleo, 'Yes, go on');
  await cleo.page.getByText('Your answer counts').waitFor();
  await checkScreen(cleo);
  await until(
    async () => (await issuer.get('/connections?state=active')).results.some((one: Body) => one.their_label === HOSTILE[0]),
    'the guest',
  );
  assert.equal((await issuer.call('DELETE', `/agent-config/handlers/${handler_id}`)).status, 200);
  for (const one of [cleo, guest]) await one.close();
});

test('what issuers and verifiers write is text; an offer and a request are declined; a link leads in; a wallet is deleted', {
  skip,
}, async () => {
  const eve = await person();
  await eve.page.goto(
    `${agency.agent.walletOrigin}/#invitation=${encodeURIComponent(await offered({ name: HOSTILE.join(' ').replaceAll('\u0000', ''), member: HOSTILE[0]!, year: '1' }))}`,
  );
  await eve.page.getByText('An invitation waits for you').waitFor();
  await signUp(eve, 'Eve');
  await eve.page.getByRole('heading', { name: 'Scan or paste' }).waitFor();
  assert.match(await eve.page.getByLabel('The invitation').inputValue(), /^http/);
  await button(eve, 'Answer it');
  await eve.page.getByRole('link', { name: 'Offer of a card: degree' }).click();
  await eve.page.getByText('<img src=x').first().waitFor();
  await checkScreen(eve);
  await button(eve, 'Decline');
  await eve.page.getByText('Nothing waits for you').first().waitFor();

  const { id, link } = await asked({
    name: HOSTILE[2],
    version: '1.0',
    requested_attributes: { nick: { name: 'nickname' } },
    requested_predicates: {},
  });
  await answerInvitation(eve, link);
  await eve.page.getByRole('link', { name: 'Request:' }).click();
  await eve.page.getByLabel('You may say it yourself').fill('E');
  await checkScreen(eve);
  await button(eve, 'Do not share');
  await issuer.event('present_proof_v2_0', ({ pres_ex_id, state }) => pres_ex_id === id && state === 'abandoned', 'a refusal');

  await eve.go('connections');
  await checkScreen(eve);
  await eve.page.locator('tbody a').first().click();
  await eve.page.getByLabel('Message').fill('good day');
  await button(eve, 'Send');
  await eve.page.locator('ul.timeline li').getByText('good day').waitFor();
  await checkScreen(eve);
  await eve.go('settings');
  await button(eve, 'Delete this wallet');
  await eve.page.getByRole('dialog').waitFor();
  await checkScreen(eve);
  await eve.page.getByRole('dialog').getByRole('textbox').fill('Eve');
  await eve.page.getByRole('dialog').getByRole('button', { name: 'Delete this wallet' }).click();
  await eve.page.getByRole('button', { name: 'Open my wallet' }).waitFor();
  await eve.close();
});

test('a browser installs the wallet, opens it without a network, and keeps nothing of a person', { skip }, async () => {
  const ada = await person();
  const { page, context } = ada;
  const { session } = ada.authenticator;
  const { data, errors } = await session.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const { icons, start_url } = JSON.parse(data!);
  assert.equal(start_url, '/');
  for (const { src, type } of icons) {
    const icon = await fetch(`${agency.agent.walletOrigin}${src}`);
    assert.equal(icon.headers.get('content-type'), type);
  }
  // a function that the page polls would be evaluated, which its policy forbids
  await until(() => page.evaluate<boolean>('navigator.serviceWorker.controller !== null'), 'the service worker');
  await signUp(ada, 'Ada Secret');
  await page.getByRole('heading', { name: 'Your wallet' }).waitFor();
  await answerInvitation(ada, await offered({ name: 'Ada', member: 'L-4711-secret', year: '2021' }));
  await page.getByRole('link', { name: 'Offer of a card: degree' }).click();
  await page.getByText('L-4711-secret').waitFor();
  // all that the browser has of this origin: the addresses and texts of its caches, and its storage
  const kept = (await page.evaluate(`(async () => {
    const all = [];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) all.push([new URL(request.url).pathname, await (await cache.match(request)).text()]);
    }
    return { all, stored: JSON.stringify([{ ...localStorage }, { ...sessionStorage }]), databases: (await indexedDB.databases()).length };
  })()`)) as { all: [string, string][]; stored: string; databases: number };
  assert.ok(kept.all.length > 20);
  for (const [path, text] of kept.all) {
    assert.match(path, /^\/$|^\/a\//);
    assert.ok(!text.includes('secret') || !text.includes('L-4711'), path);
    assert.ok(!text.includes('Ada Secret'), path);
  }
  assert.equal(kept.stored, '[{},{}]');
  assert.equal(kept.databases, 0);
  await context.setOffline(true);
  await page.reload();
  await page.getByText('The agent does not answer').waitFor();
  await context.setOffline(false);
  await page.reload();
  await page.getByText('L-4711-secret').waitFor();
  await button(ada, 'Lock');
  await page.getByRole('button', { name: 'Open my wallet' }).waitFor();
  await page.goBack();
  assert.equal(await page.getByText('L-4711-secret').count(), 0);
  await context.close();
});
