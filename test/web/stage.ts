import { after, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { launch, skipReason } from '../support/browser.ts';

/** What the tests of screens share: one browser, one ledger and three agents, made when the first test wants them. */
export interface Stage {
  browser(): Promise<Browser>;
  issuer(): Promise<TestAgent>;
  holder(): Promise<TestAgent>;
  /** An agent of several wallets. */
  agency(): Promise<TestAgent>;
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
const agency = once(() =>
  world.start('agency', { flags: ['--multitenant', '--jwt-secret', 'a secret of these tests', '--multitenant-admin', '--reservations'] }),
);
const stage: Stage = {
  browser,
  issuer,
  holder,
  agency,
  connected: once(async () => await connect(await issuer(), await holder())),
};
after(() => world.close());

/** A test of pages: skipped, with the reason, where there is no Chromium. */
export const screenTest: ScreenTest = (title, run) => {
  test(title, { skip: skipReason() ?? false }, () => run(stage));
};

export type { Body };
