import { existsSync, readFileSync } from 'node:fs';
import { AppError } from './errors.ts';
import { releaseMemory, whenIdle } from './idle-memory.ts';
import { findOwnModules } from './own-modules.ts';
import { ACAPY_VERSION, VERSION } from './version.ts';

// for all that is imported below; nothing is before
findOwnModules(new URL('./', import.meta.url).href);

const HELP = `FlexID Cloud Agent: verifiable credentials over DIDComm, anchored on Algorand

  ./flexid demo               issue, present and verify credentials between three agents on a dev ledger
  ./flexid example [NAME]     a use to start from: a sensor, a login and others (./flexid example --help)
  ./flexid start ...          run the agent (./flexid start --help)
  ./flexid start mediator ... run a mediator for wallets; prints its invitation (./flexid start mediator --help)
  ./flexid start agency ...   run a mediator with cloud agents for edge agents (./flexid start agency --help)
  ./flexid edge [verb]        a wallet in a terminal (./flexid edge --help)
  ./flexid provision ...      create the database and, with --seed, the DID; takes the flags of start
  ./flexid upgrade ...        bring the database to this version's schema and pages; takes the flags of start
  ./flexid rotate-key ...     put --new-wallet-key in the place of the wallet key; takes the flags of start
  ./flexid export FILE ...    write a backup of all wallets, or of one, encrypted for 24 words (./flexid export --help)
  ./flexid import FILE ...    read a backup into a store that is new, or a wallet into an instance
  ./flexid recovery-words     make 24 words for backups
  ./flexid relay-offer FILE   hand a connection offer of the 2018 Agent Protocol on to an agent; needs no wallet
  ./flexid owner new DIR      write a program that drives an agent by encrypted messages (./flexid owner --help)
  ./flexid ledger ...         deploy, fund and check the registry, show what it costs (./flexid ledger --help)
  ./flexid devnet             run the dev ledger alone, algod's API on port 4001
  ./flexid test [suite]       run the tests
  ./flexid bench [name]       run the benchmarks
  ./flexid --version          this agent's version, and the one of ACA-Py whose admin API it has
  ./flexid fuzz               damaged messages, calls and ledger objects, seeded
`;

/** Runs the agent until SIGTERM or SIGINT, and drains then. */
async function start(argv: readonly string[]): Promise<void> {
  const mediator = argv[0] === 'mediator' || argv[0] === 'agency';
  const { config, shown, log, app } = await configured(mediator ? `start ${argv[0]}` : 'start', mediator ? argv.slice(1) : argv);
  const { startAgent } = app;
  const agent = await startAgent(config, shown, log);
  log.info({ admin: agent.adminPort, inbound: agent.inboundPort, wallet: agent.walletOrigin, label: config.label }, 'the agent is ready');
  whenIdle(releaseMemory);
  const signal = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  if (mediator) show(await agent.invitation(), config.qr, config.agency ? 'agency' : 'mediator');
  const why = await Promise.race([signal, agent.stopped.then(() => 'the admin API')]);
  log.info({ by: why }, 'stopping');
  await agent.drain();
  await agent.close();
}

/** Shows people how wallets connect: URLs, and a QR code where it can be drawn or was asked for. */
function show({ url, old, qr }: { readonly url: string; readonly old: string; readonly qr: string }, asked: boolean, what: string): void {
  const { isTTY, columns } = process.stdout;
  const width = qr.indexOf('\n');
  const drawn = asked || (isTTY && columns >= width) ? qr : isTTY ? `For its QR code the terminal must have ${width} columns.\n` : '';
  process.stdout.write(`Wallets connect to this ${what} by\n\n${url}\n\nand those that know connections 1.0 only by\n\n${old}\n\n${drawn}`);
}

async function configured(command: string, argv: readonly string[]) {
  // help and a mistake in a flag need no more than the table of settings
  const { readConfig } = await import('./config/read-config.ts');
  const { config, shown, ignored } = readConfig(argv, process.env, command);
  const [{ jsonLog }, app] = await Promise.all([import('./adapters/telemetry/log.ts'), import('./app.ts')]);
  const log = jsonLog(config.logLevel);
  if (ignored.length > 0) log.warn({}, `taken for ACA-Py and without effect here: ${ignored.join(', ')}`);
  return { config, shown, log, app };
}

/** Creates or migrates the database, then ends. */
async function provision(command: 'provision' | 'upgrade', argv: readonly string[]): Promise<void> {
  const { config, log, app } = await configured(command, argv);
  if (command === 'upgrade') {
    const { repage } = await import('./database.ts');
    if (await repage(config)) log.info({}, 'the database file has pages of 4 KiB now');
  }
  const did = await app.provision(command === 'upgrade' ? { ...config, seed: undefined } : config, log);
  log.info(did ? { did } : {}, command === 'upgrade' ? 'the database has the schema of this version' : 'the database is there');
}

/** Re-wraps what the wallet key seals under another one, then ends. */
async function rotateKey(argv: readonly string[]): Promise<void> {
  const { config, log } = await configured('rotate-key', argv);
  const { rotateKey: rotate } = await import('./database.ts');
  const tenants = await rotate(config);
  log.info({ tenants }, 'the wallet key was replaced: copies of the database from before need the one of before');
}

/** The parts that a production installation lacks for a command of development; undefined where all are there. */
function missingFor(command: string, path: string): string | undefined {
  const here = (file: string): URL => new URL(file, import.meta.url);
  const elsewhere = `it runs in a clone of the repository, by ./flexid ${command} without FLEXID_PRODUCTION, which installs what it needs`;
  if (!existsSync(here(path))) return `this installation has the agent alone; ${elsewhere}`;
  if (command === 'devnet' || command === 'edge') return undefined;
  const { devDependencies } = JSON.parse(readFileSync(here('../package.json'), 'utf8')) as { devDependencies: Record<string, string> };
  const missing = Object.keys(devDependencies).filter((name) => !existsSync(here(`../node_modules/${name}/package.json`)));
  return missing.length > 0 ? `a production installation lacks ${missing.join(', ')}; ${elsewhere}` : undefined;
}

async function main(): Promise<void> {
  const [command, ...argv] = process.argv.slice(2);
  switch (command) {
    case 'start':
      return await start(argv);
    case 'rotate-key':
      return await rotateKey(argv);
    case 'provision':
    case 'upgrade':
      return await provision(command, argv);
    case 'relay-offer':
      process.exitCode = await (await import('./agent-2018/relay-offer.ts')).relayOffer(argv);
      return;
    case 'export':
    case 'import':
    case 'recovery-words':
      process.exitCode = await (await import('./backup-command.ts')).backupCommand(command, argv, process.env);
      return;
    case 'ledger':
      process.exitCode = await (await import('./ledger-command.ts')).ledgerCommand(argv, process.env);
      return;
    case 'owner':
      process.exitCode = (await import('./owner-command.ts')).ownerCommand(
        argv,
        (text) => process.stdout.write(text),
        (text) => process.stderr.write(text),
      );
      return;
    case 'demo':
    case 'example':
    case 'edge':
    case 'test':
    case 'bench':
    case 'fuzz':
    case 'devnet': {
      // each of these is a program of its own beside src, which knows nothing of them
      const path = {
        demo: '../examples/demo/demo.ts',
        example: '../examples/lib/example.ts',
        edge: '../edge/main.ts',
        test: '../test/run.ts',
        bench: '../bench/run.ts',
        fuzz: '../test/fuzz/fuzz.ts',
        devnet: '../devnet/main.ts',
      }[command];
      const missing = missingFor(command, path);
      if (missing) {
        process.stderr.write(`flexid ${command}: ${missing}\n`);
        process.exitCode = 2;
        return;
      }
      const { main: run } = (await import(path)) as { main: (argv: readonly string[]) => Promise<number> };
      process.exitCode = await run(argv);
      return;
    }
    case '--version':
    case '-v':
      process.stdout.write(`FlexID Cloud Agent ${VERSION}, with the admin API of ACA-Py ${ACAPY_VERSION}\n`);
      return;
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(HELP);
      return;
    default:
      process.stderr.write(`flexid: no command ${command}\n\n${HELP}`);
      process.exitCode = 2;
  }
}

try {
  await main();
} catch (error) {
  // an error that an operator can mend is one sentence; everything else is a defect, with its stack
  const expected =
    error instanceof AppError ||
    (error as Error)?.constructor?.name === 'ConfigError' ||
    typeof (error as NodeJS.ErrnoException)?.syscall === 'string';
  process.stderr.write(`flexid: ${expected ? (error as Error).message : ((error as Error)?.stack ?? String(error))}\n`);
  // SQLite's lock and sockets that were opened before the failure must not keep the process alive
  process.exit(1);
}
