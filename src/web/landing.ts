import { createHash } from 'node:crypto';
import { MAX_QR_BYTES, qrPath } from '../admin/qr.ts';
import type { PublicAnswer } from '../ports/public.ts';

/** An invitation as its landing page shows it to whoever opened its URL in a browser. */
export interface Landing {
  /** The label and the goal that the inviter chose: anybody's text. Absent where nothing of it is known to be ours. */
  readonly label?: string;
  readonly goal?: string;
  /** The URL that a wallet scans, or that is handed on. */
  readonly url: string;
  /** Opens a wallet app on this device. */
  readonly app: string;
  /** Opens the web wallet of this agent; absent where it has none. */
  readonly wallet?: string;
}

const SHOWN = 200;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]!);

/** Controls, and marks that turn or hide text; joiners stay, which scripts and emoji need. */
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** A text of others as HTML: at most 200 characters, what cannot be seen as its code point, and its direction its own. */
export function foreignText(text: string): string {
  const all = Array.from(text.slice(0, 4 * SHOWN));
  const cut = all.length > SHOWN || text.length > 4 * SHOWN ? `${all.slice(0, SHOWN).join('')}…` : text;
  const seen = cut
    .replace(/[\t\r\n]+/g, ' ')
    .replace(UNSEEN, (char) => `[U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`);
  return `<bdi>${escaped(seen)}</bdi>`;
}

const STYLE = `:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}
body{margin:0 auto;padding:1.5rem 1rem;max-width:32rem;overflow-wrap:anywhere}
h1{font-size:1.4rem;line-height:1.3}
svg{display:block;width:min(100%,20rem);height:auto;margin:1rem 0;background:#fff}
a{display:inline-block;padding:.4rem 0}
.open{padding:.6rem 1rem;border:2px solid;border-radius:.5rem;font-weight:600}
label{display:block;margin-top:1rem}
input{box-sizing:border-box;width:100%;padding:.5rem;font:inherit}
button{margin-top:.5rem;padding:.5rem 1rem;font:inherit;cursor:pointer}
.note{opacity:.85}`;
/** Copies the link, and asks for the state again when a person comes back from the wallet app. All else works without it. */
const SCRIPT = `const $=(s)=>document.querySelector(s),link=$('input'),copy=$('button'),said=$('[role=status]');
if(navigator.clipboard){copy.hidden=false;copy.addEventListener('click',()=>navigator.clipboard.writeText(link.value).then(()=>{said.textContent='Copied.'},()=>link.select()))}
let left=false;$('.open').addEventListener('click',()=>{left=true});
document.addEventListener('visibilitychange',()=>{if(left&&!document.hidden)location.reload()});`;
const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

function page(status: number, title: string, body: readonly string[], script = ''): PublicAnswer {
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      vary: 'accept',
    },
    body: `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${title}</title>\n<style>${STYLE}</style>\n<main>\n${body.join('\n')}\n</main>\n${script}</html>\n`,
  };
}

/** One sentence as a page. */
export const sentencePage = (status: number, text: string): PublicAnswer => page(status, escaped(text), [`<h1>${escaped(text)}</h1>`]);

function qrCode(text: string): string[] {
  if (Buffer.byteLength(text) > MAX_QR_BYTES)
    return ['<p>This link is too long for a QR code: open it on the device that has the wallet.</p>'];
  const { size, path } = qrPath(text);
  return [
    '<p>Scan it with a wallet app:</p>',
    `<svg role="img" aria-label="QR code of this invitation" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path fill="#000" d="${path}"/></svg>`,
  ];
}

/**
 * The landing page of an invitation (RFC 0434): who invites and what for, a QR code, links into a wallet on this device, the URL to copy, and a way to begin again. It
 * loads nothing, and nobody can put it into a frame; texts of others are shown and never run.
 */
export function landingPage({ label, goal, url, app, wallet }: Landing): PublicAnswer {
  const who = label === undefined || label === '' ? undefined : foreignText(label);
  return page(
    200,
    'An invitation',
    [
      `<h1>${who === undefined ? 'An invitation' : `${who} invites you`}</h1>`,
      ...(who === undefined ? [] : ['<p class="note">The inviter chose this name, and nobody has checked it.</p>']),
      ...(goal === undefined || goal === '' ? [] : [`<p>What for: ${foreignText(goal)}</p>`]),
      ...qrCode(url),
      `<p><a class="open" href="${escaped(app)}">Open in a wallet on this device</a></p>`,
      ...(wallet === undefined ? [] : [`<p><a href="${escaped(wallet)}" rel="noreferrer">Open in the wallet here</a></p>`]),
      `<label for="link">Or copy the link into your wallet</label>\n<input id="link" readonly value="${escaped(url)}">`,
      '<button type="button" hidden>Copy the link</button> <span role="status"></span>',
      '<p>Taking long? <a href="">Start again</a></p>',
    ],
    `<script>${SCRIPT}</script>\n`,
  );
}
