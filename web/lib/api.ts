/** Calls of the console's server. No key and no token is ever here: the session's cookie is not readable by scripts. */

// biome-ignore lint/suspicious/noExplicitAny: what an operation answers is as free as JSON
export type Answer = any;

export interface SessionFacts {
  readonly signed_in: boolean;
  readonly insecure?: boolean;
  readonly multitenant?: boolean;
  readonly wallet_keys?: boolean;
  readonly version?: string;
  /** The name of the OpenID Provider at which people sign in. */
  readonly login?: string;
  readonly role?: string;
  readonly csrf?: string;
  /** Times by the server's clock, ms. */
  readonly now?: number;
  readonly ends?: number;
  readonly idles?: number;
  readonly label?: string;
  readonly wallet_id?: string | null;
  readonly operations?: readonly string[];
  /** The origin of the web wallet that invitations lead to. */
  readonly web_wallet?: string | null;
  /** Of the web wallet: who has its key, whether it has words, and whether signing up needs a code. */
  readonly mode?: 'own' | 'kept';
  readonly has_words?: boolean;
  readonly code?: boolean;
}

/** An answer that is no success. Its text is for people. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

let session: SessionFacts = { signed_in: false };
let used = 0;
const listeners = new Set<() => void>();

const prefix = (): string => document.body.dataset.prefix ?? '';
export const currentSession = (): SessionFacts => session;
/** When the server last heard of this page (ms, this machine's clock): idle sessions end. */
export const lastUsed = (): number => used;

/** Calls when somebody has signed in or out. @returns the function that ends it */
export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Takes what the server answers of a session. */
export function take(next: SessionFacts): SessionFacts {
  const changed = next.signed_in !== session.signed_in || next.csrf !== session.csrf;
  session = next;
  used = Date.now();
  if (changed) for (const listener of listeners) listener();
  return next;
}

/** Whether this session may call an operation: what it may not is not shown. The server decides at the call. */
export const may = (...operations: string[]): boolean => operations.every((one) => session.operations?.includes(one));

/** A call of the page's server: a POST where there is a body. @throws ApiError */
export async function request(path: string, body?: object): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(`${prefix()}${path}`, {
      method: body ? 'POST' : 'GET',
      headers: body ? { 'content-type': 'application/json', 'x-csrf': session.csrf ?? '' } : {},
      body: body && JSON.stringify(body),
      credentials: 'same-origin',
    });
  } catch {
    throw new ApiError(0, '');
  }
  used = Date.now();
  if (response.ok) return response.headers.get('content-type')?.includes('json') ? await response.json() : await response.blob();
  const text = (await response.text()).replace(/^\d{3}: /, '');
  if (response.status === 401 && session.signed_in) await refreshSession().catch(() => {});
  throw new ApiError(response.status, text);
}

export const refreshSession = async (): Promise<SessionFacts> => take(await request('/session'));
export const signIn = async (given: object): Promise<SessionFacts> => take(await request('/login', given));
export const signOut = async (everywhere: boolean): Promise<SessionFacts> => take(await request('/logout', { everywhere }));

export interface Given {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  /** Repeated with the same key, a call has no second effect. */
  readonly key?: string;
}

/** One operation of the admin API, by its operationId. @throws ApiError */
export const call = (operation: string, given: Given = {}): Promise<Answer> => request(`/call/${encodeURIComponent(operation)}`, given);

const schemas = new Map<string, Promise<Answer>>();
/** The schemas of an operation's query and body. */
export function schemaOf(operation: string): Promise<Answer> {
  const known = schemas.get(operation) ?? request(`/schema/${encodeURIComponent(operation)}`);
  schemas.set(operation, known);
  known.catch(() => schemas.delete(operation));
  return known;
}

export const operations = (): Promise<Answer> => request('/operations');
