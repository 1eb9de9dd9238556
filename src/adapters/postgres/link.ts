import pg from 'pg';
import { AppError } from '../../errors.ts';
import { byteaArray } from './bytea-array.ts';
import { COUNTER_FULL, FOREIGN_LANE, LEASE_LOST, MAILBOX_FULL, NO_TENANT, VERSION_CLASH } from './commit-sql.ts';

/** The name of this agent's sessions in the database's own views. */
export const APPLICATION = 'flexid';
const CONNECT_MS = 5000;
const QUERY_MS = 30_000;
/**
 * Every statement here is a look-up by index with arrays of unknown length: the generic plan is the right one, and a plan made while a table was empty must not
 * become a scan that grows with it.
 */
const SETTINGS = [
  'enable_seqscan=off',
  'enable_bitmapscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'plan_cache_mode=force_generic_plan',
  'jit=off',
];
const INT8 = 20;

const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? Number : (pg.types.getTypeParser(oid, format as 'text') as (value: string) => unknown),
} as pg.CustomTypesConfig;

/** PostgreSQL's own code of an error. */
export const stateOf = (error: unknown): string | undefined => (error instanceof pg.DatabaseError ? error.code : undefined);

/** Whether the database undid a transaction only because another was in its way. */
const isTransient = (error: unknown): boolean => error instanceof AppError && ['40P01', '40001'].includes(stateOf(error.cause) ?? '');

/** Which box is full, as the commit function names it. */
export const fullBox = (error: AppError): string | undefined =>
  error.code === 'mailbox-full' && error.cause instanceof pg.DatabaseError ? error.cause.detail : undefined;

/** An error of PostgreSQL or of its connection as one of the error table. */
export function postgresError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const state = stateOf(error);
  const text = error instanceof Error ? error.message || ('code' in error ? String(error.code) : error.name) : String(error);
  const cause = { cause: error };
  if (state === VERSION_CLASH) return new AppError('conflict', text, cause);
  if (state === LEASE_LOST) return new AppError('lease-lost', undefined, cause);
  if (state === MAILBOX_FULL) return new AppError('mailbox-full', undefined, cause);
  if (state === COUNTER_FULL) return new AppError('counter-full', undefined, cause);
  if (state === NO_TENANT) return new AppError('not-found', text, cause);
  if (state === FOREIGN_LANE) return new AppError('internal', text, cause);
  if (state === '23505' && (error as pg.DatabaseError).constraint === 'mail_pkey') return new AppError('mail-known', undefined, cause);
  if (state === '23505') return new AppError('conflict', `An id of the commit exists already (${text})`, cause);
  if (state === '40001' || state === '40P01') return new AppError('conflict', text, cause);
  if (state === '53100') return new AppError('store-full', undefined, cause);
  if (state === 'XX001' || state === 'XX002') return new AppError('store-corrupt', `The database is damaged (${text})`, cause);
  // 08 connection, 57 shutdown, 58 system; without a state the connection itself failed
  if (state === undefined || /^(08|57|58)/.test(state))
    return new AppError('store-unavailable', `The database does not answer (${text})`, cause);
  // 28 login, 53 resources, 25006 read-only, 3D000 no such database, 42501 no right: a server that answers, and refuses
  if (/^(28|53|25006|3D000|42501)/.test(state)) return new AppError('store-unavailable', `The database refuses (${text})`, cause);
  return new AppError('internal', `${text} (SQLSTATE ${state})`, cause);
}

export interface Statement {
  name: string;
  text: string;
  values?: readonly unknown[];
}

/** One pipelined connection: it connects when it is used and again after it was lost; statements are answered in their order. */
export interface Link {
  /** Rows of one statement. */
  query<Row>(statement: Statement): Promise<Row[]>;
  /** Several statements sent together, in order and with none between them; the rows of each. */
  together(statements: readonly Statement[]): Promise<unknown[][]>;
  /** The same, all in one transaction. */
  transaction(statements: readonly Statement[]): Promise<unknown[][]>;
  end(): Promise<void>;
}

/** The tenant that row-level security lets the statements of a transaction see. */
export const scope = (t: number): Statement => ({
  name: 'scope-local',
  text: "SELECT set_config('flexid.tenant', $1, true)",
  values: [String(t)],
});
const BEGIN: Statement = { name: 'begin', text: 'BEGIN' };
// after a statement that failed it undoes the transaction
const COMMIT: Statement = { name: 'commit-all', text: 'COMMIT' };

export interface LinkOptions {
  url: string;
  /** Settings for the session, beside those of every link. */
  settings: readonly string[];
  /** Counts a round trip. */
  sent: () => void;
}

const clientOptions = (url: string, settings: readonly string[]): pg.ClientConfig => ({
  connectionString: url,
  connectionTimeoutMillis: CONNECT_MS,
  keepAlive: true,
  application_name: APPLICATION,
  types,
  options: [...SETTINGS, ...settings].map((setting) => `-c ${setting}`).join(' '),
});

/** A plain connection, for what is not a look-up: migrations and LISTEN. */
export async function plainClient(url: string, settings: readonly string[] = []): Promise<pg.Client> {
  const client = new pg.Client(clientOptions(url, settings));
  // the query that waits fails with a lost connection; without a listener the event would end the process
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw postgresError(error);
  }
  return client;
}

export function openLink({ url, settings, sent }: LinkOptions): Link {
  let current: Promise<pg.Client> | undefined;
  let ended = false;

  function connected(): Promise<pg.Client> {
    if (ended) return Promise.reject(new AppError('store-unavailable', 'The database is closed'));
    if (current) return current;
    const client = new pg.Client({ ...clientOptions(url, settings), pipeline: true, query_timeout: QUERY_MS });
    const attempt = client.connect().then(() => client);
    const remove = () => {
      if (current === attempt) current = undefined;
    };
    client.on('error', remove);
    client.on('end', remove);
    attempt.catch(remove);
    current = attempt;
    return attempt;
  }

  async function together(statements: readonly Statement[]): Promise<unknown[][]> {
    sent();
    try {
      const client = await connected();
      return await Promise.all(statements.map((statement) => rowsOf(client, statement)));
    } catch (error) {
      throw postgresError(error);
    }
  }

  return {
    together,
    transaction: async (statements) => (await together([BEGIN, ...statements, COMMIT])).slice(1, -1),
    query: async <Row>(statement: Statement) => (await together([statement]))[0] as Row[],
    async end() {
      ended = true;
      const client = await current?.catch(() => undefined);
      await client?.end().catch(() => undefined);
    },
  };
}

const EMPTY_ARRAY = '{}';
const isBytes = (one: unknown): one is Buffer | null => one === null || Buffer.isBuffer(one);

/** An array as the driver is to send it: ciphertexts and hashes as bytes, which it would write as hexadecimal digits. */
const parameterOf = (array: readonly unknown[]): unknown => {
  if (array.length === 0) return EMPTY_ARRAY;
  // an array of nulls alone may have any type
  return array.every(isBytes) && array.some((one) => one !== null) ? byteaArray(array) : array;
};

/** The rows of one statement. A query of our own making spares the driver the copy of a configuration. */
function rowsOf(client: pg.Client, { name, text, values = [] }: Statement): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const given = values.map((value) => (Array.isArray(value) ? parameterOf(value) : value));
    const query = new pg.Query(text, given) as pg.Query & { name: string; callback: (error: Error | null, result: pg.QueryResult) => void };
    query.name = name;
    query.callback = (error, result) => (error ? reject(error) : resolve(result.rows));
    client.query(query);
  });
}

const ATTEMPTS = 5;

/** Lanes are locked in order, but a commit of another process may hold one and wait for another: then the database undoes one of the two, which tries again. */
export const patient = <Row>(link: Link, statement: Statement): Promise<Row[]> => patiently(() => link.query<Row>(statement));

/** Runs a transaction again that the database undid only because another was in its way. */
export async function patiently<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= ATTEMPTS || !isTransient(error)) throw error;
    }
  }
}
