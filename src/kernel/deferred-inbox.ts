import { AppError } from '../errors.ts';
import type { Kernel } from './context.ts';
import { newId } from './ids.ts';
import { inboxJob, inboxLane } from './jobs.ts';
import type { InboundSession } from './received.ts';

/** When a deferred envelope is tried again by itself. */
const TRY_AGAIN_MS = 60_000;

/**
 * Stores an envelope for a locked wallet, as it came.
 * @throws AppError `wallet-locked` where it was deferred before, so that it stays where it is
 */
export async function deferForLockedWallet(kernel: Kernel, tenant: string, body: Uint8Array, session: InboundSession): Promise<void> {
  if (session.kept) throw new AppError('wallet-locked');
  await kernel.db.store.commit(kernel.base, { jobs: [inboxJob(tenant, body, kernel.now() + TRY_AGAIN_MS)] });
}

/** Receives the envelopes that were deferred for a wallet, now that it is open. */
export async function processDeferred(
  { db: { jobs } }: Kernel,
  tenant: string,
  receive: (body: Uint8Array, session: InboundSession) => Promise<unknown>,
): Promise<void> {
  for (;;) {
    const [lane] = await jobs.claim({ owner: newId(), lanes: 1, perLane: 16, leaseMs: 60_000, lane: inboxLane(tenant) });
    if (!lane || lane.jobs.length === 0) return;
    for (const { payload } of lane.jobs) await receive(Buffer.from(String(payload.body), 'base64'), { canReply: false, kept: true });
    await jobs.settle([{ lane: lane.lane, lease: lane.lease, done: lane.jobs.map(({ id }) => id) }]);
  }
}
