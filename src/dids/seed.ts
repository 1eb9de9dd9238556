import { AppError } from '../errors.ts';

/** ACA-Py's seeds are 32 characters, or base64 of 32 bytes. @throws AppError for anything else */
export function seedBytes(seed: string): Uint8Array {
  const bytes = seed.endsWith('=') ? Buffer.from(seed, 'base64') : Buffer.from(seed, 'utf8');
  if (bytes.length !== 32) throw new AppError('bad-request', 'Seed value must be 32 bytes in length');
  return bytes;
}
