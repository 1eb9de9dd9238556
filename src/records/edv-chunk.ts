import { defineRecord } from '../kernel/record.ts';

/** One part of a document's stream. Its bytes are a large value, which its name finds. */
export interface EdvChunkValue {
  [member: string]: unknown;
  document: string;
  index: number;
  /** That of the document which it belongs to. */
  sequence: number;
  size: number;
  /** The large value, named after its own hash: what the record names never changes. */
  blob: string;
}

/** @param document its place: `documentId` */
export const chunkId = (document: string, index: number): string => `${document}.${index}`;

/** The beginning of the names of all chunks. */
export const CHUNKS = 'hub/';

export const chunkBlob = (vault: string, document: string, index: number, hash: string): string =>
  `${CHUNKS}${vault}/${document}/${index}/${hash}`;

export const edvChunk = defineRecord<EdvChunkValue>({
  category: 'edv_chunk',
  idField: 'chunk_id',
  states: ['stored'],
  view: () => ({}),
  tags: ({ document, blob }) => ({ document, blob }),
});
