import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { Control, LedgerSigner, LedgerWrite } from '../../ports/ledger.ts';

/** The signer of an account of Algorand: its own key, the key that it was rekeyed to, or so many keys of a multisignature account. */

/** Keys of one multisignature account. */
const MAX_KEYS = 16;
const KEY = 32;

const bytesOf = (verkey: string): Uint8Array => {
  try {
    const bytes = base58.decode(verkey);
    if (bytes.length === KEY) return Uint8Array.from(bytes);
  } catch {
    // refused below, in the same words
  }
  throw new AppError('bad-request', 'a key of a control account is not an Ed25519 key in base58');
};

/** The account of a key, and the key of an account. */
export const addressOf = (verkey: string): string => algosdk.encodeAddress(bytesOf(verkey));
export const verkeyOf = (address: string): string => base58.encode(algosdk.decodeAddress(address).publicKey);

const multisigOf = ({ threshold, verkeys }: Control): algosdk.MultisigMetadata => ({
  version: 1,
  threshold,
  addrs: verkeys.map(addressOf),
});

/** The address of an authority: of its key, or of the multisignature account of its keys in their order. @throws AppError `bad-request` for one that nobody could sign for */
export const controlAddress = (control: Control): string => {
  const { threshold, verkeys } = control;
  if (verkeys.length < 1 || verkeys.length > MAX_KEYS || new Set(verkeys).size < verkeys.length)
    throw new AppError('bad-request', `a control account has 1 to ${MAX_KEYS} different keys`);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > verkeys.length)
    throw new AppError('bad-request', `no ${threshold} of ${verkeys.length} keys can sign`);
  return verkeys.length === 1 ? addressOf(verkeys[0] as string) : algosdk.multisigAddress(multisigOf(control)).toString();
};

/** Bytes that a signature adds to a transaction beyond a single one of the sender's own key: the address of the authority, and each key and signature of several. */
export const signatureBytes = (sender: string, control: Control): number => {
  const rekeyed = controlAddress(control) === sender ? 0 : 40;
  return control.verkeys.length === 1 ? rekeyed : rekeyed + control.verkeys.length * 45 + control.threshold * 70;
};

/**
 * Signs a transaction as this authority, by as many of its keys as it takes.
 * @throws AppError `ledger-rejected` where the signer has too few of the keys
 */
export const signAs = async (txn: algosdk.Transaction, control: Control, signer: LedgerSigner): Promise<Uint8Array> => {
  const bytes = txn.bytesToSign();
  const missing = (found: number): AppError =>
    new AppError('ledger-rejected', `the wallet has ${found} of the ${control.threshold} keys that sign for ${txn.sender}`);
  if (control.verkeys.length === 1) {
    const signature = await signer(control.verkeys[0] as string, bytes);
    if (signature === undefined) throw missing(0);
    return txn.attachSignature(controlAddress(control), signature);
  }
  const metadata = multisigOf(control);
  let blob = algosdk.createMultisigTransaction(txn, metadata);
  let found = 0;
  for (const verkey of control.verkeys) {
    if (found === control.threshold) break;
    const signature = await signer(verkey, bytes);
    if (signature === undefined) continue;
    blob = algosdk.appendSignRawMultisigSignature(blob, metadata, addressOf(verkey), signature).blob;
    found += 1;
  }
  if (found < control.threshold) throw missing(found);
  return blob;
};

/** Whether an operator may send a write: what is of the DID itself takes the control account. */
export const isOperated = ({ kind }: LedgerWrite): boolean => !kind.startsWith('did-');
