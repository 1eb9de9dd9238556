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
export type Answer = { readonly key: Uint8Array } | { readonly error: string };

const answered = ({ name, parameters }: Order): Answer => {
  try {
    return { key: argon2Sync(name, parameters) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : 'unknown error' };
  }
};

standBack();
parentPort?.on('message', (order: Order) => parentPort?.postMessage(answered(order)));
