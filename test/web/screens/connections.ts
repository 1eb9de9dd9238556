import assert from 'node:assert/strict';
import jsqr from 'jsqr';
import { PNG } from 'pngjs';
import { HANDSHAKE } from '../../support/agents.ts';
import { checkMirrored, checkScreen, HOSTILE, visit } from '../../support/browser.ts';
import { screenTest } from '../stage.ts';

screenTest('connections: an invitation is made, drawn, answered in another console, and both pages follow by themselves', async (stage) => {
  const [browser, issuer, holder] = [await stage.browser(), await stage.issuer(), await stage.holder()];
  const [ours, theirs] = [await visit(browser, issuer, 'connections'), await visit(browser, holder, 'connections/receive')];
  await checkScreen(ours);
  await ours.page.getByRole('link', { name: 'Invite', exact: true }).click();
  await checkScreen(ours);
  await ours.page.getByLabel('Your own name for them').fill('The holder');
  await ours.page.getByRole('button', { name: 'Make an invitation' }).click();
  await ours.page.getByRole('heading', { name: 'Your invitation' }).waitFor();
  await ours.page.locator('svg.qr path').waitFor();
  const link = await ours.page.getByLabel('Short link', { exact: true }).inputValue();
  const { data, width, height } = PNG.sync.read(await ours.page.locator('svg.qr').screenshot());
  assert.equal(jsqr.default(Uint8ClampedArray.from(data), width, height)?.data, link);
  await checkScreen(ours);

  await checkScreen(theirs);
  await theirs.page.getByLabel('The invitation').fill(link);
  await theirs.page.getByRole('button', { name: 'Answer it' }).click();
  await theirs.page.getByText('Active', { exact: true }).first().waitFor();
  await theirs.page.getByText('name not checked').first().waitFor();
  await checkScreen(theirs);
  await ours.page.getByText('Active', { exact: true }).first().waitFor();
  await ours.page.getByRole('link', { name: 'The holder' }).click();
  await ours.page.getByRole('button', { name: 'Ping' }).click();
  await ours.page.getByText('A ping was sent').waitFor();
  await ours.page.getByLabel('Message').fill('good day');
  await ours.page.getByRole('button', { name: 'Send' }).click();
  await theirs.page.getByText('good day').waitFor();
  await checkScreen(ours);

  await ours.page.getByRole('button', { name: 'Delete this connection' }).click();
  await ours.page.getByRole('dialog').waitFor();
  await checkScreen(ours);
  await ours.page.keyboard.press('Escape');
  await ours.page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await ours.page.evaluate('document.activeElement.textContent'), 'Delete this connection');
  await ours.page.getByRole('button', { name: 'Delete this connection' }).click();
  await ours.page.getByRole('dialog').getByRole('button', { name: 'Delete this connection' }).click();
  await ours.page.getByRole('heading', { name: 'Connections' }).waitFor();
  await ours.close();
  await theirs.close();
});

screenTest('connections: an invitation is answered as JSON and as a link; anything else is refused in words', async (stage) => {
  const [browser, issuer, holder] = [await stage.browser(), await stage.issuer(), await stage.holder()];
  const visited = await visit(browser, holder, 'connections/receive');
  const answerIt = async (text: string): Promise<void> => {
    await visited.page.getByLabel('The invitation').fill(text);
    await visited.page.getByRole('button', { name: 'Answer it' }).click();
  };
  for (const [text, words] of [
    ['what', 'neither a link nor JSON'],
    ['{"a":', 'begins like JSON'],
    ['https://127.0.0.1:1/?oob=e30', 'invitation'],
    ['{"@type":"x"}', '@type'],
  ] as const) {
    await answerIt(text);
    await visited.page.getByRole('alert').filter({ hasText: words }).waitFor();
  }
  await checkScreen(visited);
  for (const kind of ['invitation', 'invitation_url']) {
    const made = await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
    await visited.go('connections/receive');
    await answerIt(kind === 'invitation' ? JSON.stringify(made.invitation) : made.invitation_url);
    await visited.page.getByText('Active', { exact: true }).first().waitFor();
  }
  await visited.close();
});

screenTest('connections: what peers call themselves, and write, is text', async (stage) => {
  const [browser, issuer, holder] = [await stage.browser(), await stage.issuer(), await stage.holder()];
  const { inviter } = await stage.connected();
  let taken = 0;
  for (const label of HOSTILE) {
    const made = await issuer.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, my_label: label, goal: label, alias: label });
    if (made.status !== 200) continue;
    const got = await holder.call('POST', '/out-of-band/receive-invitation?auto_accept=true', made.body.invitation);
    if (got.status === 200) taken++;
  }
  assert.ok(taken > 30, `only ${taken} labels were taken`);
  const [ours, theirs] = [await visit(browser, issuer, `connections/one/${inviter}`), await visit(browser, holder, 'connections')];
  assert.ok((await theirs.page.locator('tbody tr').count()) >= taken);
  const shown = await theirs.page.locator('bdi.theirs').allTextContents();
  assert.ok(shown.includes('<img src=x onerror=alert(1)>'));
  assert.ok(shown.every((text) => [...text].length <= 1300 && !/[\u202a-\u202e\u2066-\u2069]/.test(text)));
  assert.ok(shown.some((text) => text.includes('U+202E')));
  await checkScreen(theirs);
  const { invitee } = await stage.connected();
  for (const content of HOSTILE) await holder.post(`/connections/${invitee}/send-message`, { content });
  await ours.page
    .locator('ul.timeline')
    .first()
    .locator('li')
    .nth(HOSTILE.length - 1)
    .waitFor();
  await checkScreen(ours);
  await ours.close();
  await theirs.close();
});

screenTest('connections: in Arabic everything is mirrored', async (stage) => {
  const [browser, issuer] = [await stage.browser(), await stage.issuer()];
  await checkMirrored(browser, issuer, 'connections');
  await checkMirrored(browser, issuer, 'connections/invite');
});
