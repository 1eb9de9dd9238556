import assert from 'node:assert/strict';
import { checkScreen, visit } from '../../support/browser.ts';
import { person } from '../clicks.ts';
import { screenTest } from '../stage.ts';

screenTest(
  'newcomer: a definition, a credential, a proof, its revocation and a second proof by mouse, in 25 clicks at most',
  async (stage) => {
    const [browser, issuer, holder] = [await stage.browser(), await stage.issuer(), await stage.holder()];
    const [ours, theirs] = [await visit(browser, issuer), await visit(browser, holder)];
    for (const { page } of [ours, theirs]) page.setDefaultTimeout(120_000);
    const [me, other] = [person(ours), person(theirs)];
    await checkScreen(ours);
    await me.link('Make a public DID');
    await checkScreen(ours);
    await me.field('Kind of credential', 'membership');
    await me.field('Attributes', 'name\nyear');
    await checkScreen(ours);
    await me.button('Make it');
    await ours.page.getByRole('heading', { name: 'Definitions' }).waitFor();
    await ours.page.getByText('membership 1.0').first().waitFor();
    await checkScreen(ours);

    await me.link('Issue');
    await me.field('name', 'Ada <b>');
    await me.field('year', '2021');
    await checkScreen(ours);
    await me.choose('To', '');
    await me.button('Offer it');
    await ours.page.getByRole('heading', { name: 'Your invitation' }).waitFor();
    const answer = async (): Promise<void> => {
      const link = await me.copy('Short link');
      await theirs.go('connections/receive');
      await theirs.page.getByLabel('The invitation').fill(link);
      await other.button('Answer it');
      await theirs.page.getByRole('heading', { name: 'Credentials held' }).waitFor();
    };
    await answer();
    await other.link('Offer of a credential');
    await checkScreen(theirs);
    await other.button('Accept the credential');
    await other.button('Keep it');
    await theirs.page.getByText('Done', { exact: true }).waitFor();
    // whoever shows a QR code sees by itself what becomes of it
    await ours.page.getByText('Done', { exact: true }).waitFor();
    await checkScreen(ours);

    const prove = async (): Promise<void> => {
      await checkScreen(ours);
      await me.button('Ask');
      await ours.page.getByRole('heading', { name: 'Your invitation' }).waitFor();
      await answer();
      await other.link('Request for a proof');
      await checkScreen(theirs);
      await other.button('Share');
      await theirs.page.getByRole('heading', { name: 'Credentials held' }).waitFor();
    };
    await me.menu('Verify');
    await me.link('Ask for a proof');
    await me.check('name');
    await me.choose('From', '');
    await prove();
    await ours.page.locator('.verdict.good').waitFor();
    assert.match((await ours.page.locator('.verdict').textContent())!, /Verified.*did:algo/);
    assert.ok((await ours.page.locator('tbody bdi').allTextContents()).includes('Ada <b>'));
    await checkScreen(ours);

    await me.menu('Issue');
    await me.link('membership');
    await me.link('Revoke');
    await checkScreen(ours);
    await me.button('Revoke');
    await ours.page.getByRole('heading', { name: /membership/ }).waitFor();
    await me.menu('Verify');
    await me.row('Proof');
    await me.link('Ask the same again');
    await prove();
    await ours.page.locator('.verdict.bad').waitFor();
    await checkScreen(ours);
    assert.ok(me.clicks() <= 25, `${me.clicks()} clicks`);
    await ours.page.getByRole('link', { name: 'Issue' }).first().click();
    await ours.page.locator('tbody a').first().click();
    await ours.page.getByRole('link', { name: 'Issue another like it' }).click();
    assert.equal(await ours.page.getByLabel('name', { exact: true }).inputValue(), 'Ada <b>');
    await checkScreen(ours);
    await theirs.go('credentials');
    // who has seen what
    assert.equal(await theirs.page.getByRole('row').filter({ hasText: 'name: Ada <b>' }).count(), 2);
    await checkScreen(theirs);
    await other.link('membership');
    await other.button('Is it revoked?');
    await theirs.page.getByText('It is revoked.').waitFor();
    await checkScreen(theirs);
    await ours.go('revocation');
    await checkScreen(ours);
    await ours.page.locator('main section a').first().click();
    await ours.page.getByText('Revoked', { exact: true }).first().waitFor();
    await checkScreen(ours);
    await ours.go('definitions');
    await ours.page.getByRole('link', { name: 'Look', exact: true }).click();
    await ours.page.getByText('These cards have no look of their own yet.').waitFor();
    await checkScreen(ours);
    const file = (name: string, bundle: object): Promise<void> =>
      ours.page.getByLabel('OCA bundle').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(bundle)) });
    const attributes = { name: 'Text', year: 'Numeric' };
    const branding = { type: 'aries/overlays/branding/1.0', primary_background_color: '#14534a' };
    const labels = { type: 'spec/overlays/label/1.0', language: 'en', attribute_labels: { year: 'Member since' } };
    const capture_base = { type: 'spec/capture_base/1.0', attributes };
    await file('wrong.json', { capture_base: { ...capture_base, attributes: { salary: 'Numeric' } }, overlays: [] });
    await ours.page.getByText('no attribute "salary"').waitFor();
    await file('look.json', { capture_base, overlays: [branding, labels] });
    await ours.page.locator('.branded').getByText('Member since').waitFor();
    await checkScreen(ours);
    await ours.close();
    await theirs.close();
  },
);
