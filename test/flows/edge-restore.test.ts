import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runEdge } from '../../harness/edge.ts';
import { newWords } from '../../src/backup/recovery.ts';
import { startAgency } from '../support/agency.ts';
import { anchor, type Body, createWorld, HANDSHAKE } from '../support/agents.ts';
import { TEST_MS } from '../support/waiting.ts';

/** A person loses the wallet in a terminal, with its folder, and has it again: from a file, and from the agency. */

const world = createWorld();
after(() => world.close());

/** A wallet must start before it answers, which takes longer than an answer. */
const START_MS = 90_000;

/** Runs the wallet in a terminal to its end. @returns all that it has printed. @throws Error where its exit code is another */
async function edge(name: string, args: readonly string[], code = 0): Promise<string> {
  const run = runEdge(['--folder', join(world.folder, name), ...args]);
  world.defer(() => void run.process.kill('SIGKILL'));
  const ended = await run.ended();
  assert.equal(ended, code, `${args.join(' ')}:\n${run.text()}\n${run.errors()}`);
  return run.text() + run.errors();
}

/** The same with a script. */
function script(name: string, args: readonly string[], lines: readonly string[]): Promise<string> {
  const path = join(world.folder, `script-${process.hrtime.bigint()}.txt`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  const run = edge(name, [...args, '--script', path]);
  run.catch(() => {});
  return run;
}

test('[S2-41] [S2-46] [D-13] a wallet in a terminal comes back from a file and from its agency, and presents its credential', {
  timeout: TEST_MS,
}, async () => {
  const devnet = await world.devnet();
  const [agency, issuer] = await Promise.all([
    startAgency(world, 'agency'),
    world.start('Acme', {
      devnet,
      sponsor: true,
      flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
    }),
  ]);
  const { credDefId } = await anchor(issuer, ['name', 'age']);
  const ledger = ['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)];
  const flags = [...ledger, '--algorand-genesis-hash', devnet.genesisHash, '--egress-allow', '127.0.0.0/8'];

  const made = await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const first = script(
    'alice',
    ['--agency', agency.invitation, '--label', 'Alice', ...flags],
    [`connect ${made.invitation_url}`, 'until Connected with “Acme”.', 'yes offer', 'until is in your wallet.'],
  );
  const isOurs = (one: Body): boolean => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id;
  const { connection_id } = await issuer.event('connections', isOurs, 'the connection', START_MS);
  await issuer.post('/issue-credential-2.0/send-offer', {
    connection_id,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: {
      attributes: [
        { name: 'name', value: 'Alice' },
        { name: 'age', value: '30' },
      ],
    },
  });
  await first;

  /** Whether the issuer finds that a wallet presents the credential. */
  async function presents(name: string): Promise<void> {
    const run = script(name, [], ['yes request', 'until has what you shared.']);
    const sent = await issuer.post('/present-proof-2.0/send-request', {
      connection_id,
      presentation_request: {
        anoncreds: {
          ...{ name: 'entry', version: '1.0', requested_predicates: {} },
          requested_attributes: { shown: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } },
        },
      },
    });
    const isOver = (one: Body): boolean => one.pres_ex_id === sent.pres_ex_id && ['done', 'abandoned'].includes(one.state);
    const { state, verified } = await issuer.event('present_proof_v2_0', isOver, `the proof of ${name}`, START_MS);
    assert.deepEqual([state, verified], ['done', 'true']);
    await run;
  }

  const [words, place] = [join(world.folder, 'words'), join(world.folder, 'disk')];
  writeFileSync(words, newWords());
  const begun = await edge('alice', ['backup', place, '--to-agency', '--words', words]);
  assert.match(begun, /Backup \d+ is at the agency/);
  assert.match(begun, /Backup \d+ is in .*disk/);
  rmSync(join(world.folder, 'alice'), { recursive: true });

  await edge('from-file', ['restore', place, '--words', words]);
  await presents('from-file');

  const others = join(world.folder, 'other-words');
  writeFileSync(others, newWords());
  const guest = ['--egress-allow', '127.0.0.0/8', 'restore', '--from-agency', agency.invitation, '--words'];
  assert.match(await edge('nobody', [...guest, others], 1), /no backup that these words open/);
  const back = await edge('from-agency', [...guest, words]);
  assert.match(back, /The wallet is in/);
  await presents('from-agency');
  const again = await edge('from-agency', ['backup']);
  assert.match(again, /Backup \d+ is at the agency/);
  const secrets = [...readFileSync(words, 'utf8').matchAll(/(?=(\S+ \S+ \S+))/g)].map(([, three]) => three!);
  const logs = ['from-file', 'from-agency'].map((name) => readFileSync(join(world.folder, name, 'edge.log'), 'utf8'));
  for (const text of [begun, back, again, ...logs])
    assert.ok(!secrets.some((three) => text.includes(three)), 'words that were given are not shown');
});
