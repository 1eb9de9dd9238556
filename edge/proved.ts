import type { Api, Body } from './api.ts';
import { nameOfCredential } from './names.ts';
import { framed, plain } from './text.ts';

/** The result of a proof request of this wallet, as a card. */
export async function proofCard(api: Api, id: string, partner: string, columns: number): Promise<string> {
  const { verified, by_format: formats } = await api.get(`/present-proof-2.0/records/${id}`);
  if (verified !== 'true') return `What ${partner} sent proves nothing: it was not verified.`;
  const request = formats.pres_request.anoncreds ?? formats.pres_request.indy;
  const proof = formats.pres.anoncreds ?? formats.pres.indy;
  const vouched = async (index: number): Promise<string[]> => {
    const { name, issuer } = await nameOfCredential(api, proof.identifiers[index].cred_def_id);
    return [`    (out of ${name}${issuer ? `, issued by ${issuer}` : ''})`];
  };
  const lines: string[] = [];
  for (const [referent, { raw, sub_proof_index: index }] of Object.entries<Body>(proof.requested_proof.revealed_attrs ?? {}))
    lines.push(`  ${plain(request.requested_attributes[referent].name, 60)}: ${plain(raw)}`, ...(await vouched(index)));
  for (const [referent, { sub_proof_index: index }] of Object.entries<Body>(proof.requested_proof.predicates ?? {})) {
    const { name, p_type, p_value } = request.requested_predicates[referent];
    lines.push(`  ${plain(name, 60)} ${plain(p_type, 2)} ${plain(p_value, 20)}`, ...(await vouched(index)));
  }
  return framed('A proof, verified', [`from: ${partner}`, ...lines], columns);
}
