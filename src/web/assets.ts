import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** A file as browsers get it. */
export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  /** The same, compressed. */
  readonly gzip: Buffer;
}

/** A front end: its page, the policy that the page is served with, and its files. */
export interface FrontEnd {
  readonly page: Buffer;
  readonly policy: string;
  /** A file of this build. @param path as in `<hash>/lib/h.ts` */
  file(path: string): Asset | undefined;
  /** Where browsers can install it: its web app manifest, and the script of its service worker. */
  readonly installed?: { readonly manifest: Buffer; readonly worker: Buffer };
}

const WEB = fileURLToPath(new URL('../../web/', import.meta.url));
/** Modules of packages, by the names that imports have for them: where each is served. Those of a package that import one another are beside each other. */
const PACKAGES: Readonly<Record<string, string>> = { preact: 'preact.js', 'preact/hooks': 'preact-hooks.js', qr: 'qr/index.js' };
const NOBLE = ['argon2', 'pbkdf2', 'sha2', 'blake2', 'utils', 'webcrypto', 'hmac', '_blake', '_md', '_u64'].map(
  (one) => `@noble/hashes/${one}.js`,
);
/** More of them, for some of the front ends. */
const MORE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  wallet: {
    'qr/decode.js': 'qr/decode.js',
    '@scure/bip39': 'scure/bip39.js',
    '@scure/bip39/wordlists/english.js': 'scure/english.js',
    ...Object.fromEntries(NOBLE.map((one) => [one, one.slice(1)])),
  },
};
/** Modules that a page loads when it needs them. */
const LATE = /^(?:qr|scure|noble)\//;
/** The file of a module. One that its package does not export stands beside one that it does. */
function fileOf(specifier: string): string {
  const [, own] = /^@noble\/hashes\/(_\w+\.js)$/.exec(specifier) ?? [];
  return fileURLToPath(own ? new URL(own, import.meta.resolve('@noble/hashes/utils.js')) : import.meta.resolve(specifier));
}
const TYPES: Readonly<Record<string, string>> = {
  ts: 'text/javascript; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
};
/** The front ends that browsers can install, and the names under which they do. */
const INSTALLED: Readonly<Record<string, { name: string; short: string }>> = { wallet: { name: 'FlexID wallet', short: 'Wallet' } };
const THEME = '#1f5fbf';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64');

/** JavaScript of a module in TypeScript, at the same places. */
function stripped(text: string): string {
  const { emitWarning } = process;
  // the function is marked as experimental, and the warning would stand in every log
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/**
 * A front end of `web/`, read, stripped and compressed once. No build and no bundle: each module is a file. The hash of all files is part of their URLs, so that
 * relative imports stay as they are and browsers keep what they have.
 * @param name the folder of `web` that has `main.ts` and `screens`
 * @param prefix where it is served, as in `/console`
 */
export function frontEnd(name: string, prefix: string): FrontEnd {
  const installed = INSTALLED[name];
  const sources = new Map<string, Buffer>();
  const parts = [`${name}/**/*.ts`, 'lib/**/*.ts', 'lib/*.css', 'text/*.json', 'icon.svg', ...(installed ? ['icon-*.png'] : [])];
  for (const path of globSync(parts, { cwd: WEB }).sort()) {
    const bytes = readFileSync(join(WEB, path));
    sources.set(path, path.endsWith('.ts') ? Buffer.from(stripped(bytes.toString('utf8'))) : bytes);
  }
  const packages = { ...PACKAGES, ...MORE[name] };
  for (const [specifier, place] of Object.entries(packages))
    sources.set(place, Buffer.from(readFileSync(fileOf(specifier), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/gm, '')));
  const worker = installed && Buffer.from(stripped(readFileSync(join(WEB, 'worker.ts'), 'utf8')));
  const digest = createHash('sha256');
  for (const [path, bytes] of [...sources, ['worker', worker ?? Buffer.alloc(0)] as const])
    digest.update(`${path} ${bytes.length}\n`).update(bytes);
  const hash = digest.digest('base64url').slice(0, 16);
  const base = `${prefix}/a/${hash}`;
  const files = new Map<string, Asset>();
  for (const [path, body] of sources) {
    files.set(`${hash}/${path}`, { type: TYPES[path.split('.').at(-1)!]!, body, gzip: gzipSync(body, { level: 9 }) });
  }
  const imports = Object.fromEntries(Object.entries(packages).map(([specifier, place]) => [specifier, `${base}/${place}`]));
  const map = JSON.stringify({ imports });
  const early = [...sources.keys()].filter((path) => /\.(?:ts|js)$/.test(path) && !LATE.test(path));
  const page = [
    '<!doctype html>',
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    '<title>FlexID</title>',
    `<link rel="icon" href="${base}/icon.svg">`,
    `<link rel="stylesheet" href="${base}/lib/style.css">`,
    ...(installed
      ? [
          `<link rel="manifest" href="${prefix}/manifest.webmanifest">`,
          `<link rel="apple-touch-icon" href="${base}/icon-192.png">`,
          `<meta name="theme-color" content="${THEME}">`,
        ]
      : []),
    `<script type="importmap">${map}</script>`,
    ...early.map((path) => `<link rel="modulepreload" href="${base}/${path}">`),
    `<script type="module" src="${base}/${name}/main.ts"></script>`,
    `<body data-base="${base}" data-prefix="${prefix}"><noscript>This page needs JavaScript.</noscript><div id="app"></div></body>`,
    '</html>\n',
  ].join('\n');
  return {
    page: Buffer.from(page),
    policy: policyOf(map),
    file: (path) => files.get(path),
    ...(installed && worker && { installed: { worker, manifest: Buffer.from(JSON.stringify(manifestOf(installed, prefix, base))) } }),
  };
}

/** A web app manifest. No address in it holds anything of a person. */
const manifestOf = ({ name, short }: { name: string; short: string }, prefix: string, base: string): object => ({
  id: `${prefix}/`,
  name,
  short_name: short,
  start_url: `${prefix}/`,
  scope: `${prefix}/`,
  display: 'standalone',
  theme_color: THEME,
  background_color: '#ffffff',
  icons: [
    { src: `${base}/icon.svg`, sizes: 'any', type: 'image/svg+xml' },
    ...[192, 512].map((size) => ({
      src: `${base}/icon-${size}.png`,
      sizes: `${size}x${size}`,
      type: 'image/png',
      purpose: 'any maskable',
    })),
  ],
});

/** Nothing but what this server serves; the import map alone is inline, by its hash. No text becomes markup or script: `require-trusted-types-for`. */
const policyOf = (map: string): string =>
  [
    "default-src 'none'",
    `script-src 'self' 'sha256-${sha256(map)}'`,
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types sw',
  ].join('; ');

/** The headers of everything that a front end answers. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
  'x-frame-options': 'DENY',
};
