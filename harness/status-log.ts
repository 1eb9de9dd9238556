import { algorandLedger } from '../src/adapters/algorand/algorand.ts';
import type { LedgerFacts } from './network.ts';

/** A dev ledger: of this process, or by the flags that agents have. */
export type DevLedger =
  | Pick<LedgerFacts, 'flags'>
  | { readonly url: string; readonly token: string; readonly appId: number; readonly genesisHash: string };

const addressOf = (ledger: DevLedger): Exclude<DevLedger, Pick<LedgerFacts, 'flags'>> => {
  if (!('flags' in ledger)) return ledger;
  const flag = (name: string): string => ledger.flags[ledger.flags.indexOf(name) + 1]!;
  return {
    ...{ url: flag('--algod-url'), token: flag('--algod-token'), appId: Number(flag('--algorand-app-id')) },
    genesisHash: flag('--algorand-genesis-hash'),
  };
};

/**
 * Reads the status log of a registry, past every agent.
 * @returns how many entries it has, the first state included, the indices that its last state revokes, and since when (unix seconds)
 */
export async function statusLog(ledger: DevLedger, registry: string): Promise<{ entries: number; revoked: number[]; time: number }> {
  const { url: algodUrl, token, appId, genesisHash } = addressOf(ledger);
  const { entries, status, time } = await algorandLedger({ algodUrl, token, appId, network: 'custom', genesisHash }).statusAt(
    registry,
    undefined,
    {
      fresh: true,
    },
  );
  const bits = Buffer.from(status.revoked, 'base64url');
  const revoked = Array.from({ length: bits.length * 8 }, (_none, index) => index).filter(
    (index) => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0,
  );
  return { entries, revoked, time };
}
