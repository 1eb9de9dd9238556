import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { Control, Ledger, LedgerKeys, LedgerWrite } from '../../ports/ledger.ts';
import { asLedgerError } from './client.ts';
import { unpackInfo } from './codec.ts';
import { addressOf, controlAddress, isOperated, verkeyOf } from './control.ts';
import { type AlgoDid, canonical, infoBox, parseDid } from './ids.ts';
import type { AlgodNode } from './node.ts';
import type { AlgodNodes } from './nodes.ts';

/** The sender of a write's calls, and the signer for that account. */
export interface Sender {
  verkey: string;
  address: string;
  account: algosdk.modelsv2.Account;
  control: Control;
}

/** The authority over a DID, as the ledger has it. */
export interface Authorities {
  /** @throws AppError `ledger-unavailable` */
  accountOf(node: AlgodNode, address: string): Promise<algosdk.modelsv2.Account>;
  /** The account of a DID, and the address that signs for it. */
  controlOf(node: AlgodNode, owner: AlgoDid): Promise<{ address: string; account: algosdk.modelsv2.Account; authority: string }>;
  /**
   * The sender of a write's calls: the control account, with the key that has authority over it as signer; or, for an object or a status log, an operator.
   * @throws AppError `ledger-rejected` where it is none of them
   */
  senderOf(node: AlgodNode, write: LedgerWrite, owner: AlgoDid, keys: LedgerKeys): Promise<Sender>;
  authority: Ledger['authority'];
}

const single = (verkey: string): Control => ({ threshold: 1, verkeys: [verkey] });

/** Reads authority through the nodes. @param ownerOf checks that a DID is of this registry */
export const createAuthority = (nodes: AlgodNodes, appId: bigint, ownerOf: (write: { did: string }) => AlgoDid): Authorities => {
  const accountOf: Authorities['accountOf'] = async ({ algod }, address) =>
    await algod
      .accountInformation(address)
      .do()
      .catch((error: unknown) => {
        throw asLedgerError(error);
      });

  /** The account of a DID, and the address that signs for it. */
  const controlOf: Authorities['controlOf'] = async (node, { key }) => {
    const address = algosdk.encodeAddress(key);
    const account = await accountOf(node, address);
    return { address, account, authority: account.authAddr?.toString() ?? address };
  };

  /** Which authority, the DID's own key or one of those that were ordered, an address is. */
  const controlAmong = ({ key }: AlgoDid, { controls = [] }: LedgerKeys, address: string): Control | undefined =>
    [single(verkeyOf(algosdk.encodeAddress(key))), ...controls].find((one) => controlAddress(one) === address);

  /** The sender of a write's calls: the control account, with the key that has authority over it as signer; or, for an object or a status log, an operator. */
  const senderOf: Authorities['senderOf'] = async (node, write, owner, keys) => {
    const { address, account, authority } = await controlOf(node, owner);
    const control = controlAmong(owner, keys, authority);
    if (control) return { verkey: verkeyOf(address), address, account, control };
    const operator = isOperated(write) ? await operatorOf(node, owner) : undefined;
    if (operator === undefined || !keys.operators?.includes(operator))
      throw new AppError('ledger-rejected', `the control account ${address} is signed for by ${authority}, which is no key of this wallet`);
    return {
      verkey: operator,
      address: addressOf(operator),
      account: await accountOf(node, addressOf(operator)),
      control: single(operator),
    };
  };

  const operatorOf = async (node: AlgodNode, { key }: AlgoDid): Promise<string | undefined> => {
    const box = await node.readBox(appId, infoBox(key));
    const operator = box && unpackInfo(box)?.operator;
    return operator?.some((byte) => byte !== 0) ? verkeyOf(algosdk.encodeAddress(operator)) : undefined;
  };

  const authority: Ledger['authority'] = async (text, keys = {}) => {
    const owner = ownerOf(parseDid(text));
    const found = await nodes.agreed(async (node) => {
      const [{ address, account, authority: signer }, operator] = await Promise.all([controlOf(node, owner), operatorOf(node, owner)]);
      return { account: address, signer, balance: Number(account.amount), ...(operator === undefined ? {} : { operator }) };
    }, canonical);
    const { signer, ...rest } = found;
    const control = controlAmong(owner, keys, signer);
    return { ...rest, authority: { address: signer, ...(control && { control }) } };
  };

  return { accountOf, controlOf, senderOf, authority };
};
