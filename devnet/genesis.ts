import { readFileSync } from 'node:fs';
import algosdk from 'algosdk';
import { type Genesis, LIMITS } from './ledger.ts';
import { appAddress } from './state.ts';
import { sha512_256 } from './wire.ts';

/**
 * The sponsor's seed: the SHA-512/256 of a sentence. Everybody knows it; it owns all the money of the dev ledger, which is worth nothing.
 * Never fund this account on a public network.
 */
export const SPONSOR_SEED = sha512_256(new TextEncoder().encode('FlexID dev ledger sponsor: known to everyone, worth nothing'));

/** 25 words, as algosdk reads them. */
export const SPONSOR_MNEMONIC: string = algosdk.mnemonicFromSeed(SPONSOR_SEED);

const sponsor = algosdk.mnemonicToSecretKey(SPONSOR_MNEMONIC);
/** Half of what JSON numbers can hold exactly, in microALGO. */
const SUPPLY = 4_000_000_000_000_000n;
/** 2026-01-01T00:00:00Z */
const TIMESTAMP = 1_767_225_600n;

const artifact: {
  byteCode: { approval: string; clear: string };
  sourceInfo: { approval: { sourceInfo: { pc: number[]; errorMessage: string }[] } };
  methods: { name: string; args: { type: string }[]; returns: { type: string } }[];
} = JSON.parse(readFileSync(new URL('../contracts/artifacts/FlexidRegistry.arc56.json', import.meta.url), 'utf8'));
/** The registry's programs as committed, its methods' signatures and the messages of its assertions. */
export const REGISTRY = Object.freeze({
  approval: Uint8Array.from(Buffer.from(artifact.byteCode.approval, 'base64')),
  clear: Uint8Array.from(Buffer.from(artifact.byteCode.clear, 'base64')),
  messages: artifact.sourceInfo.approval.sourceInfo,
  methods: artifact.methods.map(({ name, args, returns }) => `${name}(${args.map(({ type }) => type).join(',')})${returns.type}`),
});

/** The application id of the registry: the first transaction of a chain creates application 1001. */
export const REGISTRY_APP = 1001n;

/** The genesis document; `salt` makes another network of the same kind. */
const genesisDocument = (salt = '') => ({
  alloc: [{ addr: sponsor.addr.toString(), comment: 'Sponsor', state: { algo: Number(SUPPLY) } }],
  comment: `Dev ledger with registry ${Buffer.from(sha512_256(REGISTRY.approval)).toString('hex')}${salt}`,
  id: 'v1',
  network: 'flexid-dev',
  proto: LIMITS.consensus,
  timestamp: Number(TIMESTAMP),
});

/** The genesis block; its hash changes with the registry's bytecode, so that a journal is never replayed against another program. */
export const makeGenesis = (salt = ''): Genesis => {
  const document = JSON.stringify(genesisDocument(salt));
  return Object.freeze({
    id: 'flexid-dev-v1',
    hash: sha512_256(new TextEncoder().encode(`GE${document}`)),
    timestamp: TIMESTAMP,
    allocations: [{ address: sponsor.addr.toString(), balance: SUPPLY }],
    document,
  });
};

const params = (genesis: Genesis, last: bigint): algosdk.SuggestedParams => ({
  fee: 1000n,
  flatFee: true,
  minFee: 1000n,
  firstValid: last + 1n,
  lastValid: last + 1000n,
  genesisID: genesis.id,
  genesisHash: genesis.hash,
});

const sign = (txns: algosdk.Transaction[], grouped = true): Uint8Array => {
  if (grouped && txns.length > 1) algosdk.assignGroupID(txns);
  return Uint8Array.from(Buffer.concat(txns.map((txn) => txn.signTxn(sponsor.sk))));
};

/** The transactions of round 1: the creation of the registry, and the base minimum balance of its account. */
export const deployGroup = (genesis: Genesis, { grouped = true } = {}): Uint8Array => {
  const common = { sender: sponsor.addr, suggestedParams: params(genesis, 0n) };
  return sign(
    [
      algosdk.makeApplicationCreateTxnFromObject({
        ...common,
        approvalProgram: REGISTRY.approval,
        clearProgram: REGISTRY.clear,
        numGlobalInts: 0,
        numGlobalByteSlices: 0,
        numLocalInts: 0,
        numLocalByteSlices: 0,
        onComplete: algosdk.OnApplicationComplete.NoOpOC,
      }),
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({ ...common, receiver: appAddress(REGISTRY_APP), amount: 100_000n }),
    ],
    grouped,
  );
};

/** A payment from the sponsor; the faucet of the dev ledger. */
export const faucetGroup = (genesis: Genesis, last: bigint, receiver: string, amount: bigint): Uint8Array =>
  sign([
    algosdk.makePaymentTxnWithSuggestedParamsFromObject({
      sender: sponsor.addr,
      receiver,
      amount,
      // Two equal payments in one block would be one transaction.
      note: crypto.getRandomValues(new Uint8Array(8)),
      suggestedParams: params(genesis, last),
    }),
  ]);
