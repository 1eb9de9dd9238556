import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startAgency, startEdge } from '../support/agency.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { proofRequest } from '../support/peer-2018.ts';
import { CACHE, installOnce, run } from './processes.ts';

/** An edge agent behind an agency, and a second implementation of a 2018 peer: in Python, with PyNaCl and msgpack. */

const FOLDER = join(CACHE, 'peer-2018');
const world = createWorld();
let peer: ChildProcess;
let edge: TestAgent;
let ask: (order: Body) => Promise<Body>;

before(
  async () => {
    await installOnce(FOLDER, '.installed', async () => {
      const made = await run('python3', ['-m', 'venv', FOLDER]);
      if (made.code !== 0) return made;
      const packages = ['PyNaCl>=1.5', 'msgpack>=1.0'];
      return run(join(FOLDER, 'bin/python'), [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:'],
        ...packages,
      ]);
    });
    const program = fileURLToPath(new URL('peer_2018.py', import.meta.url));
    peer = spawn(join(FOLDER, 'bin/python'), [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    world.defer(() => peer.kill('SIGKILL'));
    const lines = createInterface({ input: peer.stdout! })[Symbol.asyncIterator]();
    ask = async (order) => {
      peer.stdin!.write(`${JSON.stringify(order)}\n`);
      const answer = JSON.parse((await lines.next()).value!);
      assert.equal(answer.error, undefined, answer.error);
      return answer;
    };
    edge = await startEdge(world, 'edge', await startAgency(world, 'agency'));
  },
  { timeout: 590_000 },
);
after(() => world.close());

const active = (id: string): Promise<Body> =>
  edge.event('connections', (one) => one.connection_id === id && one.state === 'active', `the connection ${id}`);

test('[S2-39] it answers an offer of the edge, asks for a proof, and is asked for one', async () => {
  const { connection_id, offer } = await edge.post('/legacy/connections/offers', { auto_accept: true });
  const { link, did } = await ask({ do: 'accept', offer });
  assert.equal((await active(connection_id)).their_did, did);
  await ask({ do: 'say', link, name: 'proof_request', content: proofRequest(['name']) });
  await edge.event('present_proof_v2_0', (one) => one.connection_id === connection_id && one.state === 'request-received', 'the request');
  const asked = proofRequest(['age']);
  await edge.post('/present-proof-2.0/send-request', { connection_id, presentation_request: { anoncreds: asked } });
  const { content } = await ask({ do: 'hear', link, name: 'proof_request' });
  assert.deepEqual(content.requested_attributes, asked.requested_attributes);
});

test('[S2-39] it offers, and the edge answers', async () => {
  const { offer } = await ask({ do: 'offer' });
  const { connection_id } = await edge.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
  const { did } = await ask({ do: 'respond', offer });
  assert.equal((await active(connection_id)).their_did, did);
});
