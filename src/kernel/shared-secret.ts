import { randomBytes } from 'node:crypto';
import { asAppError } from '../errors.ts';
import type { Database } from '../ports/store.ts';

/** 32 random bytes among the keys of a wallet, under a name: sealed, made once, and the same for every process. */
export async function sharedSecret(store: Database['store'], wallet: string, name: string): Promise<Uint8Array> {
  for (;;) {
    const found = await store.key(wallet, name);
    if (found) return found.secret;
    try {
      await store.commit(wallet, { keys: [{ kid: name, type: name, secret: randomBytes(32) }] });
    } catch (error) {
      // another process was first: its one counts
      if (asAppError(error).code !== 'conflict') throw error;
    }
  }
}
