import { defineRecord } from '../kernel/record.ts';

/** One part of a document's stream. Its bytes are a large value. */
export interface EdvChunkValue {
  [member: string]: unknown;
  document: string;
  index: number;
  /** That of the document which it belongs to. */
  sequence: number;
  size: number;
  /** The name of the large value. It was never used before, so its bytes never change. */
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
