import { readFileSync } from 'node:fs';

/** The vectors of docs/StatusLog.md, in the repository of the FlexID Cloud Agent. */

export interface ObjectVector {
  what: string;
  type: 'SCHEMA' | 'CLAIM_DEF' | 'REV_REG_DEF';
  id: string;
  box: string;
  value: string;
  parts?: { box: string; value: string }[];
  canonical?: string;
  error?: string;
}
export interface LogVector {
  what: string;
  size: number;
  head: string;
  segments: Record<string, string>;
  at?: number;
}
export interface Expected {
  at?: number;
  revoked?: string;
  accumulator?: string;
  time?: number;
  round?: number;
  next?: number;
  error?: string;
}
interface Vectors {
  names: Record<string, string>;
  objects: ObjectVector[];
  sets: { size: number; revoked: string; bitmap: string; deflatedBitmap: string; gaps: string; deflatedGaps: string }[];
  accumulators: { text: string; form: 'packed' | 'deflated'; bytes: string }[];
  logs: (LogVector & { reads: Expected[] })[];
  corrupt: LogVector[];
}

const path = process.env.STATUS_LOG_VECTORS ?? new URL('../../../docs/vectors/status-log.json', import.meta.url);
export const vectors: Vectors = JSON.parse(readFileSync(path, 'utf8'));

export const bytes = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'));
export const text = (value: Uint8Array): string => Buffer.from(value).toString('base64');
export const bitmap = (value: Uint8Array): string => Buffer.from(value).toString('base64url');

/** The vector of a log whose description begins so. */
export const logOf = (what: string): LogVector & { reads: Expected[] } => {
  const found = vectors.logs.find((one) => one.what.startsWith(what));
  if (!found) throw new Error(`there is no vector ${what}`);
  return found;
};
