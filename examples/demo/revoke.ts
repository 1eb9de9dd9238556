import type { Body } from './controller.ts';
import { type Controllers, eachOf, integerColumn, issueOne, prepare, present, stepsOn, type Table, type Watcher } from './flow.ts';

/** Credentials, and how many of them are revoked. */
const CREDENTIALS = 100;
const REVOKED = 10;

export interface Revocations {
  readonly issued: number;
  readonly verified: number;
  readonly refused: number;
  readonly right: boolean;
  readonly facts: readonly (readonly [string, string])[];
}

/** Issues credentials that can be revoked, revokes some of them by one publication, and has each presented with a proof that it is not. */
export async function runRevocation(controllers: Controllers, table: Table, watcher: Watcher, parallel = 4): Promise<Revocations> {
  const { issuer } = controllers;
  const number = integerColumn(table);
  const revealed = table.columns.find((column) => column !== number) ?? number;
  const floor = Math.min(...table.rows.map((row) => Number(row[number])));
  const step = stepsOn(watcher);
  const prepared = await prepare(controllers, table.columns, step, 'didexchange', true);
  const rows = Array.from({ length: CREDENTIALS }, (_none, index) => table.rows[index % table.rows.length]!);
  const issued: string[] = [];
  await step(`issue ${CREDENTIALS} credentials`, async () => {
    let done = 0;
    await eachOf(rows, parallel, async (row, index) => {
      issued[index] = await issueOne(controllers, prepared, row);
      watcher.row(++done, CREDENTIALS);
    });
    return [undefined, `${issued.length} in the holder's wallet`];
  });
  const places = await Promise.all(issued.slice(0, REVOKED).map((id) => controllers.holder.get(`/credential/${id}`)));
  const revoked = await step(`revoke ${REVOKED} by one call`, async () => {
    for (const { rev_reg_id, cred_rev_id } of places) await issuer.post('/anoncreds/revocation/revoke', { rev_reg_id, cred_rev_id });
    const { rrid2crid } = await issuer.post('/anoncreds/revocation/publish-revocations', {});
    const indices = Object.values(rrid2crid as Record<string, number[]>).flat();
    return [indices.length, `${indices.length} in the registry's next state`];
  });
  let [verified, refused, wrong] = [0, 0, 0];
  await step('present and verify each', async () => {
    await eachOf(issued, parallel, async (id, index) => {
      const ask = { revealed, number, floor, at: Math.floor(Date.now() / 1000) };
      const outcome = await present(controllers, prepared, id, ask);
      if (outcome.verified) verified++;
      else refused++;
      if (outcome.verified !== index >= REVOKED) wrong++;
      watcher.row(verified + refused, CREDENTIALS);
    });
    return [undefined, `${verified} verified: true, ${refused} verified: false`];
  });
  const { result }: Body = await issuer.get(`/revocation/active-registry/${prepared.credDefId}`);
  return {
    issued: issued.length,
    verified,
    refused,
    right: wrong === 0 && revoked === REVOKED && verified === CREDENTIALS - REVOKED && refused === REVOKED,
    facts: [
      ['credential definition', prepared.credDefId],
      ['registry', result.revoc_reg_id],
      ['tails file', result.tails_public_uri],
    ],
  };
}
