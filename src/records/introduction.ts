import { defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** An introduction under way, at the introducer; as in ACA-Py no list shows it. */
export interface IntroductionValue {
  [member: string]: unknown;
  /** The connection that asked for the introduction, and gets the invitation. */
  init_connection_id: string;
  /** The connection that is asked for the invitation. */
  target_connection_id: string;
  thread_id: string;
  responder: string;
  message?: string;
  /** The answer of the target. */
  answer?: JsonObject;
}

/** Its connection is the one that it is about next: the target, then the initiator. It goes when the invitation is forwarded. */
export const introductionRecord = defineRecord<IntroductionValue>({
  category: 'introduction_record',
  idField: 'introduction_id',
  label: 'Introduction',
  states: ['pending', 'forwarding'],
  view: () => ({}),
  tags: (value) => ({ thread: value.thread_id }),
});
