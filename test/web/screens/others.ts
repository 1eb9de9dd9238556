import assert from 'node:assert/strict';
import { checkMirrored, checkScreen, checkUncovered, visit } from '../../support/browser.ts';
import { screenTest } from '../stage.ts';

screenTest('sign-in: the page of a stranger, a wrong key in words, and nothing after signing out', async (stage) => {
  const [browser, issuer] = [await stage.browser(), await stage.issuer()];
  const visited = await visit(browser, issuer, '', { as: null });
  await checkScreen(visited);
  await visited.page.getByLabel("Operator's key").fill('wrong');
  await visited.page.getByRole('button', { name: 'Sign in' }).click();
  await visited.page.getByRole('alert').filter({ hasText: 'nobody is signed in' }).waitFor();
  await visited.page.getByLabel("Operator's key").fill(issuer.key);
  await visited.page.getByLabel('What you are here to do').selectOption('reader');
  await visited.page.getByRole('button', { name: 'Sign in' }).click();
  await visited.page.locator('nav.main').waitFor();
  await visited.go('connections');
  assert.equal(await visited.page.getByRole('link', { name: 'Invite', exact: true }).count(), 0);
  await visited.page.getByRole('button', { name: 'Sign out' }).click();
  await visited.page.getByRole('heading', { name: 'Sign in to this agent' }).waitFor();
  await visited.page.goBack();
  await visited.page.getByRole('heading', { name: 'Sign in to this agent' }).waitFor();
  assert.equal(await visited.page.locator('nav.main').count(), 0);
  await visited.close();
});

screenTest('sign-in: by an OpenID Provider, whose refusal is shown in words', async (stage) => {
  const [browser, { agent, provider }] = [await stage.browser(), await stage.townHall()];
  const visited = await visit(browser, agent, '', { as: null });
  const { page } = visited;
  await checkScreen(visited);
  provider.person = { sub: 'nobody' };
  await page.getByRole('link', { name: 'Sign in at Town Hall' }).click();
  await page.getByRole('alert').filter({ hasText: 'you have no role here' }).waitFor();
  await checkScreen(visited);
  provider.person = { sub: 'olga' };
  await page.getByRole('link', { name: 'Sign in at Town Hall' }).click();
  await page.locator('nav.main').waitFor();
  await page.getByText('Reader', { exact: true }).waitFor();
  await page.reload();
  await page.locator('nav.main').waitFor();
  // the provider's own page is all that was asked of another origin
  visited.problems.splice(
    0,
    visited.problems.length,
    ...visited.problems.filter((one) => !one.startsWith(`request: ${provider.issuer}/authorize`)),
  );
  await visited.close();
});

screenTest('tenants: a wallet is made, given a token, and removed by typing its name', async (stage) => {
  const [browser, agency] = [await stage.browser(), await stage.agency()];
  const visited = await visit(browser, agency, 'tenants');
  const { page } = visited;
  await checkScreen(visited);
  await page.getByRole('link', { name: 'New wallet' }).click();
  await page.getByLabel('Wallet', { exact: true }).fill('library');
  await checkScreen(visited);
  await page.getByRole('button', { name: 'Make the wallet' }).click();
  const token = await page.getByLabel('Token', { exact: true }).inputValue();
  await checkScreen(visited);
  const tenant = await visit(browser, agency, 'connections', { as: { token } });
  assert.equal(await tenant.page.locator('nav.main').getByRole('link', { name: 'Wallets' }).count(), 0);
  await checkScreen(tenant);
  await page.getByRole('link', { name: 'Open it' }).click();
  await page.getByRole('button', { name: 'Make a token' }).click();
  await page.getByLabel('Token', { exact: true }).waitFor();
  await page
    .getByRole('button', { name: /^Void token/ })
    .nth(1)
    .waitFor();
  await checkScreen(visited);
  await page.getByRole('button', { name: 'Suspend' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
  await page.getByText('Suspended', { exact: true }).waitFor();
  await checkScreen(visited);
  await page.getByRole('button', { name: 'Remove this wallet' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Remove this wallet' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByLabel('Type library to go on').fill('library');
  await dialog.getByRole('button', { name: 'Remove this wallet' }).click();
  await page.getByRole('heading', { name: 'Wallets' }).waitFor();
  // the page of the wallet's own user ends with its token
  await tenant.page.getByRole('heading', { name: 'Sign in to this agent' }).waitFor();
  await visited.close();
  await tenant.close();
});

screenTest('settings, events, operations, mediation, decisions: each is shown, and does what it is for', async (stage) => {
  const [browser, issuer] = [await stage.browser(), await stage.issuer()];
  const visited = await visit(browser, issuer, 'settings');
  const { page } = visited;
  await page.getByRole('button', { name: 'Show the secret' }).click();
  await page.getByLabel('Secret', { exact: true }).waitFor();
  await checkScreen(visited);
  const box = page.locator('form input[type=checkbox]').first();
  const before = await box.isChecked();
  await box.click();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved').first().waitFor();
  await page.locator('.said').waitFor();
  await checkUncovered(visited);
  await checkScreen(visited);
  assert.equal(await box.isChecked(), !before);
  await box.click();
  await page.getByRole('button', { name: 'Save' }).click();

  await visited.go('operations');
  await checkScreen(visited);
  await page.getByLabel('Find among those shown').fill('/wallet/did/create');
  await page.getByRole('link', { name: /did\/create/ }).click();
  await page.getByLabel('method', { exact: true }).fill('key');
  await page.getByRole('button', { name: 'Call', exact: true }).click();
  assert.match(await page.getByLabel('Answer', { exact: true }).inputValue(), /did:key:/);
  await page.getByText('The same call from elsewhere').click();
  await checkScreen(visited);
  assert.doesNotMatch(await page.content(), new RegExp(issuer.key));

  await visited.go('events');
  const made = await issuer.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
  // those of this invitation alone: `Tab` goes through every row
  await page.getByLabel('Find among those shown').fill(made.invi_msg_id);
  await page.getByText('Invitation', { exact: true }).first().waitFor();
  await checkScreen(visited);

  await visited.go('mediation');
  await checkScreen(visited);
  await visited.go('audit');
  await page.getByText('post_out_of_band_create_invitation').first().waitFor();
  await checkScreen(visited);

  await visited.go('decisions');
  await page.getByLabel('Name', { exact: true }).fill('ask me');
  await page.getByLabel('Request for a connection').click();
  await page.getByRole('button', { name: 'Set this policy' }).click();
  await page.getByText('ask-me').first().waitFor();
  await checkScreen(visited);
  await page.getByRole('button', { name: 'Remove the policy ask-me' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByText('There is no policy').waitFor();
  await visited.close();
});

screenTest('every screen is mirrored in Arabic, and has its words in French', async (stage) => {
  const [browser, issuer] = [await stage.browser(), await stage.issuer()];
  for (const place of [
    'home',
    'definitions',
    'issue',
    'verify',
    'verify/new',
    'credentials',
    'revocation',
    'decisions',
    'mediation',
    'events',
    'audit',
    'settings',
  ])
    await checkMirrored(browser, issuer, place);
  const visited = await visit(browser, issuer, 'home', { language: 'fr' });
  assert.equal(await visited.page.locator('h1').textContent(), 'Accueil');
  await checkScreen(visited);
  await visited.close();
});
