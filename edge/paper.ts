import { readFileSync } from 'node:fs';
import { PDFDocument, type PDFFont, type PDFPage, StandardFonts } from 'pdf-lib';
import encodeQR from 'qr';
import { checkedWords } from '../src/backup/recovery.ts';

/** The words on paper: one sheet with the words, their QR code and the steps of a restore; on its back a reader of backups without this program. */

const [WIDTH, HEIGHT, MARGIN] = [595.28, 841.89, 50];

const FRONT = [
  'Whoever has these words and a backup has the wallet. Nobody else can open a backup, and nobody can replace the words.',
  'Keep this sheet where you keep a passport. Do not photograph it, and do not type the words anywhere but into a wallet.',
];

const STEPS = [
  'A lost or broken device:',
  '1.  Get the FlexID Cloud Agent, or any program that reads the format on the back.',
  '2.  Find the newest backup: a file wallet-NUMBER.flexid-backup. The highest number is the newest.',
  '3.  Run:  ./flexid edge restore PLACE   It asks for the words; PLACE is the folder of the backups, or the file.',
  '4.  Make new words and a new sheet if anybody may have seen this one.',
];

const FORMAT = [
  'The file has lines of text, each a JWE in compact form (RFC 7516). The words are BIP-39: 24 of them stand for 32 bytes.',
  'HKDF-SHA256 of these, with the salt "flexid wallet backup 1" and the info "keyAgreement", is an X25519 private key. It opens the',
  'first line (ECDH-ES+A256KW, A256GCM): JSON, whose "key" opens all others (dir, A256GCM). Their headers count from 1; the one with',
  '"end" is the last. The others, joined, are the gzip of lines of JSON: the records and keys of the wallet. A program that does it:',
];

interface Sheet {
  readonly plain: PDFFont;
  readonly bold: PDFFont;
  readonly mono: PDFFont;
}

/**
 * A sheet of two pages, A4, as a PDF.
 * @param words 24 words
 * @throws AppError for words that are none
 */
export async function paperOf(words: string, { made = new Date(), label = '' } = {}): Promise<Uint8Array> {
  const checked = checkedWords(words);
  const document = await PDFDocument.create();
  document.setTitle('Recovery words of a wallet');
  document.setCreationDate(made);
  const sheet: Sheet = {
    plain: await document.embedFont(StandardFonts.Helvetica),
    bold: await document.embedFont(StandardFonts.HelveticaBold),
    mono: await document.embedFont(StandardFonts.Courier),
  };
  front(document.addPage([WIDTH, HEIGHT]), sheet, checked, `${printable(label)} ${made.toISOString().slice(0, 10)}`.trim());
  back(document.addPage([WIDTH, HEIGHT]), sheet);
  return await document.save();
}

/** The text in characters that the built-in fonts have. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 60);

/** Draws lines one below the other. @returns where the last one stands */
function below(
  page: PDFPage,
  y: number,
  lines: readonly string[],
  { gap, size, font }: { readonly gap: number; readonly size: number; readonly font: PDFFont },
): number {
  for (const [at, line] of lines.entries()) page.drawText(line, { x: MARGIN, y: y - gap * (at + 1), size, font });
  return y - gap * lines.length;
}

function front(page: PDFPage, { plain, bold }: Sheet, words: string, subtitle: string): void {
  let y = HEIGHT - MARGIN - 20;
  page.drawText('Recovery words of a wallet', { x: MARGIN, y, size: 22, font: bold });
  y = below(page, y, [subtitle], { gap: 22, size: 11, font: plain });
  const top = below(page, y - 12, FRONT, { gap: 14, size: 9, font: plain }) - 36;
  for (const [at, word] of words.split(' ').entries()) {
    const [column, row] = [Math.floor(at / 8), at % 8];
    page.drawText(`${at + 1}`.padStart(2), { x: MARGIN + column * 165, y: top - row * 30, size: 11, font: plain });
    page.drawText(word, { x: MARGIN + column * 165 + 24, y: top - row * 30, size: 18, font: bold });
  }
  const modules = encodeQR(words, 'raw', { ecc: 'quartile', border: 4 });
  const side = 220;
  const unit = side / modules.length;
  const floor = top - 8 * 30 - side;
  for (const [row, line] of modules.entries())
    for (const [column, isDark] of line.entries())
      if (isDark)
        // a little larger than a module, so that printers leave no lines between two
        page.drawRectangle({ x: MARGIN + column * unit, y: floor + side - (row + 1) * unit, width: unit + 0.1, height: unit + 0.1 });
  below(page, floor - 20, STEPS, { gap: 16, size: 9, font: plain });
}

function back(page: PDFPage, { plain, bold, mono }: Sheet): void {
  let y = HEIGHT - MARGIN - 10;
  page.drawText('How a backup is read without this program', { x: MARGIN, y, size: 14, font: bold });
  y = below(page, y - 10, FORMAT, { gap: 12, size: 7, font: plain });
  const reader = readFileSync(new URL('../docs/backup_reader.py', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  below(page, y - 16, reader, { gap: 11, size: 7, font: mono });
}
