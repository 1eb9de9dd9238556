/** The picture of a look: what a browser may decode without harm. */

/** A logo is 240 pixels wide (RFC 0756); eight of such fit into these. */
const MAX_BYTES = 64 << 10;
const MAX_PIXELS = 1024;
/** Scans of a JPEG, each of which is decoded over all pixels: progressive ones have about ten. */
const MAX_SCANS = 32;
const DATA = /^data:image\/(?:png|jpe?g);base64,([A-Za-z0-9+/]{4,}={0,2})$/;
/** Text of the most bytes in base64, with what stands before it. */
const MAX_TEXT = Math.ceil(MAX_BYTES / 3) * 4 + 40;

/**
 * The data URL of a picture, as its bytes are and not as it calls itself: PNG or JPEG, bounded in bytes and pixels, without movement. Undefined for all else: a picture
 * that lies elsewhere would tell its owner who looks, and SVG is a document.
 */
export function pictureIn(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > MAX_TEXT) return undefined;
  const [, text] = DATA.exec(value) ?? [];
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length > MAX_BYTES) return undefined;
  const png = pngSize(bytes);
  const size = png ?? jpegSize(bytes);
  if (!size?.every((side) => side > 0 && side <= MAX_PIXELS)) return undefined;
  return `data:image/${png ? 'png' : 'jpeg'};base64,${bytes.toString('base64')}`;
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

/** Width and height of a PNG that does not move. */
function pngSize(bytes: Buffer): readonly [number, number] | undefined {
  if (bytes.length < 33 || !bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE) || bytes.includes('acTL')) return undefined;
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

/** Width and height of a JPEG: those of its first frame. */
function jpegSize(bytes: Buffer): readonly [number, number] | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8 || scansOf(bytes) > MAX_SCANS) return undefined;
  for (let at = 2; at + 9 <= bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1]!;
    // a frame: all of C0 to CF but tables and reserved ones
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)];
    // the picture itself, before any frame
    if (marker === 0xda || marker === 0xd9) return undefined;
  }
  return undefined;
}

/** How many scans begin in a JPEG, at most: in what is compressed no marker stands, and elsewhere seldom one by chance. */
function scansOf(bytes: Buffer): number {
  let scans = 0;
  for (let at = bytes.indexOf(SCAN); at >= 0; at = bytes.indexOf(SCAN, at + 2)) scans++;
  return scans;
}
const SCAN = Buffer.from('ffda', 'hex');
