import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/**
 * Follows the table of a program that knows nothing of it: `node tailer.ts SETTINGS.json`. A credential follows from each new row, another one from each change of a row,
 * which revokes the one before, and from the end of a row that the last one is revoked. The table's file is opened read-only; what was issued stands in a file of the
 * tailer's own. It may be killed at any time: an order is named by row and version, so that none has its effect twice.
 */

export interface Settings {
  /** The old program's file, its table and the column that names a row; every other column is an attribute. */
  readonly register: string;
  readonly table: string;
  readonly id: string;
  /** The tailer's own file. */
  readonly journal: string;
  readonly agent: { readonly url: string; readonly key: string };
  readonly connection_id: string;
  readonly cred_def_id: string;
}

export type State = 'issuing' | 'issued' | 'revoking' | 'revoked';

interface Entry {
  readonly row: string;
  readonly version: number;
  readonly content: string;
  readonly cred_ex_id: string | null;
  readonly state: State;
}

const JOURNAL = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS credential (
    row TEXT NOT NULL, version INTEGER NOT NULL, content TEXT NOT NULL, cred_ex_id TEXT, state TEXT NOT NULL, PRIMARY KEY (row, version))`;
/** How often the old program's file is looked at. */
const EVERY_MS = 200;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export async function follow(settings: Settings, report: (line: string) => void): Promise<never> {
  const register = new DatabaseSync(settings.register, { readOnly: true });
  const journal = new DatabaseSync(settings.journal);
  journal.exec(JOURNAL);
  const rows = register.prepare(`SELECT * FROM ${quoted(settings.table)} ORDER BY ${quoted(settings.id)}`);
  const version = register.prepare('PRAGMA data_version');
  let seen: unknown;
  for (;;) {
    // another number whenever another process has committed
    const now = version.get()?.data_version;
    if (now !== seen) note(journal, contentsOf(rows.all(), settings.id));
    seen = now;
    const open = journal.prepare("SELECT * FROM credential WHERE state IN ('issuing', 'revoking') ORDER BY rowid").all();
    for (const entry of open as unknown as Entry[])
      await order(settings, journal, entry, report).catch((error: Error) => report(`${entry.row}.${entry.version}: ${error.message}`));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/** Rows by their names, each as a text of its attributes. */
const contentsOf = (rows: readonly Record<string, unknown>[], id: string): Map<string, string> =>
  new Map(
    rows.map(({ [id]: name, ...attributes }) => [
      String(name),
      JSON.stringify(Object.entries(attributes).map(([attribute, value]) => ({ name: attribute, value: String(value ?? '') }))),
    ]),
  );

/** Compares the table with the journal, and notes what follows, in one commit. */
function note(journal: DatabaseSync, contents: ReadonlyMap<string, string>): void {
  journal.exec('BEGIN IMMEDIATE');
  const last = new Map(
    (journal.prepare('SELECT * FROM credential ORDER BY row, version').all() as unknown as Entry[]).map((entry) => [entry.row, entry]),
  );
  const revoke = journal.prepare("UPDATE credential SET state = 'revoking' WHERE row = ? AND version = ? AND state <> 'revoked'");
  for (const [row, entry] of last) if (entry.content !== contents.get(row)) revoke.run(row, entry.version);
  const issue = journal.prepare("INSERT INTO credential VALUES (?, ?, ?, NULL, 'issuing')");
  for (const [row, content] of contents) {
    const before = last.get(row);
    const ended = before?.state === 'revoking' || before?.state === 'revoked';
    if (before?.content !== content || ended) issue.run(row, (before?.version ?? 0) + 1, content);
  }
  journal.exec('COMMIT');
}

/** Has the agent issue, or revoke, and notes that. @throws Error where it is to be tried again */
async function order(settings: Settings, journal: DatabaseSync, entry: Entry, report: (line: string) => void): Promise<void> {
  const { row, version } = entry;
  const { connection_id, cred_def_id } = settings;
  // one that was to be revoked before it was issued has been ordered all the same, perhaps
  let id = entry.cred_ex_id;
  if (id === null) {
    const made = await post(settings, '/issue-credential-2.0/send', `${cred_def_id} ${row} ${version}`, {
      connection_id,
      filter: { anoncreds: { cred_def_id } },
      credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: JSON.parse(entry.content) },
    });
    id = made.cred_ex_id!;
    journal.prepare('UPDATE credential SET cred_ex_id = ? WHERE row = ? AND version = ?').run(id, row, version);
  }
  if (entry.state === 'revoking')
    await post(settings, '/anoncreds/revocation/revoke', `revoke ${cred_def_id} ${row} ${version}`, { cred_ex_id: id, publish: true });
  const state: State = entry.state === 'revoking' ? 'revoked' : 'issued';
  journal.prepare('UPDATE credential SET state = ? WHERE row = ? AND version = ? AND state = ?').run(state, row, version, entry.state);
  report(`${row}.${version} ${state}`);
}

/** A call that has one effect, however often it is made within a day. */
async function post({ agent }: Settings, path: string, key: string, body: object): Promise<{ cred_ex_id?: string }> {
  const name = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(key))).toString('hex');
  const headers = { 'x-api-key': agent.key, 'content-type': 'application/json', 'idempotency-key': name };
  const answer = await fetch(`${agent.url}${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as { cred_ex_id?: string };
}

if (import.meta.main) {
  process.stdout.write('following\n');
  await follow(JSON.parse(readFileSync(process.argv[2]!, 'utf8')), (line) => process.stdout.write(`${line}\n`));
}
