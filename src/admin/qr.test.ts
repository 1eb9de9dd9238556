import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import jsqr from 'jsqr';
import { PNG } from 'pngjs';
import { MAX_QR_BYTES, qrPng, qrText } from './qr.ts';

/** What another's decoder reads from a picture. */
function read(pixels: Uint8ClampedArray, width: number, height: number): string | undefined {
  const found = jsqr.default(pixels, width, height, { inversionAttempts: 'dontInvert' });
  return found ? Buffer.from(found.binaryData).toString('utf8') : undefined;
}

function readPng(png: Buffer): string | undefined {
  const { data, width, height } = PNG.sync.read(png, { checkCRC: true });
  return read(new Uint8ClampedArray(data), width, height);
}

/** A terminal's text as a picture: four pixels for each half of a character. */
function readText(text: string): string | undefined {
  const lines = text.split('\n').slice(0, -1);
  const width = lines[0]!.length * 4;
  const height = lines.length * 8;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const character = lines[y >> 3]![x >> 2]!;
      const light = character === '█' || character === (y & 4 ? '▄' : '▀');
      pixels.set(light ? [255, 255, 255, 255] : [0, 0, 0, 255], (y * width + x) * 4);
    }
  }
  return read(pixels, width, height);
}

const offer = JSON.stringify({
  id: 'b7a4c2de0f1947d3a9e6c85d21f0e3b4',
  type: 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/connection_offer',
  message: {
    did: 'Th7MpTaRZVRYnPiabds81Y',
    verkey: 'FYmoFw55GeQH7SRFa37dkx1d2dZ3zUF8ckg7wmL7ofN4',
    endpoint: 'http://127.0.0.1:8001/indy',
    offer_nonce: 'b7a4c2de0f1947d3a9e6c85d21f0e3b4',
  },
});

suite('QR codes', () => {
  for (const [what, text] of Object.entries({
    'an offer': offer,
    'a URL': `https://agent.example.org/?oob=${Buffer.from(offer).toString('base64url')}`,
    digits: '0123456789',
    capitals: 'HTTPS://EXAMPLE.ORG/A',
    'other scripts': 'Zürich, 東京, 𝄞',
  })) {
    test(`${what}, read by another decoder from the PNG and from the terminal's text`, async () => {
      assert.equal(readPng(await qrPng(text)), text);
      assert.equal(readText(qrText(text)), text);
    });
  }

  test('any text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 300 }), async (text) => {
        assert.equal(readPng(await qrPng(text)), text);
      }),
      { numRuns: 20 },
    );
  });

  test('as much as fits, and no more', async () => {
    // Letters in lower case and upper case: neither of the shorter modes.
    for (const length of [2331, 2332, MAX_QR_BYTES]) {
      const text = 'aB'.repeat(length).slice(0, length);
      assert.equal(readPng(await qrPng(text)), text);
    }
    await assert.rejects(qrPng('a'.repeat(MAX_QR_BYTES + 1)), RangeError);
    assert.throws(() => qrText('ä'.repeat(MAX_QR_BYTES / 2 + 1)), RangeError);
  });

  test('the border is as wide as the standard asks', async () => {
    const { data, width, height } = PNG.sync.read(await qrPng('x'));
    assert.equal(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (Math.min(x, y, width - 1 - x, height - 1 - y) < 32) assert.equal(data[(y * width + x) * 4], 255);
      }
    }
    assert.equal(data[(32 * width + 32) * 4], 0);
  });
});
