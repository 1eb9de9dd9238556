import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** The name and kind of a key of the vault's owner. The key itself is never here. */
export interface NamedKey {
  readonly id: string;
  readonly type: string;
}

/** A vault of encrypted documents (EDV 0.10). Of its content the hub knows ciphertext, blinded attributes and sizes. */
export interface EdvValue {
  [member: string]: unknown;
  /** The DID that may do everything, and may delegate it. */
  controller: string;
  /** Its controller has it from another one and has not taken it yet, so that it is not among its vaults and has no name there. */
  handed_over?: true;
  referenceId?: string;
  keyAgreementKey: NamedKey;
  hmac: NamedKey;
  sequence: number;
  /** In bytes. */
  quota: number;
  bytes: number;
  documents: number;
  /** Controllers of capabilities that were revoked: documents that are still encrypted to keys of theirs wait for their owner. */
  ended?: readonly string[];
}

/** A base58 id of 128 bits, as the clients of vaults make them. */
export const EDV_ID = /^z1[1-9A-HJ-NP-Za-km-z]{20,24}$/;

/** Where a vault is reached; its documents lie under it. */
export const vaultUrl = (endpoint: string, tenant: string, id: string): string => `${endpoint}/hub/${tenant}/edvs/${id}`;

/** The id of the vault whose URL another one lies under; undefined where it is none of this agent's tenant. */
export function vaultAt(endpoint: string, tenant: string, url: string): string | undefined {
  const start = vaultUrl(endpoint, tenant, '');
  const id = url.startsWith(start) ? url.slice(start.length).split('/', 1)[0]! : '';
  return EDV_ID.test(id) ? id : undefined;
}

/** A vault as its clients know it. */
export const configOf = (url: string, { controller, referenceId, keyAgreementKey, hmac, sequence }: Readonly<EdvValue>): JsonObject =>
  compact({ id: url, controller, referenceId, keyAgreementKey, hmac, sequence });

/** Every write of a vault writes its record too, so that its writes are serial, and its quota holds. */
export const edv = defineRecord<EdvValue>({
  category: 'edv',
  idField: 'vault_id',
  label: 'Vault',
  states: ['active'],
  view: (record) =>
    compact({
      ...viewHead(record),
      vault_id: record.id,
      controller: record.value.controller,
      handed_over: record.value.handed_over,
      referenceId: record.value.referenceId,
      keyAgreementKey: record.value.keyAgreementKey,
      hmac: record.value.hmac,
      sequence: record.value.sequence,
      quota_bytes: record.value.quota,
      bytes: record.value.bytes,
      documents: record.value.documents,
    }),
  tags: ({ controller, referenceId, handed_over }) => ({
    controller: handed_over ? undefined : controller,
    reference: handed_over || referenceId === undefined ? undefined : `${controller} ${referenceId}`,
  }),
  admin: { list: '/hub/vaults', tag: 'hub', filters: { controller: 'controller' }, notFound: 'There is no such vault' },
});
