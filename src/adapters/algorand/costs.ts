import { AppError } from '../../errors.ts';
import type { Ledger, LedgerWrite } from '../../ports/ledger.ts';
import type { Authorities } from './authority.ts';
import { packObject } from './codec.ts';
import type { Sponsor } from './group.ts';
import { canonical, oidOf, parseDid } from './ids.ts';
import type { AlgodNodes } from './nodes.ts';
import { type Limits, limitsOf, type Plan, planDidPut, planObjectPut } from './plan.ts';
import { checkSize, statusOf } from './status-codec.ts';
import { planRegistry } from './status-plan.ts';

/** The plans of a write whose boxes are all new, one for each group of transactions. @throws AppError `object-invalid`, `too-large` */
function plansOf(write: Parameters<Ledger['estimate']>[0], limits: Limits): Plan[] {
  const { did, key } = parseDid(write.did);
  if (write.kind === 'did-put') return [planDidPut({ key, salt: 0n }, new TextEncoder().encode(canonical(write.document)), limits)];
  if (write.kind === 'object-put')
    return packObject(did, write.type, write.object).map((piece) => planObjectPut({ key, ...piece }, limits));
  const [piece] = packObject(did, 'REV_REG_DEF', write.object);
  const size = checkSize((write.object.value as { maxCredNum?: unknown } | undefined)?.maxCredNum);
  return [planRegistry({ key, ...piece, oid: oidOf(write.object) }, statusOf(write.status, size), limits)];
}

/** The sponsor's account, and the costs of writes before anything of them is on the ledger. */
export function createCosts(
  nodes: AlgodNodes,
  sponsor: Pick<Sponsor, 'addr'> | undefined,
  accountOf: Authorities['accountOf'],
): Pick<Ledger, 'account' | 'estimate'> {
  return {
    async account() {
      if (sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured: the ledger can only be read');
      const address = sponsor.addr.toString();
      const node = await nodes.current();
      await node.verify();
      const { amount, minBalance } = await accountOf(node, address);
      return { address, balance: Number(amount), minimum: Number(minBalance) };
    },
    async estimate(write: Extract<LedgerWrite, { kind: 'did-put' | 'object-put' | 'registry-put' }>) {
      const { minFee, consensusVersion } = await (await nodes.current()).parameters();
      const fee = (plan: Plan): number => Number(minFee) * (1 + plan.calls.length + plan.refunds);
      return plansOf(write, limitsOf(consensusVersion)).reduce((sum, plan) => sum + plan.deposit + fee(plan), 0);
    },
  };
}
