import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { settled, type Visited } from './browser.ts';

/** Pages as assistive technology has them, against what is committed. `FLEXID_WRITE_ARIA=1 ./flexid test web` writes them anew. */

const FOLDER = fileURLToPath(new URL('../vectors/aria/', import.meta.url));

/** What differs from run to run has a name in its place: times, ids, ports, counts. */
const stable = (text: string): string =>
  text
    .replace(/\b[A-Z][a-z]{2} \d+, \d{4}, \d+:\d+ [AP]M/g, 'TIME')
    .replace(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, 'ID')
    .replace(/\b[0-9a-f]{8}\b/g, 'ID')
    .replace(/whsec_\S+/g, 'SECRET')
    .replace(/(?<!level=)\d+/g, 'N');

/** @param name of the file that has the page @param part of the page */
export async function checkAria({ page }: Visited, name: string, part = 'main'): Promise<void> {
  const path = join(FOLDER, `${name.replaceAll('/', '-')}.yml`);
  await settledAria(page);
  const found = `${stable(await page.locator(part).ariaSnapshot())}\n`;
  if (process.env.FLEXID_WRITE_ARIA) {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(path, found);
  } else
    assert.equal(
      found,
      existsSync(path) ? readFileSync(path, 'utf8') : '',
      `${path}: FLEXID_WRITE_ARIA=1 ./flexid test web writes it anew`,
    );
}

/** The socket is open too: its state is on the page. */
async function settledAria(page: Visited['page']): Promise<void> {
  await settled(page);
  if ((await page.locator('nav.main').count()) > 0) await page.locator('.top .chip.good').waitFor();
}
