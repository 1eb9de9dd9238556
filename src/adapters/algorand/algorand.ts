import { randomBytes } from 'node:crypto';
import type { Ledger, LedgerWrite, NodeHealth } from '../../ports/ledger.ts';
import { asLedgerError } from './client.ts';
import { createEndorsement } from './endorsement.ts';
import { sponsorOf } from './group.ts';
import { formatDid, formatObjectId, oidOf, parseDid } from './ids.ts';
import { type AlgodNode, algodNode, LAG_ROUNDS } from './node.ts';
import { algodNodes } from './nodes.ts';
import { createReads } from './reads.ts';
import { registryWatch } from './registry.ts';
import { createStatusLogs } from './status-log.ts';
import { createWrites } from './writes.ts';

/** Where the ledger is and who pays. */
export interface AlgorandConfig {
  /** A node's URL, or those of several, and the token of each in the same order; the last token is that of the rest. */
  algodUrl: string | readonly string[];
  token: string | readonly string[];
  /** How many of several nodes must give the same answer; more than half by default. */
  quorum?: number;
  /** The registry application under which new identifiers are made. */
  appId: bigint | number;
  network: 'mainnet' | 'testnet' | 'betanet' | 'custom';
  /** Base64; for `custom` only, where nothing is checked without it. The public networks have theirs built in. */
  genesisHash?: string;
  /** 25 words of the account that pays; without it the ledger is read-only. */
  sponsorMnemonic?: string;
  /** The most that one group may cost in fees, in microALGO; 100,000 by default. */
  feeCap?: number;
  /** A number for the name of a document's data box; random by default, so that nobody can prepare a box under it. */
  salt?: () => bigint;
  /** Milliseconds; for the caches. */
  clock?: () => number;
  /** Milliseconds that one request may take; 10,000 by default. */
  timeoutMs?: number;
}

const GENESIS: Readonly<Record<string, string>> = {
  mainnet: 'wGHE2Pwdvd7S12BL5FaOP20EGYesN73ktiC1qzkkit8=',
  testnet: 'SGO1GKSzyE7IEPItTxCByw9x8FmnrCDexi9/cOUJOiI=',
  betanet: 'mFgazF+2uRS1tMiL9dsj01hJGySEmPN28B/TjjvpVW0=',
};

/** The genesis hash of a network, in base64: built in for the public ones, `given` for `custom`, where nothing is checked without it. */
export const networkGenesis = (network: string, given: string | undefined): string | undefined =>
  network === 'custom' ? given : GENESIS[network];

const FEE_CAP = 100_000;
/** How old the last block of a healthy node may be, in nanoseconds. */
const LAG_NS = 30_000_000_000n;

/** Whether one node answers, serves the network and makes blocks. Never throws. */
const nodeHealth = async (node: AlgodNode): Promise<NodeHealth> => {
  const of = (ok: boolean, reason?: string, round?: number): NodeHealth => ({ ok, ...(reason && { reason }), ...(round && { round }) });
  try {
    const [params, status] = await Promise.all([node.parameters(), node.algod.status().do()]);
    const round = Number(params.lastRound);
    if (status.catchupTime > 0n) return of(false, 'the node is catching up', round);
    if (status.timeSinceLastRound > LAG_NS && !(await node.isDevMode()))
      return of(false, 'the node has seen no block for half a minute', round);
    return of(true, undefined, round);
  } catch (error) {
    return of(false, asLedgerError(error).message);
  }
};

const randomSalt = (): bigint => randomBytes(8).readBigUInt64BE();

/** The Ledger port on Algorand: did:algo documents and AnonCreds objects in the boxes of one registry application, read and written through algod. */
export const algorandLedger = (config: AlgorandConfig): Ledger => {
  const { network, token, feeCap = FEE_CAP, clock = Date.now, salt = randomSalt } = config;
  const appId = BigInt(config.appId);
  const sponsor = config.sponsorMnemonic === undefined ? undefined : sponsorOf(config.sponsorMnemonic);
  const [urls, tokens] = [[config.algodUrl].flat(), [token].flat()];
  const genesis = networkGenesis(network, config.genesisHash);
  const all = urls.map((url, i) => algodNode(url, tokens[i] ?? tokens.at(-1) ?? '', genesis, clock, config.timeoutMs));
  const nodes = algodNodes(all, config.quorum);
  const registry = registryWatch(nodes.current, appId);
  const reads = createReads(nodes, network, appId, clock);
  const logs = createStatusLogs({
    ...{ agreed: nodes.agreed, read: reads.read, onNetwork: reads.onNetwork, clock },
  });
  const landed = (write: LedgerWrite): void => {
    reads.landed(write);
    logs.landed(write);
  };

  const health: Ledger['health'] = async () => {
    const states = await Promise.all(all.map(nodeHealth));
    const each = all.map((node, i): NodeHealth => {
      const state = states[i] as NodeHealth;
      const behind = nodes.latest() - node.round();
      return state.ok && behind > LAG_ROUNDS ? { ...state, ok: false, reason: `the node is ${behind} rounds behind another one` } : state;
    });
    const healthy = each.filter(({ ok }) => ok);
    const round = Math.max(...each.map((state) => state.round ?? 0)) || undefined;
    const details = all.length > 1 ? { nodes: each, quorum: nodes.quorum } : {};
    const unfit = (reason: string | undefined) => ({ ok: false, reason, ...(round === undefined ? {} : { round }), ...details });
    if (healthy.length < nodes.quorum) {
      const first = each.findIndex(({ ok }) => !ok);
      const counted = all.length > 1 ? `${healthy.length} of the ${nodes.quorum} nodes that must agree are well; node ${first + 1}: ` : '';
      return unfit(`${counted}${each[first]?.reason}`);
    }
    try {
      const found = await registry();
      return found.state === 'ready' ? { ok: true, round, ...details } : unfit(found.reason);
    } catch (error) {
      return unfit(asLedgerError(error).message);
    }
  };

  return Object.freeze({
    network,
    appId,
    didOf: (publicKey: Uint8Array) => formatDid(network, appId, publicKey),
    idOf: (did, type, object) => formatObjectId(parseDid(did).did, type, oidOf(object)),
    resolve: reads.resolve,
    read: reads.read,
    statusAt: logs.statusAt,
    ...createWrites({ nodes, reads: { ...reads, landed }, registry, appId, sponsor, feeCap, salt }),
    endorsement: createEndorsement({ nodes, reads: { ...reads, landed }, registry, appId, sponsor, feeCap, salt, network }),
    health,
  } satisfies Ledger);
};
