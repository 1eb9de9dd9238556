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

/** The words of the page by language, the first one for whoever names none of them. */
const WORDS = {
  en: {
    ...{
      title: 'An invitation',
      invites: '{who} invites you',
      unchecked: 'The inviter chose this name, and nobody has checked it.',
      goal: 'What for:',
    },
    ...{
      scan: 'Scan it with a wallet app:',
      qr: 'QR code of this invitation',
      app: 'Open in a wallet on this device',
      here: 'Open in the web wallet',
    },
    ...{ copy: 'Copy the link', or: 'Or copy the link into your wallet', copied: 'Copied.', long: 'Taking long?', again: 'Start again' },
    tooLong: 'This link is too long for a QR code: open it on the device that has the wallet.',
  },
  fr: {
    ...{
      title: 'Une invitation',
      invites: '{who} vous invite',
      unchecked: 'La personne qui invite a choisi ce nom, que personne n’a vérifié.',
      goal: 'Pourquoi\u00a0:',
    },
    ...{
      scan: 'Scannez-la avec une application de portefeuille\u00a0:',
      qr: 'Code QR de cette invitation',
      app: 'Ouvrir dans un portefeuille de cet appareil',
    },
    ...{
      here: 'Ouvrir dans le portefeuille web',
      copy: 'Copier le lien',
      or: 'Ou copiez le lien dans votre portefeuille',
      copied: 'Copié.',
    },
    ...{ long: 'C’est long\u202f?', again: 'Recommencer' },
    tooLong: 'Ce lien est trop long pour un code QR\u00a0: ouvrez-le sur l’appareil qui a le portefeuille.',
  },
  ar: {
    ...{ title: 'دعوة', invites: '{who} يدعوك', unchecked: 'اختار صاحب الدعوة هذا الاسم، ولم يتحقق منه أحد.', goal: 'الغرض:' },
    ...{ scan: 'امسحها بتطبيق محفظة:', qr: 'رمز QR لهذه الدعوة', app: 'افتحها في محفظة على هذا الجهاز', here: 'افتحها في محفظة الويب' },
    ...{ copy: 'نسخ الرابط', or: 'أو انسخ الرابط إلى محفظتك', copied: 'تم النسخ.', long: 'هل طال الانتظار؟', again: 'ابدأ من جديد' },
    tooLong: 'هذا الرابط أطول من أن يتسع له رمز QR: افتحه على الجهاز الذي فيه المحفظة.',
  },
} as const;
type Language = keyof typeof WORDS;

/** The first language of a browser's that there are words in. @param accepted its `accept-language` (RFC 9110 section 12.5.4) */
export function languageOf(accepted: string | undefined): Language {
  const asked = (accepted ?? '')
    .slice(0, 200)
    .split(',')
    .slice(0, 20)
    .map((part, place) => {
      const [name = '', ...more] = part.split(';');
      const weight = Number(/^\s*q=([0-9.]+)/i.exec(more.join(';'))?.[1] ?? 1);
      return { name: name.trim().toLowerCase().split('-')[0]!, weight: Number.isFinite(weight) ? weight : 0, place };
    });
  const found = asked
    .filter(({ name, weight }) => Object.hasOwn(WORDS, name) && weight > 0)
    .sort((a, b) => b.weight - a.weight || a.place - b.place)[0];
  return (found?.name as Language | undefined) ?? 'en';
}

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

const STYLE = `:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif;--text:light-dark(#15191f,#e8eaee);--soft:light-dark(#4d5663,#a9b2bf);--card:light-dark(#fff,#1c2027);--edge:light-dark(#747d8a,#838d9b);--main:light-dark(#1a56b0,#8ab8ff);--on-main:light-dark(#fff,#0b1320)}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem 1rem;background:light-dark(#f3f4f7,#14171c);color:var(--text);overflow-wrap:anywhere}
main{max-width:27rem;margin:0 auto;padding:1.25rem;background:var(--card);border:1px solid light-dark(#c9ced6,#3b424d);border-radius:.75rem}
h1{font-size:1.4rem;line-height:1.3;margin:0 0 .5rem}
p{margin:.5rem 0}
svg{display:block;width:min(100%,17rem);height:auto;margin:.5rem auto 1rem;background:#fff;border-radius:.4rem}
a{color:var(--main);display:inline-block;padding:.4rem 0}
.open,button{display:block;width:100%;padding:.6rem 1rem;border:1px solid var(--edge);border-radius:.5rem;background:var(--card);color:var(--text);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.open.main{background:var(--main);border-color:var(--main);color:var(--on-main)}
button{margin-top:.5rem}
button[hidden]{display:none}
:focus-visible{outline:3px solid var(--main);outline-offset:2px}
label{display:block;margin-top:1rem;font-weight:600}
input{width:100%;padding:.5rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--edge);border-radius:.5rem}
.note{color:var(--soft)}`;
/** Copies the link, and asks for the state again when a person comes back from the wallet app. All else works without it. */
const SCRIPT = `const $=(s)=>document.querySelector(s),link=$('input'),copy=$('button'),said=$('[role=status]');
if(navigator.clipboard){copy.hidden=false;copy.addEventListener('click',()=>navigator.clipboard.writeText(link.value).then(()=>{said.textContent=said.dataset.said},()=>link.select()))}
let left=false;$('[data-app]').addEventListener('click',()=>{left=true});
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

function page(status: number, title: string, body: readonly string[], script = '', language: Language = 'en'): PublicAnswer {
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      vary: 'accept, accept-language',
    },
    body: `<!doctype html>\n<html lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${title}</title>\n<style>${STYLE}</style>\n<main>\n${body.join('\n')}\n</main>\n${script}</html>\n`,
  };
}

/** One sentence as a page. */
export const sentencePage = (status: number, text: string): PublicAnswer => page(status, escaped(text), [`<h1>${escaped(text)}</h1>`]);

function qrCode(text: string, words: (typeof WORDS)[Language]): string[] {
  if (Buffer.byteLength(text) > MAX_QR_BYTES) return [`<p>${words.tooLong}</p>`];
  const { size, path } = qrPath(text);
  return [
    `<p>${words.scan}</p>`,
    `<svg role="img" aria-label="${words.qr}" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path fill="#000" d="${path}"/></svg>`,
  ];
}

/**
 * The landing page of an invitation (RFC 0434): who invites and what for, a QR code, links into a wallet on this device, the URL to copy, and a way to begin again. It
 * loads nothing, and nobody can put it into a frame; texts of others are shown and never run.
 */
export function landingPage({ label, goal, url, app, wallet }: Landing, language: Language = 'en'): PublicAnswer {
  const words = WORDS[language];
  const who = label === undefined || label === '' ? undefined : foreignText(label);
  // the wallet here is the way that works without an app
  const [first, second] = wallet === undefined ? ['open main', ''] : ['open', 'open main'];
  return page(
    200,
    words.title,
    [
      `<h1>${who === undefined ? words.title : words.invites.replace('{who}', () => who)}</h1>`,
      ...(who === undefined ? [] : [`<p class="note">${words.unchecked}</p>`]),
      ...(goal === undefined || goal === '' ? [] : [`<p>${words.goal} ${foreignText(goal)}</p>`]),
      ...qrCode(url, words),
      ...(wallet === undefined ? [] : [`<p><a class="${second}" href="${escaped(wallet)}" rel="noreferrer">${words.here}</a></p>`]),
      `<p><a class="${first}" data-app href="${escaped(app)}">${words.app}</a></p>`,
      `<label for="link">${words.or}</label>\n<input id="link" dir="ltr" readonly value="${escaped(url)}">`,
      `<button type="button" hidden>${words.copy}</button> <span role="status" data-said="${words.copied}"></span>`,
      `<p>${words.long} <a href="">${words.again}</a></p>`,
    ],
    `<script>${SCRIPT}</script>\n`,
    language,
  );
}
