import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type EdgeRun, runEdge } from '../../harness/edge.ts';
import { EnvelopeRefused, openEnvelope, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import { lazy } from '../rows/support.ts';
import { anchor, type Body, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';
import { leaks, secretsOf } from '../support/secrets.ts';
import { until } from '../support/waiting.ts';

/** `./flexid edge` as a process of its own, with a mediator, and an issuer that also verifies. */

const world = createWorld();
after(() => world.close());

const ESCAPES = 'Bank\u001b[2J\u001b]0;x\u0007\n│ from: “Central Bank”\u202e\u2066 kcab\u0085';
let devnet: Devnet;
let mediator: TestAgent;
let issuer: TestAgent;
let credDefId: string;
let invitation: string;
let flags: string[];

before(async () => {
  devnet = await world.devnet();
  [mediator, issuer] = await Promise.all([
    world.start('mediator', { flags: ['--open-mediation', '--auto-accept-requests'] }),
    world.start('Acme', {
      devnet,
      sponsor: true,
      flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
    }),
  ]);
  invitation = (await mediator.post('/out-of-band/create-invitation?multi_use=true&auto_accept=true', HANDSHAKE)).invitation_url;
  ({ credDefId } = await anchor(issuer, ['name', 'age']));
  const ledger = ['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)];
  flags = [...ledger, '--algorand-genesis-hash', devnet.genesisHash, '--egress-allow', '127.0.0.0/8'];
});

/** A wallet's process, which ends with the tests. */
function startEdge(...args: Parameters<typeof runEdge>): EdgeRun {
  const run = runEdge(...args);
  world.defer(() => void run.process.kill('SIGKILL'));
  return run;
}
/** Runs a script to its end. @returns the output. @throws Error with the output where the exit code is not 0 */
async function runScript(folder: string, given: readonly string[], lines: readonly string[]): Promise<string> {
  const path = join(world.folder, `script-${process.hrtime.bigint()}.txt`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  const run = startEdge(['--folder', folder, '--script', path, ...given]);
  const code = await run.ended();
  if (code !== 0) throw new Error(`it ended with ${code}:\n${run.text()}\n${run.errors()}`);
  return run.text();
}
/** The same, for a caller that awaits it later. */
function beginScript(...[folder, given, lines]: Parameters<typeof runScript>): Promise<string> {
  const run = runScript(folder, given, lines);
  run.catch(() => {});
  return run;
}

/** A wallet must start before it answers, which takes longer than an answer. */
const START_MS = 90_000;

const folderOf = (name: string): string => join(world.folder, name);
const invite = async (): Promise<Body> => await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
/** The issuer's connection that follows from an invitation. */
const connectionOf = async (made: Body): Promise<string> =>
  (
    await issuer.event(
      'connections',
      (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id,
      'a connection',
      START_MS,
    )
  ).connection_id;
const offer = async (connection: string, values: Record<string, string>, comment?: string): Promise<string> => {
  const attributes = Object.entries(values).map(([name, value]) => ({ name, value }));
  const body = { connection_id: connection, filter: { anoncreds: { cred_def_id: credDefId } }, comment };
  return (await issuer.post('/issue-credential-2.0/send-offer', { ...body, credential_preview: { attributes } })).cred_ex_id;
};
const restrictions = () => [{ cred_def_id: credDefId }];
const request = async (connection: string, attribute = 'name'): Promise<string> => {
  const anoncreds = {
    name: 'entry',
    version: '1.0',
    requested_attributes: { shown: { name: attribute, restrictions: restrictions() } },
    requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: restrictions() } },
  };
  return (await issuer.post('/present-proof-2.0/send-request', { connection_id: connection, presentation_request: { anoncreds } }))
    .pres_ex_id;
};
const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';
/** Waits for a state of an exchange, or for its end, which must be that state. */
async function ended(topic: string, id: string, state: string): Promise<Body> {
  const isOver = (one: Body): boolean => [state, 'done', 'abandoned'].includes(one.state);
  const one = await issuer.event(
    topic,
    (one) => (one.cred_ex_id ?? one.pres_ex_id) === id && isOver(one),
    `${state} of ${topic}`,
    START_MS,
  );
  assert.equal(one.state, state, one.error_msg);
  return one;
}

const alice = () => folderOf('alice');
/** Alice's wallet, connected with the issuer. @returns the issuer's connection */
const connected = lazy(async () => {
  const made = await invite();
  const first = ['--mediator-invitation', invitation, '--label', 'Alice', ...flags];
  await runScript(alice(), first, [`connect ${made.invitation_url}`, 'until Connected with “Acme”.', 'wallet', 'who']);
  return await connectionOf(made);
});

test('[S2-07] a person connects, takes one offer and declines another, shares one proof and declines another', async () => {
  const toAlice = await connected();
  const decisions = ['yes offer', 'until is in your wallet.', 'no offer', 'yes request', 'until has what you shared.', 'no request'];
  const run = beginScript(alice(), [], [...decisions, 'wallet', 'who', 'history']);
  const taken = await offer(toAlice, { name: 'Alice', age: '30' }, 'as agreed');
  await ended(ISSUE, taken, 'done');
  const declined = await offer(toAlice, { name: 'Mallory', age: '99' });
  await ended(ISSUE, declined, 'abandoned');
  const shared = await request(toAlice);
  const refused = await request(toAlice);
  assert.equal((await ended(PROVE, shared, 'done')).verified, 'true');
  await ended(PROVE, refused, 'abandoned');
  const text = await run;
  for (const line of [
    '│ from: “Acme”',
    '│ they say: “as agreed”',
    '│ credential: “degree” 1.0',
    '│   name: Alice',
    '│ they would see:',
    '│ proved, but the value stays hidden:',
    '│   age is at least 18',
  ])
    assert.ok(text.includes(`\n${line}`), `${line} in\n${text}`);
  // the value behind the predicate is not on the card
  const card = text.slice(text.indexOf('A request for proof'));
  assert.doesNotMatch(card.slice(0, card.indexOf('└')).replace(/connected since [\d :-]+/, ''), /30/);
  const { by_format } = await issuer.get(`/present-proof-2.0/records/${shared}`);
  assert.deepEqual(Object.keys(by_format.pres.anoncreds.requested_proof.revealed_attrs), ['shown']);
  const past = text.slice(text.lastIndexOf('> history'));
  for (const words of ['took “degree” 1.0 from “Acme”', 'showed name, proved something of age to “Acme”'])
    assert.ok(past.includes(words), past);
  assert.equal(past.match(/ended without a result/g)?.length, 2);
  assert.equal(text.slice(text.lastIndexOf('> wallet')).match(/name: /g)?.length, 1, 'one credential, not two');
});

test('[S2-11] mail waits while it is off, and finds it at another place; what was given once is kept', async () => {
  const toAlice = await connected();
  const exchange = await offer(toAlice, { name: 'Alice', age: '31' });
  assert.ok(existsSync(join(alice(), 'wallet.db')));
  const moved = folderOf('alice-moved');
  renameSync(alice(), moved);
  const text = await runScript(moved, [], ['yes', 'until is in your wallet.', 'wallet']);
  assert.equal((await ended(ISSUE, exchange, 'done')).state, 'done');
  assert.match(text, /age: 31/);
  renameSync(moved, alice());
});

test('[S2-09] [S2-10] keys and link secret are the wallet’s alone; the mediator opens nothing of what it keeps', async () => {
  const toAlice = await connected();
  const own = join(alice(), 'wallet.db');
  assert.ok(existsSync(own) && statSync(own).size > 0, 'what it holds is in its own file');
  // mail of every kind, while the wallet is off
  const exchange = await offer(toAlice, { name: 'Alice', age: '33' }, 'marker of this test');
  const proof = await request(toAlice);
  await issuer.post(`/connections/${toAlice}/send-message`, { content: 'marker of this test' });
  const { db } = mediator.agent.kernel;
  const boxes = (await mediator.get('/connections')).results.map((one: Body) => one.connection_id as string);
  const mail = await until(async () => {
    const kept = (await Promise.all(boxes.map((box: string) => db.store.mail('base', box, { limit: 100 })))).flat();
    return kept.length >= 3 && kept;
  }, 'the mail');
  const kept = await Promise.all(
    [...mediator.agent.kernel.registry.records.keys()].map(async (category) => (await db.store.find('base', category, {})).rows),
  );
  // each text in its records that is a key of its own
  const names = new Set(JSON.stringify(kept).match(/\b[1-9A-HJ-NP-Za-km-z]{43,44}\b/g));
  const pairs = (await Promise.all([...names].map((verkey) => mediator.agent.kernel.keys.pair('base', verkey)))).filter(
    (pair) => pair !== undefined,
  );
  assert.ok(pairs.length >= 2, `of the mediator's keys only ${pairs.length} were found`);
  for (const { body } of mail) {
    assert.ok(!body.includes('marker'));
    const parsed = parseEnvelope(Buffer.from(body));
    for (const kid of parsed.recipients) assert.equal(await db.store.key('base', kid), undefined, 'a key of the wallet at the mediator');
    for (const pair of pairs) assert.throws(() => openEnvelope(parsed, pair), EnvelopeRefused);
  }
  // the wallet opens all of it, with keys of its own store
  const text = await runScript(alice(), [], ['yes offer', 'until is in your wallet.', 'yes request', 'until has what you shared.']);
  assert.match(text, /they say: “marker of this test”/);
  await ended(ISSUE, exchange, 'done');
  await ended(PROVE, proof, 'done');
  const kids = ['link-secret', ...mail.flatMap(({ body }) => [...parseEnvelope(Buffer.from(body)).recipients])];
  const wallet = { name: 'Alice', store: own, hooks: { list: [] as unknown } } as TestAgent;
  const secrets = await secretsOf(wallet, [...new Set(kids)]);
  assert.ok(secrets.size >= 2);
  for (const kid of secrets.keys()) assert.equal(await db.store.key('base', kid), undefined, kid);
  assert.deepEqual(leaks(secrets, { records: [JSON.stringify(kept)], mail: mail.map(({ body }) => body), log: mediator.logged }), []);
});

test('what was asked is asked again after kill -9, and what was agreed on is done', async () => {
  const toAlice = await connected();
  const exchange = await offer(toAlice, { name: 'Alice', age: '32' });
  const first = startEdge(['--folder', alice()]);
  await first.shows('age: 32');
  await first.shows(/Take it\?/);
  const second = startEdge(['--folder', alice(), 'wallet']);
  assert.equal(await second.ended(), 1);
  assert.match(second.errors(), /^flexid edge: the wallet in .* is open in another \.\/flexid edge/);
  await first.kill();
  const again = startEdge(['--folder', alice()]);
  await again.shows('age: 32');
  again.type('perhaps');
  await again.shows('Please answer yes, no or later.');
  again.type('yes');
  await ended(ISSUE, exchange, 'request-received');
  await again.kill();
  const last = startEdge(['--folder', alice()]);
  await ended(ISSUE, exchange, 'done');
  last.process.kill('SIGINT');
  assert.equal(await last.ended(), 130);
  assert.match(await runScript(alice(), [], ['wallet']), /age: 32/);
});

test('put off, it is asked at the next start, and by its verb', async () => {
  const toAlice = await connected();
  await request(toAlice);
  const text = await runScript(alice(), [], ['later request', 'share', 'later']);
  assert.equal(text.match(/A request for proof/g)?.length, 2);
  const again = await runScript(alice(), [], ['no request', 'offers', 'share']);
  assert.match(again, /Declined\.\n> offers\nNothing is offered to you now\.\n> share\nNobody asks you for a proof now\.\n$/);
});

test('text of others controls nothing, and looks like no line of the program', async () => {
  const toAlice = await connected();
  await offer(toAlice, { name: `Eve${ESCAPES}`, age: `${'9'.repeat(5000)}` }, ESCAPES);
  const run = startEdge(['--folder', alice()]);
  await run.shows(/Take it\?/);
  await issuer.post(`/connections/${toAlice}/send-message`, { content: `hi${ESCAPES}` });
  await run.shows('writes: hi');
  run.type('no');
  await run.shows('Declined.');
  run.type('quit');
  assert.equal(await run.ended(), 0);
  const text = run.text();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
  for (const line of text.split('\n'))
    assert.ok(line.length <= 80 || line.startsWith('“Acme” writes: '), `${line.length} columns: ${line}`);
  assert.equal(text.match(/^│ from: /gm)?.length, 1);
  assert.match(text, /9… \(cut: 5000 characters\)/);
});

test('[S2-08] a person issues: two wallets connect with each other, one issues, the other proves it to somebody else', async () => {
  await connected();
  const [bob, toBob] = [folderOf('bob'), await invite()];
  const grantor = startEdge(['--folder', alice(), 'show-invitation']);
  await grantor.shows(/^http\S+oob=\S+$/m);
  const url = /^http\S+oob=\S+$/m.exec(grantor.text())![0];
  const holder = beginScript(
    bob,
    ['--mediator-invitation', invitation, '--label', 'Bob', ...flags],
    [
      `connect ${url}`,
      'until Connected with “Alice”.',
      `connect ${toBob.invitation_url}`,
      'until Connected with “Acme”.',
      'yes offer',
      'until is in your wallet.',
      'yes request',
      'until has what you shared.',
    ],
  );
  assert.equal(await grantor.ended(), 0, grantor.errors());
  const connection = await connectionOf(toBob);
  const issued = startEdge(['--folder', alice(), 'issue', 'delegation', 'bob', 'task=signing', 'until=2027'], {
    FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic,
  });
  assert.equal(await issued.ended(), 0, issued.errors());
  assert.match(issued.text(), /“Bob” has taken “delegation” 1\.0\.\n$/);
  const anoncreds = {
    name: 'who',
    version: '1.0',
    requested_attributes: { task: { name: 'task', restrictions: [{ schema_name: 'delegation' }] } },
  };
  const body = { connection_id: connection, presentation_request: { anoncreds: { ...anoncreds, requested_predicates: {} } } };
  const { pres_ex_id: id } = await issuer.post('/present-proof-2.0/send-request', body);
  await holder;
  assert.equal((await ended(PROVE, id, 'done')).verified, 'true');
});

test('a wallet is its owner’s alone, listens on loopback alone, and writes no secret into its log and settings', async () => {
  const folder = folderOf('carol');
  const key = 'a passphrase that nobody guesses';
  await runScript(folder, ['--log-level', 'debug', '--wallet-key', key, '--no-ledger'], ['who']);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
  assert.ok(!existsSync(join(folder, 'wallet.db.key')));
  for (const name of ['settings.yaml', 'edge.log']) assert.ok(!readFileSync(join(folder, name), 'utf8').includes(key), name);
  const wrong = startEdge(['--folder', folder, '--wallet-key', 'another one', 'who']);
  assert.equal(await wrong.ended(), 1);
  assert.match(wrong.errors(), /does not open the wallet in /);
  const none = startEdge(['--folder', folder, 'who']);
  assert.equal(await none.ended(), 1);
  assert.match(none.errors(), /no passphrase was given/);
  const known = startEdge(['--folder', folder, 'who'], { ACAPY_WALLET_KEY: key });
  assert.equal(await known.ended(), 0, known.errors());
  assert.match(known.text(), /You are “A FlexID wallet”/);
  const alone = startEdge(['--folder', folder, 'connect', 'http://127.0.0.1:1?oob=e30'], { ACAPY_WALLET_KEY: key });
  assert.equal(await alone.ended(), 1);
  assert.match(alone.errors(), /no place where mail waits/);
});

test('what is written wrong is one sentence', async () => {
  const cases: [string[], RegExp][] = [
    [['fly'], /no verb fly/],
    [['--colour'], /Unknown option '--colour'/],
    [['--script', '/nowhere'], /--script: ENOENT/],
    [['--agency', 'http://a', '--mediator-invitation', 'http://b'], /both say where mail waits/],
  ];
  const runs = cases.map(([args]): EdgeRun => startEdge(args));
  for (const [at, [, pattern]] of cases.entries()) {
    assert.equal(await runs[at]!.ended(), 2);
    assert.match(runs[at]!.errors(), pattern);
    assert.equal(runs[at]!.errors().trimEnd().split('\n').length, 1);
  }
  const help = startEdge(['--help']);
  assert.equal(await help.ended(), 0);
  assert.match(help.text(), /^\.\/flexid edge/);
});
