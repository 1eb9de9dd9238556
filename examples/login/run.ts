import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Commanded, startCommanded } from '../../harness/lines.ts';
import type { Started } from '../../harness/network.ts';
import { bringPackages } from '../../harness/packages.ts';
import { freePort, program } from '../../harness/processes.ts';
import type { Body, Controller } from '../demo/controller.ts';
import { anchor, connect, issueOne } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';
import { until } from '../lib/until.ts';

const HERE = fileURLToPath(new URL('./', import.meta.url));
export const MEMBER = { name: 'Ada', number: '1815', level: 'gold', born: '19901210' };

export interface Client {
  readonly client_id: string;
  readonly client_name: string;
  readonly client_secret?: string;
  readonly token_endpoint_auth_method?: 'none';
  readonly redirect_uris: readonly string[];
}

/** A website with a secret, and one that can keep none. */
export const SHOP: Client = {
  client_id: 'shop',
  client_name: 'The Shop',
  client_secret: 'a secret of this example',
  redirect_uris: ['https://shop.example/back'],
};
export const FORUM: Client = {
  client_id: 'forum',
  client_name: 'The Forum',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['https://forum.example/back'],
};

export interface Logins {
  readonly issuer: string;
  readonly club: Started;
  readonly wallet: Controller;
  /** The member's credential, in the wallet. */
  readonly credential: string;
  /** A website and a browser. */
  readonly website: Commanded;
}

/** A club that issues memberships and verifies them, an OpenID Provider before its agent, a member with a wallet, and a website. */
export async function prepare(kit: Kit): Promise<Logins> {
  const { step, open } = kit;
  await step('install oidc-provider and openid-client', async () => [await bringPackages(HERE), 'from npm']);
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const key = randomBytes(16).toString('hex');
  const webhooks = `${issuer}/webhooks#${key}`;
  const [club, wallet] = await Promise.all([
    kit.agent('club', {
      ledger: 'writes',
      flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--preserve-exchange-records'],
      webhooks,
    }),
    kit.agent('wallet', {
      ledger: 'reads',
      flags: ['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential', '--preserve-exchange-records'],
    }),
  ]);
  const { credDefId } = await anchor(club.controller, Object.keys(MEMBER), step, false, 'membership');
  const credential = await step('the club makes Ada a member', async () => {
    const issuerConnection = await connect(club.controller, wallet.controller);
    return [
      await issueOne({ issuer: club.controller, holder: wallet.controller }, { issuerConnection, credDefId }, MEMBER),
      JSON.stringify(MEMBER),
    ];
  });
  await step('start the provider', async () => {
    const configurations = join(kit.folder, 'configurations');
    mkdirSync(configurations, { recursive: true });
    for (const file of readdirSync(`${HERE}configurations`))
      writeFileSync(join(configurations, file), readFileSync(`${HERE}configurations/${file}`, 'utf8').replaceAll('CRED_DEF_ID', credDefId));
    const settings = join(kit.folder, 'provider.json');
    const agent = { url: club.url, key: club.key, webhook_key: key };
    writeFileSync(
      settings,
      JSON.stringify({ issuer, port, agent, configurations, secrets: join(kit.folder, 'secrets.json'), clients: [SHOP, FORUM] }),
    );
    const provider = program('provider', kit.folder, 'examples/login/provider.mjs', [settings], (output) =>
      output.includes('"ready":true'),
    );
    await open(provider.start().then(() => provider));
    return [undefined, issuer];
  });
  const website = await open(startCommanded(`${HERE}client.mjs`));
  return { issuer, club, wallet: wallet.controller, credential, website };
}

/** Begins a login, up to the page of the provider. */
export const begin = ({ issuer, website }: Logins, client: Client, parameters: object, more: object = {}): Promise<Body> =>
  website.ask('begin', { issuer, client, redirect_uri: client.redirect_uris[0], parameters, ...more });

/** The short link on a page. */
export const linkOn = (html: string): string => /href="(http[^"]*)">Link</.exec(html)![1]!;

/** The wallet takes the link of a page, and has the request. */
export async function scan(wallet: Controller, html: string): Promise<Body> {
  const { attach_thread_id } = await wallet.post('/out-of-band/receive-invitation', { invitation_url: linkOn(html) });
  const asked = (one: Body): boolean => one.thread_id === attach_thread_id && one.state === 'request-received';
  return await wallet.event('present_proof_v2_0', asked, 'a proof request');
}

/** Shares all that is asked for, with the member's credential. */
export async function share({ wallet, credential }: Logins, { pres_ex_id }: Body): Promise<void> {
  const { by_format } = await wallet.get(`/present-proof-2.0/records/${pres_ex_id}`);
  const { requested_attributes, requested_predicates } = by_format.pres_request.anoncreds;
  const each = (asked: object, more: object): object =>
    Object.fromEntries(Object.keys(asked).map((referent) => [referent, { cred_id: credential, ...more }]));
  await wallet.post(`/present-proof-2.0/records/${pres_ex_id}/send-presentation`, {
    anoncreds: {
      requested_attributes: each(requested_attributes, { revealed: true }),
      requested_predicates: each(requested_predicates, {}),
      self_attested_attributes: {},
    },
  });
}

/** Looks at the page again, as it does itself, until it is another one or leads back to the website. */
export const onward = ({ website }: Logins, before: string): Promise<Body> =>
  until(async () => {
    const seen = await website.ask('look');
    return (seen.back || !seen.html.includes(linkOn(before))) && seen;
  }, 'another page');

/** A whole login. @returns the claims of the ID token, and those of the userinfo endpoint */
export async function login(logins: Logins, client: Client, parameters: object): Promise<{ claims: Body; userinfo: Body }> {
  const { html } = await begin(logins, client, parameters);
  await share(logins, await scan(logins.wallet, html));
  const { back, error } = await onward(logins, html);
  if (!back || error) throw new Error(`the browser is not sent back: ${error ?? 'the proof was refused'}`);
  const done = await logins.website.ask('finish');
  if (done.error) throw new Error(`the code is refused: ${done.error}`);
  return done;
}

export async function run(kit: Kit): Promise<void> {
  const logins = await prepare(kit);
  for (const [client, parameters] of [
    [SHOP, { pres_req_conf_id: 'member' }],
    [SHOP, { pres_req_conf_id: 'member' }],
    [FORUM, { acr_values: 'adult' }],
  ] as const)
    await kit.step(`Ada logs in at ${client.client_name}`, async () => {
      const { claims } = await login(logins, client, parameters);
      return [undefined, `sub ${claims.sub}, ${claims.vc_presented_attributes}`];
    });
}
