import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import algosdk from 'algosdk';
import { parse } from 'csv-parse/sync';
import { type LedgerFacts, startNetwork } from '../../harness/network.ts';
import { openDatabase, openStores } from '../../harness/stores.ts';
import { createScreen, type Screen } from '../lib/screen.ts';
import { type Open, onStage, withFolder } from '../lib/stage.ts';
import { runConsoles } from './consoles.ts';
import { pause } from './controller.ts';
import { runEdges } from './edges.ts';
import { integerColumn, PROTOCOLS, type Protocol, runFlow, stepsOn, type Table, type Watcher } from './flow.ts';
import { runHub } from './hub.ts';
import { runOwner } from './owner.ts';
import { runRevocation } from './revoke.ts';
import { runTenants } from './tenants.ts';

/** How long the mediator stays dead. */
const DEAD_MS = 2000;

/** Demonstrations of their own, and what each can be given. */
const APART = { owner: ['keep'], hub: ['store', 'keep'], edges: ['keep'], console: ['store', 'keep'] };

const HELP = `./flexid demo: an issuer, a holder and a verifier on a dev ledger, as processes of their own

  --input FILE      CSV with a heading line; one credential is issued per row (default: ${'examples/demo/graduates.csv'})
  --rows N          only the first N rows
  --protocol NAME   didexchange (default): the agents connect and write to each other by DIDComm; 2018: by the 2018 Agent Protocol
  --ledger URL      an algod that is there already instead of a dev ledger, on LocalNet or TestNet; its token, the registry and the sponsor are
                    in the variables of ./flexid start: FLEXID_ALGOD_TOKEN, FLEXID_ALGORAND_APP_ID, FLEXID_SPONSOR_MNEMONIC and so on
  --mediated        nobody can reach the holder: it has its mail from a mediator, which gets SIGKILL before the presentations and is started again
  --edges           two people with wallets in terminals (./flexid edge), an issuer, and an agency that gets SIGKILL; by DIDComm and by the 2018 protocol
  --store KIND      sqlite (default), postgres (starts a server of its own), or a postgres:// URL (uses databases flexid_demo_* there)
  --replicas N      N interchangeable agents on one PostgreSQL database behind a proxy, and wallets made through their API
  --tenants N       with --replicas: N wallets, one that issues, one that verifies, the others hold a credential each (default: 10)
  --kill            with --replicas: one agent gets SIGKILL in the middle, and everything ends right all the same
  --revoke          100 credentials that can be revoked, 10 of them revoked by one call: 90 presentations are verified, 10 are not
  --owner           an issuer without an admin API, which its owner drives by encrypted messages alone
  --hub             a playlist in an encrypted vault, and a music service that reads it while its owner's device is off, until that is ended
  --console         three agents and their consoles, for people with a browser, until Ctrl-C
  --revocable       with --replicas: the credentials can be revoked, and no two have one index
  --keep [DIR]      leave stores and logs in DIR, by default in a new folder
  --help            this text
`;

/** `./flexid demo`. Prints a line per step and ends with \`verified: true\`; any failure names its step and gives exit code 1. */
export async function main(argv: readonly string[]): Promise<number> {
  let values: {
    input?: string;
    rows?: string;
    store?: string;
    protocol?: string;
    mediated?: boolean;
    edges?: boolean;
    ledger?: string;
    keep?: string;
    replicas?: string;
    tenants?: string;
    kill?: boolean;
    revoke?: boolean;
    hub?: boolean;
    revocable?: boolean;
    owner?: boolean;
    console?: boolean;
    help?: boolean;
  };
  let shared: { replicas: number; tenants: number; kill: boolean; revocable: boolean } | undefined;
  let table: Table;
  let protocol: Protocol;
  let external: External | undefined;
  try {
    ({ values } = parseArgs({
      args: withFolder(argv),
      options: {
        input: { type: 'string' },
        rows: { type: 'string' },
        store: { type: 'string' },
        protocol: { type: 'string' },
        mediated: { type: 'boolean' },
        edges: { type: 'boolean' },
        ledger: { type: 'string' },
        keep: { type: 'string' },
        replicas: { type: 'string' },
        tenants: { type: 'string' },
        kill: { type: 'boolean' },
        revoke: { type: 'boolean' },
        hub: { type: 'boolean' },
        revocable: { type: 'boolean' },
        owner: { type: 'boolean' },
        console: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    protocol = protocolOf(values.protocol ?? 'didexchange');
    table = readTable(values.input ?? fileURLToPath(new URL('graduates.csv', import.meta.url)), values.rows);
    integerColumn(table);
    shared = sharedOf(values);
    external = values.ledger === undefined ? undefined : ledgerFrom(values.ledger, process.env);
    if (external && shared) throw new Error('--ledger does not go with --replicas');
    if (values.mediated && protocol === '2018')
      throw new Error('--mediated goes with --protocol didexchange: the 2018 Agent Protocol has no mediators');
    if (values.revoke && (shared || values.mediated || protocol === '2018'))
      throw new Error('--revoke goes with neither --replicas, --mediated nor --protocol 2018');
    for (const [name, others] of Object.entries(APART)) {
      const foreign = Object.keys(values).some((other) => other !== name && !others.includes(other));
      if (name in values && foreign) throw new Error(`--${name} goes with ${others.map((other) => `--${other}`).join(' and ')} alone`);
    }
    if (values.mediated && shared) throw new Error('--mediated does not go with --replicas');
  } catch (error) {
    process.stderr.write(`flexid demo: ${(error as Error).message}\n`);
    return 2;
  }

  const screen = createScreen();
  return await onStage('demo', values.keep, async ({ folder, open }) => {
    screen.begin('start');
    const run = values.owner
      ? runOwned(folder, values.keep, screen, open)
      : values.console
        ? runPages(values, folder, screen, open)
        : values.hub
          ? runVault(values, folder, screen, open)
          : values.edges
            ? runWallets(folder, values.keep, screen, open)
            : shared
              ? runShared(table, { ...shared, folder }, values, screen, open)
              : runThree(table, { ...values, protocol, external }, folder, screen, open);
    const right = await run.finally(screen.end);
    process.stdout.write(`verified: ${right}\n`);
    return right;
  });
}

/** A node that is there already, and what its sponsor holds in microALGO. */
interface External {
  readonly facts: LedgerFacts;
  held(): Promise<number>;
}

/** The ledger at `url`, by the variables of an agent. @throws Error that names what is missing */
function ledgerFrom(url: string, env: Readonly<Record<string, string | undefined>>): External {
  const needed = (name: string): string => {
    const value = env[name];
    if (!value) throw new Error(`--ledger needs ${name}`);
    return value;
  };
  const { FLEXID_ALGOD_TOKEN: token = '', FLEXID_ALGORAND_NETWORK: name = 'custom', FLEXID_ALGORAND_GENESIS_HASH: genesis } = env;
  if (name === 'mainnet') throw new Error('--ledger is for LocalNet and TestNet: what a demo writes to mainnet stays there for good');
  const [app, sponsor] = [needed('FLEXID_ALGORAND_APP_ID'), needed('FLEXID_SPONSOR_MNEMONIC')];
  const { addr } = algosdk.mnemonicToSecretKey(sponsor);
  const flags = ['--algod-url', url, '--algod-token', token, '--algorand-app-id', app, '--algorand-network', name];
  return {
    facts: { url, app, sponsor, flags: genesis ? [...flags, '--algorand-genesis-hash', genesis] : flags },
    held: async () => {
      const answer = await fetch(`${url.replace(/\/$/, '')}/v2/accounts/${addr}`, { headers: { 'x-algo-api-token': token } });
      if (!answer.ok) throw new Error(`the node at ${url} answers ${answer.status}`);
      return ((await answer.json()) as { amount: number }).amount;
    },
  };
}

/** An issuer that is driven by messages alone. @returns whether the presentation was verified */
async function runOwned(folder: string, keep: string | undefined, screen: Screen, open: Open): Promise<boolean> {
  const started = performance.now();
  const { right, facts } = await runOwner(folder, open, screen.line);
  screen.table([
    ...facts.map(([name, value]): [string, string] => [name, value]),
    ['time', `${((performance.now() - started) / 1000).toFixed(1)} s`],
    ...(keep ? [['stores and logs', folder] as [string, string]] : []),
  ]);
  return right;
}

/** Interchangeable agents on one database. @returns whether every holder has its credential, verified */
async function runShared(
  table: Table,
  options: { replicas: number; tenants: number; kill: boolean; revocable: boolean; folder: string },
  { store = 'postgres', keep }: { store?: string; keep?: string },
  screen: Screen,
  open: Open,
): Promise<boolean> {
  const started = performance.now();
  const database = await open(openDatabase(store));
  const outcome = await runTenants(
    table,
    {
      ...options,
      store: database.url,
      started: (name, detail) => screen.line(`start ${name}`.replace('start SIGKILL', 'SIGKILL'), detail),
    },
    { begin: screen.begin, end: screen.line, row: screen.row },
  );
  screen.table([
    ['credentials issued', String(outcome.issued)],
    ['presentations verified', String(outcome.verified)],
    ...outcome.facts,
    ['time', `${((performance.now() - started) / 1000).toFixed(1)} s`],
    ...(keep ? [['logs', options.folder] as [string, string]] : []),
  ]);
  return outcome.verified === outcome.holders && outcome.issued === outcome.holders;
}

/** The consoles of three agents, until the demo is interrupted. */
async function runPages({ store = 'sqlite' }: { store?: string }, folder: string, screen: Screen, open: Open): Promise<boolean> {
  const stores = await open(openStores(store, folder));
  return await runConsoles(folder, stores.of, screen.line, open);
}

/** A vault that a service reads from. @returns whether it could while it might, and not after that */
async function runVault({ store = 'sqlite' }: { store?: string }, folder: string, screen: Screen, open: Open): Promise<boolean> {
  const stores = await open(openStores(store, folder));
  const { right, facts } = await runHub(folder, stores.of, { begin: screen.begin, end: screen.line, row: screen.row }, open);
  screen.table(facts);
  return right;
}

/** Two wallets in terminals, an issuer, and their mail. @returns whether one of them has proved to the other what the issuer issued */
async function runWallets(folder: string, keep: string | undefined, screen: Screen, open: Open): Promise<boolean> {
  const started = performance.now();
  const step = stepsOn({ begin: screen.begin, end: screen.line });
  const { right, facts } = await runEdges(folder, step, open);
  screen.table([
    ...facts.map(([name, fact]): [string, string] => [name, fact]),
    ['time', `${((performance.now() - started) / 1000).toFixed(1)} s`],
    ...(keep ? [['stores and logs', folder] as [string, string]] : []),
  ]);
  return right;
}

/** An issuer, a holder and a verifier. @returns whether every row was issued, presented and verified */
async function runThree(
  table: Table,
  {
    store = 'sqlite',
    protocol,
    mediated,
    keep,
    external,
    revoke,
  }: { store?: string; protocol: Protocol; mediated?: boolean; keep?: string; external?: External; revoke?: boolean },
  folder: string,
  screen: Screen,
  open: Open,
): Promise<boolean> {
  const started = performance.now();
  const stores = await open(openStores(store, folder));
  const held = await external?.held();
  const network = await open(
    startNetwork(folder, stores.of, (name, detail) => screen.line(`start ${name}`, detail), undefined, mediated, external?.facts),
  );
  const { controllers, mediator } = network;
  const watcher = { begin: screen.begin, end: screen.line, row: screen.row };
  if (revoke) {
    const { issued, verified, refused, right, facts } = await runRevocation(controllers, table, watcher);
    screen.table([
      ['credentials issued', String(issued)],
      ['presentations verified', `${verified}, and ${refused} of revoked credentials not`],
      ...facts,
      ['time', `${((performance.now() - started) / 1000).toFixed(1)} s`],
    ]);
    return right;
  }
  let back: Promise<unknown> | undefined;
  const pids: (number | undefined)[] = [];
  const fault: Watcher = {
    ...watcher,
    async begin(step) {
      if (mediator && step.startsWith('present')) {
        pids.push(mediator.pid);
        await mediator.kill();
        screen.line('SIGKILL mediator', `pid ${pids[0]}: presentations are asked for while it is dead`);
        back = pause(DEAD_MS).then(() => mediator.start());
        // told of below
        back.catch(() => {});
      }
      screen.begin(step);
    },
  };
  const outcome = await runFlow(controllers, table, fault, { protocol });
  await back;
  pids.push(mediator?.pid);
  const each = Object.values(controllers);
  screen.table([
    ['credentials issued', String(outcome.issued.length)],
    ['presentations verified', String(outcome.verified)],
    ['schema', outcome.schemaId],
    ['credential definition', outcome.credDefId],
    ['admin calls', each.map((one) => `${one.name} ${one.calls}`).join(', ')],
    ['webhooks', each.map((one) => `${one.name} ${one.received.length}`).join(', ')],
    ...(mediator ? [['mediator killed', `pid ${pids[0]}, started again as pid ${pids[1]}`] as [string, string]] : []),
    ...(external && held ? [['deposits and fees', `${((held - (await external.held())) / 1e6).toFixed(4)} ALGO`] as [string, string]] : []),
    ['time', `${((performance.now() - started) / 1000).toFixed(1)} s`],
    ...(keep ? [['stores and logs', folder] as [string, string]] : []),
  ]);
  return outcome.verified === table.rows.length;
}

function protocolOf(given: string | undefined): Protocol {
  const known = PROTOCOLS.find((one) => one === given);
  if (!known) throw new Error(`--protocol ${given} is unknown: ${PROTOCOLS.join(' or ')}`);
  return known;
}

/** What --replicas and its companions say; undefined for three agents of their own. @throws Error that says what is wrong with it */
function sharedOf(values: { replicas?: string; tenants?: string; kill?: boolean; revocable?: boolean; store?: string }) {
  const { replicas, tenants, kill = false, revocable = false, store } = values;
  if (replicas === undefined) {
    if (tenants !== undefined || kill || revocable) throw new Error('--tenants, --kill and --revocable need --replicas');
    return undefined;
  }
  const [agents, wallets] = [Number(replicas), Number(tenants ?? 10)];
  if (!Number.isInteger(agents) || agents < 1) throw new Error(`--replicas takes a number from 1, not ${replicas}`);
  if (!Number.isInteger(wallets) || wallets < 3) throw new Error(`--tenants takes a number from 3, not ${tenants}`);
  if (kill && agents < 2) throw new Error('--kill needs --replicas 2 or more');
  if (store === 'sqlite') throw new Error('--replicas needs --store postgres, or a postgres:// URL: one SQLite file serves one agent');
  return { replicas: agents, tenants: wallets, kill, revocable };
}

/** The rows of a CSV file with a heading line. @throws Error that says what is wrong with it */
function readTable(path: string, limit: string | undefined): Table {
  if (!existsSync(path)) throw new Error(`--input ${path}: there is no such file`);
  const rows = parse(readFileSync(path, 'utf8'), { columns: true, skip_empty_lines: true, trim: true, bom: true }) as Record<
    string,
    string
  >[];
  const count = limit === undefined ? rows.length : Number(limit);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--rows takes a number from 1, not ${limit}`);
  if (rows.length === 0) throw new Error(`--input ${path}: no rows under the heading line`);
  const columns = Object.keys(rows[0]!);
  if (columns.some((name) => name === '')) throw new Error(`--input ${path}: a column has no name`);
  return { columns, rows: rows.slice(0, count) };
}
