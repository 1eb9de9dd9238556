import assert from 'node:assert/strict';
import type { Body } from '../demo/controller.ts';
import type { Kit } from '../lib/kit.ts';
import { ask, asked, audit, decide, LICENCE, outcome, prepare } from './run.ts';

export async function check(kit: Kit): Promise<void> {
  const { step } = kit;
  const all = await prepare(kit);
  const { firm, town, ann, ben } = all;
  const first = await step('one agrees: nothing is sent', async () => {
    const { pres_ex_id, thread_id } = await ask(all, all.known);
    const [id, same] = [await asked(ann, thread_id), await asked(ben, thread_id)];
    assert.equal(same, id);
    for (let times = 0; times < 2; times++)
      assert.equal(await decide(ann, id, 'continue'), 'asked', 'the same answer again is no second one');
    const { results } = await firm.controller.get(`/present-proof-2.0/records?thread_id=${thread_id}`);
    assert.deepEqual(
      results.map(({ state }: Body) => state),
      ['request-received'],
    );
    assert.equal((await town.controller.get(`/present-proof-2.0/records/${pres_ex_id}`)).state, 'request-sent');
    return [{ id, pres_ex_id, thread_id }, 'the exchange waits'];
  });
  await step('both agree: verified, with what was asked for and no more', async () => {
    assert.equal(await decide(ben, first.id, 'continue'), 'accepted');
    assert.equal((await outcome(all, first.pres_ex_id)).verified, 'true');
    const { by_format } = await town.controller.get(`/present-proof-2.0/records/${first.pres_ex_id}`);
    const { revealed_attr_groups, revealed_attrs, predicates } = by_format.pres.anoncreds.requested_proof;
    assert.deepEqual([Object.keys(revealed_attr_groups.licence.values).sort(), revealed_attrs], [['company', 'number'], {}]);
    assert.equal(revealed_attr_groups.licence.values.number.raw, LICENCE.number);
    assert.deepEqual(Object.keys(predicates), ['size']);
    return [undefined, `${LICENCE.number}, and a turnover of 500,000 or more`];
  });
  const second = await step('one refuses: the town gets nothing', async () => {
    const { pres_ex_id, thread_id } = await ask(all, all.known);
    const id = await asked(ann, thread_id);
    await decide(ann, id, 'continue');
    assert.equal(await decide(ben, id, 'reject'), 'rejected');
    const { state, verified } = await outcome(all, pres_ex_id);
    assert.deepEqual([state, verified], ['abandoned', undefined]);
    return [thread_id, 'a problem report'];
  });
  const third = await step('somebody whom the firm does not know is refused, and nobody is asked', async () => {
    const { pres_ex_id, thread_id } = await ask(all, all.stranger);
    assert.equal((await outcome(all, pres_ex_id)).state, 'abandoned');
    for (const { owner } of [ann, ben]) assert.ok(!(await owner.fetch()).some(({ message }) => message.thread_id === thread_id));
    return [thread_id, 'by a policy'];
  });
  await step('the audit has who decided what, and when', async () => {
    const lines = await audit(all);
    const of = (thread: string) => lines.filter(({ thread_id }) => thread_id === thread);
    const [yes, no] = [of(first.thread_id), of(second)];
    assert.deepEqual([yes[0]?.state, no[0]?.state, of(third)], ['accepted', 'rejected', []]);
    assert.match(yes[0]!.decided.join('\n'), /^Ann: continue, \d{4}-\S+\nBen: continue, \d{4}-\S+$/);
    assert.match(no[0]!.decided.join('\n'), /^Ann: continue, \S+\nBen: reject, \S+$/);
    return [undefined, yes[0]!.decided.join('; ')];
  });
}
