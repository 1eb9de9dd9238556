import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from '../../support/agents.ts';
import { checkMirrored, checkScreen, visit } from '../../support/browser.ts';
import { screenTest } from '../stage.ts';

screenTest('reservations: a wish is approved with a password that is shown once, another one denied', async (stage) => {
  const [browser, agency] = [await stage.browser(), await stage.agency()];
  const visited = await visit(browser, agency, 'reservations');
  const { page } = visited;
  await page.getByText('Nobody waits for a wallet').waitFor();
  const anyone = { 'x-api-key': '' };
  const ask = (body: object) => agency.call('POST', '/multitenancy/reservations', body, anyone);
  const { reservation_id: id } = (await ask({ wallet_name: 'museum', contact: 'm@example', reason: '<b>cards</b>' })).body;
  await ask({ wallet_name: '<img src=x onerror=alert(1)>' });
  await visited.go('home');
  await visited.go('reservations');
  await checkScreen(visited);
  const row = page.getByRole('row').filter({ hasText: 'museum' });
  await row.getByRole('button', { name: 'Approve' }).click();
  await page.getByRole('dialog').getByLabel('Note').fill('welcome');
  await checkScreen(visited);
  await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
  const password = await page.getByLabel('One-time password', { exact: true }).inputValue();
  await checkScreen(visited);
  const path = `/multitenancy/reservations/${id}`;
  assert.deepEqual((await agency.call('GET', path, undefined, anyone)).body, { reservation_id: id, state: 'approved', note: 'welcome' });
  assert.equal((await agency.call('POST', `${path}/check-in`, { reservation_pwd: password }, anyone)).status, 200);
  await page.getByRole('row').filter({ hasText: 'onerror' }).getByRole('button', { name: 'Deny' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Deny' }).click();
  await page.getByText('Denied', { exact: true }).waitFor();
  await page.getByRole('row').filter({ hasText: 'museum' }).getByRole('link', { name: 'Open it' }).click();
  await page.getByRole('heading', { name: 'museum' }).waitFor();

  // its bounds
  await page.getByLabel('Most writes in a day').fill('3');
  await page.getByRole('button', { name: 'Set these bounds' }).click();
  await page.getByText('0 of 3').waitFor();
  await checkScreen(visited);
  await visited.close();
  await checkMirrored(browser, agency, 'reservations');
});

screenTest('webhooks: a test event is sent, and the last deliveries are shown with their answers', async (stage) => {
  const [browser, agency] = [await stage.browser(), await stage.agency()];
  const receiver = createServer((request, response) => {
    request.resume();
    response.writeHead(request.url?.includes('webhook_test') ? 418 : 200).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook#secret`;
  try {
    const { token } = await agency.post('/multitenancy/wallet', { wallet_name: 'hooked', wallet_webhook_urls: [url] });
    const visited = await visit(browser, agency, 'settings', { as: { token } });
    const { page } = visited;
    await page.getByText('Nothing was delivered').waitFor();
    await page.getByRole('button', { name: 'Send a test event' }).click();
    // the delivery comes after the event, and is no event itself
    await until(async () => {
      await page.getByRole('button', { name: 'Read again' }).click();
      return (await page.getByText('418', { exact: true }).count()) > 0;
    }, 'the delivery');
    await page.getByText('Test event', { exact: true }).first().waitFor();
    await checkScreen(visited);
    assert.doesNotMatch(await page.content(), /#secret/);
    await visited.close();
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
});

screenTest('messages: those that the agent keeps are there when the page is opened again', async (stage) => {
  const [browser, issuer, holder] = [await stage.browser(), await stage.issuer(), await stage.holder()];
  const { inviter, invitee } = await stage.connected();
  await holder.post(`/connections/${invitee}/send-message`, { content: 'from the holder' });
  await issuer.event('basicmessages', ({ content }) => content === 'from the holder', 'the message');
  const visited = await visit(browser, issuer, `connections/one/${inviter}`);
  const { page } = visited;
  await page.getByText('from the holder').waitFor();
  await page.getByLabel('Message', { exact: true }).fill('from the issuer');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('from the issuer').waitFor();
  await visited.go('home');
  await visited.go(`connections/one/${inviter}`);
  await page.getByText('from the issuer').waitFor();
  await checkScreen(visited);
  await page.getByRole('button', { name: /^Delete \d+ messages? here/ }).click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Delete/ })
    .click();
  await page.getByText('from the holder').waitFor({ state: 'detached' });
  assert.equal((await issuer.get(`/basicmessages?connection_id=${inviter}`)).total, 0);
  await visited.close();
});

screenTest('records: every kind that the operations list, and what can be done with one', async (stage) => {
  const [browser, issuer] = [await stage.browser(), await stage.issuer()];
  const { oob_id } = await issuer.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
  const made = await issuer.post('/short-links', { oob_id });
  const visited = await visit(browser, issuer, 'records');
  const { page } = visited;
  await checkScreen(visited);
  for (const kind of ['cloud_agent', 'edge_device', 'keylist', 'owner_action', 'recovery_share', 'transaction'])
    assert.equal(await page.getByRole('link', { name: kind }).count(), 1, kind);
  await page.getByRole('link', { name: 'Short links short_link', exact: true }).click();
  await page
    .getByRole('link', { name: made.short_link_id.slice(-8) })
    .first()
    .waitFor();
  await checkScreen(visited);
  await visited.go(`records/get_short_links/${made.short_link_id}`);
  await page.getByText(made.short_link_id, { exact: true }).first().waitFor();
  await checkScreen(visited);
  await page.getByRole('button', { name: 'Delete this record' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete this record' }).click();
  await page.getByRole('heading', { name: 'Short links' }).waitFor();
  assert.equal((await issuer.call('GET', `/short-links/${made.short_link_id}`)).status, 404);

  const { inviter } = await stage.connected();
  await visited.go(`connections/one/${inviter}`);
  await page.getByRole('link', { name: 'All that can be done' }).click();
  await page.getByRole('link', { name: 'Begin rotation of a DID as a rotator' }).waitFor();
  await page.getByRole('link', { name: 'Send a trust ping to a connection' }).click();
  assert.equal(await page.getByLabel('conn_id', { exact: true }).inputValue(), inviter);
  await visited.close();
  await checkMirrored(browser, issuer, 'records');
});
