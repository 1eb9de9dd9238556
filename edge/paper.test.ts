import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import jsqr from 'jsqr';
import { PDFArray, PDFDocument, type PDFRawStream } from 'pdf-lib';
import { checkedWords, newWords } from '../src/backup/recovery.ts';
import { paperOf } from './paper.ts';

/** The drawing commands of a page. */
function commandsOf(document: PDFDocument, at: number): string {
  const contents = document.getPage(at).node.Contents();
  const streams = contents instanceof PDFArray ? contents.asArray().map((one) => document.context.lookup(one)) : [contents];
  return streams.map((stream) => inflateSync((stream as PDFRawStream).getContents()).toString('latin1')).join('\n');
}

/** The texts that are shown. */
const textsOf = (commands: string): string[] =>
  [...commands.matchAll(/<([0-9A-F]*)> Tj/g)].map(([, hex]) => Buffer.from(hex!, 'hex').toString('latin1'));

/** What a camera sees of the dark squares of a page: pixels of the whole sheet, two for a point. */
function scan(commands: string): string | undefined {
  const scale = 2;
  const [width, height] = [Math.ceil(595.28 * scale), Math.ceil(841.89 * scale)];
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  const number = '(-?[\\d.]+)';
  const squares = commands.matchAll(new RegExp(`1 0 0 1 ${number} ${number} cm\\s[\\s\\S]*?0 0 m\\s+0 ${number} l\\s+${number} `, 'g'));
  for (const [, x, y, high, wide] of squares) {
    const [left, bottom, w, h] = [x, y, wide, high].map((text) => Number(text) * scale) as [number, number, number, number];
    for (let row = Math.round(height - bottom - h); row < Math.round(height - bottom); row++)
      pixels.fill(0, (row * width + Math.round(left)) * 4, (row * width + Math.round(left + w)) * 4);
  }
  for (let at = 3; at < pixels.length; at += 4) pixels[at] = 255;
  return jsqr.default(pixels, width, height)?.data;
}

test('the sheet has the words in their order, a QR code of them, and the reader on its back [S2-48]', async () => {
  const words = newWords();
  const pdf = await paperOf(words.toUpperCase(), { made: new Date('2026-01-31'), label: 'Alice (été)' });
  const document = await PDFDocument.load(pdf);
  assert.equal(document.getPageCount(), 2);
  const front = commandsOf(document, 0);
  const texts = textsOf(front);
  assert.ok(texts.includes('Alice (?t?) 2026-01-31'), texts.slice(0, 3).join('|'));
  const shown = words.split(' ').flatMap((word, at) => [`${at + 1}`.padStart(2), word]);
  const from = texts.indexOf(' 1');
  assert.deepEqual(texts.slice(from, from + 48), shown);
  const scanned = scan(front);
  assert.equal(scanned, words);
  assert.equal(checkedWords(scanned!), words);
  const reader = readFileSync(new URL('../docs/backup_reader.py', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  assert.deepEqual(textsOf(commandsOf(document, 1)).slice(-reader.length), reader);
  assert.ok(reader.length <= 56, 'the reader fits on the page');
  assert.ok(
    reader.every((line) => line.length <= 118),
    'each line too',
  );
});

test('words that are none come on no paper', async () => {
  await assert.rejects(paperOf('hello'), /24 words/);
});
