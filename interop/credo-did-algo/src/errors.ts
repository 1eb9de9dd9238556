/** What could not be read, by a code of docs/StatusLog.md of the FlexID Cloud Agent or of this package. */
export type ErrorCode =
  | 'identifier-invalid'
  | 'network-unknown'
  | 'ledger-unavailable'
  | 'object-not-found'
  | 'object-invalid'
  | 'status-none'
  | 'status-pruned';

export class DidAlgoError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'DidAlgoError';
    this.code = code;
  }
}

/** The error of a box that breaks a rule of the format. */
export const invalid = (reason: string, cause?: unknown): DidAlgoError => new DidAlgoError('object-invalid', reason, { cause });
