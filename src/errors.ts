/**
 * The error table: one row per failure that anyone outside can see. "Specific to us, vague to them": a controller gets the detail, a peer gets `peer`.
 * `status` is the admin API's HTTP status (ACA-Py's where it has one); `report` is the code of a problem report, where a peer gets one.
 */
interface ErrorRow {
  status: number;
  text: string;
  report?: string;
  peer?: string;
  /** Whether a job that failed with it may be tried again. */
  retry?: boolean;
}

const TABLE = {
  'bad-request': { status: 400, text: 'The request is not valid' },
  'bad-json': { status: 400, text: 'The body is not valid JSON' },
  unauthorized: { status: 401, text: 'Unauthorized', report: 'unauthorized', peer: 'The connection is not allowed this' },
  'wallet-locked': { status: 401, text: 'The wallet is locked: a token that is asked for with its wallet_key unlocks it', retry: true },
  forbidden: { status: 403, text: 'Forbidden' },
  'not-found': { status: 404, text: 'Record not found' },
  'wrong-state': {
    status: 400,
    text: 'The record is not in a state that allows this',
    report: 'invalid-state',
    peer: 'Message not expected here',
  },
  'too-large': { status: 413, text: 'The body is too large' },
  'unsupported-media-type': { status: 415, text: 'The body must be JSON' },
  unprocessable: { status: 422, text: 'The request does not match its schema' },
  'not-implemented': { status: 501, text: 'Not implemented' },
  busy: { status: 429, text: 'Too many calls and messages of this wallet wait already: come back in a moment', retry: true },
  'mailbox-full': { status: 429, text: 'The queue of the recipient is full: nothing was stored', retry: true },
  'counter-full': { status: 409, text: 'The counter has given all its numbers: nothing was stored', retry: true },
  'registry-unready': { status: 503, text: 'No revocation registry of the credential definition is active yet', retry: true },
  'vault-full': { status: 413, text: 'The vault is full: nothing was stored' },
  'not-current': { status: 409, text: 'What is stored is of another sequence, or has the same name' },
  'mail-known': { status: 409, text: 'The message is kept already: nothing was stored' },
  unavailable: { status: 503, text: 'The agent is not ready' },
  conflict: { status: 409, text: 'The record was changed at the same time', retry: true },
  'lease-lost': { status: 409, text: 'The job was taken over by another worker' },
  'store-full': { status: 503, text: 'The database is full: nothing was stored', retry: true },
  'store-corrupt': { status: 500, text: 'The database is damaged: a record failed its integrity check' },
  'store-unavailable': { status: 503, text: 'The database does not answer', retry: true },
  'store-locked': { status: 503, text: 'Another process has this database open' },
  'wrong-master-key': { status: 500, text: 'The wallet key does not open this database' },
  'envelope-refused': { status: 202, text: 'The envelope was not accepted' },
  'message-invalid': {
    status: 400,
    text: 'The message does not match its schema',
    report: 'message-parse-failure',
    peer: 'Message could not be understood',
  },
  'invitation-closed': {
    status: 400,
    text: 'The invitation is not open',
    report: 'request_not_accepted',
    peer: 'The invitation is not open',
  },
  'message-unknown': { status: 400, text: 'Unknown message type', report: 'message-parse-failure', peer: 'Message type is not supported' },
  'did-not-found': { status: 404, text: 'The DID was not found' },
  'did-invalid': { status: 400, text: 'The DID or its document is not valid' },
  'did-unsupported': { status: 400, text: 'The DID method is not supported' },
  'did-unavailable': { status: 502, text: 'The document of the DID could not be fetched' },
  'link-unavailable': { status: 502, text: 'What the URL leads to could not be fetched' },
  'object-not-found': { status: 404, text: 'The ledger holds no such object' },
  'object-invalid': { status: 400, text: 'The ledger object failed its checks' },
  'status-none': { status: 404, text: 'The registry had no state by then' },
  'status-pruned': { status: 404, text: 'The registry has dropped its states of that time' },
  'status-overtaken': { status: 409, text: 'The registry has another state by now' },
  'tails-unavailable': { status: 502, text: 'The tails file could not be fetched' },
  'ledger-none': { status: 403, text: 'No ledger is configured' },
  'ledger-unavailable': { status: 503, text: 'The ledger does not answer', retry: true },
  'ledger-wrong-network': { status: 503, text: 'The ledger node serves another network', retry: true },
  'ledger-rejected': { status: 400, text: 'The ledger rejected the transaction' },
  'ledger-waiting': { status: 503, text: 'The ledger write waits', retry: true },
  'endorsement-refused': { status: 400, text: 'The request is not endorsed' },
  'anoncreds-off': {
    status: 501,
    text: 'AnonCreds is off: the library was not found; run ./flexid once with PyPI reachable or set LIB_ANONCREDS_PATH',
  },
  unfinished: { status: 503, text: 'The work waits until this agent can do it', retry: true },
  'anoncreds-busy': { status: 503, text: 'The AnonCreds engine is busy or was restarted', retry: true },
  'anoncreds-failed': { status: 400, text: 'The AnonCreds operation failed' },
  'egress-refused': { status: 400, text: 'The endpoint is not allowed' },
  'delivery-failed': { status: 502, text: 'The message could not be delivered', retry: true },
  timeout: { status: 504, text: 'The operation did not finish in time' },
  internal: { status: 500, text: 'Internal error' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof TABLE;

/** The row of a code. */
export const errorRow = (code: ErrorCode): ErrorRow => TABLE[code];

/** The one error class: a code of the table and, for our side only, what exactly was wrong. Never put a secret into `detail`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  /** The `Retry-After` of the answer, in s. */
  readonly retryAfter: number | undefined;
  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown; retryAfter?: number }) {
    super(detail ?? TABLE[code].text, options);
    this.name = 'AppError';
    this.code = code;
    this.retryAfter = options?.retryAfter;
  }
  get row(): ErrorRow {
    return TABLE[this.code];
  }
}

/** A stored record that does not open any more: which one, and its version, by which it can still be removed. */
export class DamagedRecord extends AppError {
  readonly record: { readonly category: string; readonly id: string; readonly version: number };
  constructor(record: DamagedRecord['record'], detail: string, options?: { cause?: unknown }) {
    super('store-corrupt', detail, options);
    this.record = record;
  }
}

/** Any thrown thing as an AppError: unknown ones become `internal`, with their message kept for the log only. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal', 'Internal error', { cause: error });
}

/** Whether something failed because a wallet's owner keeps its key. */
export const isLocked = (error: unknown): boolean => error instanceof AppError && error.code === 'wallet-locked';
