import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startReplicas } from '../../harness/replicas.ts';
import { startPostgres } from '../postgres.ts';
import { HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { eventsOf } from '../support/flows.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';
import { TEST_MS } from '../support/waiting.ts';

test('SIGTERM under load: not ready first, then everything accepted is finished or durable, and the exit code is 0', {
  timeout: TEST_MS,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-sigterm-'));
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const database = await startPostgres();
    undo.push(() => database.stop());
    const replicas = await startReplicas(folder, { count: 1, store: database.url, flags: ['--drain-time', '3'] });
    undo.push(() => replicas.stop());
    const stranger = await startStranger();
    undo.push(() => stranger.close());
    const wallet = await replicas.tenant('wallet', { 'auto-accept-requests': true });
    const [agent] = replicas.agents;
    const link = await connectStranger({ ...wallet, inbound: replicas.proxies.messages.url } as unknown as TestAgent, stranger);

    const invitations: string[] = [];
    const contents: string[] = [];
    const odd: string[] = [];
    let over = false;
    let refused = false;
    let notReady = false;
    let answeredAfter = 0;
    const made = async (i: number): Promise<void> => {
      // one call, and not again: what it answers is what is held against it
      const answer = await fetch(`${replicas.admin}/out-of-band/create-invitation`, {
        method: 'POST',
        headers: { ...wallet.keys, 'content-type': 'application/json' },
        body: JSON.stringify({ ...HANDSHAKE, alias: `load ${i}` }),
      }).catch(() => undefined);
      if (answer?.status === 200) {
        invitations.push(((await answer.json()) as { oob_id: string }).oob_id);
        if (notReady) answeredAfter++;
      } else if (answer && answer.status !== 503) odd.push(`a call was answered ${answer.status}`);
      else {
        if (!notReady) odd.push('a call was refused while the agent said that it was ready');
        refused = true;
      }
    };
    const sent = async (i: number): Promise<void> => {
      const content = `load ${i}`;
      const posted = await link
        .send(message('basicmessage/1.0/message', { content, sent_time: '2026-01-01 00:00:00Z' }))
        .catch(() => undefined);
      if (posted?.status === 202) contents.push(content);
      else if (posted && posted.status !== 503) odd.push(`a message was answered ${posted.status}`);
    };
    let next = 0;
    const load = Array.from({ length: 8 }, async (_none, worker) => {
      while (!over && !refused) await (worker % 2 ? made : sent)(next++);
    });
    const probe = (async () => {
      while (!over && !notReady) notReady = (await fetch(`${replicas.each[0]}/status/ready`).catch(() => undefined))?.status === 503;
    })();
    while (contents.length < 20 || invitations.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    await agent!.stop();
    over = true;
    await Promise.all([...load, probe]);
    assert.deepEqual(odd, []);
    assert.equal(agent!.exitCode, 0);
    assert.ok(notReady && answeredAfter > 0, `it was ${notReady ? '' : 'never '}not ready, and answered ${answeredAfter} calls then`);

    await agent!.start();
    const notified = (await eventsOf(wallet))
      .filter(({ topic }) => topic === 'basicmessages')
      .map(({ payload }) => payload.content as string);
    assert.deepEqual(
      contents.filter((content) => !notified.includes(content)),
      [],
      'acknowledged and lost',
    );
    assert.equal(new Set(notified).size, notified.length, 'told twice');
    for (const id of invitations) await wallet.get(`/out-of-band/invitations?oob_id=${id}`);
  } finally {
    while (undo.length > 0) await undo.pop()!();
  }
});
