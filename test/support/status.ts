import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import { infoBox, logBox, parseDid, parseObjectId, segmentBox } from '../../src/adapters/algorand/ids.ts';
import { encodeStatus, entriesOf, statusOf as parsedStatus } from '../../src/adapters/algorand/status-codec.ts';
import { AppError, type ErrorCode } from '../../src/errors.ts';
import type { Ledger, LedgerWrite, RevocationStatus } from '../../src/ports/ledger.ts';
import type { Devnet, Issuer } from './ledger.ts';

/** Support for tests of status logs: registries and statuses of the shape that AnonCreds has, and a second writer. */

/** An accumulator that is a function of a text: of no meaning to the AnonCreds library. */
export const accumulatorOf = (text: string): string =>
  Array.from({ length: 6 }, (_none, i) => `${4 + i} ${createHash('sha256').update(`${text} ${i}`).digest('hex').toUpperCase()}`).join(' ');

/** A status in which these indices are revoked. */
export const statusOf = (size: number, indices: readonly number[]): RevocationStatus => {
  const bits = Buffer.alloc(Math.ceil(size / 8));
  for (const index of indices) bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
  const revoked = bits.toString('base64url');
  return { accumulator: accumulatorOf(revoked), revoked };
};

/** The indices that a status revokes, ascending. */
export const indicesOf = ({ revoked }: RevocationStatus): number[] => {
  const bits = Buffer.from(revoked, 'base64url');
  return Array.from({ length: bits.length * 8 }, (_none, index) => index).filter(
    (index) => ((bits[index >> 3] as number) & (1 << (index & 7))) !== 0,
  );
};

/** The definition of a registry. Its identifier follows from its issuer and size alone. */
export const registryOf = (did: string, size: number, tag = '0'): Record<string, unknown> => {
  const number = (text: string): string => createHash('sha256').update(text).digest('hex').toUpperCase();
  return {
    issuerId: did,
    revocDefType: 'CL_ACCUM',
    credDefId: `${did}/anoncreds/v1/CLAIM_DEF/${Buffer.from(number(did), 'hex').subarray(0, 24).toString('base64url')}`,
    tag,
    value: {
      publicKeys: { accumKey: { z: Array.from({ length: 12 }, (_none, i) => `1 ${number(`${did} ${i}`)}`).join(' ') } },
      maxCredNum: size,
      tailsLocation: 'https://agent.example/tails/D99hAmgCB92TG2uzui6A8HAaxnNXRc919y9qaVnTMMkH',
      tailsHash: 'D99hAmgCB92TG2uzui6A8HAaxnNXRc919y9qaVnTMMkH',
    },
  };
};

export type RegistryPut = Extract<LedgerWrite, { kind: 'registry-put' }>;

export const registryWrite = (ledger: Ledger, object: Record<string, unknown>, revoked: readonly number[]): RegistryPut => {
  const did = object.issuerId as string;
  const { maxCredNum } = object.value as { maxCredNum: number };
  return { kind: 'registry-put', id: ledger.idOf(did, 'REV_REG_DEF', object), did, object, status: statusOf(maxCredNum, revoked) };
};

export const appendWrite = (id: string, expected: number, status: RevocationStatus): LedgerWrite => ({
  kind: 'status-append',
  id,
  did: parseObjectId(id).owner.did,
  expected,
  status,
});

export const fails = (act: Promise<unknown>, code: ErrorCode, detail = /./): Promise<void> =>
  assert.rejects(act, (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, detail);
    return true;
  });

/** A second writer: another key, which the DID appoints as its operator, and which pays for itself. */
export const operatorOf = async (devnet: Devnet, did: string, issuer: Issuer) => {
  const { key } = parseDid(did);
  const algod = new algosdk.Algodv2(devnet.token, devnet.url);
  const operator = algosdk.generateAccount();
  const sponsor = algosdk.mnemonicToSecretKey(devnet.sponsor.mnemonic);
  const call = async (sender: algosdk.Address, method: string, args: Uint8Array[], boxes: Uint8Array[], fee: number) => {
    const suggestedParams = { ...(await algod.getTransactionParams().do()), flatFee: true, fee };
    const selector = algosdk.ABIMethod.fromSignature(method).getSelector();
    return algosdk.makeApplicationNoOpTxnFromObject({
      sender,
      appIndex: devnet.appId,
      appArgs: [selector, ...args],
      boxes: boxes.map((name) => ({ appIndex: 0, name })),
      suggestedParams,
    });
  };
  const pay = async (amount: number, fee: number): Promise<algosdk.Transaction> =>
    algosdk.makePaymentTxnWithSuggestedParamsFromObject({
      sender: sponsor.addr,
      receiver: algosdk.getApplicationAddress(devnet.appId),
      amount,
      suggestedParams: { ...(await algod.getTransactionParams().do()), flatFee: true, fee },
    });
  const send = async (group: Uint8Array[]): Promise<void> => {
    const { txid } = await algod.sendRawTransaction(group).do();
    await algosdk.waitForConfirmation(algod, txid, 4);
  };

  const account = new algosdk.Address(key);
  const appoint = await call(account, 'setOperator(address)void', [operator.addr.publicKey], [infoBox(key)], 0);
  const [fee, own] = algosdk.assignGroupID([await pay(0, 2_000), appoint]) as [algosdk.Transaction, algosdk.Transaction];
  const signature = await issuer.sign(base58.encode(key), own.bytesToSign());
  await send([fee.signTxn(sponsor.sk), own.attachSignature(account, signature as Uint8Array)]);

  return {
    /** Appends one record to the current segment, or with `torn` only its first part. */
    async append(id: string, expected: number, [status]: [RevocationStatus], { torn = false } = {}): Promise<void> {
      const { oid } = parseObjectId(id);
      const size = Buffer.from(status.revoked, 'base64url').length * 8;
      const record = encodeStatus(parsedStatus(status, size));
      const parts = entriesOf(record, torn ? 100 : 1_900, false).slice(0, 1);
      const [data] = parts as [Uint8Array];
      const args = [key, oid, algosdk.encodeUint64(expected), Uint8Array.from([data.length >> 8, data.length & 0xff, ...data])];
      const boxes = [key, infoBox(key), logBox(key, oid), segmentBox(key, oid, 0)];
      const txns = algosdk.assignGroupID([
        await pay(400 * (18 + data.length), 2_000),
        await call(operator.addr, 'logAppend(address,byte[24],uint64,byte[])void', args, boxes, 0),
      ]) as [algosdk.Transaction, algosdk.Transaction];
      await send([txns[0].signTxn(sponsor.sk), txns[1].signTxn(operator.sk)]);
    },
  };
};
