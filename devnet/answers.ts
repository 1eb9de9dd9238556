import algosdk from 'algosdk';
import { type Block, type Ledger, LIMITS, type Receipt } from './ledger.ts';
import { minBalance } from './state.ts';

/** algod's answers, built with algosdk's own models so that both encodings are those that clients expect. */
const models = algosdk.modelsv2;

export const status = (ledger: Ledger): algosdk.modelsv2.NodeStatusResponse => {
  const { round } = ledger.last();
  return new models.NodeStatusResponse({
    catchupTime: 0,
    lastRound: round,
    lastVersion: LIMITS.consensus,
    nextVersion: LIMITS.consensus,
    nextVersionRound: round + 1n,
    nextVersionSupported: true,
    stoppedAtUnsupportedRound: false,
    timeSinceLastRound: 0,
  });
};

export const transactionParams = (ledger: Ledger, feePerByte: number): algosdk.modelsv2.TransactionParametersResponse =>
  new models.TransactionParametersResponse({
    consensusVersion: LIMITS.consensus,
    fee: feePerByte,
    genesisHash: ledger.genesis.hash,
    genesisId: ledger.genesis.id,
    lastRound: ledger.last().round,
    minFee: 1000,
  });

export const account = (ledger: Ledger, address: string): algosdk.modelsv2.Account => {
  const found = ledger.state.account(address);
  return new models.Account({
    address,
    amount: found.balance,
    amountWithoutPendingRewards: found.balance,
    minBalance: minBalance(found),
    pendingRewards: 0,
    rewards: 0,
    round: ledger.last().round,
    status: 'Offline',
    totalAppsOptedIn: 0,
    totalAssetsOptedIn: 0,
    totalCreatedApps: found.apps,
    totalCreatedAssets: 0,
    totalBoxes: found.boxes,
    totalBoxBytes: found.boxBytes,
    authAddr: found.auth,
  });
};

export const application = (ledger: Ledger, id: bigint): algosdk.modelsv2.Application | undefined => {
  const app = ledger.state.app(id);
  if (app === undefined) return undefined;
  return new models.Application({
    id,
    params: new models.ApplicationParams({
      approvalProgram: app.approval,
      clearStateProgram: app.clear,
      creator: app.creator,
      globalStateSchema: new models.ApplicationStateSchema({ numUint: app.uints, numByteSlice: app.byteSlices }),
      localStateSchema: new models.ApplicationStateSchema({ numUint: 0, numByteSlice: 0 }),
      globalState: [...app.globals].map(
        ([key, value]) =>
          new models.TealKeyValue({
            key: Buffer.from(key, 'hex').toString('base64'),
            value:
              typeof value === 'bigint'
                ? new models.TealValue({ bytes: '', type: 2, uint: value })
                : new models.TealValue({ bytes: Buffer.from(value).toString('base64'), type: 1, uint: 0 }),
          }),
      ),
    }),
  });
};

/** A page of an application's boxes in the order of their names; the token is the last name given, and the next page begins after it. */
export const boxPage = (
  ledger: Ledger,
  id: bigint,
  query: { prefix: Uint8Array; after?: string; limit: number; values: boolean },
): algosdk.modelsv2.BoxesResponse | undefined => {
  const app = ledger.state.app(id);
  if (app === undefined) return undefined;
  const prefix = Buffer.from(query.prefix).toString('hex');
  const names = [...app.boxes.keys()].filter((name) => name.startsWith(prefix) && (query.after === undefined || name > query.after)).sort();
  const page = query.limit > 0 ? names.slice(0, query.limit) : names;
  const last = page.length < names.length ? page.at(-1) : undefined;
  return new models.BoxesResponse({
    boxes: page.map(
      (name) => new models.BoxDescriptor({ name: Buffer.from(name, 'hex'), value: query.values ? app.boxes.get(name) : undefined }),
    ),
    nextToken: last === undefined ? undefined : `b64:${Buffer.from(last, 'hex').toString('base64')}`,
    round: ledger.last().round,
  });
};

export const box = (ledger: Ledger, id: bigint, name: Uint8Array): algosdk.modelsv2.Box | undefined => {
  const app = ledger.state.app(id);
  const value = app && ledger.state.box(app, name);
  return value && new models.Box({ name, value, round: ledger.last().round });
};

/** What became of a transaction; without `round` it is still in the pool. */
export const pending = (ledger: Ledger, receipt: Receipt, confirmed: boolean, error = ''): algosdk.modelsv2.PendingTransactionResponse =>
  new models.PendingTransactionResponse({
    poolError: error,
    txn: receipt.stxn,
    confirmedRound: confirmed ? receipt.round : undefined,
    applicationIndex: receipt.createdApp,
    logs: receipt.logs.length > 0 ? [...receipt.logs] : undefined,
    innerTxns:
      receipt.payments.length === 0
        ? undefined
        : receipt.payments.map(
            (payment) =>
              new models.PendingTransactionResponse({
                poolError: '',
                confirmedRound: confirmed ? receipt.round : undefined,
                txn: new algosdk.SignedTransaction({
                  txn: algosdk.makePaymentTxnWithSuggestedParamsFromObject({
                    sender: payment.sender,
                    receiver: payment.receiver,
                    amount: payment.amount,
                    suggestedParams: {
                      fee: payment.fee,
                      flatFee: true,
                      minFee: 0n,
                      firstValid: receipt.stxn.txn.firstValid,
                      lastValid: receipt.stxn.txn.lastValid,
                      genesisHash: ledger.genesis.hash,
                    },
                  }),
                }),
              }),
          ),
  });

/** A block header with the fields that clients read; transactions are asked for one by one. */
export const block = (ledger: Ledger, found: Block): Record<string, unknown> => ({
  block: { rnd: found.round, ts: found.timestamp, gen: ledger.genesis.id, gh: ledger.genesis.hash, proto: LIMITS.consensus },
});

/** Runs groups without keeping them. */
export const simulate = (ledger: Ledger, body: Uint8Array): algosdk.modelsv2.SimulateResponse => {
  const request = algosdk.decodeMsgpack(body, models.SimulateRequest);
  const txnGroups = request.txnGroups.map(({ txns }) => {
    const group = Uint8Array.from(Buffer.concat(txns.map((stxn) => algosdk.encodeMsgpack(stxn))));
    const calls = txns.filter(({ txn }) => txn.applicationCall !== undefined).length;
    try {
      const receipts = ledger.evaluate(group, { keep: false, unsigned: request.allowEmptySignatures === true });
      return new models.SimulateTransactionGroupResult({
        txnResults: receipts.map(
          (receipt) =>
            new models.SimulateTransactionResult({ txnResult: pending(ledger, receipt, false), appBudgetConsumed: receipt.cost }),
        ),
        appBudgetAdded: calls * LIMITS.opcodes,
        appBudgetConsumed: receipts.reduce((sum, { cost }) => sum + cost, 0),
      });
    } catch (error) {
      return new models.SimulateTransactionGroupResult({
        txnResults: txns.map(
          (txn) => new models.SimulateTransactionResult({ txnResult: new models.PendingTransactionResponse({ poolError: '', txn }) }),
        ),
        failureMessage: error instanceof Error ? error.message : String(error),
        failedAt: [0],
      });
    }
  });
  return new models.SimulateResponse({ lastRound: ledger.last().round, version: 2, txnGroups });
};
