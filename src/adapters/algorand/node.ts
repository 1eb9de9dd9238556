import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import { algodClient, asLedgerError, orMissing } from './client.ts';

/** One algod: its client, and what every read and write checks about it. */
export interface AlgodNode {
  readonly algod: algosdk.Algodv2;
  /** Name and port, as operators know it: no path, no secret. */
  readonly host: string;
  /** The latest round that it has shown; 0 before. */
  round(): bigint;
  /** @throws AppError `ledger-unavailable` */
  readBox(app: bigint, name: Uint8Array): Promise<Uint8Array | undefined>;
  /** The node's parameters; its genesis must be the expected one. @throws AppError `ledger-unavailable`, `ledger-wrong-network` */
  parameters(): Promise<algosdk.modelsv2.TransactionParametersResponse>;
  /** Checks the genesis unless it was checked within the last minute. @throws as `parameters` */
  verify(): Promise<void>;
  /** Whether the node makes blocks for transactions alone, and none while there are none. */
  isDevMode(): Promise<boolean>;
}

const MINUTE = 60_000;
/** Rounds that a node may be behind another one, or behind itself where there are several under one address: about half a minute. */
export const LAG_ROUNDS = 10n;

/** A node at `url` whose genesis hash (base64) must be `genesis`, where that is known. */
export const algodNode = (url: string, token: string, genesis: string | undefined, clock: () => number, timeoutMs?: number): AlgodNode => {
  const algod = algodClient(url, token, timeoutMs);
  let verifiedUntil = 0;
  let devMode: boolean | undefined;
  let latest = 0n;

  const parameters: AlgodNode['parameters'] = async () => {
    const answer = await algod.c.get({ relativePath: '/v2/transactions/params' }).catch((error: unknown) => {
      throw asLedgerError(error);
    });
    const params = readParameters(answer.getJSONText());
    const found = Buffer.from(params.genesisHash).toString('base64');
    if (genesis !== undefined && found !== genesis) {
      verifiedUntil = 0;
      throw new AppError('ledger-wrong-network', `the node serves genesis ${found}, expected ${genesis}`);
    }
    if (params.lastRound + LAG_ROUNDS < latest)
      throw new AppError('ledger-unavailable', `the node went back from round ${latest} to ${params.lastRound}`);
    if (params.lastRound > latest) latest = params.lastRound;
    verifiedUntil = clock() + MINUTE;
    return params;
  };

  return {
    algod,
    host: new URL(url).host,
    round: () => latest,
    readBox: async (app, name) => (await orMissing(algod.getApplicationBoxByName(app, name).do()))?.value,
    parameters,
    verify: async () => {
      if (genesis !== undefined && clock() >= verifiedUntil) await parameters();
    },
    isDevMode: async () => {
      devMode ??= await algod.c
        .get({ relativePath: '/genesis' })
        .then((answer) => (JSON.parse(answer.getJSONText()) as { devmode?: unknown } | null)?.devmode === true)
        .catch((error: unknown) => {
          throw asLedgerError(error);
        });
      return devMode;
    },
  };
};

const readParameters = (text: string): algosdk.modelsv2.TransactionParametersResponse => {
  try {
    return algosdk.decodeJSON(text, algosdk.modelsv2.TransactionParametersResponse);
  } catch (error) {
    throw asLedgerError(error);
  }
};

/** When the last block of a node was made, in unix seconds. @throws AppError `ledger-unavailable`, `ledger-wrong-network` */
export const lastBlockTime = async (node: AlgodNode): Promise<number> => {
  const { lastRound } = await node.parameters();
  try {
    const { block } = await node.algod.block(lastRound).headerOnly(true).do();
    return Number(block.header.timestamp);
  } catch (error) {
    throw asLedgerError(error);
  }
};
