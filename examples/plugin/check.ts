import assert from 'node:assert/strict';
import type { Body } from '../demo/controller.ts';
import { PROTOCOLS } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';
import { prepare, sign, TEXT } from './run.ts';

export async function check(kit: Kit): Promise<void> {
  const { step } = kit;
  const book = await prepare(kit);
  const { host } = book;
  for (const protocol of PROTOCOLS)
    await step(`an entry and its thanks, by ${protocol}`, async () => {
      const { theirs, ours } = await sign(book, protocol, TEXT);
      assert.deepEqual([theirs.role, theirs.text, theirs.words], ['host', TEXT, 5]);
      assert.deepEqual([ours.role, ours.text, ours.words], ['guest', TEXT, 5]);
      return [undefined, `${ours.words} words`];
    });
  await step('the plug-in is in the lists of the agent', async () => {
    assert.deepEqual(await host.controller.get('/guestbook/summary'), { entries: 2 });
    assert.ok((await host.controller.get('/plugins')).result.includes('guestbook'));
    const { paths } = await host.controller.get('/api/docs/swagger.json');
    assert.ok(paths['/guestbook/entries'].post);
    const { disclosures } = await host.controller.get('/discover-features-2.0/queries?query_protocol=https://example.org/*');
    assert.deepEqual(
      disclosures.disclosures.map(({ id }: Body) => id),
      ['https://example.org/guestbook/1.0'],
    );
    return [undefined, 'plug-ins, protocols, OpenAPI'];
  });
}
