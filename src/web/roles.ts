import type { Operation } from '../admin/operations.ts';

/** What a session may do. `operator` and `auditor` are the instance's, the others a wallet's. */
export const ROLES = ['operator', 'auditor', 'tenant-admin', 'issuer', 'verifier', 'reader'] as const;
export type Role = (typeof ROLES)[number];
export const OF_WALLET: readonly Role[] = ['tenant-admin', 'issuer', 'verifier', 'reader'];

/** Operations that are a GET, and yet do something or show a secret. */
const NO_READS = new Set([
  'get_shutdown',
  'get_discover_features_query',
  'get_discover_features_2_0_queries',
  'get_legacy_connections_conn_id_offer',
]);

/** Beginnings of operationIds: making and ending a connection, and messages over it. */
const CONNECTING = [
  'post_out_of_band_',
  'delete_out_of_band_',
  'post_connections_',
  'delete_connections_',
  'post_didexchange_',
  'get_discover_features_query',
  'get_discover_features_2_0_queries',
];

/** What a role does beyond reading, by beginnings of operationIds. A new operation is in none of these lists until it is put there. */
export const MAY: Readonly<Record<'issuer' | 'verifier', readonly string[]>> = {
  issuer: [
    ...CONNECTING,
    'post_issue_credential_',
    'delete_issue_credential_',
    'post_anoncreds_schema',
    'post_anoncreds_credential_definition',
    'post_anoncreds_revocation_',
    'post_schemas',
    'post_credential_definitions',
    'post_revocation_revoke',
    'post_revocation_publish_revocations',
    'post_agent_config_decisions_decision_id',
    'post_ledger_estimate',
    'post_credential_batches',
    'delete_credential_batches',
    'post_oca_bundles',
    'delete_oca_bundles',
  ],
  verifier: [...CONNECTING, 'post_present_proof_', 'delete_present_proof_', 'post_agent_config_decisions_decision_id'],
};

/** Whether a role may call an operation. Who the caller is, is another question: the admin API's own rules hold beside these. */
export function mayCall(role: Role, { operationId, method, auth }: Pick<Operation, 'operationId' | 'method' | 'auth'>): boolean {
  if (role === 'operator') return true;
  const reads = method === 'GET' && !NO_READS.has(operationId);
  if (role === 'auditor') return reads;
  if (auth === 'admin') return false;
  if (role === 'tenant-admin' || reads) return true;
  return role !== 'reader' && MAY[role].some((beginning) => operationId.startsWith(beginning));
}
