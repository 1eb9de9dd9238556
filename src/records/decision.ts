import { DECISION, type DecisionBegun } from '../kernel/consulting.ts';
import { compact, defineRecord, isoTime, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** The answer of one decider. */
export interface Vote {
  readonly by: string;
  readonly action: 'continue' | 'replace' | 'reject' | 'hold';
  readonly values?: JsonObject;
  /** ms since 1970. */
  readonly at: number;
}

/** A decision with its answers. */
export interface DecisionValue extends DecisionBegun {
  votes?: readonly Vote[];
}

/** A decision about one exchange: `held` may still be decided, the states after it not. Its record is the audit. */
export const decision = defineRecord<DecisionValue>({
  category: DECISION,
  idField: 'decision_id',
  label: 'Decision',
  topic: 'decision',
  states: ['asked', 'held', 'accepted', 'rejected', 'expired'],
  view(record) {
    const { value } = record;
    const { votes = [] } = value;
    return compact({
      ...viewHead(record),
      decision_id: record.id,
      point: value.point,
      type: value.type,
      role: value.role,
      handler_id: value.handler_id,
      connection_id: record.connection,
      thread_id: value.thread_id,
      record: value.record,
      deadline: isoTime(value.deadline),
      on_timeout: value.on_timeout,
      approvers: value.approvers,
      approvals: value.approvals,
      decided: votes.map(({ by, action, values, at }) => compact({ by, action, values, at: isoTime(at) })),
    });
  },
  tags: ({ thread_id, handler_id, point, invitation }) => ({ thread_id, handler_id, point, invitation }),
  admin: {
    list: '/agent-config/decisions',
    one: '/agent-config/decisions/{decision_id}',
    tag: 'agent-config',
    filters: { thread_id: 'thread_id', handler_id: 'handler_id', point: 'point' },
  },
});
