import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { anchor, until } from '../../support/agents.ts';
import { checkMirrored, checkScreen, HOSTILE, visit } from '../../support/browser.ts';
import { screenTest } from '../stage.ts';

screenTest(
  'batches: a table is taken from a file, checked by row and column, offered, paused, and its result downloaded',
  async (stage) => {
    const [browser, issuer] = [await stage.browser(), await stage.issuer()];
    if ((await issuer.get('/anoncreds/credential-definitions')).credential_definition_ids.length === 0)
      await anchor(issuer, ['name', 'year']);
    const visited = await visit(browser, issuer, 'batches');
    const { page } = visited;
    page.setDefaultTimeout(60_000);
    await checkScreen(visited);
    await page.locator('main').getByRole('link', { name: 'From a table' }).click();
    await page.getByLabel('File', { exact: true }).waitFor();
    const [empty] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download an empty table' }).click(),
    ]);
    const header = readFileSync(await empty.path(), 'utf8').trim();
    const columns = header.split(',');
    assert.equal(columns.length, 2);

    const upload = (text: string | Buffer): Promise<void> =>
      page
        .getByLabel('File', { exact: true })
        .setInputFiles({ name: 'graduates.csv', mimeType: 'text/csv', buffer: Buffer.from(text as string) });
    await upload(`${header},connection_id,extra\na,b,nobody,x\n`);
    // the page reads the file first
    await until(async () => (await page.getByLabel('Name', { exact: true }).inputValue()) === 'graduates', 'the name of the file');
    await page.getByRole('button', { name: 'Check it' }).click();
    await page.getByRole('cell', { name: 'There is no such connection' }).waitFor();
    await page.getByRole('cell', { name: 'The credential has no such attribute' }).waitFor();
    await checkScreen(visited);
    assert.equal((await issuer.get('/credential-batches')).total, 0);

    const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    const rows = HOSTILE.filter((text) => text.length < 500 && !text.includes('\0')).map((text) => `${cell(text)},2021`);
    // as spreadsheets of Western Europe write it
    await upload(Buffer.concat([Buffer.from(`${columns.join(';')}\r\n`), Buffer.from('Zoé;2020\r\n', 'latin1')]));
    await page.getByRole('button', { name: 'Check it' }).click();
    await page.getByText('1 row, and nothing is wrong with it').waitFor();
    await page.getByRole('cell', { name: 'Zoé' }).waitFor();
    await upload(`${header}\n${rows.join('\n')}\n`);
    await page.getByRole('button', { name: 'Check it' }).click();
    await page.getByRole('button', { name: `Offer ${rows.length} credentials` }).waitFor();
    await checkScreen(visited);
    await page.getByRole('button', { name: /^Offer/ }).click();
    await page.getByRole('heading', { name: 'graduates' }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused', { exact: true }).waitFor();
    await checkScreen(visited);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('Done', { exact: true }).waitFor();
    await page.getByText(`${rows.length} of ${rows.length}`).waitFor();
    const [result] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download the result' }).click()]);
    const lines = readFileSync(await result.path(), 'utf8');
    assert.match(lines, /^[^\n]*,state,cred_ex_id,link,error\r\n/);
    assert.equal(lines.match(/offer-sent|request-received/g)?.length, rows.length);
    await checkScreen(visited);
    await page.getByRole('button', { name: 'Delete this batch' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete this batch' }).click();
    await page.getByText('No table was offered yet').waitFor();
    await until(async () => (await issuer.get('/credential-batches')).total === 0, 'the batch to go');
    await visited.close();
    await checkMirrored(browser, issuer, 'batches/new');
  },
);
