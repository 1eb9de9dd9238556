import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';
import type { TestAgent } from './agents.ts';
import { writeGallery } from './gallery.ts';
import { sessionCookie } from './session.ts';

export { HOSTILE, PICTURES } from './hostile.ts';

/** Support for tests of pages: a real Chromium, and the checks that every screen passes. */

const NAMES = ['chromium', 'google-chrome', 'google-chrome-stable', 'chromium-browser'];

/** The Chromium that `FLEXID_CHROMIUM` names, else one of the machine's; undefined where there is none. */
export function chromiumPath(): string | undefined {
  const given = process.env.FLEXID_CHROMIUM;
  if (given) return existsSync(given) ? given : undefined;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** Why tests of pages are skipped; undefined where they run. With `FLEXID_REQUIRE_CHROMIUM=1` they fail instead. */
export function skipReason(): string | undefined {
  if (chromiumPath() !== undefined || process.env.FLEXID_REQUIRE_CHROMIUM === '1') return undefined;
  return 'web (no Chromium: apt-get install chromium, or set FLEXID_CHROMIUM)';
}

/** Launches the browser. Its flags make what it draws the same everywhere. @throws Error where there is none */
export async function launch(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error('no Chromium: apt-get install chromium, or set FLEXID_CHROMIUM');
  return await chromium.launch({
    executablePath,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--font-render-hinting=none',
      '--disable-lcd-text',
      '--force-color-profile=srgb',
    ],
  });
}

export interface Visit {
  /** The operator's key unless other fields of the sign-in are given; null: nobody signs in. */
  readonly as?: object | null;
  readonly language?: 'en' | 'fr' | 'ar';
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
}

/** A page, and whatever went wrong in it: errors, refusals of the policy, requests that left the origin. */
export interface Visited {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly problems: string[];
  /** Goes to a place within the console, as in `connections/invite`. */
  go(place: string): Promise<void>;
  /** Closes the page. @throws AssertionError where anything went wrong */
  close(): Promise<void>;
}

/** Opens the console of an agent in a context of its own. */
export async function visit(browser: Browser, agent: Pick<TestAgent, 'admin' | 'key'>, place = '', wishes: Visit = {}): Promise<Visited> {
  const { as = { key: agent.key } } = wishes;
  const cookies: Parameters<BrowserContext['addCookies']>[0][number][] = [];
  if (as !== null) {
    const { name, value } = await sessionCookie(agent.admin, as);
    cookies.push({ name, value, url: agent.admin.replace('http:', 'https:'), secure: true, httpOnly: true, sameSite: 'Strict' });
  }
  const visited = await visitPages(browser, agent.admin, '/console/', wishes, async (context) => await context.addCookies(cookies));
  await visited.go(place);
  return visited;
}

/** Opens pages of an origin in a context of its own, which goes nowhere yet. @param ready - called with the context, before there is a page */
export async function visitPages(
  browser: Browser,
  origin: string,
  path: string,
  { language = 'en', width = 1200, scheme = 'light' }: Visit,
  ready: (context: BrowserContext) => Promise<unknown> = async () => {},
): Promise<Visited> {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme: scheme,
    locale: language,
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const problems: string[] = [];
  await ready(context);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    // a refused call is answered with its status, which the page shows; so is a socket of a session that is no more
    if (
      message.type() === 'error' &&
      !/the server responded with a status of (?:4\d\d|502|503|504)|Unexpected response code: 40[13]|HTTP Authentication failed/.test(text)
    )
      problems.push(`console: ${text}`);
  });
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  page.on('request', (request) => {
    const { origin: asked, protocol } = new URL(request.url());
    if (asked !== origin && protocol !== 'blob:') problems.push(`request: ${request.url().slice(0, 200)}`);
  });
  await page.addInitScript(`
    document.addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective + ' ' + event.sample));
  `);
  const visited: Visited = {
    page,
    context,
    problems,
    async go(to) {
      await page.goto(`${origin}${path}#/${to}`);
      // the fragment's event, and the drawing that follows it
      await page.evaluate('new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))');
      await page.locator('h1').first().waitFor();
      await settled(page);
    },
    async close() {
      await context.close();
      assert.deepEqual(problems, []);
    },
  };
  return visited;
}

/** Waits until nothing is loading. */
export async function settled(page: Page): Promise<void> {
  await page.locator('.loading').first().waitFor({ state: 'detached' });
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const debuggers = new WeakMap<Page, Promise<CDPSession>>();
/** The page's debugger, one for its life: an end of any of them takes away the virtual authenticators of another. */
function debuggerOf(page: Page): Promise<CDPSession> {
  const known = debuggers.get(page) ?? page.context().newCDPSession(page);
  debuggers.set(page, known);
  return known;
}

/** Violations of WCAG 2.2 AA and of axe's best practice. */
async function violations(page: Page, rules?: readonly string[]): Promise<string[]> {
  const session = await debuggerOf(page);
  // the page's policy does not bind the debugger
  await session.send('Runtime.evaluate', { expression: `window.axe || ${axeWrapped}` });
  const runOnly = rules ? { type: 'rule', values: rules } : { type: 'tag', values: TAGS };
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, ${JSON.stringify({ runOnly, resultTypes: ['violations'] })}).then(({ violations }) =>
        violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + (failureSummary || '').slice(0, 300))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value as string[];
}
const axeWrapped = `(() => { ${axeSource} })()`;

/** No violation of WCAG 2.2 AA in light, nor of contrast in dark. */
export async function checkAxe({ page }: Visited): Promise<void> {
  await page.emulateMedia({ colorScheme: 'light' });
  assert.deepEqual(await violations(page), [], 'axe, light');
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.deepEqual(await violations(page, ['color-contrast']), [], 'axe, dark');
  await page.emulateMedia({ colorScheme: 'light' });
}

/** At 320 px nothing is wider than the page (WCAG 1.4.10). */
export async function checkNarrow({ page }: Visited): Promise<void> {
  const before = page.viewportSize()!;
  await page.setViewportSize({ width: 320, height: 640 });
  const wide = (await page.evaluate(`(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')]
      .filter((one) => one.getBoundingClientRect().right > width + 1 || one.getBoundingClientRect().left < -1)
      .filter((one) => !one.closest('.table, .visually-hidden'))
      .map((one) => one.tagName + '.' + (one.getAttribute('class') || '') + ' ' + (one.textContent || '').slice(0, 60));
  })()`)) as string[];
  assert.deepEqual(wide, [], 'wider than 320 px');
  assert.equal(
    await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'),
    true,
    'it scrolls sideways',
  );
  const hidden = `new Promise((done) => requestAnimationFrame(() => setTimeout(() => done([...document.querySelectorAll('nav.main [aria-current]')]
    .map((one) => one.getBoundingClientRect()).filter(({ left, right, width }) => width < 300 && (left < -1 || right > 321)).length), 0)))`;
  assert.equal(await page.evaluate(hidden), 0, 'the navigation does not show where one is');
  await page.setViewportSize(before);
}

/** At 320 px every control that is scrolled to the foot of the page can be seen and clicked: news cover none of them. */
export async function checkUncovered({ page }: Visited): Promise<void> {
  const before = page.viewportSize()!;
  await page.setViewportSize({ width: 320, height: 640 });
  const covered = (await page.evaluate(`[...document.querySelectorAll('main a[href], main button, main input, main select, main summary')]
    .filter((one) => one.getClientRects().length > 0)
    .flatMap((one) => {
      one.scrollIntoView({ block: 'end' });
      const { left, top, width, height } = one.getClientRects()[0];
      const found = document.elementFromPoint(left + width / 2, top + height / 2);
      return found && one.contains(found) ? [] : [one.tagName + ' ' + one.textContent.slice(0, 60) + ' under ' + (found && found.className)];
    })`)) as string[];
  assert.deepEqual(covered, []);
  await page.setViewportSize(before);
}

/** `Tab` reaches all that can be operated, in a ring, each seen to have the focus, and none smaller than 24 px. */
export async function checkKeyboard({ page }: Visited): Promise<void> {
  const wanted = (await page.evaluate(`(() => {
    document.activeElement && document.activeElement.blur();
    const root = document.querySelector('dialog[open]') || document;
    const all = [...root.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
      .filter((one) => one.getClientRects().length > 0 && one.tabIndex >= 0 && !one.disabled && !one.closest('details:not([open]) > :not(summary)'));
    all.forEach((one, n) => one.setAttribute('data-tab', String(n)));
    return all.length;
  })()`)) as number;
  const seen = new Set<string>();
  const faults: string[] = [];
  for (let n = 0; n < wanted + 3; n++) {
    await page.keyboard.press('Tab');
    const one = (await page.evaluate(`(() => {
      const one = document.activeElement;
      if (!one || one === document.body) return null;
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      const inline = one.tagName === 'A' && style.display === 'inline';
      return {
        tab: one.getAttribute('data-tab'),
        what: one.tagName + ' ' + (one.textContent || one.getAttribute('aria-label') || one.id || '').slice(0, 60),
        seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
        small: !inline && (box.width < 24 || box.height < 24),
      };
    })()`)) as { tab: string | null; what: string; seen: boolean; small: boolean } | null;
    if (!one) continue;
    if (one.tab !== null) seen.add(one.tab);
    if (!one.seen) faults.push(`no focus is seen: ${one.what}`);
    if (one.small) faults.push(`smaller than 24 px: ${one.what}`);
  }
  assert.deepEqual([...new Set(faults)], []);
  assert.equal(seen.size, wanted, 'not all that can be operated was reached by Tab');
}

const FOLDER = process.env.FLEXID_PICTURES;
let drawn = 0;

/** Pictures of a page as it is: light, dark and narrow. Without a name theirs begin with the order in which they were made. */
export async function draw(page: Page, given?: string): Promise<void> {
  if (FOLDER === undefined) return;
  mkdirSync(FOLDER, { recursive: true });
  const title = (await page.title()).toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-');
  const name = given ?? `seen-${process.pid}-${String(++drawn).padStart(3, '0')}-${title}`;
  const before = page.viewportSize()!;
  for (const [look, colorScheme, width] of [
    ['light', 'light', before.width],
    ['dark', 'dark', before.width],
    ['narrow', 'light', 320],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ ...before, width });
    const path = join(FOLDER, `${name}-${look}.png`);
    await page.screenshot({ path, fullPage: true, animations: 'disabled' });
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(before);
  writeGallery(FOLDER);
}

/** All of it: what every screen must pass, in each of its states that a test brings about. */
export async function checkScreen(visited: Visited): Promise<void> {
  await settled(visited.page);
  await draw(visited.page);
  await checkAxe(visited);
  await checkNarrow(visited);
  await checkKeyboard(visited);
}

/** The same place in Arabic: mirrored, and no wider than the page. */
export async function checkMirrored(browser: Browser, agent: TestAgent, place: string): Promise<void> {
  const visited = await visit(browser, agent, place, { language: 'ar' });
  assert.equal(await visited.page.evaluate('document.documentElement.dir'), 'rtl');
  const left = async (selector: string): Promise<number> => (await visited.page.locator(selector).boundingBox())!.x;
  assert.ok((await left('nav.main')) > (await left('main')), 'the navigation is not on the right');
  await checkNarrow(visited);
  await visited.close();
}

/** No text of a page has become an element that runs, loads or leads elsewhere. @param own - origins that the page itself leads to */
export async function checkInert({ page }: Visited, own: readonly string[] = []): Promise<void> {
  await settled(page);
  const found = await page.evaluate(`[...document.querySelectorAll('#app *')].flatMap((one) => {
    const faults = [];
    // the logo of a look: bytes that are here; its colours, which a script has set
    const logo = one.localName === 'img' && one.className === 'logo' && one.src.startsWith('blob:' + location.origin);
    if (!logo && /^(?:script|style|link|meta|base|iframe|frame|object|embed|img|picture|source|video|audio|image|use|foreignobject|math|template|slot)$/i.test(one.localName))
      faults.push('it is there');
    for (const { name, value } of one.attributes) {
      if (logo && name === 'src') continue;
      if (name === 'style' && /^(?:--(?:band|ink|edge-band): #[0-9a-f]{6}; ?)+$/.test(value)) continue;
      if (/^on|^(?:src|srcset|background|poster|data|action|formaction|style|ping|xlink:href)$/i.test(name)) faults.push(name + '=' + value);
      if (name === 'href' && !value.startsWith('#') && !${JSON.stringify(own)}.some((origin) => value.startsWith(origin))) faults.push('href=' + value);
    }
    return faults.map((fault) => one.localName + ': ' + fault.slice(0, 200));
  })`);
  assert.deepEqual(found, []);
}
