import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import type { Body } from '../demo/controller.ts';
import { present } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';
import { until } from '../lib/until.ts';
import { journalHas, live, type Office, prepare } from './run.ts';

const BOATS = 20;

export async function check(kit: Kit): Promise<void> {
  const { step } = kit;
  const office = await prepare(kit);
  const before = schemaOf(office.register);
  await live(kit, office, BOATS);
  const held = await step(`${BOATS} boats have one credential each, and none has two`, async () => {
    await journalHas(office, (entries) => entries.every(({ state }) => state === 'issued' || state === 'revoked'), 'the tailer');
    const { results } = await office.office.controller.get('/issue-credential-2.0/records?limit=1000');
    const ordered = results.map((one: Body) => one.cred_ex_record.cred_ex_id).sort();
    assert.deepEqual(
      ordered,
      office
        .journal()
        .map(({ cred_ex_id }) => cred_ex_id)
        .sort(),
    );
    assert.equal(ordered.length, BOATS + 1);
    const kept = async (): Promise<Body[]> => (await office.wallet.controller.get('/credentials?limit=1000')).results;
    await until(() => done(office) === BOATS + 1, 'the last credential');
    const all = await kept();
    assert.deepEqual(
      all.map(({ attrs }: Body) => attrs.name).sort(),
      ['Argo', ...Array.from({ length: BOATS }, (_none, index) => `Boat ${index + 1}`)].sort(),
    );
    return [all, `${BOATS}, and the new one of the boat that was renamed`];
  });
  await step('the papers of before do not hold, and the others do', async () => {
    const proved = async (name: string): Promise<boolean> => {
      const { referent } = held.find(({ attrs }: Body) => attrs.name === name);
      const ask = { revealed: 'name', number: 'tons', floor: 10, at: Math.floor(Date.now() / 1000) };
      const { office: issuer, wallet, connection, credDefId } = office;
      const by = { holder: wallet.controller, verifier: issuer.controller };
      return (await present(by, { credDefId, verifierConnection: connection }, referent, ask)).verified;
    };
    const outcome = Object.fromEntries(
      await Promise.all(['Argo', 'Boat 1', 'Boat 3', 'Boat 5'].map(async (name) => [name, await proved(name)])),
    );
    assert.deepEqual(outcome, { Argo: true, 'Boat 1': true, 'Boat 3': false, 'Boat 5': false });
    return [undefined, 'Boat 3, which is Argo now, and Boat 5 are revoked'];
  });
  await step('the old program and its file are as they were', async () => {
    assert.equal(schemaOf(office.register), before);
    return [undefined, `schema ${before.slice(0, 16)}`];
  });
}

/** Exchanges that the wallet has finished. */
const done = ({ wallet }: Office): number =>
  new Set(
    wallet.controller.received
      .filter(({ topic, payload }) => topic === 'issue_credential_v2_0' && payload.state === 'done')
      .map(({ payload }) => payload.cred_ex_id),
  ).size;

/** Everything that a database is made of, but for its rows. */
function schemaOf(file: string): string {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const all = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all();
    return createHash('sha256').update(JSON.stringify(all)).digest('hex');
  } finally {
    db.close();
  }
}
