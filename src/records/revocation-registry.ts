import { ISSUING_FOR, REVOCATION_REGISTRY } from '../formats/registry-index.ts';
import { compact, defineRecord, isoTime } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { RevocationStatus } from '../ports/ledger.ts';

/** How many indices a registry has, 0 included. */
export const RegistrySize = Type.Integer({ minimum: 4, maximum: 32_768 });

/** The purpose of a registry: it issues for its credential definition, or takes over when the one that does is full. */
export type RegistryUse = 'issuing' | 'backup' | 'none';

/** The indices of a publication: all that are pending, or these. */
export type Due = 'all' | readonly number[];

/** A revocation registry of this wallet. Its private key is in the key table; its status log on the ledger is the truth, `status` a copy. */
export interface RevocationRegistryValue {
  [member: string]: unknown;
  issuerId: string;
  cred_def_id: string;
  tag: string;
  /** Entries; one less can be issued, since index 0 is none. */
  max_cred_num: number;
  verkey: string;
  use: RegistryUse;
  /** The controller takes it through its states: it stops when it is generated, and when it is posted. */
  manual?: boolean;
  /** It is given no use when it becomes active. */
  spare?: boolean;
  /** It has been active. */
  ready?: boolean;
  rev_reg_id?: string;
  /** Ids that it had before its tails file was given another location. */
  former_ids?: readonly string[];
  definition?: JsonObject;
  /** The state of the log that this wallet knows. */
  status?: RevocationStatus;
  /** A publication is under way: how often it was overtaken, what it takes, and the refused endorsement in whose place it is. */
  publishing?: { readonly tries: number; readonly due: Due; readonly after?: string };
  /** The next publication. */
  due?: Due;
  /** Another agent pays for its writes: the one that was asked for last. */
  endorser?: { readonly connection?: string };
  /** When (ms) older states were last removed from the log. */
  pruned?: number;
  /** How often its making has failed. */
  failures?: number;
  error_msg?: string;
}

/** Whether a registry becomes active by itself, to issue or to stand by, and is not yet. */
export const isMaking = ({ ready, manual, spare }: RevocationRegistryValue): boolean => !ready && !manual && !spare;

/** A definition as ACA-Py's records show it. */
const shownDefinition = (id: string, { revocDefType, tag, credDefId, value }: JsonObject): JsonObject => ({
  ver: '1.0',
  id,
  revocDefType: revocDefType!,
  tag: tag!,
  credDefId: credDefId!,
  value: { issuanceType: 'ISSUANCE_BY_DEFAULT', ...(value as JsonObject) },
});

export const revocationRegistry = defineRecord<RevocationRegistryValue>({
  category: REVOCATION_REGISTRY,
  idField: 'record_id',
  label: 'Revocation registry',
  topic: 'revocation_registry',
  states: ['init', 'generated', 'posted', 'active', 'full', 'decommissioned', 'failed'],
  view({ id, state, created, updated, value }) {
    const { tailsHash, tailsLocation } = (value.definition?.value ?? {}) as JsonObject;
    return compact({
      state,
      created_at: isoTime(created),
      updated_at: isoTime(updated),
      record_id: id,
      cred_def_id: value.cred_def_id,
      error_msg: value.error_msg,
      issuer_did: value.issuerId,
      max_cred_num: value.max_cred_num,
      revoc_def_type: 'CL_ACCUM',
      revoc_reg_id: value.rev_reg_id,
      revoc_reg_def: value.definition && value.rev_reg_id && shownDefinition(value.rev_reg_id, value.definition),
      revoc_reg_entry: value.status && { ver: '1.0', value: { accum: value.status.accumulator } },
      tag: value.tag,
      tails_hash: tailsHash,
      tails_local_path: tailsLocation,
      tails_public_uri: tailsLocation,
      pending_pub: [],
    });
  },
  tags: (value) => ({
    rev_reg_id: value.rev_reg_id && [value.rev_reg_id, ...(value.former_ids ?? [])],
    cred_def_id: value.cred_def_id,
    [ISSUING_FOR]: value.use === 'issuing' ? value.cred_def_id : undefined,
    used_for: value.use === 'none' ? undefined : value.cred_def_id,
    making_for: isMaking(value) ? value.cred_def_id : undefined,
  }),
});
