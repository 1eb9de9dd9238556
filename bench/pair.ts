import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LedgerFacts, startLedger } from '../harness/network.ts';
import { openStores } from '../harness/stores.ts';
import { type BenchAgent, startBenchAgent } from './agent.ts';
import { flowController, type Inbox, startInbox, type Way } from './controller.ts';
import type { Pair } from './whole-flow.ts';

const FLAGS = {
  issuer: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation'],
  holder: ['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential'],
};
type Side = keyof typeof FLAGS;

/** Two agents of this repository, a dev ledger, and where their webhooks come. */
export interface Agents {
  readonly issuer: BenchAgent;
  readonly holder: BenchAgent;
  readonly ledger: LedgerFacts;
  readonly inbox: Inbox;
  /** The URL of a side's database, where it is on a server. */
  storeOf(side: Side): string | undefined;
  controllers(way: Way): Pair;
  stop(): Promise<void>;
}

/** @param store `sqlite` or `postgres` */
export async function startAgents(store: string, way: Way): Promise<Agents> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    while (undo.length > 0) await undo.pop()!();
  };
  try {
    const inbox = await startInbox();
    undo.push(() => inbox.close());
    const stores = await openStores(store, folder);
    undo.push(() => stores.stop());
    const ledger = await startLedger(folder);
    undo.push(() => ledger.program.stop());
    const storeOf = (side: Side): string | undefined => stores.of(side).env?.FLEXID_STORE;
    const started = {} as Record<Side, BenchAgent>;
    for (const side of ['issuer', 'holder'] as const) {
      const hooks = way === 'webhooks' ? ['--webhook-url', `${inbox.url}/${side}`] : [];
      const sponsor = side === 'issuer' ? ['--sponsor-mnemonic', ledger.sponsor] : [];
      const flags = [...FLAGS[side], '--preserve-exchange-records', ...hooks, ...ledger.flags, ...sponsor];
      started[side] = await startBenchAgent(storeOf(side), flags);
      undo.push(() => started[side].stop());
    }
    const { issuer, holder } = started;
    return {
      issuer,
      holder,
      ledger,
      inbox,
      storeOf,
      controllers: (by) => ({ issuer: flowController('issuer', issuer, by, inbox), holder: flowController('holder', holder, by, inbox) }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
