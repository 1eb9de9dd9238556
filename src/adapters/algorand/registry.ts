import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import { asLedgerError, orMissing } from './client.ts';
import { packObject } from './codec.ts';
import type { Sponsor } from './group.ts';
import type { AlgodNode } from './node.ts';
import { deposit, limitsOf, type Plan, planDidPut, planObjectPut } from './plan.ts';
import { planAppend, planRegistry } from './status-plan.ts';

/** The registry application: what is deployed, whether it is there, and what its use costs. Amounts are microALGO. */

const spec: { byteCode: { approval: string; clear: string } } = JSON.parse(
  readFileSync(new URL('../../../contracts/artifacts/FlexidRegistry.arc56.json', import.meta.url), 'utf8'),
);
const bytesOf = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'));
const [APPROVAL, CLEAR] = [bytesOf(spec.byteCode.approval), bytesOf(spec.byteCode.clear)];

/** The hash of a program, as algod and explorers show it: SHA-512/256 of `Program` and the bytes, as an address. */
const programHash = (program: Uint8Array): string =>
  algosdk.encodeAddress(Uint8Array.from(createHash('sha512-256').update('Program').update(program).digest()));

/** The published hash of the registry's approval program. */
export const REGISTRY_HASH: string = programHash(APPROVAL);

/** The minimum balance of an account, and what an application adds to its creator's. */
const MIN_BALANCE = 100_000;
const APPLICATION = 100_000;
const ROUNDS = 10;

/** A node's state of an application id; `missing` is the part of the minimum balance that the registry's account lacks. */
export type RegistryState =
  | { state: 'ready' }
  | { state: 'absent'; reason: string }
  | { state: 'foreign'; reason: string }
  | { state: 'unfunded'; missing: number; reason: string };

const balanceOf = async (node: AlgodNode, address: string | algosdk.Address): Promise<{ amount: bigint; minBalance: bigint }> =>
  await node.algod
    .accountInformation(address)
    .do()
    .catch((error: unknown) => {
      throw asLedgerError(error);
    });

/** Looks an application up and compares its programs with the published ones. @throws AppError `ledger-unavailable` */
export const inspectRegistry = async (node: AlgodNode, appId: bigint): Promise<RegistryState> => {
  const app = await orMissing(node.algod.getApplicationByID(appId).do());
  if (app === undefined) return { state: 'absent', reason: `the node has no application ${appId}` };
  const { approvalProgram = new Uint8Array(), clearStateProgram = new Uint8Array() } = app.params ?? {};
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
  if (!same(approvalProgram, APPROVAL) || !same(clearStateProgram, CLEAR))
    return {
      state: 'foreign',
      reason: `application ${appId} is another program than the registry: its hash is ${programHash(approvalProgram)}, not ${REGISTRY_HASH}`,
    };
  const { amount, minBalance } = await balanceOf(node, algosdk.getApplicationAddress(appId));
  const missing = Number(minBalance) - Number(amount);
  if (missing > 0)
    return {
      state: 'unfunded',
      missing,
      reason: `the account of application ${appId} lacks ${missing} microALGO: ./flexid ledger fund pays them`,
    };
  return { state: 'ready' };
};

/** A look at the registry that is remembered once it was found right: its program never changes, and its account never falls under its minimum. */
export const registryWatch = (nodeOf: () => Promise<AlgodNode>, appId: bigint): (() => Promise<RegistryState>) => {
  let ready: RegistryState | undefined;
  return async () => {
    if (ready) return ready;
    const found = await inspectRegistry(await nodeOf(), appId);
    if (found.state === 'ready') ready = found;
    return found;
  };
};

const confirmed = async (node: AlgodNode, sponsor: Sponsor, txn: algosdk.Transaction): Promise<bigint | undefined> => {
  try {
    await node.algod.sendRawTransaction(txn.attachSignature(sponsor.addr, sponsor.sign(txn.bytesToSign()))).do();
    const { applicationIndex } = await algosdk.waitForConfirmation(node.algod, txn.txID(), ROUNDS);
    return applicationIndex;
  } catch (error) {
    throw asLedgerError(error);
  }
};

const parametersOf = async (node: AlgodNode): Promise<algosdk.SuggestedParams> => {
  const { fee, minFee, lastRound, genesisHash, genesisId } = await node.parameters();
  return { fee, minFee, flatFee: false, firstValid: lastRound, lastValid: lastRound + 100n, genesisHash, genesisID: genesisId };
};

/** The balance that a deployment locks, and its fees while the network is idle. */
export const DEPLOYMENT = Object.freeze({ creator: APPLICATION, account: MIN_BALANCE, fees: 2_000 });

/** Creates the registry. Its account is funded by `fundRegistry`. @returns the application's id @throws AppError `ledger-waiting` (money), `ledger-unavailable` */
export const createRegistry = async (node: AlgodNode, sponsor: Sponsor): Promise<bigint> => {
  const { amount, minBalance } = await balanceOf(node, sponsor.addr);
  const needed = Number(minBalance) + DEPLOYMENT.creator + DEPLOYMENT.account + DEPLOYMENT.fees;
  if (Number(amount) < needed)
    throw new AppError('ledger-waiting', `the account ${sponsor.addr} has ${amount} microALGO and a deployment needs ${needed}`);
  const txn = algosdk.makeApplicationCreateTxnFromObject({
    sender: sponsor.addr,
    approvalProgram: APPROVAL,
    clearProgram: CLEAR,
    numGlobalInts: 0,
    numGlobalByteSlices: 0,
    numLocalInts: 0,
    numLocalByteSlices: 0,
    onComplete: algosdk.OnApplicationComplete.NoOpOC,
    suggestedParams: await parametersOf(node),
  });
  const id = await confirmed(node, sponsor, txn);
  if (!id) throw new AppError('ledger-unavailable', 'the node does not name the application that it created');
  return id;
};

/** Pays what the registry's account lacks. @returns the amount; 0 where it lacks nothing @throws AppError `ledger-wrong-network` (no registry under this id), `ledger-unavailable` */
export const fundRegistry = async (node: AlgodNode, sponsor: Sponsor, appId: bigint): Promise<number> => {
  const found = await inspectRegistry(node, appId);
  if (found.state === 'ready') return 0;
  if (found.state !== 'unfunded') throw new AppError('ledger-wrong-network', found.reason);
  const txn = algosdk.makePaymentTxnWithSuggestedParamsFromObject({
    sender: sponsor.addr,
    receiver: algosdk.getApplicationAddress(appId),
    amount: found.missing,
    suggestedParams: await parametersOf(node),
  });
  await confirmed(node, sponsor, txn);
  return found.missing;
};

/** The balance of an account, and the part that may be spent. @throws AppError `ledger-unavailable` */
export const spendable = async (node: AlgodNode, address: algosdk.Address): Promise<{ held: number; free: number }> => {
  const { amount, minBalance } = await balanceOf(node, address);
  return { held: Number(amount), free: Math.max(0, Number(amount) - Number(minBalance)) };
};

/** The names of what revocation costs. */
export const REGISTRY = 'revocation registry';
export const PUBLICATION = 'publication of revocations';

/** Deposit and fees of one object. */
export interface Price {
  what: string;
  deposit: number;
  fees: number;
}

const MIN_FEE = 1_000;
/** A number of 2,048 bits, which is what no packing makes smaller. */
const number = (): string => BigInt(`0x8${randomBytes(256).toString('hex').slice(1)}`).toString();

/** A point of the curve as the AnonCreds library writes one: so many numbers, which no packing makes smaller. */
const point = (numbers: number): string =>
  Array.from({ length: numbers }, () => `1 ${randomBytes(32).toString('hex').toUpperCase()}`).join(' ');

/** A registry of a thousand credentials, and one revocation of it: the size decides nothing before there are many revocations. */
const registryPrices = (did: string, key: Uint8Array): { registry: Plan; publication: Plan } => {
  const size = 1_000;
  const definition = {
    issuerId: did,
    revocDefType: 'CL_ACCUM',
    credDefId: `${did}/anoncreds/v1/CLAIM_DEF/${randomBytes(24).toString('base64url')}`,
    tag: '0',
    value: {
      publicKeys: { accumKey: { z: point(12) } },
      maxCredNum: size,
      tailsLocation: `https://agent.example.org/tails/${'H'.repeat(44)}`,
      tailsHash: createHash('sha256').update(point(1)).digest('base64url'),
    },
  };
  const limits = limitsOf(undefined);
  const nobody = { accumulator: point(6), revoked: new Uint8Array(size / 8) };
  const [piece] = packObject(did, 'REV_REG_DEF', definition);
  const head = { open: false, entries: 1, segment: 0, created: 0, updated: 0, round: 0 };
  const one = { accumulator: point(6), revoked: Uint8Array.from(nobody.revoked, (_byte, i) => (i === 60 ? 1 : 0)) };
  return {
    registry: planRegistry({ key, ...piece }, nobody, limits),
    publication: planAppend({ key, lid: piece.oid }, one, { head, size: 1_000, former: nobody.revoked }, limits),
  };
};

/**
 * The cost of an issuer's objects, by the planner that plans them: a DID document with two keys and an endpoint, a schema and a definition of so many attributes; with
 * `revocable` a definition that has a key for revocation, a registry, and one publication of revocations.
 */
export const prices = (attributes: number, revocable = false): Price[] => {
  const key = new Uint8Array(32);
  const did = `did:algo:mainnet:app:1000000000:${'a'.repeat(64)}`;
  const limits = limitsOf(undefined);
  const priced = (what: string, plan: { calls: unknown[]; deposit: number; refunds: number }): Price => ({
    what,
    deposit: plan.deposit,
    fees: MIN_FEE * (1 + plan.calls.length + plan.refunds),
  });
  const names = Array.from({ length: attributes }, (_none, i) => `attribute ${i}`);
  const object = (what: string, type: 'SCHEMA' | 'CLAIM_DEF', value: Record<string, unknown>): Price => {
    const plans = packObject(did, type, value).map((piece) => planObjectPut({ key, ...piece }, limits));
    const sum = (of: (plan: (typeof plans)[number]) => number): number => plans.reduce((total, plan) => total + of(plan), 0);
    return {
      what,
      deposit: sum((plan) => plan.deposit),
      fees: MIN_FEE * sum((plan) => 1 + plan.calls.length + plan.refunds),
    };
  };
  const primary = {
    n: number(),
    s: number(),
    r: Object.fromEntries([...names, 'master_secret'].map((name) => [name, number()])),
    rctxt: number(),
    z: number(),
  };
  const points = (names: string, numbers: number) => names.split(' ').map((name) => [name, point(numbers)]);
  const revocation = Object.fromEntries([...points('g h h0 h1 h2 htilde pk', 3), ...points('g_dash h_cap u y', 6)]);
  const { registry, publication } = registryPrices(did, key);
  return [
    priced('DID', planDidPut({ key, salt: 0n }, new Uint8Array(DOCUMENT), limits)),
    object(`schema of ${attributes} attributes`, 'SCHEMA', { issuerId: did, name: 'a name', version: '1.0', attrNames: names }),
    object(`credential definition of ${attributes} attributes`, 'CLAIM_DEF', {
      issuerId: did,
      schemaId: `${did}/anoncreds/v1/SCHEMA/${'a'.repeat(32)}`,
      type: 'CL',
      tag: 'default',
      value: { primary, ...(revocable && { revocation }) },
    }),
    ...(revocable ? [priced(REGISTRY, registry), priced(PUBLICATION, publication)] : []),
  ];
};

/** Bytes of a DID document with two keys and an endpoint. */
const DOCUMENT = 933;

/** The deposit of the two boxes of a DID that stay for ever. */
export const DID_FOR_EVER: number = deposit(32, 33) + deposit(33, 88);
