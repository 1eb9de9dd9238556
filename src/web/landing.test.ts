import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { foreignText, landingPage, languageOf, sentencePage } from './landing.ts';

const LANDING = { url: 'https://agent.example/i/abc', app: 'didcomm://invite?oob=e30' };

test('texts of others are shown as texts, short, with what cannot be seen', () => {
  for (const [given, shown] of [
    ['<script>alert(1)</script>', '<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>'],
    ["\" onload='x' &", '<bdi>&quot; onload=&#39;x&#39; &amp;</bdi>'],
    ['a\u202eb\u2066c\u0000\u200b', '<bdi>a[U+202E]b[U+2066]c[U+0000][U+200B]</bdi>'],
    ['\ud800', '<bdi>[U+D800]</bdi>'],
    ['one\r\n\ttwo', '<bdi>one two</bdi>'],
    ['👩‍🚀', '<bdi>👩‍🚀</bdi>'],
    ['x'.repeat(200), `<bdi>${'x'.repeat(200)}</bdi>`],
    ['x'.repeat(201), `<bdi>${'x'.repeat(200)}…</bdi>`],
    ['\u202e'.repeat(100_000), `<bdi>${'[U+202E]'.repeat(200)}…</bdi>`],
  ] as const)
    assert.equal(foreignText(given), shown);
});

test('a landing page has its script and its style by their hashes, and nothing else can be loaded', () => {
  const { headers, body } = landingPage({
    ...LANDING,
    label: '</script><script>',
    goal: 'javascript:alert(1)',
    wallet: 'https://w.example/#x',
  });
  const policy = headers!['content-security-policy']!;
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const inner = (tag: string): string[] =>
    [...String(body).matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map(([, text]) => text!);
  assert.deepEqual([inner('script').length, inner('style').length], [1, 1]);
  assert.ok(policy.includes(`script-src ${hash(inner('script')[0]!)};`) && policy.includes(`style-src ${hash(inner('style')[0]!)};`));
  assert.ok(policy.startsWith("default-src 'none'") && !policy.includes('unsafe'));
  assert.ok(!/\s(?:src|style|on\w+)=/.test(String(body)), 'no member runs or loads anything');
  const links = [...String(body).matchAll(/href="([^"]*)"/g)].map(([, href]) => href!);
  assert.deepEqual(links, ['https://w.example/#x', LANDING.app, '']);
});

test('a link that no QR code holds has none, and a sentence is a page without a script', () => {
  const { body } = landingPage({ ...LANDING, url: `https://agent.example/?oob=${'x'.repeat(3000)}` });
  assert.ok(!String(body).includes('<svg') && String(body).includes('too long for a QR code'));
  assert.ok(String(landingPage(LANDING).body).includes('<svg role="img"'));
  assert.ok(
    !String(sentencePage(410, 'It is <used>').body).includes('<script') &&
      String(sentencePage(410, 'It is <used>').body).includes('&lt;used&gt;'),
  );
});

test('a landing page is in the first language of its browser that there is', () => {
  for (const [accepted, language] of [
    [undefined, 'en'],
    ['', 'en'],
    ['de-CH,fr;q=0.8,en;q=0.9', 'en'],
    ['fr-CA, en;q=0.5', 'fr'],
    ['ar;q=0.4,fr;q=0', 'ar'],
    ['de, *;q=0.1', 'en'],
    ['constructor,__proto__;q=9', 'en'],
    [',;q=;,fr;q=x', 'fr'],
    ['x,'.repeat(10_000), 'en'],
  ] as const)
    assert.equal(languageOf(accepted), language, accepted);
  const body = String(landingPage({ ...LANDING, label: '$& مكتبة' }, 'ar').body);
  assert.ok(body.includes('<html lang="ar" dir="rtl">') && body.includes('<h1><bdi>$&amp; مكتبة</bdi> يدعوك</h1>'));
});
