import { type Commands, createCommands } from './commands.ts';
import type { Kernel } from './context.ts';
import { processDeferred } from './deferred-inbox.ts';
import type { CreateRelay } from './forwarding.ts';
import { createInbound, type Receive } from './inbound.ts';
import { createTransitions } from './transition.ts';

/** The engine: messages, commands, results and local messages, all on one loop. */
export interface Engine {
  readonly receive: Receive;
  readonly transition: Commands['run'];
  readonly deliverLocally: Commands['deliverLocally'];
  /** Handles the envelopes that were deferred while a wallet was locked. */
  processDeferred(tenant: string): Promise<void>;
  /** Writes the problems of messages that controllers have no webhook of yet. */
  flush(): Promise<void>;
}

export function createEngine(kernel: Kernel, createRelay: CreateRelay): Engine {
  const transitions = createTransitions(kernel);
  const receive = createInbound(kernel, transitions, createRelay);
  const { run, deliverLocally } = createCommands(kernel, transitions);
  return {
    receive,
    transition: run,
    deliverLocally,
    processDeferred: (tenant) => processDeferred(kernel, tenant, receive),
    async flush() {
      for (const format of kernel.messageFormats) await format.flush?.();
    },
  };
}
