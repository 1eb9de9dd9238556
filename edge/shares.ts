import { combine, split } from 'shamir-secret-sharing';
import { entropyOf, keysOfEntropy, thumbprint, wordsOf } from '../src/backup/recovery.ts';

/** The 24 words in shares, of which some are enough and fewer reveal nothing (Shamir). A share is a text: `flexid-share-1.<threshold>.<key>.<bytes>`. */

const PREFIX = 'flexid-share-1';
const SHARE = /^flexid-share-1\.(\d{1,2})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{44})$/;

interface Share {
  readonly threshold: number;
  /** Thumbprint of the recovery key of the words: shares of other words have another. */
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** @throws Error for words that are none, or numbers beyond 2 to 16 */
export async function sharesOf(words: string, shares = 3, threshold = 2): Promise<string[]> {
  if (!(threshold >= 2 && threshold <= shares && shares <= 16)) throw new Error('shares are 2 to 16, and at least 2 of them are needed');
  const entropy = entropyOf(words);
  const key = thumbprint(keysOfEntropy(entropy).secret);
  const parts = await split(entropy, shares, threshold);
  return parts.map((bytes) => [PREFIX, threshold, key, Buffer.from(bytes).toString('base64url')].join('.'));
}

function shareOf(text: string): Share {
  const found = SHARE.exec(text.trim());
  if (!found) throw new Error('one of the shares is none, or was not copied whole');
  return { threshold: Number(found[1]), key: found[2]!, bytes: Uint8Array.from(Buffer.from(found[3]!, 'base64url')) };
}

/** The words of enough shares. @throws Error where they are too few, of different words, or changed; nothing of a share is in it */
export async function wordsOfShares(texts: readonly string[]): Promise<string> {
  const shares = [...new Set(texts.map((text) => text.trim()))].map(shareOf);
  const [first] = shares;
  if (!first) throw new Error('there is no share');
  if (shares.some(({ key, threshold }) => key !== first.key || threshold !== first.threshold))
    throw new Error('the shares are of different words');
  if (shares.length < first.threshold) throw new Error(`${first.threshold} different shares are needed, and there are ${shares.length}`);
  let entropy: Uint8Array;
  try {
    entropy = await combine(shares.map(({ bytes }) => bytes));
  } catch {
    throw new Error('the shares do not fit together: one of them was changed');
  }
  if (entropy.length !== 32 || thumbprint(keysOfEntropy(entropy).secret) !== first.key)
    throw new Error('the shares do not fit together: one of them was changed');
  return wordsOf(entropy);
}
