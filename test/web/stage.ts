import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { freePort } from '../../harness/processes.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { launch, skipReason } from '../support/browser.ts';
import { type Provider, startProvider } from '../support/openid-provider.ts';

/** What the tests of screens share: one browser, one ledger and three agents, made when the first test wants them. */
export interface Stage {
  browser(): Promise<Browser>;
  issuer(): Promise<TestAgent>;
  holder(): Promise<TestAgent>;
  /** An agent of several wallets. */
  agency(): Promise<TestAgent>;
  /** An agent with a web wallet. */
  wallets(): Promise<TestAgent>;
  /** An agent at whose console people sign in by an OpenID Provider. */
  townHall(): Promise<{ agent: TestAgent; provider: Provider }>;
  /** Agents at which nothing has happened: one of one wallet, one of many. */
  untouched(): Promise<{ one: TestAgent; many: TestAgent }>;
  /** A connection between the two; each side's id. */
  connected(): Promise<{ inviter: string; invitee: string }>;
}

export type ScreenTest = (title: string, run: (stage: Stage) => Promise<void>) => void;

const world = createWorld();
const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

const browser = once(async () => {
  const launched = await launch();
  world.defer(() => launched.close());
  return launched;
});
const devnet = once(() => world.devnet());
const agent = (name: string, flags: readonly string[], sponsor: boolean) =>
  once(async () => await world.start(name, { devnet: await devnet(), sponsor, flags }));
const issuer = agent('issuer', ['--auto-ping-connection', '--auto-accept-requests', '--store-messages'], true);
const holder = agent('holder', ['--auto-accept-invites', '--auto-accept-requests'], false);
const MANY = ['--multitenant', '--jwt-secret', 'a secret of these tests', '--multitenant-admin', '--reservations'];
const agency = once(() => world.start('agency', { flags: MANY }));
const wallets = agent('wallets', [...MANY, '--wallet', '127.0.0.1', '0'], false);
const stage: Stage = {
  wallets,
  browser,
  issuer,
  holder,
  agency,
  townHall: once(async () => {
    const port = await freePort();
    const redirect = `http://127.0.0.1:${port}/console/oidc/callback`;
    const provider = await startProvider({ id: 'flexid', secret: 'a secret of these tests' }, () => redirect);
    world.defer(() => provider.stop());
    const file = join(world.folder, 'login.json');
    const roles = [{ claim: 'sub', value: 'olga', role: 'reader' }];
    const client = { client_id: 'flexid', client_secret: 'a secret of these tests', redirect_uri: redirect };
    writeFileSync(file, JSON.stringify({ issuer: provider.issuer, name: 'Town Hall', ...client, roles }));
    const agent = await world.start('town', { flags: ['--admin', '127.0.0.1', String(port), '--console-login', file] });
    return { agent, provider };
  }),
  untouched: once(async () => ({
    one: await world.start('new', { noWebhook: true }),
    many: await world.start('new agency', { noWebhook: true, flags: MANY }),
  })),
  connected: once(async () => await connect(await issuer(), await holder())),
};
after(() => world.close());

/** A test of pages: skipped, with the reason, where there is no Chromium. */
export const screenTest: ScreenTest = (title, run) => {
  test(title, { skip: skipReason() ?? false }, () => run(stage));
};

export type { Body };
