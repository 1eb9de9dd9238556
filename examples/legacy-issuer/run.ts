import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Started } from '../../harness/network.ts';
import { type Program, program } from '../../harness/processes.ts';
import { anchor, connect } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';
import { until } from '../lib/until.ts';
import type { State } from './tailer.ts';

const OLD_PROGRAM = fileURLToPath(new URL('old-program.mjs', import.meta.url));
const COLUMNS = ['name', 'owner', 'tons'];

export interface Office {
  readonly office: Started;
  readonly wallet: Started;
  readonly connection: string;
  readonly credDefId: string;
  readonly tailer: Program;
  readonly register: string;
  /** Runs the old program. */
  old(...words: (string | number)[]): Promise<void>;
  /** What the tailer has in its journal: row, version, state, and the exchange of each credential. */
  journal(): { row: string; version: number; state: State; cred_ex_id: string }[];
}

/** A harbour office with a program of old, the same unchanged, whose boats get papers; and the wallet that they go to. */
export async function prepare(kit: Kit): Promise<Office> {
  const [office, wallet] = await Promise.all([
    kit.agent('office', {
      ledger: 'writes',
      flags: [
        ...['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
        ...['--notify-revocation'],
      ],
    }),
    kit.agent('wallet', {
      ledger: 'reads',
      flags: ['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential', '--preserve-exchange-records'],
    }),
  ]);
  const { credDefId } = await anchor(office.controller, COLUMNS, kit.step, 64, 'boat');
  const connection = await kit.step('connect the office and the wallet', async () => {
    const id = await connect(office.controller, wallet.controller);
    return [id, id];
  });
  const register = join(kit.folder, 'register.db');
  const old = async (...words: (string | number)[]): Promise<void> => {
    await promisify(execFile)(process.execPath, [OLD_PROGRAM, register, ...words.map(String)]);
  };
  await old('add', 0);
  const path = join(kit.folder, 'tailer.db');
  const tailer = await kit.step('start the tailer', async () => {
    const settings = join(kit.folder, 'tailer.json');
    const agent = { url: office.url, key: office.key };
    writeFileSync(
      settings,
      JSON.stringify({ register, table: 'boat', id: 'id', journal: path, agent, connection_id: connection, cred_def_id: credDefId }),
    );
    const made = program('tailer', kit.folder, 'examples/legacy-issuer/tailer.ts', [settings], (output) => output.includes('following'));
    await kit.open(made.start().then(() => made));
    return [made, `pid ${made.pid}`];
  });
  const journal = (): ReturnType<Office['journal']> => {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      return db.prepare('SELECT row, version, state, cred_ex_id FROM credential ORDER BY rowid').all() as ReturnType<Office['journal']>;
    } finally {
      db.close();
    }
  };
  return { office, wallet, connection, credDefId, tailer, register, old, journal };
}

/** Waits for the journal. */
export const journalHas = (
  { journal }: Office,
  holds: (entries: ReturnType<Office['journal']>) => boolean,
  what: string,
): Promise<boolean> => until(() => holds(journal()), what);

/** Boats are added while the tailer is killed, one is renamed, one is no more. */
export async function live(kit: Kit, office: Office, boats: number): Promise<void> {
  const { step } = kit;
  const issued = (entries: readonly { state: State }[]): number => entries.filter(({ state }) => state === 'issued').length;
  await step(`the old program has ${boats} boats, and the tailer is killed among them`, async () => {
    await office.old('add', boats);
    await journalHas(office, (entries) => issued(entries) >= boats / 4, 'the first papers');
    const { pid } = office.tailer;
    await office.tailer.kill();
    const before = issued(office.journal());
    await office.tailer.start();
    await journalHas(office, (entries) => issued(entries) === boats, 'all papers');
    return [undefined, `SIGKILL, pid ${pid}, after ${before}; ${boats} at last`];
  });
  await step('one is renamed, and one is no more', async () => {
    await office.old('rename', 3, 'Argo');
    await office.old('strike', 5);
    const revoked = (entries: readonly { state: State }[]): number => entries.filter(({ state }) => state === 'revoked').length;
    await journalHas(office, (entries) => issued(entries) === boats - 1 && revoked(entries) === 2, 'both revocations');
    return [undefined, 'new papers for the one, and both of before revoked'];
  });
}

export async function run(kit: Kit): Promise<void> {
  const office = await prepare(kit);
  await live(kit, office, 20);
  const { results } = await office.wallet.controller.get('/credentials?limit=1000');
  kit.line('the wallet', `${results.length} papers, of which two are revoked`);
}
