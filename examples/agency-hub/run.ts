import { openStores } from '../../harness/stores.ts';
import { runEdges } from '../demo/edges.ts';
import { runHub } from '../demo/hub.ts';
import type { Kit } from '../lib/kit.ts';

type Outcome = Awaited<ReturnType<typeof runEdges>>;

/** Two people with wallets in terminals behind an agency, and a vault that a service reads from: the demos of both, one after the other. */
export async function live(
  kit: Kit,
  wires?: NonNullable<Parameters<typeof runEdges>[3]>['wires'],
): Promise<{ edges: Outcome; hub: Outcome }> {
  const edges = await runEdges(kit.folder, kit.step, kit.open, { ledger: await kit.ledger(), wires });
  const stores = await kit.open(openStores('sqlite', kit.folder));
  const hub = await runHub(kit.folder, stores.of, { begin: () => {}, end: kit.line, row: () => {} }, kit.open);
  return { edges, hub };
}

export async function run(kit: Kit): Promise<void> {
  const { edges, hub } = await live(kit);
  for (const [name, fact] of [...edges.facts, ...hub.facts]) kit.line(name, fact);
}
