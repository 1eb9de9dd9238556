import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import encodeQR from 'qr';

/** A pixel for a module is too few for cameras, and eight make about 700 pixels of a usual offer. */
const SCALE = 8;
/** ISO/IEC 18004 section 9.1: four light modules all around. */
const BORDER = 4;
/** The most that a QR code takes: version 40 in byte mode with the least redundancy. */
export const MAX_QR_BYTES = 2953;
/** As much with 15 % of redundancy in place of 7. */
const MAX_MEDIUM_BYTES = 2331;

/** The modules, border included; true is dark. Redundancy is 15 % where the text leaves room for it, else 7. */
function modules(text: string): boolean[][] {
  const size = Buffer.byteLength(text, 'utf8');
  if (size > MAX_QR_BYTES) throw new RangeError(`a QR code holds at most ${MAX_QR_BYTES} bytes`);
  return encodeQR(text, 'raw', { ecc: size <= MAX_MEDIUM_BYTES ? 'medium' : 'low', border: BORDER });
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** A chunk of a PNG: length, name, content, checksum of name and content. */
function chunk(name: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name, 'latin1'), content]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(content.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}

/**
 * A text as a QR code in a PNG (ISO/IEC 15948), black on white, one bit a pixel.
 * @throws RangeError for more than 2,953 bytes of UTF-8
 */
export async function qrPng(text: string): Promise<Buffer> {
  const rows = modules(text);
  const size = rows.length * SCALE;
  // A line is its filter (0: none) and its pixels; a set bit is white.
  const line = 1 + Math.ceil(size / 8);
  const pixels = Buffer.alloc(line * size);
  for (const [y, row] of rows.entries()) {
    const first = y * SCALE * line;
    for (const [x, dark] of row.entries()) {
      if (dark) continue;
      for (let bit = x * SCALE; bit < (x + 1) * SCALE; bit++) pixels[first + 1 + (bit >> 3)]! |= 0x80 >> (bit & 7);
    }
    for (let copy = 1; copy < SCALE; copy++) pixels.copy(pixels, first + copy * line, first, first + line);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  // One bit, greyscale; the only compression and filtering that there are, no interlacing.
  head.set([1, 0, 0, 0, 0], 8);
  const data = await promisify(deflate)(pixels);
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

/**
 * A text as a QR code for terminals: a character is two modules, one above the other, and what is drawn is the light part, as terminals are dark.
 * @throws RangeError for more than 2,953 bytes of UTF-8
 */
export function qrText(text: string): string {
  const rows = modules(text);
  const lines: string[] = [];
  for (let y = 0; y < rows.length; y += 2) {
    const lower = rows[y + 1];
    lines.push(rows[y]!.map((dark, x) => ' ▄▀█'[(dark ? 0 : 2) + ((lower?.[x] ?? true) ? 0 : 1)]).join(''));
  }
  return `${lines.join('\n')}\n`;
}

/**
 * A text as the path of an SVG, one unit a module, the light border included: rectangles of one row each.
 * @throws RangeError for more than 2,953 bytes of UTF-8
 */
export function qrPath(text: string): { size: number; path: string } {
  const rows = modules(text);
  const parts: string[] = [];
  for (const [y, row] of rows.entries())
    for (let x = 0; x < row.length; ) {
      const from = x;
      while (row[x]) x++;
      if (x > from) parts.push(`M${from} ${y}h${x - from}v1h-${x - from}z`);
      else x++;
    }
  return { size: rows.length, path: parts.join('') };
}
