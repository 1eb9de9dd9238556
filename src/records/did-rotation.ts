import { compact, defineRecord, viewHead } from '../kernel/record.ts';

/** A move of one side of a connection to another DID (RFC 0794), under the names of ACA-Py's RotateRecord. */
export interface DidRotationValue {
  [member: string]: unknown;
  connection_id: string;
  new_did: string;
  thread_id: string;
  error?: string;
  protocol: string;
  /** Of ours: the key of the new DID, and what is given up when mail under way has had its time. */
  verkey?: string;
  /** The new DID is one of the wallet's, with uses of its own. */
  shared?: boolean;
  /** Of theirs: the key that sealed the `rotate`, while the new DID is resolved. */
  sender?: string;
  former_verkey?: string;
  /** Whether a mediator knows either key, and whether nobody can write to the new one. */
  mediated?: boolean;
  former_mediated?: boolean;
  pulls?: boolean;
}

/** `role`: `rotating` is the party that moves, `observing` the other. `due`: the peer is to be notified that a DID of ours has another key. */
export const didRotation = defineRecord<DidRotationValue>({
  category: 'did_rotate',
  idField: 'record_id',
  topic: 'did-rotate',
  states: ['due', 'rotate-sent', 'rotate-received', 'ack-sent', 'ack-received', 'failed'],
  view: (record) =>
    compact({
      ...viewHead(record),
      record_id: record.id,
      role: record.role,
      connection_id: record.value.connection_id,
      new_did: record.value.new_did,
      thread_id: record.value.thread_id,
      error: record.value.error,
    }),
  tags: (value) => ({ thread: value.thread_id }),
});
