import { defineFormat } from '../kernel/format.ts';
import Type from '../kernel/type.ts';
import { anoncredsIssuance } from './anoncreds-issuance.ts';
import { anoncredsPresentation } from './anoncreds-presentation.ts';

/** `anoncreds` (RFC 0771). */
export const anoncreds = defineFormat({
  name: 'anoncreds',
  needs: 'anoncreds',
  asCredInfo: true,
  issuance: {
    ...anoncredsIssuance,
    ids: {
      proposal: 'anoncreds/credential-filter@v1.0',
      offer: 'anoncreds/credential-offer@v1.0',
      request: 'anoncreds/credential-request@v1.0',
      issue: 'anoncreds/credential@v1.0',
    },
    filterSchema: Type.Partial(
      Type.Object({
        cred_def_id: Type.String(),
        issuer_id: Type.String(),
        schema_id: Type.String(),
        schema_issuer_id: Type.String(),
        schema_name: Type.String(),
        schema_version: Type.String(),
        epoch: Type.String(),
      }),
    ),
  },
  presentation: { ...anoncredsPresentation, ids: { request: 'anoncreds/proof-request@v1.0', proof: 'anoncreds/proof@v1.0' } },
});
