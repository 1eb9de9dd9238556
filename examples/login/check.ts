import assert from 'node:assert/strict';
import type { Kit } from '../lib/kit.ts';
import { begin, FORUM, linkOn, login, MEMBER, onward, prepare, SHOP, scan } from './run.ts';

export async function check(kit: Kit): Promise<void> {
  const { step } = kit;
  const logins = await prepare(kit);
  const { club, wallet, website } = logins;
  const member = { pres_req_conf_id: 'member' };

  const sub = await step('two logins of a member have one sub, and the ID token has the claims', async () => {
    const [first, second] = [await login(logins, SHOP, member), await login(logins, SHOP, member)];
    assert.equal(first.claims.sub, second.claims.sub);
    assert.match(first.claims.sub, /^[A-Za-z0-9_-]{43}$/);
    const { acr, pres_req_conf_id, vc_presented_attributes, name, number } = first.claims;
    const shown = { name: MEMBER.name, number: MEMBER.number };
    assert.deepEqual([acr, pres_req_conf_id, name, number], ['vc_authn', 'member', MEMBER.name, MEMBER.number]);
    assert.deepEqual(JSON.parse(vc_presented_attributes), shown);
    assert.equal(first.userinfo.vc_presented_attributes, vc_presented_attributes);
    return [first.claims.sub as string, first.claims.sub];
  });
  await step('a replayed code is refused', async () => {
    const { error } = await website.ask('finish');
    assert.equal(error, 'invalid_grant');
    return [undefined, error];
  });
  await step('nothing of the logins is left at the agent', async () => {
    const { results } = await club.controller.get('/present-proof-2.0/records');
    assert.deepEqual(results, []);
    return [undefined, 'no exchange, no invitation'];
  });
  await step('a wrong configuration is refused where the website learns it', async () => {
    for (const [parameters, more] of [
      [{ pres_req_conf_id: 'nobody' }, {}],
      [{ pres_req_conf_id: '__proto__' }, {}],
      [{}, {}],
      [member, { pkce: false }],
    ]) {
      const { back, error } = await begin(logins, SHOP, parameters!, more);
      assert.deepEqual([back, error], [true, 'invalid_request'], JSON.stringify([parameters, more]));
    }
    return [undefined, 'invalid_request, as is a request without PKCE'];
  });
  await step('a stranger makes no webhook, and no request ends the provider', async () => {
    const webhook = { method: 'POST', body: JSON.stringify({ pres_ex_id: 'x', state: 'done' }) };
    const statuses = [];
    for (const [path, options] of [
      ['/webhooks/topic/present_proof_v2_0/', webhook],
      ['//', {}],
      ['/interaction/nobody', {}],
      ['/interaction/nobody/again', { method: 'POST' }],
      ['/.well-known/openid-configuration', {}],
    ] as const)
      statuses.push((await fetch(`${logins.issuer}${path}`, options)).status);
    assert.deepEqual(statuses, [401, 404, 400, 400, 200]);
    return [undefined, statuses.join(', ')];
  });
  await step('a public client without a parameter of its own: another sub, an age without a birthday', async () => {
    const { claims } = await login(logins, FORUM, { acr_values: 'adult' });
    assert.notEqual(claims.sub, sub);
    assert.deepEqual([claims.pres_req_conf_id, claims.vc_presented_attributes], ['adult', JSON.stringify({ level: MEMBER.level })]);
    return [undefined, claims.vc_presented_attributes];
  });
  await step('a page is for one browser, has no script, and can be begun again', async () => {
    const page = await begin(logins, SHOP, member);
    assert.match(page.policy, /default-src 'none'/);
    assert.ok(page.html.includes('<svg') && page.html.includes('didcomm://invite?oob=') && !page.html.includes('<script'));
    const stolen = await website.ask('steal');
    assert.equal(stolen.status, 400);
    assert.ok(!stolen.html.includes(linkOn(page.html)));
    const again = await website.ask('look', { button: 'again' });
    assert.notEqual(linkOn(again.html), linkOn(page.html));
    await assert.rejects(scan(wallet, page.html), 'the first link leads nowhere now');
    return [again, linkOn(again.html)];
  });
  await step('a wallet that declines is a sentence, and the website learns of an end', async () => {
    const { html } = await website.ask('look');
    const { pres_ex_id } = await scan(wallet, html);
    await wallet.post(`/present-proof-2.0/records/${pres_ex_id}/problem-report`, { description: 'no' });
    const { html: failed } = await onward(logins, html);
    assert.match(failed, /Your wallet did not share/);
    const { back, error } = await website.ask('look', { button: 'cancel' });
    assert.deepEqual([back, error], [true, 'access_denied']);
    return [undefined, error];
  });
}
