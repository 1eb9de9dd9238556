import { readFileSync } from 'node:fs';

/** Why the ledger refused a group. `rebuild`: the same write, prepared anew, may succeed: something moved between reading and sending. */
export interface Rejection {
  code: RejectionCode;
  detail: string;
  rebuild: boolean;
}

export type RejectionCode =
  | 'in-ledger'
  | 'expired'
  | 'version-conflict'
  | 'exists'
  | 'unauthorised'
  | 'deactivated'
  | 'deposit-short'
  | 'funds-short'
  | 'box-moved'
  | 'box-taken'
  | 'log-moved'
  | 'lease'
  | 'fee'
  | 'busy'
  | 'budget'
  | 'wrong-network'
  | 'refused';

interface Arc56 {
  sourceInfo: { approval: { sourceInfo: { pc: number[]; errorMessage?: string }[] } };
}

const spec: Arc56 = JSON.parse(readFileSync(new URL('../../../contracts/artifacts/FlexidRegistry.arc56.json', import.meta.url), 'utf8'));
const MESSAGES = new Map(
  spec.sourceInfo.approval.sourceInfo.flatMap(({ pc, errorMessage }) => pc.map((at) => [at, errorMessage ?? ''] as const)),
);

const CONTRACT: Readonly<Record<string, readonly [RejectionCode, boolean]>> = {
  'did version': ['version-conflict', true],
  'did not active': ['deactivated', false],
  'not the DID key or its operator': ['unauthorised', false],
  'data box taken': ['box-taken', true],
  'staged document': ['box-moved', true],
  'resource sealed': ['exists', true],
  'log exists': ['exists', true],
  'log entries': ['log-moved', true],
  'log time': ['log-moved', true],
  'segment payer': ['log-moved', true],
  'segment full': ['log-moved', true],
  'no such segment': ['log-moved', true],
};

const LEDGER: readonly (readonly [RegExp, RejectionCode, boolean])[] = [
  [/already in ledger/, 'in-ledger', false],
  [/txn dead/, 'expired', true],
  [/overlapping lease/, 'lease', true],
  [/reached capacity|pool is shutting down|no pending block evaluator/, 'busy', true],
  [/below threshold|fees is less than|in fees|group fee \S+ too small|fee too small/, 'fee', true],
  [/below min/, 'deposit-short', true],
  [/overspend/, 'funds-short', true],
  [/invalid Box reference|no such box/, 'box-moved', true],
  [/should have been authorized|signature didn't pass|has no sig|multisig validation failed/, 'unauthorised', false],
  [/budget exceeded/, 'budget', false],
  [/tx\.Genesis(Hash|ID) </, 'wrong-network', false],
];

/**
 * Reads algod's sentence: an assertion of the contract by its program counter, everything else by its words. Where it quotes whole transactions, kilobytes with the
 * names of all their fields, only what stands before or after them is the reason.
 */
export const rejectionOf = (text: string): Rejection => {
  const message =
    /^transaction \{[\s\S]*\} invalid : ([\s\S]*)$/.exec(text)?.[1] ?? text.replace(/ \[\]transactions\.SignedTxnWithAD\{[\s\S]*/, '');
  const detail = message.replace(/^TransactionPool\.Remember: /, '').slice(0, 500);
  const pc = /(?:assert failed|err opcode executed)[\s\S]*?pc=(\d+)/.exec(message)?.[1];
  const reason = pc === undefined ? undefined : MESSAGES.get(Number(pc));
  if (reason !== undefined) {
    const [code, rebuild] = CONTRACT[reason] ?? (['refused', false] as const);
    return { code, detail: reason, rebuild };
  }
  for (const [pattern, code, rebuild] of LEDGER) if (pattern.test(message)) return { code, detail, rebuild };
  return { code: 'refused', detail, rebuild: false };
};
