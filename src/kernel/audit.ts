import type { RecordWrite } from '../ports/store.ts';
import { newId } from './ids.ts';

/** The category of the audit trail: rows that are written once, with what they are about, and never changed. */
export const AUDIT = 'audit';

/** A call of the admin API, as its audit row names it: who called which operation, and no body, no value. */
export interface AuditedCall {
  readonly call: string;
  readonly tenant: string;
  readonly operation: string;
  readonly who: { readonly kind: 'key' | 'token' | 'anyone'; readonly token?: string; readonly sub?: string };
  /** The caller's address under a secret of the instance: the same address has the same text. */
  readonly address: string;
  /** Whether a commit has its row: set by whoever made the commit. */
  committed: boolean;
}

/** The row of a call, for the commit of what it did, or by itself where it changed nothing. */
export function auditRow(
  { call, operation, who, address }: AuditedCall,
  outcome: { readonly outcome: 'committed' | 'answered' | 'refused'; readonly status?: number },
  record?: { readonly category: string; readonly id: string },
): RecordWrite {
  const value = { call, operation, who: { ...who }, address, ...outcome, ...(record ? { record: { ...record } } : {}) };
  return { category: AUDIT, id: newId(), expect: 0, state: 'written', value };
}
