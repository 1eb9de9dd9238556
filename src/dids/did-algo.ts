import { AppError } from '../errors.ts';

/** The parts of a did:algo. `did` is its one canonical spelling: with the network, in lower case. */
export interface AlgoDid {
  did: string;
  network: 'mainnet' | 'testnet' | 'betanet' | 'custom';
  appId: bigint;
  /** The 32-byte public key of the account that controls it. */
  publicKey: Uint8Array;
}

const DID = /^did:algo:(?:(mainnet|testnet|betanet|custom):)?app:([1-9][0-9]{0,19}):([0-9a-fA-F]{64})$/;
const MAX_APP_ID = 2n ** 64n - 1n;

/** Reads a did:algo; without a network it is one of mainnet, and upper-case hex digits are the same DID. @throws AppError `did-invalid` */
export function parseDidAlgo(did: string): AlgoDid {
  const match = DID.exec(did);
  const appId = BigInt(match?.[2] ?? 0);
  if (!match || appId > MAX_APP_ID)
    throw new AppError('did-invalid', 'Not a did:algo: did:algo:<network>:app:<application id>:<64 hex digits>');
  const network = (match[1] ?? 'mainnet') as AlgoDid['network'];
  const hex = match[3]!.toLowerCase();
  return { did: `did:algo:${network}:app:${appId}:${hex}`, network, appId, publicKey: Buffer.from(hex, 'hex') };
}

/** The canonical spelling of a did:algo, or of an identifier below it (`did:algo:…/anoncreds/v1/…`); anything else as it is. */
export function canonicalAlgoId(id: string): string {
  if (!id.startsWith('did:algo:')) return id;
  const cut = id.search(/[/?#]/);
  const did = cut < 0 ? id : id.slice(0, cut);
  return DID.test(did) ? parseDidAlgo(did).did + (cut < 0 ? '' : id.slice(cut)) : id;
}
