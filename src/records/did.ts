import { AppError } from '../errors.ts';
import { compact, defineRecord } from '../kernel/record.ts';
import type { Lookup, StoredRecord } from '../ports/store.ts';

interface NumberedKey {
  readonly verkey: string;
  readonly number: number;
  readonly removed?: true;
}

/** A DID of this wallet and what it may be used for; the key itself is in the key table under `verkey`. */
export interface DidValue {
  [member: string]: unknown;
  did: string;
  verkey: string;
  method: string;
  key_type: string;
  posture: 'public' | 'posted' | 'wallet_only';
  metadata: Readonly<Record<string, unknown>>;
  /** The metadata after the ledger has the document of the same content. */
  next_metadata?: Readonly<Record<string, unknown>>;
  /** The mediator in its document on the ledger, and the one in the document that is under way. */
  mediator?: { readonly [member: string]: unknown };
  next_mediator?: { readonly [member: string]: unknown };
  /** Of a did:algo: the number of its key in the document, 1 without; and the keys that it had before, in the document or `removed`: they still open what was sealed for them. */
  key_number?: number;
  former_keys?: readonly NumberedKey[];
  /** The keys of the document while the ledger does not have it yet: their secrets are stored before anything is on the ledger, and are used again after a failure. */
  next_keys?: { readonly verkey: string; readonly number: number; readonly former: readonly NumberedKey[] };
  /**
   * Of a did:algo on the ledger: keys of this wallet that its control account was ordered to be rekeyed to, alone or with others, all that were ordered and can sign by
   * this wallet alone, and its operators. The ledger decides which of them has authority.
   */
  control_keys?: readonly string[];
  controls?: readonly { readonly threshold: number; readonly verkeys: readonly string[] }[];
  operators?: readonly string[];
  /** Keys of these kinds that were made and have no authority yet. */
  next_control_key?: string;
  next_operator?: string;
  /** The DID method of invitations that this DID is reused for (ACA-Py's `invitation_reuse`). */
  invitation_reuse?: string;
  /** Why a publication is not done yet, or was refused. */
  error_msg?: string;
}

/** ACA-Py gives DIDs no webhook and no state; the call itself answers `posted` while a publication is under way. */
export const did = defineRecord<DidValue>({
  category: 'did',
  idField: 'did',
  states: ['stored', 'publishing'],
  view: ({ value }) =>
    compact({
      did: value.did,
      verkey: value.verkey,
      posture: value.posture,
      key_type: value.key_type,
      method: value.method,
      metadata: value.metadata,
      error_msg: value.error_msg,
    }),
  tags: (value) => ({
    did: value.did,
    verkey: value.verkey,
    former_verkey: value.former_keys?.map(({ verkey }) => verkey),
    method: value.method,
    key_type: value.key_type,
    posture: value.posture,
    invitation_reuse: value.invitation_reuse,
  }),
  admin: { tag: 'wallet', notFound: 'DID not found in this wallet' },
});

/** The lookups for the DID of a key of ours, its present one or a former one; `ofKey` takes it out of the loaded rows. */
export const keyLookups = (verkey: string): Record<'own' | 'formerly', Lookup> => ({
  own: { category: did.category, tag: 'verkey', equals: verkey },
  formerly: { category: did.category, tag: 'former_verkey', equals: verkey },
});
export const ofKey = ({ own, formerly }: Readonly<Record<string, StoredRecord | undefined>>): DidValue | undefined =>
  did.of(own ?? formerly)?.value;

/** Whether a key is or was the DID's. */
export const hasKey = ({ verkey, former_keys = [] }: DidValue, key: string | undefined): boolean =>
  verkey === key || former_keys.some((one) => one.verkey === key);

/**
 * A DID of this wallet that a peer can write to, from its row.
 * @throws AppError `bad-request` where the wallet does not hold it, or a peer could not learn keys and endpoint from it
 */
export function contactDid(row: StoredRecord | undefined, asked: string): DidValue {
  if (!row) throw new AppError('bad-request', `DID ${asked.slice(0, 200)} is not in this wallet`);
  const value = did.of(row).value;
  if (value.method === 'key') throw new AppError('bad-request', 'A did:key has no endpoint for peers');
  if (value.method === 'algo' && value.posture === 'wallet_only') throw new AppError('bad-request', 'The DID is not on the ledger yet');
  return value;
}

/** The DID of this wallet that issues, from its row. @throws AppError where the wallet does not hold it, or it is not on the ledger */
export function ownIssuer(row: StoredRecord | undefined, issuerId: string): DidValue {
  const value = row && did.of(row).value;
  if (!value) throw new AppError('bad-request', `The issuer's DID is not in this wallet: ${issuerId}`);
  if (value.posture === 'wallet_only')
    throw new AppError('bad-request', `The issuer's DID is not published: POST /wallet/did/public?did=${issuerId}`);
  return value;
}
