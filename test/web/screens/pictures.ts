import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import type { TestAgent } from '../../support/agents.ts';
import { settled, type Visit, visit } from '../../support/browser.ts';
import { screenTest } from '../stage.ts';

/** Pictures of every screen, for people: `FLEXID_PICTURES=DIR ./flexid test web --name 'newcomer|pictures'`. */
const FOLDER = process.env.FLEXID_PICTURES;

const OF_WALLET = [
  ...['home', 'connections', 'connections/invite', 'connections/receive', 'definitions', 'definitions/new', 'issue', 'issue/new'],
  ...['batches', 'batches/new', 'verify', 'verify/new', 'credentials', 'revocation', 'decisions', 'mediation', 'events', 'audit'],
  ...['settings', 'records', 'records/get_short_links', 'operations', 'operations/post_wallet_did_create'],
];
const OF_OPERATOR = ['home', 'tenants', 'tenants/new', 'reservations'];

/** Light, dark and narrow pictures of some places. */
async function draw(browser: Browser, agent: TestAgent, name: string, places: readonly string[], as?: Visit['as']): Promise<void> {
  for (const [look, wishes] of [
    ['light', {}],
    ['dark', { scheme: 'dark' }],
    ['narrow', { width: 320 }],
  ] as const) {
    const visited = await visit(browser, agent, places[0], { ...wishes, ...(as !== undefined && { as }) });
    for (const place of places) {
      await visited.go(place);
      await settled(visited.page);
      const picture = await visited.page.screenshot({
        fullPage: true,
        animations: 'disabled',
        mask: [visited.page.locator('time')],
        maskColor: '#999',
      });
      writeFileSync(join(FOLDER!, `${name}-${place.replace(/\/one\/.*/, '-one').replaceAll('/', '-') || 'sign-in'}-${look}.png`), picture);
    }
    await visited.close();
  }
}

if (FOLDER !== undefined)
  screenTest('pictures of every screen', async (stage) => {
    mkdirSync(FOLDER, { recursive: true });
    const [browser, issuer, holder, agency] = [await stage.browser(), await stage.issuer(), await stage.holder(), await stage.agency()];
    const { inviter } = await stage.connected();
    const newest = async (path: string, list = 'results'): Promise<Record<string, never>> => (await issuer.get(path))[list]?.[0] ?? {};
    const issued: { cred_ex_record?: { cred_ex_id: string } } = await newest('/issue-credential-2.0/records?role=issuer&descending=true');
    const asked: { pres_ex_id?: string } = await newest('/present-proof-2.0/records?role=verifier&descending=true');
    await draw(browser, issuer, 'issuer', [
      ...OF_WALLET,
      `connections/one/${inviter}`,
      ...(issued.cred_ex_record ? [`issue/one/${issued.cred_ex_record.cred_ex_id}`] : []),
      ...(asked.pres_ex_id ? [`verify/one/${asked.pres_ex_id}`] : []),
    ]);
    await draw(browser, holder, 'holder', ['credentials', 'home']);
    await draw(browser, agency, 'operator', OF_OPERATOR);
    const { wallet_id: wallet } = await agency.post('/multitenancy/wallet', { wallet_name: 'pictured' });
    await draw(browser, agency, 'operator', [`tenants/one/${wallet}`]);
    await draw(browser, agency, 'stranger', [''], null);
  });
