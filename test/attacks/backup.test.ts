import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { restore } from '../../edge/backup.ts';
import { sharesOf, wordsOfShares } from '../../edge/shares.ts';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { openContainer, sealContainer } from '../../src/backup/container.ts';
import { importContainer, verifyContainer } from '../../src/backup/import.ts';
import { newWords, recoveryJwk, recoveryKeys } from '../../src/backup/recovery.ts';
import { BASE } from '../../src/database.ts';
import { AppError } from '../../src/errors.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import type { Database } from '../../src/ports/store.ts';
import { createWorld } from '../support/agents.ts';
import { startOwner } from '../support/owner.ts';
import { MULTITENANT, newTenant, tenantOf } from '../support/tenants.ts';
import { until } from '../support/waiting.ts';

/** Storages that change backups, people who make some of their own for the words of others, trustees, and tokens that ask for one. */

const world = createWorld();
const folder = mkdtempSync(join(tmpdir(), 'flexid-attacked-backups-'));
after(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

const words = newWords();
const keys = recoveryKeys(words);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
let files = 0;
async function emptyStore(): Promise<Database> {
  files += 1;
  const db = await openSqlite({ path: join(folder, `store-${files}.db`) });
  world.defer(() => db.admin.close());
  return db;
}
/** An instance with one tenant, which has a wallet name, a blob and a key owner. */
async function instance(): Promise<{ db: Database; victim: string }> {
  const [db, victim] = [await emptyStore(), randomUUID()];
  await db.admin.ensureTenant(BASE, 'operator');
  await db.admin.ensureTenant(victim, 'victim');
  await db.store.commit(BASE, {
    records: [{ category: 'wallet_record', id: victim, expect: 0, state: 'ready', value: { wallet_name: 'victim' } }],
    keyOwners: [{ kid: 'wallet name victim', tenant: BASE, kind: 'wallet', target: victim }],
  });
  await db.store.commit(victim, {
    records: [{ category: 'connection', id: 'c', expect: 0, value: { their: 'friend' } }],
    keyOwners: [{ kid: 'a key of the victim', tenant: victim, kind: 'connection', target: 'c' }],
  });
  return { db, victim };
}

const KEY = Buffer.alloc(32, 7).toString('base64');
/** The lines of a tenant, as anybody writes them who knows the recovery key. */
const tenant = (id: string, ...rows: JsonObject[]): JsonObject[] => [{ type: 'tenant', id, name: '', key: KEY }, ...rows];
const walletOf = (id: string, value: JsonObject = {}): JsonObject => ({
  type: 'wallet',
  id,
  value: { dispatch_type: 'default', key_management_mode: 'managed', tokens: [], ...value },
});

async function sealed(lines: Iterable<JsonObject>, head: { generation?: number; wallet?: string } = {}): Promise<string> {
  let text = '';
  const whole = { generation: 1, created: '2026-01-31T12:00:00.000Z', extent: 'copy' as const, agent: '1', ...head };
  for await (const line of sealContainer(recoveryJwk(keys.publicKey), whole, Readable.from(lines))) text += line;
  return text;
}

interface Given {
  readonly wallet?: string;
  readonly atLeast?: number;
  readonly secret?: typeof keys.secret;
}
const verified = (text: string, { secret = keys.secret, ...order }: Given = {}) =>
  verifyContainer({ base: BASE, open: () => openContainer(Readable.from([Buffer.from(text)]), secret), ...order });
const into = async (db: Database, text: string, order: Given = {}): Promise<string[]> => importContainer(db, await verified(text, order));
const refused =
  (code: string, message = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof AppError, String(error));
    assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
    return true;
  };

test('[BK-1] [BK-2] [BK-3] [BK-4] what a storage changes, moves, cuts off or holds back is noticed before anything is written', async () => {
  const pieces = Array.from({ length: 3 }, (_, n) => ({ type: 'blob', n, text: randomBytes(900_000).toString('base64') }));
  const text = await sealed([...tenant(BASE), ...pieces], { generation: 4 });
  assert.equal((await verified(text, { atLeast: 4 })).head.generation, 4);
  const lines = text.trimEnd().split('\n');
  assert.ok(lines.length >= 5, `${lines.length} lines`);
  const changed = (line: number, part: number, at: number): string => {
    const parts = lines[line]!.split('.');
    const bytes = Buffer.from(parts[part]!);
    const place = at < 0 ? bytes.length + at : at;
    // the last bits of a part that is no multiple of 3 bytes stand for nothing: decoders pass over them
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    bytes[place] = alphabet.charCodeAt(alphabet.indexOf(String.fromCharCode(bytes[place]!)) ^ 1);
    return [...lines.slice(0, line), parts.with(part, bytes.toString()).join('.'), ...lines.slice(line + 1)].join('\n');
  };
  for (const line of [0, 1, lines.length - 1])
    for (const part of line === 0 ? [1, 2, 3, 4] : [2, 3, 4])
      for (const at of [0, -1])
        await assert.rejects(verified(changed(line, part, at)), refused('bad-request', /damaged/), `${line} ${part}`);
  const [head, first, second, ...rest] = lines as [string, string, string, ...string[]];
  for (const [what, order] of [
    ['moved', [head, second, first, ...rest]],
    ['left out', [head, second, ...rest]],
    ['twice', [head, first, first, second, ...rest]],
    ['cut off', lines.slice(0, -1)],
    ['followed by another', [...lines, lines.at(-1)!]],
  ] as const)
    await assert.rejects(verified(order.join('\n')), refused('bad-request', /damaged/), what);
  await assert.rejects(verified([head, second, first, ...rest].join('\n')), refused('bad-request', /in the place of another/));
  await assert.rejects(verified(text, { atLeast: 5 }), refused('conflict', /older than 5: nothing was written/));
  await assert.rejects(verified(text, { secret: recoveryKeys(newWords()).secret }), refused('unauthorized', /other words/));
});

test('[BK-5] [BK-6] one share, the same one twice, one of other words or a changed one gives no words', async () => {
  const [mine, others] = [await sharesOf(words), await sharesOf(newWords())];
  assert.equal(await wordsOfShares([mine[2]!, mine[0]!]), words);
  const [prefix, , key, bytes] = mine[1]!.split('.') as [string, string, string, string];
  const other = `${bytes.startsWith('A') ? 'B' : 'A'}${bytes.slice(1)}`;
  for (const [given, why] of [
    [[mine[0]!], /2 different shares are needed, and there are 1/],
    [[mine[0]!, `${mine[0]!}\n`], /2 different shares are needed, and there are 1/],
    [[mine[0]!, others[1]!], /different words/],
    [[mine[0]!, [prefix, 2, key, other].join('.')], /do not fit together/],
    // one that says that it is enough
    [[[prefix, 1, key, bytes].join('.')], /do not fit together/],
    [[mine[0]!, [prefix, 1, key, bytes].join('.')], /different words/],
  ] as const)
    await assert.rejects(wordsOfShares(given), (error: Error) => why.test(error.message) && !error.message.includes(bytes), String(why));
});

test('[BK-7] [BK-8] a store that has wallets keeps them: all of an instance goes into a new one, and no wallet in the place of another', async () => {
  const { db, victim } = await instance();
  const stranger = randomUUID();
  await assert.rejects(into(db, await sealed(tenant(stranger))), refused('conflict', /not empty/));
  const again = await sealed([walletOf(victim), ...tenant(victim)], { wallet: victim });
  await assert.rejects(into(db, again, { wallet: victim }), refused('conflict', /already/));
  assert.deepEqual((await db.admin.tenants()).toSorted(), [BASE, victim].toSorted());
  assert.deepEqual((await db.store.load(victim, [{ category: 'connection', id: 'c' }]))[0]![0]!.value, { their: 'friend' });
});

test('[BK-9] [BK-10] a container brings the wallet that its head names, and no other with it', async () => {
  const { db, victim } = await instance();
  const [id, second] = [randomUUID(), randomUUID()];
  const head = { wallet: id };
  const order = { wallet: id };
  for (const [what, lines] of [
    ['another wallet', [walletOf(id), ...tenant(second)]],
    ['two wallets', [walletOf(id), ...tenant(id), ...tenant(second)]],
    ['the record of another', [walletOf(victim), ...tenant(id)]],
    ['no record', tenant(id)],
    ['none', [walletOf(id)]],
    ['rows of nobody', [walletOf(id), { type: 'counter', counter: 'x', n: 1 }]],
  ] as const)
    await assert.rejects(into(db, await sealed(lines, head), order), refused('bad-request', /damaged/), what);
  await assert.rejects(into(db, await sealed([walletOf(id), ...tenant(BASE)], head), order), refused('conflict'), 'the operator');
  await assert.rejects(into(db, await sealed([walletOf(id), ...tenant(victim)], head), order), refused('conflict'), 'another tenant');
  await assert.rejects(into(db, await sealed(tenant(id), head)), refused('bad-request', /give --wallet/));
  assert.deepEqual((await db.admin.tenants()).toSorted(), [BASE, victim].toSorted());
  assert.equal((await db.store.load(BASE, [{ category: 'wallet_record', id }]))[0]!.length, 0);
});

test('[BK-11] [BK-12] [BK-13] a wallet brings no name, no key and no token that is another’s', async () => {
  const { db, victim } = await instance();
  const id = randomUUID();
  const order = { wallet: id };
  const named = await sealed([walletOf(id, { wallet_name: 'victim' }), ...tenant(id)], order);
  await assert.rejects(into(db, named, order), refused('conflict', /of the name victim already: nothing was written/));
  // names of keys are hashed alike in all wallets of a store
  const { rows } = await db.admin.dump(victim, 'copy');
  let stolen: JsonObject | undefined;
  for await (const some of rows) stolen = some.find(({ type }) => type === 'key_owner') ?? stolen;
  const thief = await sealed([walletOf(id), ...tenant(id, { ...stolen!, target: 'mine' })], order);
  await assert.rejects(into(db, thief, order), refused('conflict'));
  assert.deepEqual(
    [(await db.store.keyOwner('a key of the victim'))?.tenant, (await db.store.keyOwner('wallet name victim'))?.target],
    [victim, victim],
  );
  assert.deepEqual((await db.admin.tenants()).toSorted(), [BASE, victim].toSorted());
  const tokens = [{ jti: 'made elsewhere', iat: 1 }];
  await into(db, await sealed([walletOf(id, { wallet_name: 'honest', tokens }), ...tenant(id)], order), order);
  const [[record] = []] = await db.store.load(BASE, [{ category: 'wallet_record', id }]);
  assert.deepEqual([record!.value.wallet_name, record!.value.tokens], ['honest', []]);
});

test('[BK-14] [BK-15] sizes that are declared or packed are believed up to a bound', async () => {
  const db = await emptyStore();
  await assert.rejects(verified('A'.repeat(5 << 20)), refused('bad-request', /too long/), 'a line of the container');
  const bomb = await sealed([{ type: 'record', text: 'a'.repeat(33 << 20) }]);
  assert.ok(bomb.length < 100_000, `${bomb.length} bytes`);
  await assert.rejects(verified(bomb), refused('bad-request', /too long/), 'a line in it');
  const content = randomUUID();
  const blob = (more: JsonObject): JsonObject => ({
    type: 'blob',
    name: 'x',
    content,
    size: 3,
    sha256: '0'.repeat(64),
    written: 1,
    ...more,
  });
  const unbounded: readonly JsonObject[] = [
    blob({ size: Number.MAX_SAFE_INTEGER }),
    blob({ size: (64 << 20) + 1 }),
    blob({ size: -1 }),
    blob({ size: 1e300 }),
    blob({ name: 'x'.repeat(201) }),
    blob({ name: '..\\x' }),
    blob({ name: '\u0000' }),
    { type: 'chunk', content, n: -1, bytes: 'AAAA' },
    { type: 'chunk', content, n: 0, bytes: Buffer.alloc((256 << 10) + 1).toString('base64') },
    { type: 'record', category: 'c', id: 'x', version: 1.5, created: 1, updated: 1, tags: '', value: {} },
  ];
  for (const row of unbounded)
    await assert.rejects(
      into(db, await sealed(tenant(BASE, row))),
      refused('bad-request', /no valid|name of a blob/),
      JSON.stringify(row).slice(0, 90),
    );
  assert.deepEqual(await db.admin.tenants(), [], 'nothing is left');
  await into(db, await sealed(tenant(BASE, blob({}), { type: 'chunk', content, n: 0, bytes: 'AAAA' })));
  await assert.rejects(db.blobs.read(BASE, 'x'), refused('store-corrupt'), 'a value that is not what its name says');
});

test('[BK-16] a wallet that is restored runs no code that its backup names, and writes into its folder alone', async () => {
  const [device, place] = [join(folder, 'device'), join(folder, 'place')];
  mkdirSync(place);
  const settings = Buffer.from(`label: Zoe\nplugin:\n  - ${join(place, 'evil.js')}\n`);
  const content = randomUUID();
  const blob = (name: string): JsonObject[] => [
    { type: 'blob', name, content: `${content}${name}`, size: settings.length, sha256: sha256(settings), written: 1 },
    { type: 'chunk', content: `${content}${name}`, n: 0, bytes: settings.toString('base64') },
  ];
  const file = join(place, 'wallet-000001.flexid-backup');
  writeFileSync(file, await sealed(tenant(BASE, ...blob('edge/settings.yaml'), ...blob('../../outside'))));
  const { warnings } = await restore({ folder: device, from: place, words });
  assert.equal(readFileSync(join(device, 'settings.yaml'), 'utf8'), 'label: Zoe\n');
  assert.match(warnings.join(' '), /--plugin .*evil\.js/);
  assert.ok(!existsSync(join(folder, 'outside')) && !existsSync(join(folder, '..', 'outside')));
});

test('[BK-17] [BK-18] a wallet is given out where the operator allows it, to a token that may read', async () => {
  const [open, shut] = await Promise.all([
    world.start('open', { flags: [...MULTITENANT, '--wallet-backup'], noWebhook: true }),
    world.start('shut', { flags: MULTITENANT, noWebhook: true }),
  ]);
  const [carol, dave, elsewhere] = [await newTenant(open, 'carol'), await newTenant(open, 'dave'), await newTenant(shut, 'carol')];
  const body = { recovery_public_key: keys.publicKey };
  const statusOf = async (of: typeof carol, headers?: Record<string, string>): Promise<number> =>
    (await of.call('POST', '/wallet/backup', body, headers)).status;
  const scoped = async (scope: string[]) => {
    const made = await open.call('POST', `/multitenancy/wallet/${carol.id}/token`, { scope, keep_others: true });
    return tenantOf(open, carol.id, made.body.token);
  };
  assert.equal(await statusOf(await scoped(['write'])), 403, 'one that may write alone');
  assert.ok([401, 403].includes(await statusOf(await scoped(['read']))), 'one that may read alone');
  assert.equal(await statusOf(elsewhere), 403, 'where no wallet is given out');
  assert.equal(await statusOf(carol, { authorization: `Bearer ${carol.token}x` }), 401);
  assert.equal(await statusOf(carol, { authorization: `Bearer ${elsewhere.token}` }), 401, 'a token of another instance');
  const answer = await dave.call('POST', '/wallet/backup', body);
  assert.equal(answer.status, 200, answer.text);
  const { head } = await openContainer(Readable.from([Buffer.from(answer.text)]), keys.secret);
  assert.equal(head.wallet, dave.id, 'its own');
});

test('[BK-28] [BK-29] wallets that fetch slowly, or again and again, keep none from its backup', async () => {
  const agent = await world.start('fair', { flags: [...MULTITENANT, '--wallet-backup'], noWebhook: true });
  const [eve, mallory, dave] = [await newTenant(agent, 'eve'), await newTenant(agent, 'mallory'), await newTenant(agent, 'dave')];
  const { db } = agent.agent.kernel;
  for (const { id } of [eve, mallory]) await db.blobs.put(id, 'large', randomBytes(16 << 20));
  const body = { recovery_public_key: keys.publicKey };
  /** Begins one, and reads no more of it. @returns the function that leaves it */
  async function begin(token: string): Promise<() => Promise<void>> {
    const headers = { authorization: `Bearer ${token}`, 'x-api-key': agent.key, 'content-type': 'application/json' };
    const answer = await fetch(`${agent.admin}/wallet/backup`, { method: 'POST', headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 200);
    return () => answer.body!.cancel();
  }
  const refusal = async (one: typeof dave): Promise<void> => {
    const { status, headers } = await one.call('POST', '/wallet/backup', body);
    assert.deepEqual([status, headers.get('retry-after')], [429, '30']);
  };
  const leaveEve = await begin(eve.token);
  await refusal(eve);
  const leaveMallory = await begin(mallory.token);
  await refusal(dave);
  await leaveEve();
  const answer = await until(async () => {
    await refusal(eve);
    const one = await dave.call('POST', '/wallet/backup', body);
    return one.status === 200 && one;
  }, 'a place for another one');
  assert.equal((await openContainer(Readable.from([Buffer.from(answer.text)]), keys.secret)).head.wallet, dave.id);
  await leaveMallory();
});

test('[BK-19] a generation that is no number is not compared with one', async () => {
  const db = await emptyStore();
  for (const generation of [0.5, '9', null, 2 ** 60]) {
    const text = await sealed(tenant(BASE), { generation: generation as number });
    await assert.rejects(into(db, text, { atLeast: 1 }), refused('bad-request', /head is incomplete/), String(generation));
  }
});

test('[BK-26] a wallet that is restored knows the orders that it has carried out: an old one that comes again has no effect', async () => {
  const agent = await world.start('ordered', { noWebhook: true });
  const owner = await startOwner(agent);
  world.defer(owner.close);
  const marks = async (): Promise<number> => {
    const { rows } = await agent.agent.kernel.db.admin.dump(BASE, 'copy');
    let found = 0;
    for await (const some of rows) found += some.filter(({ type }) => type === 'dedup_key').length;
    return found;
  };
  const before = await marks();
  await owner.ask('set-policy', { name: 'one', value: { action: 'reject' } });
  assert.equal(await marks(), before + 1);
});
