import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { newWords } from '../../src/backup/recovery.ts';
import { backupCommand } from '../../src/backup-command.ts';
import { startAgency, startEdge, type TestAgency } from '../support/agency.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';

/** An agency goes to another store, with the routes of its cloud agents and the mail that waits for edges. */

const world = createWorld();
after(() => world.close());

async function command(name: 'export' | 'import', ...argv: readonly string[]): Promise<void> {
  assert.equal(await backupCommand(name, argv, {}, { input: Readable.from(['']), print() {} }), 0);
}

/** The keys and names by which an agency finds its cloud agents. */
async function routesOf({ agent }: TestAgent): Promise<string[]> {
  const { store } = agent.kernel.db;
  const [keys, names] = await Promise.all([
    store.find('base', 'keylist', { role: 'server', limit: 1000 }),
    store.find('base', 'agency_route', { limit: 1000 }),
  ]);
  return [...keys.rows, ...names.rows].map(({ value }) => String(value.verkey ?? value.name)).sort();
}

/** How much mail waits at an agency. */
async function waiting({ agent }: TestAgent): Promise<number> {
  const { store } = agent.kernel.db;
  const { rows } = await store.find('base', 'connection', { limit: 1000 });
  const boxes = await Promise.all(rows.map(({ id }) => store.mailbox('base', id)));
  return boxes.reduce((sum, { messages }) => sum + messages, 0);
}

test('an agency moves with its routes and the mail of its edges, and a copy of it has its routes', async () => {
  const [first, faber] = await Promise.all([startAgency(world, 'agency'), world.start('faber')]);
  const at = Number(new URL(first.address).port);
  const edge = await startEdge(world, 'edge', first, { store: join(world.folder, 'edge.db') });
  const { inviter } = await connect(faber, edge);
  await edge.post('/legacy/connections/offers', {});
  await edge.stop();
  const say = (content: string): Promise<Body> => faber.post(`/connections/${inviter}/send-message`, { content });
  const hears = (one: TestAgent, content: string): Promise<Body> => one.event('basicmessages', (told) => told.content === content, content);
  await say('while you were away');
  await until(async () => (await waiting(first)) > 0, 'mail at the agency');
  const routes = await routesOf(first);
  assert.ok(routes.length > 1);
  await first.stop();

  const [words, copied, moved] = ['words', 'copied', 'moved'].map((name) => join(world.folder, name)) as [string, string, string];
  writeFileSync(words, newWords());
  await command('export', copied, '--words', words, '--store', `sqlite:${first.store}`);
  await command('export', moved, '--words', words, '--move', '--store', `sqlite:${first.store}`);
  /** The agency out of a backup, and its edge, at the same addresses. */
  async function again(name: string, file: string): Promise<readonly [TestAgency, TestAgent]> {
    const store = join(world.folder, `${name}.db`);
    await command('import', file, '--words', words, '--store', `sqlite:${store}`);
    const agency = await startAgency(world, name, { store, at });
    assert.deepEqual(await routesOf(agency), routes);
    assert.equal(agency.invitation, first.invitation);
    return [agency, await startEdge(world, 'edge', agency, { store: edge.store })];
  }
  const [second, back] = await again('moved-agency', moved);
  await hears(back, 'while you were away');
  await say('to the moved one');
  await hears(back, 'to the moved one');
  await back.stop();
  await second.stop();

  const [, last] = await again('copied-agency', copied);
  await say('to the copy');
  await hears(last, 'to the copy');
});
