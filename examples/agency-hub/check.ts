import assert from 'node:assert/strict';
import type { Kit } from '../lib/kit.ts';
import { live } from './run.ts';

export async function check(kit: Kit): Promise<void> {
  const { edges, hub } = await live(kit, kit.full ? undefined : ['didcomm']);
  const { step } = kit;
  await step('a credential went to one edge, and its proof to the other, with the agency killed twice', async () => {
    assert.ok(edges.right);
    return [undefined, edges.facts.map((fact) => fact.join(': ')).join('; ')];
  });
  await step('the service read from the hub while the device was off, and not after its end', async () => {
    assert.ok(hub.right);
    return [undefined, hub.facts.map((fact) => fact.join(': ')).join('; ')];
  });
}
