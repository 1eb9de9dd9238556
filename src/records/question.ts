import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A decision of another agent that this wallet's owner is asked for. */
export interface QuestionValue {
  [member: string]: unknown;
  thread_id: string;
  /** The decision's id at the agent that asks. */
  decision_id: string;
  /** What the other agent waits with, as in `presentation-request`. */
  point: string;
  /** Its record there, as that agent's controllers see it. */
  about?: JsonObject;
  /** When that agent stops waiting, ISO 8601. */
  deadline?: string;
  /** How many must agree. */
  approvals?: number;
  /** The owner's answer. */
  action?: 'continue' | 'reject';
  /** What became of the decision there, or why the answer was refused. */
  outcome?: string;
}

/** The other side of a decision: an owner's, who is asked. */
export const question = defineRecord<QuestionValue>({
  category: 'question',
  idField: 'question_id',
  label: 'Question',
  topic: 'question',
  states: ['asked', 'answered', 'recorded', 'refused'],
  view(record) {
    const { thread_id, decision_id, point, about, deadline, approvals, action, outcome } = record.value;
    return compact({
      ...viewHead(record),
      question_id: record.id,
      connection_id: record.connection,
      thread_id,
      decision_id,
      point,
      record: about,
      deadline,
      approvals,
      action,
      outcome,
    });
  },
  tags: ({ thread_id }) => ({ thread: thread_id, thread_id }),
  admin: { list: '/agent-config/questions', one: '/agent-config/questions/{question_id}', tag: 'agent-config', remove: true },
});
