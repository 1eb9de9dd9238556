import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type ChangeNotification,
  type Commit,
  type Database,
  MAIL_ATTEMPTS,
  type MailQuery,
  type QueuedMessage,
  type QueuedMessageWrite,
} from './store.ts';
import { A, B, beside, failsWith, job, nextId, reached, record, type StoreKit } from './store-kit.conformance.ts';

const DAY = 24 * 3600 * 1000;
const newBox = (): string => `box-${randomUUID()}`;
const idsOf = (mail: readonly { id: string }[]): string[] => mail.map(({ id }) => id);

/** A message of a box. */
export function mailTo(box: string, more: Partial<QueuedMessageWrite> = {}): QueuedMessageWrite {
  const id = more.id ?? nextId();
  return { id, mailbox: box, body: `{"of":"${id}"}`, expires: Date.now() + DAY, ...more };
}

/** Mail that is kept until its owner fetches it. */
export function mailTests(kit: StoreKit): void {
  readingTests(kit);
  leavingTests(kit);
  limitTests(kit);
  restingTests(kit);
  notificationTests(kit);
  crowdTests(kit);
}

/** Short ways to the mail of a database. */
function mailKit({ db }: StoreKit) {
  const read = (box: string, query: Partial<MailQuery> = {}, tenant = A) => db.store.mail(tenant, box, { limit: 10_000, ...query });
  return {
    read,
    readIds: async (box: string, query: Partial<MailQuery> = {}, tenant = A) => idsOf(await read(box, query, tenant)),
    /** Puts messages into a box, each by a commit of its own. */
    async put(box: string, count: number, more: Partial<QueuedMessageWrite> = {}): Promise<QueuedMessageWrite[]> {
      const all = Array.from({ length: count }, () => mailTo(box, more));
      for (const mail of all) await db.store.commit(A, { mail: [mail] });
      return all;
    },
    /** The counters of a box, which must be those of what it gives. */
    async counted(box: string, tenant = A): Promise<number> {
      const found = await read(box, {}, tenant);
      const { messages, bytes } = await db.store.mailbox(tenant, box);
      assert.deepEqual([messages, bytes], [found.length, found.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0)]);
      return messages;
    },
  };
}

function readingTests(kit: StoreKit): void {
  const { db } = kit;
  const { read, readIds, put } = mailKit(kit);

  describe('mail', () => {
    it('comes as it was put, in the order of the commits, not of the ids', async () => {
      const box = newBox();
      const started = Date.now();
      const first = mailTo(box, { id: `${box}-z`, recipient: 'key 1', body: 'für 日本 "\0' });
      const second = mailTo(box, { id: `${box}-b`, body: '' });
      const third = mailTo(box, { id: `${box}-y`, body: 'x'.repeat(100_000) });
      const fourth = mailTo(box, { id: `${box}-a`, recipient: 'key 2' });
      await db.store.commit(A, { mail: [first] });
      await db.store.commit(A, { mail: [second, third], records: [record(box, 0, {})] });
      await db.store.commit(A, { mail: [fourth] });
      const found = await read(box);
      const plain = ({ id, recipient, body }: QueuedMessage | QueuedMessageWrite) => ({ id, recipient, body });
      assert.deepEqual(found.map(plain), [first, second, third, fourth].map(plain));
      const origins = found.map(({ origin }) => origin);
      assert.deepEqual(origins, ['forwarded', 'agent', 'agent', 'forwarded']);
      assert.ok(found.every(({ attempts, received }) => attempts === 0 && Math.abs(received - started) < 60_000));
      assert.deepEqual(await read(box), found, 'reading changes nothing');
      assert.deepEqual(await readIds(box, {}, B), []);
      assert.deepEqual(await readIds(newBox()), [], 'an unknown box is empty');
      await assert.rejects(read(box, {}, 'nobody'), failsWith('not-found'));
    });

    it('comes as far as it is asked for, by number and by size, and always the first', async () => {
      const box = newBox();
      const all = await put(box, 6, { body: '0123456789' });
      const ids = idsOf(all);
      assert.deepEqual(await readIds(box, { limit: 1 }), ids.slice(0, 1));
      assert.deepEqual(await readIds(box, { limit: 4 }), ids.slice(0, 4));
      for (const [maxBytes, count] of [
        [0, 1],
        [9, 1],
        [19, 1],
        [20, 2],
        [29, 2],
        [59, 5],
        [60, 6],
        [Number.MAX_VALUE, 6],
      ] as const)
        assert.deepEqual(await readIds(box, { maxBytes }), ids.slice(0, count), `${maxBytes} bytes`);
      assert.deepEqual(await readIds(box, { maxBytes: 40, limit: 3 }), ids.slice(0, 3));
      assert.deepEqual(await readIds(box, { maxBytes: 30, limit: 4 }), ids.slice(0, 3));
      const large = mailTo(box, { body: 'y'.repeat(100) });
      const small = mailTo(box, { body: 'z' });
      await db.store.commit(A, { mail: [large, small] });
      assert.deepEqual(await readIds(box, { maxBytes: 61 }), ids, 'none is passed over for its size');
    });

    it('comes for one recipient, or what is our own', async () => {
      const box = newBox();
      const mail = Array.from({ length: 9 }, (_, i) => mailTo(box, { recipient: [undefined, 'one', 'two'][i % 3] }));
      await db.store.commit(A, { mail });
      const some = (remainder: number) => idsOf(mail.filter((_, i) => i % 3 === remainder));
      assert.deepEqual(await readIds(box, { recipient: 'one' }), some(1));
      assert.deepEqual(await readIds(box, { recipient: 'two', limit: 2 }), some(2).slice(0, 2));
      assert.deepEqual(await readIds(box, { origin: 'agent' }), some(0));
      assert.deepEqual(await readIds(box, { origin: 'agent', limit: 1 }), some(0).slice(0, 1));
      assert.deepEqual(await readIds(box, { origin: undefined }), idsOf(mail));
      assert.deepEqual(await readIds(box, { origin: 'agent', recipient: 'one' }), []);
      assert.deepEqual(await readIds(box, { recipient: 'three' }), []);
      assert.deepEqual(await readIds(box, { recipient: 'one', without: some(1).slice(0, 2) }), some(1).slice(2));
      assert.deepEqual(await readIds(box, { origin: 'agent', without: some(0).slice(1), limit: 3 }), some(0).slice(0, 1));
    });

    it('passes over what the caller has, without counting it', async () => {
      const box = newBox();
      const mail = Array.from({ length: 1010 }, () => mailTo(box, { body: '0123456789' }));
      await db.store.commit(A, { mail });
      const ids = idsOf(mail);
      assert.deepEqual(await readIds(box, { without: ids.slice(0, 1000), limit: 4 }), ids.slice(1000, 1004));
      assert.deepEqual(await readIds(box, { without: ids.slice(0, 1000), limit: 9, maxBytes: 35 }), ids.slice(1000, 1003));
      assert.deepEqual(await readIds(box, { without: ids.slice(10), limit: 20 }), ids.slice(0, 10));
      assert.deepEqual(await readIds(box, { without: [ids[1]!, 'unknown', ids[1]!], limit: 3 }), [ids[0], ids[2], ids[3]]);
      assert.deepEqual(await readIds(box, { without: [], limit: 2 }), ids.slice(0, 2));
      assert.equal((await readIds(box)).length, 1010);
    });

    it('is counted, of a box and of one recipient in it', async () => {
      const box = newBox();
      assert.deepEqual(await db.store.mailbox(A, box), { messages: 0, bytes: 0 });
      assert.deepEqual(await db.store.mailbox(A, box, 'one'), { messages: 0, bytes: 0 });
      const [first] = await put(box, 1, { recipient: 'one', body: 'ü' });
      await sleep(5);
      await put(box, 1, { body: '12345' });
      await sleep(5);
      await put(box, 2, { recipient: 'one', body: '123' });
      const times = (await read(box)).map(({ received }) => received);
      assert.deepEqual(times.toSorted(), times);
      assert.ok(times[0]! < times[1]! && times[1]! < times[2]!);
      assert.deepEqual(await db.store.mailbox(A, box), { messages: 4, bytes: 13, oldest: times[0], newest: times[3] });
      assert.deepEqual(await db.store.mailbox(A, box, 'one'), { messages: 3, bytes: 8, oldest: times[0], newest: times[3] });
      assert.deepEqual(await db.store.mailbox(A, box, 'two'), { messages: 0, bytes: 0 });
      assert.deepEqual(await db.store.mailbox(B, box), { messages: 0, bytes: 0 });
      await db.store.commit(A, { acknowledged: [{ mailbox: box, ids: [first!.id] }] });
      assert.deepEqual(await db.store.mailbox(A, box), { messages: 3, bytes: 11, oldest: times[1], newest: times[3] });
      assert.deepEqual(await db.store.mailbox(A, box, 'one'), { messages: 2, bytes: 6, oldest: times[2], newest: times[3] });
      await db.store.commit(A, { acknowledged: [{ mailbox: box, ids: await readIds(box) }] });
      assert.deepEqual(await db.store.mailbox(A, box), { messages: 0, bytes: 0 });
    });
  });
}

function leavingTests(kit: StoreKit): void {
  const { db, one } = kit;
  const { read, readIds, put, counted } = mailKit(kit);
  const expireAll = async (now: number, box: string) => {
    const notified: Awaited<ReturnType<Database['admin']['expireMail']>> = [];
    for (let more = -1; more !== 0; ) {
      const gone = await db.admin.expireMail(now);
      notified.push(...gone.filter((some) => some.mailbox === box));
      more = gone.length;
    }
    return notified;
  };

  describe('mail that leaves', () => {
    it('is gone when its owner has it; ids that are not in the box are passed over', async () => {
      const [box, other] = [newBox(), newBox()];
      const mine = idsOf(await put(box, 5));
      const others = idsOf(await put(other, 2));
      await db.store.commit(B, { mail: [mailTo(box, { id: mine[0]! })] });
      await db.store.commit(A, { acknowledged: [{ mailbox: box, ids: [mine[1]!, 'unknown', others[0]!, mine[1]!, mine[3]!] }] });
      assert.deepEqual(await readIds(box), [mine[0], mine[2], mine[4]]);
      assert.equal(await counted(box), 3);
      await db.store.commit(A, {
        acknowledged: [
          { mailbox: box, ids: [mine[1]!, mine[2]!] },
          { mailbox: newBox(), ids: [mine[0]!] },
          { mailbox: other, ids: [others[1]!] },
          { mailbox: box, ids: [mine[2]!] },
          { mailbox: box, ids: [] },
        ],
      });
      assert.deepEqual(await readIds(box), [mine[0], mine[4]]);
      assert.deepEqual([await counted(box), await counted(other)], [2, 1]);
      await db.store.commit(B, { acknowledged: [{ mailbox: other, ids: others }] });
      assert.equal(await counted(other), 1, "another tenant's");
      assert.equal(await counted(box, B), 1, 'one of the same id');
      // at once, so that both tenants come into one transaction
      await Promise.all([
        db.store.commit(A, { acknowledged: [{ mailbox: box, ids: [mine[0]!] }], unacknowledged: [{ mailbox: box, ids: [mine[0]!] }] }),
        db.store.commit(B, { acknowledged: [{ mailbox: box, ids: [mine[4]!] }], unacknowledged: [{ mailbox: box, ids: [mine[4]!] }] }),
      ]);
      assert.deepEqual(
        (await read(box)).map(({ id, attempts }) => [id, attempts]),
        [[mine[4], 0]],
      );
      assert.deepEqual(
        (await read(box, {}, B)).map(({ id, attempts }) => [id, attempts]),
        [[mine[0], 0]],
      );
      assert.deepEqual([await counted(box), await counted(box, B)], [1, 1]);
    });

    it('is taken and put by one commit, and its id is free again', async () => {
      const box = newBox();
      const [first, second] = await put(box, 2);
      await assert.rejects(db.store.commit(A, { mail: [mailTo(newBox(), { id: first!.id })] }), failsWith('mail-known'));
      const fresh = mailTo(box, { limit: { messages: 2, bytes: 1000 } });
      await db.store.commit(A, { acknowledged: [{ mailbox: box, ids: [first!.id] }], mail: [fresh], records: [record(box, 0, {})] });
      assert.deepEqual(await readIds(box), [second!.id, fresh.id]);
      await db.store.commit(A, { mail: [first!] });
      assert.deepEqual(await readIds(box), [second!.id, fresh.id, first!.id]);
      assert.equal(await counted(box), 3);
    });

    it('counts what is taken by several at once only once', async () => {
      const box = newBox();
      const ids = idsOf(await put(box, 6));
      const other = (await kit.opened().second?.()) ?? db;
      const taking = [db, other, db, other, db, other].map((from, i) =>
        from.store.commit(A, {
          acknowledged: [{ mailbox: box, ids: i % 2 ? ids.slice(0, 5).reverse() : ids.slice(0, 5) }],
          records: [record(`${box}-${i}`, 0, {})],
        }),
      );
      await Promise.all(taking);
      assert.deepEqual(await readIds(box), [ids[5]]);
      assert.equal(await counted(box), 1);
    });

    it('stays with a commit that fails', async () => {
      const box = newBox();
      const ids = idsOf(await put(box, 2));
      await db.store.commit(A, { records: [record(box, 0, {})] });
      const clash: Commit = {
        acknowledged: [{ mailbox: box, ids }],
        unacknowledged: [{ mailbox: box, ids }],
        mail: [mailTo(box)],
        records: [record(box, 0, {})],
      };
      await assert.rejects(db.store.commit(A, clash), failsWith('conflict'));
      const found = await read(box);
      assert.deepEqual(idsOf(found), ids);
      assert.ok(found.every(({ attempts }) => attempts === 0));
      assert.equal(await counted(box), 2);
    });

    it('is given up after too many attempts, and told as undeliverable exactly once', async () => {
      const box = newBox();
      const [never, often, few] = idsOf(await put(box, 3, { body: '1234' }));
      const miss = (ids: string[], at = box) => db.store.commit(A, { unacknowledged: [{ mailbox: at, ids }] });
      await miss([few!, often!, 'unknown', few!]);
      await miss([often!], newBox());
      await db.store.commit(B, { unacknowledged: [{ mailbox: box, ids: [often!] }] });
      assert.deepEqual(
        (await read(box)).map(({ attempts }) => attempts),
        [0, 1, 1],
      );
      // at once, so that several come into one transaction: each of them counts
      await Promise.all(Array.from({ length: MAIL_ATTEMPTS - 2 }, () => miss([often!])));
      assert.deepEqual(
        (await read(box)).map(({ attempts }) => attempts),
        [0, MAIL_ATTEMPTS - 1, 1],
      );
      assert.deepEqual(await expireAll(Date.now(), box), []);
      await miss([often!]);
      assert.deepEqual(await readIds(box), [never, few]);
      assert.equal((await db.store.mailbox(A, box)).messages, 3, 'it lies there until it is removed');
      const notified = await Promise.all([0, 1].map(() => expireAll(Date.now(), box)));
      assert.deepEqual(notified.flat(), [{ tenant: A, mailbox: box, messages: 1, reason: 'undeliverable' }]);
      assert.deepEqual(await expireAll(Date.now(), box), []);
      assert.equal(await counted(box), 2);
    });

    it('is not read when its time is over, and told as expired exactly once', async () => {
      const box = newBox();
      const [own, other] = [newBox(), newBox()];
      const soon = Date.now() + 3600_000;
      await db.store.commit(A, {
        mail: [
          mailTo(box, { expires: Date.now() - 1 }),
          mailTo(box, { expires: soon + 0.5, recipient: 'x' }),
          mailTo(box, { expires: Infinity }),
          mailTo(own, { expires: soon }),
          mailTo(other, { expires: soon }),
        ],
      });
      await db.store.commit(B, { mail: [mailTo(other, { expires: soon }), mailTo(other, { expires: soon })] });
      assert.deepEqual(
        (await read(box)).map(({ recipient }) => recipient),
        ['x', undefined],
      );
      assert.deepEqual(await expireAll(Date.now(), box), [{ tenant: A, mailbox: box, messages: 1, reason: 'expired' }]);
      assert.equal(await counted(box), 2);
      await db.store.commit(A, { acknowledged: [{ mailbox: own, ids: await readIds(own) }] });
      const second = (await kit.opened().second?.()) ?? db;
      const notified = (await Promise.all([db, second, db, second].map((from) => from.admin.expireMail(soon + 1)))).flat();
      const sorted = notified.map(({ tenant, mailbox: box, messages, reason }) => `${tenant} ${box} ${messages} ${reason}`).sort();
      assert.deepEqual(sorted, [`${A} ${box} 1 expired`, `${A} ${other} 1 expired`, `${B} ${other} 2 expired`].sort());
      assert.deepEqual([await counted(box), await counted(other), await counted(other, B)], [1, 0, 0]);
    });

    it('goes in steps, each told, and one that was given up and is too old is told once', async () => {
      const box = newBox();
      const mail = Array.from({ length: 2300 }, () => mailTo(box, { expires: Date.now() + 1000, body: 'x' }));
      await db.store.commit(A, { mail });
      const ids = idsOf(mail).slice(0, 300);
      for (let i = 0; i < MAIL_ATTEMPTS; i++) await db.store.commit(A, { unacknowledged: [{ mailbox: box, ids }] });
      const notified = await expireAll(Date.now() + 2000, box);
      const sum = (reason: string) => notified.reduce((total, one) => total + (one.reason === reason ? one.messages : 0), 0);
      assert.deepEqual([sum('expired'), sum('undeliverable')], [2000, 300]);
      assert.ok(notified.length >= 3, 'not all in one step');
      assert.equal(await counted(box), 0);
    });

    it('goes with a tenant that is erased, and waits with one that is locked', async () => {
      const gone = randomUUID();
      const lock = { walletKey: 'only mine', until: Date.now() + 60_000 };
      await db.admin.ensureTenant(gone, 'gone', lock);
      const box = newBox();
      const mail = Array.from({ length: 3 }, () => mailTo(box));
      const short = mailTo(box, { expires: Date.now() + 1000 });
      await db.store.commit(gone, { mail: [...mail, short] });
      await db.admin.lockTenants(Date.now() + 120_000);
      await assert.rejects(readIds(box, {}, gone), failsWith('wallet-locked'));
      await assert.rejects(db.store.mailbox(gone, box), failsWith('wallet-locked'));
      await assert.rejects(db.store.commit(gone, { mail: [mailTo(box)] }), failsWith('wallet-locked'));
      assert.deepEqual(await expireAll(Date.now() + 2000, box), [{ tenant: gone, mailbox: box, messages: 1, reason: 'expired' }]);
      await db.admin.unlockTenant(gone, { ...lock, until: Date.now() + 60_000 });
      assert.deepEqual(await readIds(box, {}, gone), idsOf(mail));
      assert.equal(await counted(box, gone), 3);
      await db.admin.eraseTenant(gone);
      await assert.rejects(readIds(box, {}, gone), failsWith('not-found'));
      let rows = 0;
      for (let swept = -1; swept !== 0; rows += swept) swept = await db.admin.sweepTenant(gone);
      assert.ok(rows >= 4 - 1 + 1, `${rows} rows: the messages and the counters`);
      assert.deepEqual(await expireAll(Date.now() + 2 * DAY, box), []);
      await db.admin.ensureTenant(gone, 'new');
      assert.deepEqual([await readIds(box, {}, gone), await counted(box, gone)], [[], 0]);
      assert.equal(await one(gone, 'nothing'), undefined);
    });
  });
}

function limitTests(kit: StoreKit): void {
  const { db, one, claim } = kit;
  const { readIds, put, counted } = mailKit(kit);

  describe('a box that is full', () => {
    const all = (box: string, mail: QueuedMessageWrite[]): Commit => ({
      mail,
      records: [record(box, 0, {})],
      jobs: [job(`deliver:${box}`)],
      dedupKeys: [{ dedupKey: box, expires: Infinity }],
      keyOwners: [{ kid: box, tenant: A, kind: 'mediation', target: box }],
      results: [{ callId: box, value: {} }],
    });
    const nothingOf = async (box: string) => {
      assert.equal(await one(A, box), undefined);
      assert.equal(await claim(`deliver:${box}`), undefined);
      assert.equal((await db.store.loadWithDedupKey(A, box, [])).repeated, undefined);
      assert.equal(await db.store.keyOwner(box), undefined);
      assert.equal((await db.store.callStatus(A, box)).result, undefined);
    };

    it('refuses a commit as a whole, by number or by bytes', async () => {
      for (const limit of [
        { messages: 3, bytes: 1000 },
        { messages: 1000, bytes: 30 },
      ]) {
        const [box, open] = [newBox(), newBox()];
        const full = (more: Partial<QueuedMessageWrite> = {}) => mailTo(box, { body: '0123456789', limit, ...more });
        await put(box, 2, { body: '0123456789', limit });
        await assert.rejects(db.store.commit(A, all(box, [mailTo(open), full(), full()])), failsWith('mailbox-full'));
        await nothingOf(box);
        assert.deepEqual([await counted(box), await counted(open)], [2, 0]);
        await db.store.commit(A, all(box, [mailTo(open), full()]));
        assert.deepEqual([await counted(box), await counted(open)], [3, 1]);
        await assert.rejects(db.store.commit(A, { mail: [full({ body: 'x' })] }), failsWith('mailbox-full'));
        await db.store.commit(A, { mail: [full({ limit: undefined })] });
        await assert.rejects(db.store.commit(A, { mail: [full()] }), failsWith('mailbox-full'), 'beyond it already');
        const ids = await readIds(box);
        await db.store.commit(A, { acknowledged: [{ mailbox: box, ids: ids.slice(0, 2) }], mail: [full()] });
        assert.equal(await counted(box), 3);
      }
    });

    it('has the limit of each message, whatever comes after it', async () => {
      const box = newBox();
      const limit = (messages: number) => ({ limit: { messages, bytes: 1000 } });
      await assert.rejects(db.store.commit(A, { mail: [mailTo(box), mailTo(box, limit(1))] }), failsWith('mailbox-full'));
      await assert.rejects(
        db.store.commit(A, { mail: [mailTo(box), mailTo(box, limit(1)), mailTo(box, limit(9))] }),
        failsWith('mailbox-full'),
      );
      const bytes = { limit: { messages: 9, bytes: 5 } };
      const five = (more: Partial<QueuedMessageWrite>) => mailTo(box, { body: '12345', ...more });
      await assert.rejects(db.store.commit(A, { mail: [five({}), five(bytes), five(limit(9))] }), failsWith('mailbox-full'));
      await db.store.commit(A, { mail: [mailTo(box, limit(1)), mailTo(box), mailTo(box, limit(3))] });
      assert.equal(await counted(box), 3);
    });

    it('takes exactly what it has room for of many commits at once, and the others none', async () => {
      const [box, open] = [newBox(), newBox()];
      const limit = { messages: 10, bytes: 10_000 };
      const other = (await kit.opened().second?.()) ?? db;
      const writing = Array.from({ length: 40 }, (_, i) => {
        const commit = all(`${box}-${i}`, [mailTo(i % 4 === 3 ? open : box, { limit: i % 4 === 3 ? undefined : limit })]);
        return (i % 2 ? other : db).store.commit(A, commit);
      });
      const results = await Promise.allSettled(writing);
      assert.deepEqual([await counted(box), await counted(open)], [10, 10]);
      for (const [i, result] of results.entries()) {
        if (result.status === 'rejected') {
          assert.ok(i % 4 !== 3 && failsWith('mailbox-full')(result.reason), String(result.reason));
          await nothingOf(`${box}-${i}`);
        } else assert.ok(await one(A, `${box}-${i}`));
      }
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 20);
    });
  });
}

function restingTests(kit: StoreKit): void {
  const { db, opened } = kit;
  const { read, readIds, put, counted } = mailKit(kit);

  describe('mail at rest', () => {
    it('shows neither body nor recipient in clear', async () => {
      const marker = `MARKER${randomUUID().replaceAll('-', '')}`;
      const box = newBox();
      await db.store.commit(A, { mail: [mailTo(box, { recipient: marker, body: `"${marker}"` }), mailTo(box, { recipient: marker })] });
      const bytes = await opened().bytes();
      assert.ok(bytes.includes(box), 'a plain column is found, so this looks in the right place');
      for (const form of [marker, Buffer.from(marker).toString('base64').slice(0, 40), Buffer.from(marker).toString('hex')])
        assert.equal(bytes.includes(form), false, `found ${form}`);
      assert.equal((await read(box, { recipient: marker })).length, 2);
    });

    it('is not given where its ciphertext was taken from another, and keeps nobody from the rest of the box', async () => {
      const box = newBox();
      const ids = idsOf(await put(box, 5, { recipient: 'x' }));
      await opened().swapMail(ids[0]!, ids[2]!);
      assert.deepEqual(await readIds(box, { limit: 2 }), [ids[1], ids[3]], 'one that cannot be read takes nobody else a place');
      assert.deepEqual(await readIds(box, { recipient: 'x' }), [ids[1], ids[3], ids[4]]);
      assert.deepEqual(await readIds(box, { maxBytes: 1 }), [ids[1]]);
      assert.equal((await db.store.mailbox(A, box)).messages, 5);
      await opened().swapMail(ids[0]!, ids[2]!);
      assert.deepEqual(await readIds(box), ids);
      await opened().swapMail(ids[0]!, ids[2]!);
      await db.store.commit(A, { acknowledged: [{ mailbox: box, ids }] });
      assert.equal(await counted(box), 0);
    });

    it('is all there after the database was closed and opened', async () => {
      const box = newBox();
      const ids = idsOf(await put(box, 3, { recipient: 'x' }));
      await db.store.commit(A, {
        unacknowledged: [{ mailbox: box, ids: ids.slice(1, 2) }],
        acknowledged: [{ mailbox: box, ids: ids.slice(0, 1) }],
      });
      const before = await read(box);
      const status = await db.store.mailbox(A, box);
      await opened().reopen();
      assert.deepEqual(await read(box), before);
      assert.deepEqual(
        before.map(({ id, attempts }) => [id, attempts]),
        [
          [ids[1], 1],
          [ids[2], 0],
        ],
      );
      assert.deepEqual(await db.store.mailbox(A, box), status);
      await put(box, 1);
      assert.deepEqual((await readIds(box)).slice(0, 2), ids.slice(1));
      assert.equal(await counted(box), 3);
    });
  });
}

function notificationTests(kit: StoreKit): void {
  const { db } = kit;
  const { readIds, put, counted } = mailKit(kit);
  const notified = async (from: Database, run: () => Promise<void>): Promise<ChangeNotification[]> => {
    const notifications: ChangeNotification[] = [];
    const end = from.jobs.subscribe((notification) => notifications.push(notification));
    await run();
    end();
    return beside(notifications);
  };

  describe('change notifications of mail', () => {
    it('name what came, in order, and how much the box holds then', async () => {
      const [box, other] = [newBox(), newBox()];
      const before = await put(box, 2);
      const two = [mailTo(box), mailTo(other), mailTo(box)];
      const notifications = await notified(db, () => db.store.commit(A, { mail: two }));
      assert.deepEqual(notifications, [
        {
          kinds: [],
          callIds: [],
          invalidate: [],
          tenants: [],
          events: [],
          mailboxes: [
            { tenant: A, mailbox: box, mail: [two[0], two[2]], waiting: 4 },
            { tenant: A, mailbox: other, mail: [two[1]], waiting: 1 },
          ],
        },
      ]);
      const silent = await notified(db, async () => {
        await db.store.commit(A, {
          acknowledged: [{ mailbox: box, ids: idsOf(before) }],
          unacknowledged: [{ mailbox: box, ids: [two[0]!.id] }],
        });
        await assert.rejects(db.store.commit(A, { mail: [mailTo(box, { limit: { messages: 1, bytes: 1 } })] }), failsWith('mailbox-full'));
        await assert.rejects(db.store.commit(A, { mail: [mailTo(box, { id: two[0]!.id })] }), failsWith('mail-known'));
      });
      assert.deepEqual(silent, []);
      const last = mailTo(box);
      const [notification] = await notified(db, () =>
        db.store.commit(A, { mail: [last], acknowledged: [{ mailbox: box, ids: [two[0]!.id] }] }),
      );
      assert.deepEqual(notification?.mailboxes, [{ tenant: A, mailbox: box, mail: [last], waiting: 2 }]);
    });

    it('come in the order in which the mail is read, also of many commits at once, some of which fail', async () => {
      const box = newBox();
      const notifications = await notified(db, async () => {
        for (let round = 0; round < 5; round++) {
          const commits = Array.from({ length: 20 }, (_, i) =>
            db.store.commit(A, {
              mail: [mailTo(box)],
              ...(i % 7 === 3 ? { deletes: [{ category: 'connection', id: box, expect: 1 }] } : {}),
            }),
          );
          await Promise.allSettled(commits);
        }
      });
      const mailboxes = notifications.flatMap((one) => one.mailboxes).filter((one) => one.mailbox === box);
      const order = mailboxes.flatMap(({ mail }) => idsOf(mail!));
      assert.equal(order.length, 85);
      assert.deepEqual(await readIds(box), order);
      let sum = 0;
      for (const { mail, waiting } of mailboxes) {
        sum += mail!.length;
        assert.equal(waiting, sum);
      }
    });

    it('reach other processes, with the names of the boxes', async () => {
      const other = await kit.opened().second?.();
      if (!other) return;
      await reached(db, other);
      const [box, second] = [newBox(), newBox()];
      const notifications = await notified(other, async () => {
        await db.store.commit(A, { mail: [mailTo(box), mailTo(second), mailTo(box)] });
        await reached(db, other);
      });
      assert.equal(notifications.length, 1);
      assert.equal(notifications[0]!.elsewhere, true);
      assert.deepEqual(notifications[0]!.mailboxes, [
        { tenant: A, mailbox: box },
        { tenant: A, mailbox: second },
      ]);
      assert.deepEqual(notifications[0]!.callIds, []);
      assert.equal(await counted(box), 2);
      const many = await notified(other, async () => {
        await db.store.commit(A, { mail: Array.from({ length: 300 }, () => mailTo(newBox())) });
        await reached(db, other);
      });
      assert.deepEqual(
        many.flatMap(({ mailboxes }) => mailboxes),
        [{ tenant: '*', mailbox: '*' }],
        'too many to be named',
      );
      assert.deepEqual(
        many.flatMap(({ invalidate }) => invalidate),
        [],
      );
    });
  });
}

function crowdTests(kit: StoreKit): void {
  const { db } = kit;
  const { readIds, counted } = mailKit(kit);

  describe('mail of many at once', () => {
    it('is stored once where it came twice at once', async () => {
      const box = newBox();
      const other = (await kit.opened().second?.()) ?? db;
      const dedupKeys = Array.from({ length: 12 }, () => randomUUID());
      const once = (from: Database, dedupKey: string) =>
        from.store.commit(A, { mail: [mailTo(box)], dedupKeys: [{ dedupKey, expires: Infinity }] }).then(
          () => 1,
          (error: unknown) => {
            assert.ok(failsWith('conflict')(error), String(error));
            return 0;
          },
        );
      const results = await Promise.all([
        ...dedupKeys.map((dedupKey) => once(db, dedupKey)),
        ...dedupKeys.toReversed().map((dedupKey) => once(other, dedupKey)),
        ...dedupKeys.map((dedupKey) => once(db, dedupKey)),
      ]);
      assert.equal(
        results.reduce<number>((sum, n) => sum + n, 0),
        12,
      );
      assert.equal(await counted(box), 12);
    });

    it('is counted exactly, in one box and in many, while others take it, and nobody waits in a circle', async () => {
      const other = (await kit.opened().second?.()) ?? db;
      const boxes = Array.from({ length: 8 }, newBox);
      const put = new Map(boxes.map((box) => [box, 0]));
      const had = new Map(boxes.map((box) => [box, new Set<string>()]));
      let writing = 4;
      const write = async (from: Database, w: number) => {
        for (let i = 0; i < 25; i++) {
          // boxes in another order each time, and the first in all
          const some = [boxes[(i * 3 + w) % 8]!, boxes[(i * 5 + w * 2) % 8]!, boxes[0]!];
          const mail = (w % 2 ? some : some.toReversed()).map((box) => mailTo(box));
          await Promise.all([
            from.store.commit(A, { mail, dedupKeys: [{ dedupKey: `${boxes[0]}-${w}-${i}`, expires: Infinity }] }),
            from.store.commit(w % 2 ? B : A, { mail: [mailTo(boxes[(i + w) % 8]!)] }),
          ]);
          for (const { mailbox: box } of mail) put.set(box, put.get(box)! + 1);
          if (w % 2 === 0) put.set(boxes[(i + w) % 8]!, put.get(boxes[(i + w) % 8]!)! + 1);
        }
        writing -= 1;
      };
      const take = async (from: Database, r: number) => {
        while (writing > 0) {
          const some = r ? boxes.slice(2).toReversed() : boxes.slice(0, 6);
          const taken = await Promise.all(
            some.map(async (mailbox) => ({ mailbox, ids: idsOf(await from.store.mail(A, mailbox, { limit: 5 })) })),
          );
          await from.store.commit(A, {
            acknowledged: taken,
            unacknowledged: taken.map(({ mailbox, ids }) => ({ mailbox, ids: ids.slice(0, 1) })),
          });
          for (const { mailbox, ids } of taken) for (const id of ids) had.get(mailbox)!.add(id);
          await from.admin.expireMail(Date.now());
        }
      };
      await Promise.all([write(db, 0), write(other, 1), write(db, 2), write(other, 3), take(db, 0), take(other, 1)]);
      for (const box of boxes) {
        const left = await counted(box);
        assert.equal(left + had.get(box)!.size, put.get(box), box);
        await counted(box, B);
      }
    });

    it('behaves like a list with limits, whatever is put and taken', async () => {
      const step = fc.record({
        put: fc.array(fc.record({ box: fc.nat(1), size: fc.nat(6), to: fc.option(fc.constantFrom('x', 'y')) }), { maxLength: 4 }),
        limit: fc.record({ messages: fc.integer({ min: 1, max: 6 }), bytes: fc.integer({ min: 4, max: 20 }) }),
        take: fc.array(fc.nat(12), { maxLength: 4 }),
        miss: fc.array(fc.nat(12), { maxLength: 2 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
          const boxes = [newBox(), newBox()];
          let model: { box: string; write: QueuedMessageWrite; attempts: number }[] = [];
          const all: QueuedMessageWrite[] = [];
          for (const { put, limit, take, miss } of steps) {
            const mail = put.map(({ box, size, to }) => mailTo(boxes[box]!, { body: 'x'.repeat(size), recipient: to ?? undefined, limit }));
            const chosen = (numbers: number[]) => numbers.flatMap((n) => all[n] ?? []);
            const listed = (numbers: number[]) => chosen(numbers).map(({ mailbox, id }) => ({ mailbox, ids: [id] }));
            const goes = new Set(idsOf(chosen(take)));
            const missed = new Set(idsOf(chosen(miss)));
            const next = model
              .filter(({ write }) => !goes.has(write.id))
              .map((one) => ({ ...one, attempts: one.attempts + (missed.has(one.write.id) ? 1 : 0) }));
            next.push(...mail.map((write) => ({ box: write.mailbox, write, attempts: 0 })));
            const fits = boxes.every((box) => {
              const held = next.filter((one) => one.box === box);
              const bytes = held.reduce((sum, { write }) => sum + write.body.length, 0);
              return !mail.some((write) => write.mailbox === box) || (held.length <= limit.messages && bytes <= limit.bytes);
            });
            const attempt = db.store.commit(A, { mail, acknowledged: listed(take), unacknowledged: listed(miss) });
            if (!fits) {
              await assert.rejects(attempt, failsWith('mailbox-full'));
              continue;
            }
            await attempt;
            model = next;
            all.push(...mail);
          }
          for (const box of boxes) {
            const of = model.filter((one) => one.box === box);
            const found = await db.store.mail(A, box, { limit: 1000 });
            assert.deepEqual(
              found.map(({ id, attempts, recipient }) => [id, attempts, recipient]),
              of.map(({ write, attempts }) => [write.id, attempts, write.recipient]),
            );
            assert.deepEqual(
              await readIds(box, { recipient: 'x' }),
              idsOf(of.map(({ write }) => write).filter((w) => w.recipient === 'x')),
            );
            assert.equal(await counted(box), of.length);
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}
