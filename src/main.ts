import { AppError } from './errors.ts';

const HELP = `FlexID Cloud Agent: verifiable credentials over DIDComm, anchored on Algorand

  ./flexid demo               issue, present and verify credentials between three agents on a dev ledger
  ./flexid start ...          run the agent (./flexid start --help)
  ./flexid devnet             run the dev ledger alone, algod's API on port 4001
  ./flexid test [suite]       run the tests
  ./flexid bench [name]       run the benchmarks
  ./flexid fuzz               damaged messages, calls and ledger objects, seeded
`;

/** Runs the agent until it is told to stop; drains on SIGTERM and SIGINT. */
async function start(argv: readonly string[]): Promise<void> {
  const [{ readConfig }, { jsonLog }, { startAgent }] = await Promise.all([
    import('./config.ts'),
    import('./adapters/log.ts'),
    import('./app.ts'),
  ]);
  const { config, shown } = readConfig(argv, process.env);
  const log = jsonLog(config.logLevel);
  const agent = await startAgent(config, shown, log);
  log.info({ admin: agent.adminPort, inbound: agent.inboundPort, label: config.label }, 'the agent is ready');
  const signal = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  const why = await Promise.race([signal, agent.stopped.then(() => 'the admin API')]);
  log.info({ by: why }, 'stopping');
  await agent.close();
}

async function main(): Promise<void> {
  const [command, ...argv] = process.argv.slice(2);
  switch (command) {
    case 'start':
      return await start(argv);
    case 'demo':
    case 'test':
    case 'bench':
    case 'fuzz':
    case 'devnet': {
      // each of these is a program of its own beside src, which knows nothing of them
      const path = {
        demo: '../examples/demo/demo.ts',
        test: '../test/run.ts',
        bench: '../bench/run.ts',
        fuzz: '../test/fuzz/fuzz.ts',
        devnet: '../devnet/main.ts',
      }[command];
      const { main: run } = (await import(path)) as { main: (argv: readonly string[]) => Promise<number> };
      process.exitCode = await run(argv);
      return;
    }
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
  // what an operator can mend is one sentence; everything else is a defect and shows where it is
  const expected =
    error instanceof AppError ||
    (error as Error)?.constructor?.name === 'ConfigError' ||
    typeof (error as NodeJS.ErrnoException)?.syscall === 'string';
  process.stderr.write(`flexid: ${expected ? (error as Error).message : ((error as Error)?.stack ?? String(error))}\n`);
  // what was opened before the failure must not keep the process: SQLite's lock and the sockets go with it
  process.exit(1);
}
