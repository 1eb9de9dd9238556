import { AppError } from '../errors.ts';
import Type from './type.ts';

/** Where writes go on that another agent pays for: the protocol of endorsement, and its record. */
export const ENDORSEMENT = Object.freeze({ protocol: 'endorse-transaction', category: 'transaction' });

/** The values of `transaction_jobs` and `endorser_info` of a connection's metadata, under ACA-Py's names. */
export interface EndorserMetadata {
  readonly transaction_jobs?: { readonly transaction_my_job?: string; readonly transaction_their_job?: string };
  readonly endorser_info?: { readonly endorser_did?: string; readonly endorser_name?: string };
}

export const AUTHOR = 'TRANSACTION_AUTHOR';
export const ENDORSER = 'TRANSACTION_ENDORSER';

/** How an endorsed group came back without having landed. */
export type Returned = 'expired' | 'overtaken' | 'piece' | 'invalid';

/** How a tenant takes part in endorsement. */
export interface EndorsementSettings {
  readonly role: 'author' | 'endorser' | 'none';
  /** As an author: the alias of the connection with the endorser. */
  readonly alias?: string;
  /** As an author: the endorser's invitation and public DID. */
  readonly invitation?: string;
  readonly publicDid?: string;
  readonly autoRequest: boolean;
  readonly autoWrite: boolean;
  /** Registries follow from a credential definition by themselves. */
  readonly autoCreateRevocation: boolean;
  /** A DID that the ledger has by an endorsement becomes the public one. */
  readonly autoPromote: boolean;
  readonly autoEndorse: boolean;
  /** As an endorser: the DID under which it signs, where that is not the public one. */
  readonly endorseWith?: string;
  /** Whether this wallet's sponsor pays for others: the base wallet's alone. */
  readonly pays: boolean;
  /** Rounds that a group of an endorser is valid for. */
  readonly validity: number;
  /** The most that one connection has endorsed in a day, in writes and ALGO; 0 for no limit. */
  readonly writesPerDay: number;
  readonly algoPerDay: number;
}

/** How a call asks for an endorser: ACA-Py's options of the AnonCreds family. */
export const EndorserOptions = Object.freeze({
  endorser_connection_id: Type.Optional(Type.String({ maxLength: 200 })),
  create_transaction_for_endorser: Type.Optional(Type.Boolean()),
});

/** An endorser as `endorserIn` names it, in the body of a command. */
export const Endorser = Type.Object({ connection: Type.Optional(Type.String({ maxLength: 200 })) });

/** Whether registries follow from a credential definition by themselves: an author orders them by calls, unless its flag is set. */
export const registriesFollow = ({ role, autoCreateRevocation }: EndorsementSettings): boolean => role !== 'author' || autoCreateRevocation;

/** The endorser of a ledger order, as a call asks for it; undefined where it does not. Without a connection it is that of the tenant's endorser. */
export function endorserIn(
  options: { readonly endorser_connection_id?: string; readonly create_transaction_for_endorser?: boolean } | undefined,
): { readonly connection?: string } | undefined {
  if (!options?.create_transaction_for_endorser) return undefined;
  return options.endorser_connection_id ? { connection: options.endorser_connection_id } : {};
}

/**
 * The options of an AnonCreds call, for the query of one that ACA-Py has for its Indy wallets: `create_transaction_for_endorser`, and `conn_id`.
 * @throws AppError `bad-request`, as ACA-Py, where there is no endorser to ask
 */
export function endorserQuery(
  asked: string | undefined,
  connection: string | undefined,
  { alias }: EndorsementSettings,
): NonNullable<Parameters<typeof endorserIn>[0]> {
  if (asked !== 'true') return {};
  if (!connection && alias === undefined) throw new AppError('bad-request', 'No endorser connection found');
  return { create_transaction_for_endorser: true, ...(connection && { endorser_connection_id: connection }) };
}
