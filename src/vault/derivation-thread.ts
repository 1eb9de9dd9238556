/** The thread that derives keys from passphrases: one message in, one out. Nothing is kept between messages. */
import { type Argon2Parameters, argon2Sync } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { standBack } from '../background.ts';

/** A message of the main thread. */
export interface Order {
  readonly name: 'argon2id';
  readonly parameters: Argon2Parameters;
}

/** The answer: a key, or why there is none. */
export type Answer = { readonly key: Uint8Array<ArrayBuffer> } | { readonly error: string };

function answer({ name, parameters }: Order): void {
  const say = (said: Answer, moved: ArrayBuffer[] = []): void => parentPort?.postMessage(said, moved);
  try {
    const derived = argon2Sync(name, parameters);
    const key = Uint8Array.from(derived);
    derived.fill(0);
    say({ key }, [key.buffer]);
  } catch (error) {
    say({ error: error instanceof Error ? error.message : 'unknown error' });
  } finally {
    (parameters.message as Uint8Array).fill(0);
  }
}

standBack();
parentPort?.on('message', answer);
