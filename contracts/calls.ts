import assert from 'node:assert/strict';
import algosdk from 'algosdk';
import { REGISTRY } from '../devnet/genesis.ts';
import { boxCost, dataName, filler, keyOf, named, type Signer, sponsor, type TestCall, type TestNode } from '../devnet/testing.ts';

/** Support for the tests of the registry's bytecode: its calls, its deposits, its refusals. */

export const METADATA = boxCost(32, 33);
export const INFO = boxCost(33, 88);
export const STAGED = boxCost(33, 48);
export const data = (size: number): number => boxCost(8, size);

export const did = (signer: Signer) => {
  const key = keyOf(signer);
  return { key, info: named('d', key), staged: named('p', key) };
};

/** A `didPut`; `old` is the salt of the document that it replaces. Versions of a test have the salt 7 unless it says otherwise. */
export const SALT = 7;
export const put = (
  from: Signer,
  version: number,
  document: Uint8Array,
  { salt = SALT, old = SALT, accounts = [] as string[] } = {},
): TestCall => {
  const { key, info } = did(from);
  return {
    method: 'didPut(uint64,uint64,byte[])void',
    args: [version, salt, document],
    from,
    boxes: [key, info, dataName(key, version + 1, salt), ...(version > 0 ? [dataName(key, version, old)] : [])],
    accounts,
  };
};

export const create = (node: TestNode, from: Signer, document = filler(300)): number[] =>
  node.send({ pay: METADATA + INFO + data(document.length), calls: [put(from, 0, document)] });

export const stage = (
  from: Signer,
  size: number,
  part: Uint8Array,
  { version = 0, salt = SALT, drops = [] as Uint8Array[], accounts = [] as string[] } = {},
): TestCall => ({
  method: 'didStage(uint64,uint64,uint64,byte[])void',
  args: [version, salt, size, part],
  from,
  boxes: [
    did(from).staged,
    dataName(keyOf(from), version + 1, salt),
    ...drops,
    ...new Array<Uint8Array>(Math.max(0, 3 - drops.length)).fill(new Uint8Array()),
  ],
  accounts,
});
export const more = (from: Signer, offset: number, part: Uint8Array): TestCall => ({
  method: 'didMore(uint64,byte[])void',
  args: [offset, part],
  from,
  boxes: [],
});
export const commit = (
  from: Signer,
  version: number,
  part: Uint8Array,
  { salt = SALT, boxes = [] as Uint8Array[], accounts = [] as string[] } = {},
): TestCall => ({
  method: 'didCommit(uint64,uint64,byte[])void',
  args: [version, salt, part],
  from,
  boxes: [did(from).key, did(from).info, ...boxes],
  accounts,
});
export const drop = (from: Signer, { version = 0, salt = SALT, accounts = [] as string[] } = {}): TestCall => ({
  method: 'didDrop()void',
  args: [],
  from,
  boxes: [did(from).staged, dataName(keyOf(from), version + 1, salt)],
  accounts,
});
export const end = (from: Signer, version: number, { salt = SALT, accounts = [] as string[] } = {}): TestCall => ({
  method: 'didDeactivate(uint64)void',
  args: [version],
  from,
  boxes: [did(from).key, did(from).info, dataName(keyOf(from), version, salt)],
  accounts,
});

export const metadataOf = (node: TestNode, from: Signer): algosdk.ABIValue[] =>
  algosdk.ABIType.from('(uint64,uint64,uint8,uint64,uint64)').decode(node.box(keyOf(from)) as Uint8Array) as algosdk.ABIValue[];
export const nameOf = (from: Signer, version: number, salt = SALT): bigint =>
  Buffer.from(dataName(keyOf(from), version, salt)).readBigUInt64BE();
export const payerOf = (node: TestNode, from: Signer): Uint8Array => (node.box(did(from).info) as Uint8Array).slice(56);

export const oid = filler(24, 7);
export const resource = (key: Uint8Array): Uint8Array => named('r', key, oid);
export const resPut = (key: Uint8Array, from: Signer, size: number, part: Uint8Array, more = 0): TestCall => ({
  method: 'resPut(address,byte[24],byte[2],uint64,byte[])void',
  args: [key, oid, Uint8Array.of(1, 2), size, part],
  from,
  boxes: [resource(key), key, named('d', key), ...new Array<Uint8Array>(more).fill(new Uint8Array())],
});
export const resMore = (key: Uint8Array, from: Signer, part: Uint8Array): TestCall => ({
  method: 'resMore(address,byte[24],byte[])void',
  args: [key, oid, part],
  from,
  boxes: [],
});

export const refused = (act: () => unknown, pattern: RegExp): void => {
  assert.throws(act, (error) => error instanceof Error && error.name === 'Refused' && pattern.test(error.message));
};
export const message = (text: string): RegExp => {
  const spec = REGISTRY.messages.filter(({ errorMessage }) => errorMessage === text).flatMap(({ pc }) => pc);
  return new RegExp(`assert failed.*pc=(${spec.join('|')})\\b`);
};

/** A payment from the dev ledger's sponsor. */
export const faucet = (node: TestNode, to: Signer, amount: number): Uint8Array =>
  node.sign(
    [
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: sponsor.addr,
        receiver: to.addr,
        amount,
        suggestedParams: node.params(1000),
      }),
    ],
    [sponsor],
  );
