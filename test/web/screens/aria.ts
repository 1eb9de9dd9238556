import { checkAria } from '../../support/aria.ts';
import { visit } from '../../support/browser.ts';
import { screenTest } from '../stage.ts';

/** Every screen but the audit trail, whose rows are in the order in which calls happened to be answered. */
const OF_WALLET = [
  ...['home', 'connections', 'connections/invite', 'connections/receive', 'definitions', 'definitions/new', 'issue', 'issue/new'],
  ...['batches', 'batches/new', 'verify', 'verify/new', 'credentials', 'revocation', 'decisions', 'mediation', 'events'],
  ...['settings', 'records', 'records/get_short_links', 'operations/post_wallet_did_create'],
];
const OF_OPERATOR = ['home', 'tenants', 'tenants/new', 'reservations'];

screenTest('aria: each screen of a new agent is to assistive technology as it is committed', async (stage) => {
  const [browser, { one, many }] = [await stage.browser(), await stage.untouched()];
  const stranger = await visit(browser, one, '', { as: null });
  await checkAria(stranger, 'console-sign-in');
  await stranger.close();
  for (const [agent, of, places] of [
    [one, 'console', OF_WALLET],
    [many, 'operator', OF_OPERATOR],
  ] as const) {
    const visited = await visit(browser, agent);
    await checkAria(visited, `${of}-navigation`, 'nav.main');
    for (const place of places) {
      await visited.go(place);
      await checkAria(visited, `${of}-${place}`);
    }
    await visited.close();
  }
});
