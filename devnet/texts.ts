import type algosdk from 'algosdk';

/** What a real node writes into its refusals (go-algorand 5.1), as far as a client can meet it. */

/** An amount of microALGO as go-algorand prints it (data/basics/units.go). */
export const money = (amount: bigint): string => {
  const fraction = (rest: bigint, digits: number): string => (rest === 0n ? '' : `.${String(rest).padStart(digits, '0')}`);
  if (amount === 0n) return '0.0A';
  if (amount < 1_000n) return `${amount}uA`;
  if (amount < 1_000_000n) return `${amount / 1_000n}${fraction(amount % 1_000n, 3)}mA`;
  return `${amount / 1_000_000n}${fraction(amount % 1_000_000n, 6)}A`;
};

const numbers = (bytes: Uint8Array | undefined): string => `[${[...(bytes ?? [])].join(' ')}]`;

/** A transaction as Go prints a structure: kilobytes, with field names of all kinds in it, which no reader of a refusal may take for the reason. */
export const dump = ({ sig, txn }: algosdk.SignedTransaction): string => {
  const call = txn.applicationCall;
  const header = `Sender:${txn.sender} Fee:${txn.fee} FirstValid:${txn.firstValid} LastValid:${txn.lastValid} Note:${numbers(txn.note)}`;
  const network = `GenesisID:${txn.genesisID ?? ''} GenesisHash:${Buffer.from(txn.genesisHash ?? [])
    .toString('hex')
    .toUpperCase()}`;
  const args = call ? ` ApplicationID:${call.appIndex} ApplicationArgs:[${call.appArgs.map(numbers).join(' ')}]` : '';
  return `{_struct:{} Sig:${numbers(sig)} Msig:{} Txn:{_struct:{} Type:${txn.type} Header:{${header} ${network} Group:${numbers(txn.group)}}${args}} AuthAddr:}`;
};
