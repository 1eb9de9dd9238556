import { generateKeyPairSync, type JsonWebKey, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Secrets of a provider. Whoever loses them makes every account another one. */
export interface Secrets {
  /** The key that signs ID tokens: ES256. */
  readonly jwk: JsonWebKey & { readonly kid: string };
  readonly cookies: string;
  /** Subjects are made with it. */
  readonly subjects: string;
}

/** The secrets in a file, which is made where there is none, for its owner alone. */
export function readSecrets(file: string): Secrets {
  if (!existsSync(file)) {
    const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
    const kid = randomBytes(9).toString('base64url');
    const made = { jwk: { ...jwk, kid, use: 'sig', alg: 'ES256' }, cookies: random(), subjects: random() };
    writeFileSync(file, JSON.stringify(made), { mode: 0o600, flag: 'wx' });
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

const random = (): string => randomBytes(32).toString('base64url');
