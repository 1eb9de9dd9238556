import { defineFormat } from '../kernel/format.ts';
import Type from '../kernel/type.ts';
import { anoncredsIssuance } from './anoncreds-issuance.ts';
import { anoncredsPresentation } from './anoncreds-presentation.ts';

/** `indy` (RFC 0592): AnonCreds' objects under the identifiers and filters of Hyperledger Indy. */
export const indy = defineFormat({
  name: 'indy',
  needs: 'anoncreds',
  asCredInfo: true,
  issuance: {
    ...anoncredsIssuance,
    ids: {
      proposal: 'hlindy/cred-filter@v2.0',
      offer: 'hlindy/cred-abstract@v2.0',
      request: 'hlindy/cred-req@v2.0',
      issue: 'hlindy/cred@v2.0',
    },
    filterSchema: Type.Partial(
      Type.Object({
        cred_def_id: Type.String(),
        issuer_did: Type.String(),
        schema_id: Type.String(),
        schema_issuer_did: Type.String(),
        schema_name: Type.String(),
        schema_version: Type.String(),
      }),
    ),
  },
  presentation: { ...anoncredsPresentation, ids: { request: 'hlindy/proof-req@v2.0', proof: 'hlindy/proof@v2.0' } },
});
