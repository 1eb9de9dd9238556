import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { freePort } from '../../harness/processes.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { ownerCommand } from '../../src/owner-command.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { CACHE, installOnce, type Output, ROOT, run } from './processes.ts';

/** Owners in Python: the owner.py that `./flexid owner new` writes, and the unmodified aries-staticagent of PyPI. */

const VENV = join(CACHE, 'owner');
const PYTHON = join(VENV, 'bin', 'python3');
const PACKAGES = ['pynacl==1.6.2', 'aries-staticagent==0.8.0'];

async function bringPython(): Promise<string | undefined> {
  const version = await run('python3', ['-c', 'import sys, venv, ensurepip; print(sys.version_info >= (3, 11))']).catch(() => undefined);
  if (version?.text.trim() !== 'True') return 'an owner needs python3, 3.11 or newer, with venv';
  await installOnce(VENV, '.installed', async () => {
    rmSync(VENV, { recursive: true, force: true });
    const made = await run('python3', ['-m', 'venv', VENV]);
    if (made.code !== 0) return made;
    return run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', ...PACKAGES]);
  });
  return undefined;
}

const skip = await bringPython();
const world = createWorld();
let faber: TestAgent;
let bob: TestAgent;
let connection: string;

before(async () => {
  if (skip) return;
  const devnet = await world.devnet({ clock: 'wall' });
  faber = await world.start('faber', { devnet, sponsor: true, flags: ['--preserve-exchange-records', '--auto-accept-requests'] });
  bob = await world.start('bob', {
    devnet,
    flags: [
      ...['--preserve-exchange-records', '--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential'],
      ...['--auto-respond-presentation-request'],
    ],
  });
  const { result } = await faber.post('/wallet/did/create', { method: 'algo' });
  await faber.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  connection = (await connect(faber, bob)).inviter;
});
after(() => world.close());

const GRANTS = [
  'admin-connections',
  'admin-credential-definitions',
  'admin-invitations',
  'admin-issuer',
  'admin-revocation',
  'admin-schemas',
  'agent-config',
];

const CONFIG = 'https://flexid.dev/didcomm/agent-config/1.0';

/** Runs owner.py. @returns the line of JSON that it prints */
const owner = (folder: string) => {
  const call = async (...words: string[]): Promise<Output> => run(PYTHON, [join(folder, 'owner.py'), ...words]);
  return {
    call,
    async say(...words: string[]): Promise<Body> {
      const { code, text } = await call(...words);
      assert.equal(code, 0, text);
      return JSON.parse(text.trim().split('\n').at(-1)!);
    },
  };
};

async function accept(folder: string, answer: Body): Promise<void> {
  const child = spawn(PYTHON, [join(folder, 'owner.py'), 'accept'], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(`not JSON\n${JSON.stringify(answer)}\n`);
  assert.equal(await new Promise((resolve) => child.once('close', resolve)), 0);
}

function written(name: string): { folder: string; said: string; verkey: string } {
  const folder = join(world.folder, name);
  let said = '';
  assert.equal(
    ownerCommand(
      ['new', folder],
      (text) => {
        said += text;
      },
      () => {},
    ),
    0,
  );
  return { folder, said, verkey: /^The key of this owner is (\S+)\. /.exec(said)![1]! };
}

test('owner.py makes a schema and a definition, issues, verifies, revokes and hears of it', { skip }, async () => {
  const { folder, said, verkey } = written('shop');
  const body = JSON.parse(/-d '(.*)' \|/.exec(said)![1]!);
  assert.deepEqual([body.their_verkey, body.grants], [verkey, GRANTS]);
  const made = await faber.post('/connections/create-static', body);
  await accept(folder, made);
  const { say, call } = owner(folder);
  const { schema_id } = await say('schema', 'customer', '1.0', 'name', 'number');
  const again = ['--id', 'definition-1', 'cred-def', schema_id, '--revocable'] as const;
  const { cred_def_id } = await say(...again);
  assert.ok((await faber.get('/anoncreds/credential-definitions')).credential_definition_ids.includes(cred_def_id));
  const { cred_ex_id, thread_id } = await say('issue', connection, cred_def_id, 'name=Alice=Bob', 'number=7');
  await bob.event('issue_credential_v2_0', (one) => one.thread_id === thread_id && one.state === 'done', 'the credential');
  const { pres_ex_id } = await say('request-proof', connection, cred_def_id, 'name');
  await faber.event('present_proof_v2_0', (one) => one.pres_ex_id === pres_ex_id && one.verified === 'true', 'the proof');
  assert.equal((await say('revoke', cred_ex_id)).state, 'revoked');
  const invited = await say('invite');
  assert.match(invited.invitation_url, /^http/);
  assert.ok((await say('connections')).connections.length > 1);
  assert.match((await call('issue', 'nowhere', cred_def_id, 'name=x', 'number=1')).text, /not-found: Connection nowhere not found/);
  assert.equal((await call('fly')).code, 1);
  assert.deepEqual(
    readdirSync(folder).filter((name) => !/^owner\.|^inbox\.jsonl$/.test(name)),
    [],
  );
});

test('owner.py is asked for a decision, and decides', { skip }, async () => {
  const { folder, said } = written('decider');
  await accept(folder, await faber.post('/connections/create-static', JSON.parse(/-d '(.*)' \|/.exec(said)![1]!)));
  const { say, call } = owner(folder);
  const match = { types: ['connection-request'] };
  const { handler_id } = await say('ask', `${CONFIG}/register-handler`, JSON.stringify({ match, mode: 'consult', deliver: 'didcomm' }));
  const invited = await say('invite');
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', invited.raw_repr.invitation);
  const asked = await until(async () => {
    const { text } = await call('events');
    const lines = text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Body] : []));
    return lines.find((one) => one['@type'] === `${CONFIG}/decision-request`);
  }, 'a question');
  assert.equal(asked.point, 'connection-request');
  const decided = await say('decide', asked.decision_id, 'continue');
  assert.equal(decided['@type'], `${CONFIG}/decision-recorded`);
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
  await say('ask', `${CONFIG}/unregister-handler`, JSON.stringify({ handler_id }));
});

test('the unmodified aries-staticagent makes a schema and a definition, and issues', { skip }, async () => {
  const seed = randomBytes(32);
  const { verkey } = newKeyPair(seed);
  const made = await faber.post('/connections/create-static', { their_verkey: verkey, grants: GRANTS });
  const given = { seed: seed.toString('hex'), connection_id: connection, my_verkey: made.my_verkey, my_endpoint: made.my_endpoint };
  const { code, text } = await run(PYTHON, [join(ROOT, 'test/interop/static_owner.py'), JSON.stringify(given)]);
  assert.equal(code, 0, text);
  const { ping, schema, definition, exchange } = JSON.parse(text.trim().split('\n').at(-1)!);
  assert.match(ping, /trust_ping\/1\.0\/ping_response$/);
  assert.match(schema['@type'], /admin-schemas\/0\.1\/schema-id$/);
  assert.ok((await faber.get('/anoncreds/credential-definitions')).credential_definition_ids.includes(definition.cred_def_id));
  await bob.event('issue_credential_v2_0', (one) => one.thread_id === exchange.thread_id && one.state === 'done', 'the credential');
});

test('[S2-18] [S2-19] a register that nobody may alter is published as it changes, by a program that is killed, and nothing twice', {
  skip,
}, async () => {
  const { folder, said } = written('publisher');
  copyFileSync(join(ROOT, 'examples/owner/register.py'), join(folder, 'register.py'));
  await accept(folder, await faber.post('/connections/create-static', JSON.parse(/-d '(.*)' \|/.exec(said)![1]!)));
  const { schema_id } = await owner(folder).say('schema', 'registration', '1.0', 'name', 'number');
  const { cred_def_id } = await owner(folder).say('cred-def', schema_id);
  const path = join(world.folder, 'register.db');
  const register = new DatabaseSync(path);
  register.exec(`CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT, number INTEGER);
    CREATE TABLE change_log (seq INTEGER PRIMARY KEY, company INTEGER);
    CREATE TRIGGER logged AFTER INSERT ON company BEGIN INSERT INTO change_log (company) VALUES (new.id); END;`);
  const schemaOf = (): string => JSON.stringify(register.prepare('SELECT sql FROM sqlite_schema ORDER BY name').all());
  const before = schemaOf();
  const add = (number: number): void =>
    void register.prepare('INSERT INTO company (name, number) VALUES (?, ?)').run(`company ${number}`, number);
  for (let number = 1; number <= 5; number++) add(number);
  const args = [join(folder, 'register.py'), path, connection, cred_def_id];
  const first = spawn(PYTHON, [...args, '--follow'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let lines = 0;
  await new Promise<void>((resolve) => {
    first.stdout.on('data', (chunk: Buffer) => {
      lines += chunk.toString('utf8').split('\n').length - 1;
      if (lines >= 2) first.kill('SIGKILL');
    });
    first.once('close', () => resolve());
  });
  add(6);
  const { code, text } = await run(PYTHON, args);
  assert.equal(code, 0, text);
  const ours = (await faber.get('/issue-credential-2.0/records?limit=1000')).results
    .map((one: Body) => one.cred_ex_record)
    .filter((one: Body) => one.by_format.cred_offer.anoncreds.cred_def_id === cred_def_id);
  const numbers = ours.map((one: Body) => Number(one.cred_preview.attributes.find(({ name }: Body) => name === 'number').value));
  assert.deepEqual(numbers.sort(), [1, 2, 3, 4, 5, 6]);
  for (const { thread_id } of ours)
    await bob.event('issue_credential_v2_0', (one) => one.thread_id === thread_id && one.state === 'done', 'the credential');
  // the register is as it was; what was issued is in a table of its own
  assert.equal(schemaOf(), before);
  const issued = new DatabaseSync(join(folder, 'issued.db')).prepare('SELECT cred_ex_id FROM issued').all();
  assert.deepEqual(new Set(issued.map((row) => row.cred_ex_id)), new Set(ours.map((one: Body) => one.cred_ex_id)));
  register.close();
});

test('the commands of docs/Owner.md run as they are written, but for which ports are free', { skip, timeout: 540_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-owner-'));
  const [ledger, agent] = [await freePort(), await freePort()];
  const [, block] = /^```sh\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, 'docs/Owner.md'), 'utf8'))!;
  const script = block!.replaceAll('4001', String(ledger)).replaceAll('8050', String(agent));
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'walk.sh'), `set -e\n${script}\n`);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  const bash = spawn('bash', ['walk.sh'], {
    cwd: folder,
    detached: true,
    env: { ...env, PATH: `${join(VENV, 'bin')}:${env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [bash.stdout, bash.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const killGroup = (): void => {
    try {
      process.kill(-bash.pid!, 'SIGKILL');
    } catch {
      // it is gone already
    }
  };
  const timer = setTimeout(killGroup, 500_000);
  try {
    const code = await new Promise<number | null>((resolve, reject) => bash.once('error', reject).once('exit', resolve));
    const log = existsSync(join(folder, 'agent.log')) ? readFileSync(join(folder, 'agent.log'), 'utf8').slice(-3000) : '';
    assert.equal(code, 0, `${output}\n${log}`);
    assert.match(output, /credential-definition-id/);
    assert.match(output, /invitation_url/);
    assert.match(output, /"topic": "owner_action"/);
  } finally {
    clearTimeout(timer);
    killGroup();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});
