import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { backUp, backupsIn, restore, setUp } from '../../edge/backup.ts';
import { recoveryVerb } from '../../edge/recovery.ts';
import { sharesOf, wordsOfShares } from '../../edge/shares.ts';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { newWords, recoveryKeys } from '../../src/backup/recovery.ts';
import { backupCommand } from '../../src/backup-command.ts';
import { dumped } from '../../src/ports/store-carry.conformance.ts';
import { type Body, connect, createWorld, type Spec, type TestAgent } from '../support/agents.ts';
import { HOLDS, MULTITENANT, newTenant, type Tenant, tenantOf } from '../support/tenants.ts';

/** A wallet is lost and comes back, on the edge and on servers: an issuer, a holder, trustees, two instances with tenants. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ISSUE = 'issue_credential_v2_0';
const world = createWorld();
let devnet: NonNullable<Spec['devnet']>;
let faber: TestAgent;
let alice: TestAgent;
let issuing: { inviter: string; invitee: string };
let credDefId: string;

const ISSUER = ['--preserve-exchange-records', '--auto-respond-credential-request', '--auto-verify-presentation'];
const HOLDER = [
  '--preserve-exchange-records',
  '--auto-respond-credential-offer',
  '--auto-store-credential',
  '--auto-respond-presentation-request',
];

before(async () => {
  devnet = await world.devnet({ clock: 'wall' });
  faber = await world.start('faber', { devnet, sponsor: true, flags: ISSUER });
  mkdirSync(join(world.folder, 'alice'));
  alice = await world.start('alice', { devnet, store: join(world.folder, 'alice', 'wallet.db'), flags: HOLDER });
  const { result } = await faber.post('/wallet/did/create', { method: 'algo' });
  await faber.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  const { schema_state } = await faber.post('/anoncreds/schema', {
    schema: { issuerId: result.did, name: 'degree', version: '1.0', attrNames: ['number'] },
  });
  const defined = await faber.post('/anoncreds/credential-definition', {
    credential_definition: { issuerId: result.did, schemaId: schema_state.schema_id, tag: 'revocable' },
    options: { support_revocation: true, revocation_registry_size: 8 },
  });
  credDefId = defined.credential_definition_state.credential_definition_id;
  issuing = await connect(faber, alice);
});
after(() => world.close());

/** The agent again, on its port, with a store that may be another. */
const again = (agent: TestAgent, spec: Spec = {}): Promise<TestAgent> =>
  world.start(agent.name, { devnet, store: agent.store, port: Number(new URL(agent.inbound).port), receiver: agent.receiver, ...spec });

/** Issues to the holder of a connection of faber's. @returns registry and index */
async function issue(number: number, connection = issuing.inviter): Promise<[registry: string, index: number]> {
  const sent = await faber.post('/issue-credential-2.0/send', {
    connection_id: connection,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'number', value: String(number) }] },
  });
  const ended = (one: Body): boolean => one.thread_id === sent.thread_id && (one.state === 'done' || one.state === 'abandoned');
  const ours = await faber.event(ISSUE, ended, 'the end of issuing');
  assert.equal(ours.state, 'done', ours.error_msg);
  const { anoncreds } = await faber.get(`/issue-credential-2.0/records/${ours.cred_ex_id}`);
  return [anoncreds.rev_reg_id, Number(anoncreds.cred_rev_id)];
}

/** Whether faber finds that the peer of a connection presents a number of this issuer. */
async function presents(number: number, connection = issuing.inviter): Promise<boolean> {
  const restrictions = [{ cred_def_id: credDefId, 'attr::number::value': String(number) }];
  const sent = await faber.post('/present-proof-2.0/send-request', {
    connection_id: connection,
    presentation_request: {
      anoncreds: {
        name: 'proof',
        version: '1.0',
        requested_attributes: { number: { name: 'number', restrictions } },
        requested_predicates: {},
      },
    },
  });
  const done = (one: Body): boolean => one.pres_ex_id === sent.pres_ex_id && ['done', 'abandoned'].includes(one.state);
  return (await faber.event('present_proof_v2_0', done, 'the end of proving')).verified === 'true';
}

/** A command as an operator gives it. @returns what it printed */
async function command(name: 'export' | 'import' | 'recovery-words', argv: readonly string[], input = ''): Promise<string> {
  const printed: string[] = [];
  const code = await backupCommand(name, argv, {}, { input: Readable.from([input]), print: (text) => void printed.push(text) });
  assert.equal(code, 0);
  return printed.join('\n');
}

test('a wallet whose folder is deleted comes back by its words: a credential is presented, and its connections go on [S2-45] [S2-46]', async () => {
  await issue(1);
  const folder = join(world.folder, 'alice');
  const place = join(world.folder, 'disk');
  const words = await setUp(folder, place);
  await alice.stop();
  await backUp(folder);
  const { file, generation } = await backUp(folder);
  assert.equal(generation, 2);
  const bytes = Buffer.concat(
    readFileSync(file, 'latin1')
      .split(/[.\n]/)
      .map((part) => Buffer.from(part, 'base64url')),
  );
  for (const marker of [credDefId, 'connection', 'alice']) assert.ok(!bytes.includes(marker), `${marker} is in a stored byte`);
  const rowsOf = async (): Promise<object[]> => {
    const db = await openSqlite({ path: join(folder, 'wallet.db') });
    try {
      return (await dumped(db, 'base', 'copy')).rows;
    } finally {
      await db.admin.close();
    }
  };
  const stored = await rowsOf();
  assert.ok(stored.filter((row) => (row as Body).type === 'key_owner').length >= 1);
  const kept = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(kept.length >= 3);
  for (const { parentPath, name } of kept) assert.ok(!readFileSync(join(parentPath, name), 'latin1').includes(words.slice(0, 40)), name);
  rmSync(folder, { recursive: true });

  await assert.rejects(restore({ folder, from: place, words: newWords() }), /other words/);
  assert.ok(!existsSync(folder), 'nothing was written');
  const { warnings } = await restore({ folder, from: place, words });
  assert.match(warnings.join(' '), /backup 2, of .*can hold back newer ones/);
  const isMark = (row: object): boolean => (row as Body).category === 'restored';
  const back = await rowsOf();
  assert.deepEqual(
    [back.filter((row) => !isMark(row)), back.filter(isMark).length],
    [stored, 1],
    'all rows are as they were, beside the mark of the restore',
  );
  alice = await again(alice, { flags: HOLDER });
  assert.equal((await alice.get('/credentials')).results.length, 1);
  assert.equal(await presents(1), true);
  await issue(2);
  assert.equal(await presents(2), true, 'issued after it came back');
  await alice.stop();
  assert.equal((await backUp(folder)).generation, 3, 'backups go on');
  alice = await again(alice, { flags: HOLDER });
});

test('the newest backup is taken, an older one is refused, and one that is missing or renamed is told of', async () => {
  const place = join(world.folder, 'disk');
  const { words, folder } = { words: newWords(), folder: join(world.folder, 'generations') };
  mkdirSync(folder);
  await setUp(folder, place, words);
  const store = join(folder, 'wallet.db');
  const one = await world.start('generations', { store });
  await one.stop();
  for (const name of readdirSync(place)) rmSync(join(place, name));
  for (let n = 1; n <= 7; n++) await backUp(folder);
  assert.deepEqual(
    backupsIn(place).map(({ generation }) => generation),
    [7, 6, 5, 4, 3],
    'the last five',
  );
  const to = join(world.folder, 'generations-2');
  await assert.rejects(restore({ folder: to, from: place, words, atLeast: 8 }), /generation 7, which is older than 8/);
  rmSync(join(place, 'wallet-000005.flexid-backup'));
  assert.match((await restore({ folder: to, from: place, words, atLeast: 7 })).warnings.join(' '), /missing between these: 5/);
  await assert.rejects(restore({ folder: to, from: place, words }), /a wallet .* already/);
  rmSync(to, { recursive: true });
  renameSync(join(place, 'wallet-000003.flexid-backup'), join(place, 'wallet-000009.flexid-backup'));
  assert.match((await restore({ folder: to, from: place, words })).warnings.join(' '), /named as backup 9, and is 3/);
  assert.equal((await backUp(to)).generation, 10, 'above all that are there');
});

test('an issuer moves to another store and goes on with its registry; a copy revokes with it and issues with another', async () => {
  const [registry, index] = await issue(3);
  const wordsFile = join(world.folder, 'words');
  writeFileSync(wordsFile, newWords());
  await faber.stop();
  const copied = join(world.folder, 'copy.flexid-backup');
  await command('export', [copied, '--words', wordsFile, '--store', `sqlite:${faber.store}`]);
  const moved = join(world.folder, 'moved.flexid-backup');
  const text = await command('export', [moved, `--words=${wordsFile}`, '--move', '--store', `sqlite:${faber.store}`]);
  assert.match(text, /read again and is whole; the original is erased/);
  await assert.rejects(command('export', [join(world.folder, 'empty'), '--words', wordsFile, '--store', `sqlite:${faber.store}`]), /base/);

  const store = join(world.folder, 'faber-2.db');
  assert.match(
    await command('import', [moved, '--words', '-', '--store', `sqlite:${store}`], readFileSync(wordsFile, 'utf8')),
    /generation 2 of/,
  );
  await assert.rejects(command('import', [moved, '--words', wordsFile, '--store', `sqlite:${store}`]), /not empty/);
  faber = await again(faber, { store, sponsor: true, flags: ISSUER });
  assert.deepEqual(await issue(4), [registry, index + 1], 'the next index of the same registry');
  assert.equal(await presents(4), true);
  await faber.stop();

  const copy = join(world.folder, 'faber-3.db');
  await command('import', [copied, '--words', wordsFile, '--store', `sqlite:${copy}`]);
  faber = await again(faber, { store: copy, sponsor: true, flags: ISSUER });
  const [other] = await issue(5);
  assert.notEqual(other, registry, 'no index is given out twice');
  assert.equal(await presents(5), true);
  const revoked = await faber.call('POST', '/anoncreds/revocation/revoke', {
    rev_reg_id: registry,
    cred_rev_id: String(index),
    publish: true,
  });
  assert.equal(revoked.status, 200, revoked.text);
});

test('a tenant takes its wallet to another instance by itself, and no words are in a body, a log or a webhook [S2-47]', async () => {
  const flags = [...MULTITENANT, ...HOLDER];
  const here = await world.start('here', { devnet, flags: [...flags, '--wallet-backup'] });
  const there = await world.start('there', { devnet, flags });
  const carol = await newTenant(here, 'carol', { extra_settings: { ...HOLDS, 'auto-respond-presentation-request': true } });
  const made = await faber.post('/out-of-band/create-invitation?auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  await carol.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const { connection_id } = await faber.event(
    'connections',
    (one) => one.invitation_msg_id === made.invi_msg_id && one.state === 'active',
    'carol',
  );
  await issue(6, connection_id);

  const words = newWords();
  const { publicKey } = recoveryKeys(words);
  for (const refused of ['', 'z6LS', `${publicKey}1`, `z6Mk${publicKey.slice(4)}`]) {
    const answer = await carol.call('POST', '/wallet/backup', { recovery_public_key: refused });
    assert.ok([400, 422].includes(answer.status), answer.text);
  }
  const narrow = await here.call('POST', `/multitenancy/wallet/${carol.id}/token`, { scope: ['write'], keep_others: true });
  const writes = tenantOf(here, carol.id, narrow.body.token);
  assert.equal((await writes.call('POST', '/wallet/backup', { recovery_public_key: publicKey })).status, 403);
  const unasked = await alice.call('POST', '/wallet/backup', { recovery_public_key: publicKey });
  assert.deepEqual([unasked.status, /without --wallet-backup/.test(unasked.text)], [403, true], 'only where the operator says so');
  const answer = await carol.call('POST', '/wallet/backup', { recovery_public_key: publicKey });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(
    [answer.headers.get('content-type'), (await carol.get('/wallet/backup')).generation],
    ['application/vnd.flexid.backup', 1],
  );
  const file = join(world.folder, 'carol.flexid-backup');
  writeFileSync(file, answer.text);

  const wordsFile = join(world.folder, 'carol-words');
  writeFileSync(wordsFile, words);
  const argv = [file, '--words', wordsFile, '--store', `sqlite:${there.store}`];
  await assert.rejects(command('import', [...argv, '--wallet', carol.id]), /Another process has this database open/);
  await there.stop();
  await assert.rejects(command('import', argv), new RegExp(`give --wallet ${carol.id}`));
  await assert.rejects(command('import', [...argv, '--wallet', 'another']), /of the wallet/);
  await command('import', [...argv, '--wallet', carol.id]);
  await assert.rejects(command('import', [...argv, '--wallet', carol.id]), /already/);
  // carol's peers still write to the first instance: it goes, and the second has its address
  await here.stop();
  const moved = await again(here, { store: there.store, flags });
  const token = await moved.call('POST', `/multitenancy/wallet/${carol.id}/token`);
  assert.equal(token.status, 200, token.text);
  assert.equal(
    (await moved.call('GET', '/credentials', undefined, { authorization: `Bearer ${carol.token}`, 'x-api-key': '' })).status,
    401,
  );
  const back: Tenant = tenantOf(moved, carol.id, token.body.token);
  assert.equal((await back.get('/credentials')).results.length, 1);
  assert.equal(await presents(6, connection_id), true);

  const secrets = [
    words,
    ...words.split(' ').flatMap((_, at, all) => (at < 22 ? [all.slice(at, at + 3).join(' ')] : [])),
    recoveryKeys(words).secret.d!,
  ];
  for (const agent of [here, there, moved, faber, alice])
    for (const [place, texts] of Object.entries({
      body: agent.answers,
      log: agent.logged,
      webhook: agent.hooks.list.map(({ raw }) => raw),
    }))
      for (const text of texts) for (const secret of secrets) assert.ok(!text.includes(secret), `${place} of ${agent.name}`);
});

test('two of three trustees give the words back where their owners say so, and one does not [S2-48]', async () => {
  const words = newWords();
  const shares = await sharesOf(words);
  const dora = await world.start('dora');
  const trustees = await Promise.all(['tom', 'tina', 'theo'].map((name) => world.start(name)));
  const kept: string[] = [];
  for (const [at, trustee] of trustees.entries()) {
    const { inviter } = await connect(dora, trustee);
    const given = await dora.post(`/recovery-shares/${inviter}/store`, { share: shares[at], label: 'dora' });
    await dora.event('recovery_share', (one) => one.share_id === given.share_id && one.state === 'stored', 'the share is stored');
    const { share_id } = await trustee.event('recovery_share', (one) => one.role === 'trustee', 'a share to keep');
    kept.push(share_id);
    assert.ok(!JSON.stringify(await trustee.get(`/recovery-shares/${share_id}`)).includes(shares[at]!), 'its owner does not see it');
  }
  await dora.stop();

  const dora2 = await world.start('dora2');
  const got: string[] = [];
  const ask = async (at: number, decide: (id: string) => Promise<Body>): Promise<Body> => {
    const { inviter } = await connect(dora2, trustees[at]!);
    const asked = await dora2.post(`/recovery-shares/${inviter}/request-release`, { label: 'It is me, dora: call me' });
    const { share_id } = await trustees[at]!.event('recovery_share', (one) => one.role === 'guardian', 'a request');
    assert.equal((await dora2.get(`/recovery-shares/${asked.share_id}`)).state, 'requested', 'nothing goes by itself');
    await decide(share_id);
    const ended = (one: Body): boolean => one.share_id === asked.share_id && ['released', 'declined'].includes(one.state);
    await dora2.event('recovery_share', ended, 'the decision');
    return dora2.get(`/recovery-shares/${asked.share_id}`);
  };
  const release = (at: number) => (id: string) => trustees[at]!.post(`/recovery-shares/${id}/release`, { kept: kept[at] });
  const declined = await ask(2, (id) => trustees[2]!.post(`/recovery-shares/${id}/decline`, { explain: 'You do not sound like her.' }));
  assert.deepEqual([declined.state, declined.explain, declined.share], ['declined', 'You do not sound like her.', undefined]);
  got.push((await ask(0, release(0))).share);
  await assert.rejects(wordsOfShares(got), /2 different shares are needed/);
  got.push((await ask(1, release(1))).share);
  assert.equal(await wordsOfShares(got), words);
  const bodies = [dora, dora2, ...trustees].flatMap(({ hooks, logged }) => [...hooks.list.map(({ raw }) => raw), ...logged]);
  for (const share of shares)
    assert.ok(
      bodies.every((text) => !text.includes(share.slice(-44))),
      'no share in a webhook or a log',
    );
});

test('the verbs of a wallet: words on paper and shares, a backup, and back by two shares [S2-48]', async () => {
  const folder = join(world.folder, 'verbs');
  const place = join(world.folder, 'verbs-disk');
  mkdirSync(folder);
  const one = await world.start('verbs', { store: join(folder, 'wallet.db') });
  await one.stop();
  const verb = async (name: 'backup' | 'restore', argv: readonly string[], input = ''): Promise<string> => {
    const printed: string[] = [];
    const terminal = { input: Readable.from([input]), print: (text: string) => void printed.push(text) };
    assert.equal(await recoveryVerb(name, argv, { folder }, terminal), 0, printed.join('\n'));
    return printed.join('\n');
  };
  await assert.rejects(verb('backup', []), /choose a place/);
  const paper = join(world.folder, 'sheet.pdf');
  await assert.rejects(verb('backup', [join(folder, 'inside')]), /lost with it/);
  writeFileSync(paper, '');
  await assert.rejects(verb('backup', [place, '--paper', paper]), /EEXIST/);
  await assert.rejects(verb('backup', []), /choose a place/, 'words that nobody saw do not count');
  rmSync(paper);
  const begun = await verb('backup', [place, '--paper', paper, '--shares', '3']);
  assert.equal(readFileSync(paper).subarray(0, 5).toString(), '%PDF-');
  const shares = begun.match(/flexid-share-1\.\S+/g)!;
  assert.equal(shares.length, 3);
  assert.match(await verb('backup', []), /Backup 2 is in/);
  rmSync(folder, { recursive: true });
  await assert.rejects(verb('restore', [place, '--shares', '-'], shares[1]), /2 different shares/);
  assert.match(await verb('restore', [place, '--shares', '-'], `${shares[2]}\n${shares[0]}\n`), /The wallet is in/);
  const shown = await verb('backup', [join(world.folder, 'other-disk')]);
  assert.match(shown, /1 [a-z]+ +2 [a-z]+/);
});

test('the wallet in a terminal writes a backup at each end, and comes back with its settings [S2-45]', async () => {
  const [folder, place, wordsFile] = ['terminal', 'terminal-disk', 'terminal-words'].map((name) => join(world.folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(wordsFile, newWords());
  const edge = async (...argv: string[]): Promise<{ code: number | null; text: string }> => {
    const child = spawn(process.execPath, [MAIN, 'edge', '--folder', folder, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, text };
  };
  const first = await edge('--label', 'Zoe of the test', '--no-ledger', 'who');
  assert.equal(first.code, 0, first.text);
  const begun = await edge('backup', place, '--words', wordsFile);
  assert.deepEqual([begun.code, backupsIn(place).length], [0, 1], begun.text);
  const second = await edge('who');
  assert.deepEqual([second.code, backupsIn(place).length], [0, 2], second.text);
  rmSync(folder, { recursive: true });
  const others = join(world.folder, 'terminal-other-words');
  writeFileSync(others, newWords());
  const other = await edge('restore', place, '--words', others);
  assert.equal(other.code, 1);
  assert.match(other.text, /^flexid edge: The backup was made for other words\n$/);
  const back = await edge('restore', place, '--words', wordsFile);
  assert.equal(back.code, 0, back.text);
  const who = await edge('who');
  assert.deepEqual([who.code, /Zoe of the test/.test(who.text), backupsIn(place).length], [0, true, 3], who.text);
});
