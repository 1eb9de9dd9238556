import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkNarrow, launch, skipReason, visit, visitPages } from '../support/browser.ts';
import { addAuthenticator } from '../support/passkeys.ts';
import { TEST_MS, until } from '../support/waiting.ts';
import { person } from './clicks.ts';

/** The way of a newcomer, from one command on: what stands on the terminal is all that is known. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Where the newcomer begins, and how many clicks are too many, in the console and in the wallet together. */
const MOST = 25;
const ends: (() => unknown)[] = [];
after(async () => {
  for (const end of ends.reverse()) await end();
});

test('./flexid demo --keep --console: a newcomer defines, issues to the web wallet, verifies, revokes and verifies again by mouse', {
  skip: skipReason() ?? false,
  timeout: TEST_MS,
}, async () => {
  const browser = await launch();
  ends.push(() => browser.close());
  const folder = mkdtempSync(join(tmpdir(), 'flexid-newcomer-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  const demo = spawn(process.execPath, [MAIN, 'demo', '--console', '--keep', join(folder, 'kept')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  ends.push(async () => {
    if (demo.exitCode !== null) return;
    demo.kill('SIGINT');
    await once(demo, 'exit');
  });
  let printed = '';
  demo.stdout.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  await until(() => printed.includes('Ctrl-C ends it.') || demo.exitCode !== null, 'the addresses', 120_000);
  const [, admin, key] = /^ {2}issuer +(\S+)\/console\/ +key (\S+)$/m.exec(printed)!;
  const [, origin] = /^ {2}wallet +(\S+)\/$/m.exec(printed)!;

  const desk = await visit(browser, { admin: admin!, key: key! });
  const wallet = await visitPages(browser, origin!, '/', {});
  for (const { page } of [desk, wallet]) page.setDefaultTimeout(120_000);
  await addAuthenticator(wallet.page);
  const [me, holder] = [person(desk), person(wallet)];

  await me.link('Define a credential');
  await me.field('Kind of credential', 'membership');
  await me.field('Attributes', 'name');
  await me.button('Make it');
  await desk.page.getByText('membership 1.0').first().waitFor();
  await me.link('Issue');
  await me.field('name', 'Ada <b>');
  await me.button('Offer it');
  // a link into the wallet, in a tab of its own: the person's browser is the other one here
  const link = desk.page.getByRole('link', { name: 'Open it in the web wallet' });
  await link.waitFor();
  await wallet.page.goto((await link.getAttribute('href'))!);
  assert.equal(await link.getAttribute('target'), '_blank');

  await holder.button('Make a wallet');
  await holder.field('Your name', 'Ada');
  await holder.button('Make it with a passkey');
  await wallet.page.getByRole('heading', { name: 'Scan or paste' }).waitFor();
  await holder.button('Answer it');
  await holder.link('Offer of a card: membership');
  await wallet.page.getByText('Ada <b>').waitFor();
  await holder.button('Accept');
  await wallet.page.getByText('The card is in your wallet.').waitFor();
  await desk.page.getByText('Done', { exact: true }).waitFor();

  /** The console asks, and the wallet answers what it sees above whatever else is open there. */
  const prove = async (): Promise<void> => {
    await me.link('Ask for a proof of it');
    await me.button('Ask');
    await holder.link('Request:');
    await checkNarrow(wallet);
    await holder.button('Share');
    await wallet.page.getByRole('heading', { name: 'What you showed' }).waitFor();
  };
  await prove();
  await desk.page.locator('.verdict.good').waitFor();
  assert.match((await desk.page.locator('.verdict').textContent())!, /Verified.*did:algo/);
  assert.ok((await desk.page.locator('tbody bdi').allTextContents()).includes('Ada <b>'));

  await me.link('Their credential');
  await me.link('Revoke');
  await me.button('Revoke');
  await desk.page.getByRole('heading', { name: /membership/ }).waitFor();
  await prove();
  await desk.page.locator('.verdict.bad').waitFor();
  // the link that leads into the wallet is a click too
  const clicks = 1 + me.clicks() + holder.clicks();
  assert.ok(clicks <= MOST, `${clicks} clicks`);
  for (const one of [desk, wallet]) await one.close();
});
