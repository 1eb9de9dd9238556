/**
 * The service worker of the web wallet: the shell of the page, so that the installed wallet opens where there is no network, and nothing else. What is in a wallet comes by
 * calls, which go past this file, and is kept nowhere.
 */

/** What of a service worker is used here: the types of these are not those of a page. */
interface Worker {
  addEventListener(type: 'install' | 'activate', listener: (event: { waitUntil(work: Promise<unknown>): void }) => void): void;
  addEventListener(
    type: 'fetch',
    listener: (event: { readonly request: Request; respondWith(answer: Promise<Response>): void }) => void,
  ): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
}
const worker = self as unknown as Worker;
const PAGE = '/';
/** The version of the files is in this script's address: another one is another cache. */
const CACHE = `flexid-wallet ${location.search}`;
const LANGUAGES = ['en', 'fr', 'ar'];

/** The page and its files, as a stranger gets them. */
async function keepShell(): Promise<void> {
  const cache = await caches.open(CACHE);
  const page = await fetch(PAGE, { cache: 'no-store', credentials: 'omit' });
  const text = await page.clone().text();
  const files = new Set(text.match(/\/a\/[\w-]+\/[\w./-]+\.[a-z]+/g));
  const [, base] = /data-base="([^"]+)"/.exec(text) ?? [];
  for (const language of LANGUAGES) files.add(`${base}/text/${language}.json`);
  await cache.addAll([...files]);
  await cache.put(PAGE, page);
  await worker.skipWaiting();
}

async function dropOthers(): Promise<void> {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await worker.clients.claim();
}

/** A file of the shell never changes under its address. */
const fileOf = async (request: Request): Promise<Response> => (await caches.match(request)) ?? (await fetch(request));

/** The page is the server's where that answers: it may be another version. */
async function pageOf(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(PAGE);
    if (!kept) throw error;
    return kept;
  }
}

worker.addEventListener('install', (event) => event.waitUntil(keepShell()));
worker.addEventListener('activate', (event) => event.waitUntil(dropOthers()));
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (pathname.startsWith('/a/')) event.respondWith(fileOf(request));
  else if (request.mode === 'navigate' && pathname === PAGE) event.respondWith(pageOf(request));
});
