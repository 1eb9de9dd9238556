import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import algosdk from 'algosdk';
import { networkGenesis } from './adapters/algorand/algorand.ts';
import { type Sponsor, sponsorOf } from './adapters/algorand/group.ts';
import { type AlgodNode, algodNode } from './adapters/algorand/node.ts';
import {
  createRegistry,
  DEPLOYMENT,
  DID_FOR_EVER,
  fundRegistry,
  inspectRegistry,
  PUBLICATION,
  prices,
  REGISTRY,
  REGISTRY_HASH,
  spendable,
} from './adapters/algorand/registry.ts';
import { readConfig } from './config/read-config.ts';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';

const HELP = `The registry application on Algorand

  ./flexid ledger account     make a new account; prints its address and 25 words, and keeps neither
  ./flexid ledger deploy      create the registry and fund its account
  ./flexid ledger fund        pay what the registry's account lacks
  ./flexid ledger check       compare the registry with the published program; show its account's and the sponsor's balance
  ./flexid ledger cost        show what an issuer's objects cost

Flags and variables are those of ./flexid start: --algod-url, --algod-token, --algorand-network, --algorand-genesis-hash,
--algorand-app-id, --sponsor-mnemonic. cost takes --definitions N (1) and --attributes N (10) too, with --registries N (0) revocation registries
and with --publications N (0) publications of revocations; it needs no node.
On mainnet, deploy and fund ask twice.
`;

export interface Terminal {
  input: Readable;
  print(text: string): void;
}

const algo = (microalgo: number): string => `${(microalgo / 1_000_000).toFixed(6).replace(/\.?0+$/, '')} ALGO`;

/** Takes `name N` out of the arguments. @throws ConfigError */
const numberOf = (argv: string[], name: string, otherwise: number): number => {
  const at = argv.indexOf(name);
  if (at < 0) return otherwise;
  const [, text] = argv.splice(at, 2);
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000) throw new ConfigError(`${name} takes a number from 1 to 1000, not ${text}`);
  return value;
};

const nodeOf = (config: Config): AlgodNode => {
  const [url] = config.algodUrls;
  if (url === undefined) throw new ConfigError('--algod-url is missing: where the node is');
  const genesis = networkGenesis(config.algorandNetwork, config.algorandGenesisHash);
  return algodNode(url, config.algodTokens[0] ?? '', genesis, Date.now);
};

const payer = (config: Config): Sponsor => {
  if (config.sponsorMnemonic === undefined) throw new ConfigError('--sponsor-mnemonic is missing: the 25 words of the account that pays');
  try {
    return sponsorOf(config.sponsorMnemonic);
  } catch {
    throw new ConfigError('--sponsor-mnemonic is not the 25 words of an account');
  }
};

const application = (config: Config): bigint => {
  if (config.algorandAppId === undefined) throw new ConfigError("--algorand-app-id is missing: the registry's number");
  return BigInt(config.algorandAppId);
};

/** On mainnet two answers are wanted before anything is spent. @returns whether to go on */
const agreed = async (terminal: Terminal, network: string, what: string, address: string): Promise<boolean> => {
  if (network !== 'mainnet') return true;
  const lines = createInterface({ input: terminal.input })[Symbol.asyncIterator]();
  const answers = async (question: string, wanted: string): Promise<boolean> => {
    terminal.print(`${question}\n> `);
    const { value } = await lines.next();
    return typeof value === 'string' && value.trim() === wanted;
  };
  const yes =
    (await answers(`${what} This is real money. Type mainnet to go on.`, 'mainnet')) &&
    (await answers(`It is paid by ${address} and cannot be undone. Type the last six characters of that address.`, address.slice(-6)));
  if (!yes) terminal.print('Nothing was done.\n');
  return yes;
};

const deploy = async (config: Config, terminal: Terminal): Promise<number> => {
  const [node, sponsor] = [nodeOf(config), payer(config)];
  await node.parameters();
  const what = `A registry locks ${algo(DEPLOYMENT.creator + DEPLOYMENT.account)} for good and costs ${algo(DEPLOYMENT.fees)} in fees.`;
  if (!(await agreed(terminal, config.algorandNetwork, what, sponsor.addr.toString()))) return 1;
  const id = await createRegistry(node, sponsor);
  terminal.print(`application ${id} was created; program ${REGISTRY_HASH}\n`);
  // Where the process ends here, ./flexid ledger fund goes on.
  const paid = await fundRegistry(node, sponsor, id);
  terminal.print(`its account has ${algo(paid)}\n\n--algorand-app-id ${id}\n`);
  return 0;
};

const fund = async (config: Config, terminal: Terminal): Promise<number> => {
  const [node, sponsor, id] = [nodeOf(config), payer(config), application(config)];
  await node.parameters();
  const found = await inspectRegistry(node, id);
  if (found.state === 'unfunded') {
    const what = `The account of application ${id} lacks ${algo(found.missing)}.`;
    if (!(await agreed(terminal, config.algorandNetwork, what, sponsor.addr.toString()))) return 1;
  }
  const paid = await fundRegistry(node, sponsor, id);
  terminal.print(paid === 0 ? `the account of application ${id} lacks nothing\n` : `${algo(paid)} were paid to application ${id}\n`);
  return 0;
};

const check = async (config: Config, terminal: Terminal): Promise<number> => {
  const [node, id] = [nodeOf(config), application(config)];
  const { lastRound, genesisId, consensusVersion } = await node.parameters();
  const found = await inspectRegistry(node, id);
  const rows = [
    ['network', `${config.algorandNetwork} (${genesisId}), round ${lastRound}`],
    ['consensus', consensusVersion],
    ['published program', REGISTRY_HASH],
    [`application ${id}`, found.state === 'ready' ? 'is this program, and its account is funded' : found.reason],
  ];
  let ready = found.state === 'ready';
  if (config.sponsorMnemonic !== undefined) {
    const { addr } = payer(config);
    const { held, free } = await spendable(node, addr);
    rows.push(['sponsor', `${addr}: ${algo(held)}, of which ${algo(free)} can be spent`]);
    ready &&= free > 0;
  }
  for (const [name, text] of rows) terminal.print(`${name?.padEnd(20)}${text}\n`);
  return ready ? 0 : 1;
};

/** How many of each object an issuer plans. */
interface Planned {
  readonly definitions: number;
  readonly attributes: number;
  readonly registries: number;
  readonly publications: number;
}

const cost = async (config: Config, terminal: Terminal, planned: Planned): Promise<number> => {
  const { definitions, attributes, registries, publications } = planned;
  const counts: Readonly<Record<string, number>> = { DID: 1, [REGISTRY]: registries, [PUBLICATION]: publications };
  const rows = prices(attributes, registries > 0 || publications > 0).flatMap(({ what, deposit, fees }) => {
    const count = counts[what] ?? definitions;
    if (count === 0) return [];
    return [{ what: count > 1 ? `${count} times ${what}` : what, deposit: count * deposit, fees: count * fees }];
  });
  const total = rows.reduce((sum, { deposit, fees }) => ({ deposit: sum.deposit + deposit, fees: sum.fees + fees }), {
    deposit: 0,
    fees: 0,
  });
  terminal.print(`${''.padEnd(46)}${'deposit'.padStart(16)}${'fees'.padStart(16)}\n`);
  for (const { what, deposit, fees } of [...rows, { what: 'all of it', ...total }])
    terminal.print(`${what.padEnd(46)}${algo(deposit).padStart(16)}${algo(fees).padStart(16)}\n`);
  terminal.print(`\nA deposit stays locked; that of the DID document comes back when the DID is ended, but for ${algo(DID_FOR_EVER)}.\n`);
  if (config.algodUrls.length === 0 || config.sponsorMnemonic === undefined) return 0;
  const { addr } = payer(config);
  const { free } = await spendable(nodeOf(config), addr);
  const needed = total.deposit + total.fees;
  const rest = free < needed ? `, ${algo(needed - free)} too little` : '';
  terminal.print(`The sponsor ${addr} can spend ${algo(free)}${rest}.\n`);
  return free < needed ? 1 : 0;
};

/**
 * `./flexid ledger account|deploy|fund|check|cost`.
 * @returns the exit code
 * @throws ConfigError, AppError with one sentence for the operator
 */
export const ledgerCommand = async (
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  terminal: Terminal = { input: process.stdin, print: (text) => process.stdout.write(text) },
): Promise<number> => {
  const [command, ...rest] = args;
  if (command === 'account') {
    const { addr, sk } = algosdk.generateAccount();
    terminal.print(`address   ${addr}\nmnemonic  ${algosdk.secretKeyToMnemonic(sk)}\n`);
    return 0;
  }
  if (command === undefined || !['deploy', 'fund', 'check', 'cost'].includes(command) || rest.includes('--help')) {
    terminal.print(HELP);
    return command === undefined || rest.includes('--help') || command === '--help' ? 0 : 2;
  }
  const flags = [...rest];
  const planned = {
    definitions: numberOf(flags, '--definitions', 1),
    attributes: numberOf(flags, '--attributes', 10),
    registries: numberOf(flags, '--registries', 0),
    publications: numberOf(flags, '--publications', 0),
  };
  const { config } = readConfig(flags, env, 'ledger');
  if (command === 'deploy') return await deploy(config, terminal);
  if (command === 'fund') return await fund(config, terminal);
  if (command === 'check') return await check(config, terminal);
  return await cost(config, terminal, planned);
};
