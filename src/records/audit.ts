import { AUDIT, type AuditedCall } from '../kernel/audit.ts';
import { defineRecord, isoTime } from '../kernel/record.ts';

/** A line of the audit trail of a wallet: who called what, when, and how that ended. */
export interface AuditValue extends Pick<AuditedCall, 'call' | 'operation' | 'who' | 'address'> {
  [member: string]: unknown;
  outcome: 'committed' | 'answered' | 'refused';
  status?: number;
  record?: { readonly category: string; readonly id: string };
}

export const audit = defineRecord<AuditValue>({
  category: AUDIT,
  idField: 'audit_id',
  states: ['written'],
  view: ({ id, created, value: { call, operation, who, address, outcome, status, record } }) => ({
    audit_id: id,
    time: isoTime(created),
    call_id: call,
    operation_id: operation,
    who: { ...who },
    address,
    outcome,
    ...(status === undefined ? {} : { status }),
    ...(record ? { record: { category: record.category, id: record.id } } : {}),
  }),
  tags: () => ({}),
});
