import { createHash } from 'node:crypto';
import encodeQR from 'qr';

/** The page of a login, made on the server: it has no script, and asks again by itself while it waits. */

const STYLE = `body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}
svg{width:16rem;height:16rem;max-width:100%;background:#fff}
a,button{display:inline-block;font:inherit;padding:.6rem 1rem;margin:.3rem .3rem .3rem 0}`;
const HASH = createHash('sha256').update(STYLE).digest('base64');

/** Headers of every page: no script, no frame, nothing from elsewhere, nothing kept. */
export const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
};

const html = (text: string): string =>
  text.replace(/[&<>"']/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[one]!);

const page = (title: string, body: string, refresh: boolean): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
${refresh ? '<meta http-equiv="refresh" content="2">' : ''}<title>${html(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${html(title)}</h1>${body}</main></body></html>`;

const again = (action: string): string =>
  `<form method="post" action="${html(action)}/again"><button>Start again</button></form>
<form method="post" action="${html(action)}/cancel"><button>Cancel</button></form>`;

export interface Waiting {
  /** The page's own path. */
  readonly action: string;
  readonly client: string;
  /** The short link, which a code shows. */
  readonly link: string;
  /** The same for a wallet on this device. */
  readonly invitation: string;
  readonly wants: readonly string[];
}

/** While the wallet has not answered. */
export const waitingPage = ({ action, client, link, invitation, wants }: Waiting): string =>
  page(
    'Log in with your wallet',
    `<p><bdi>${html(client)}</bdi> asks for: ${wants.map((one) => `<b><bdi>${html(one)}</bdi></b>`).join(', ')}.</p>
<p>Scan this with your wallet.</p>${encodeQR(link, 'svg')}
<p><a href="didcomm://invite${html(new URL(invitation).search)}">Wallet on this device</a> <a href="${html(link)}">Link</a></p>
<p>This page goes on by itself.</p>${again(action)}`,
    true,
  );

/** After a wallet that declined, or a proof that does not hold. @param why - a sentence for people */
export const failedPage = (action: string, why: string): string =>
  page('That did not work', `<p role="status">${html(why)}</p>${again(action)}`, false);

/** What to show for a login that is not this browser's, or is over. */
export const gonePage = (): string =>
  page(
    'This login is over',
    '<p>It took too long, or was begun in another browser. Please begin again where you wanted to log in.</p>',
    false,
  );
