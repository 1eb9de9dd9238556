import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Blobs, MAX_BLOB_BYTES } from './blobs.ts';

/** Blobs under test, with two tenants. */
export interface OpenedBlobs {
  blobs: Blobs;
  tenants: readonly [string, string];
  /** Another view of the same values, as another process has it. */
  second: Blobs;
  /** How many bytes lie at rest, whatever points to them. */
  stored(): Promise<number>;
  close(): Promise<void>;
}

const HOUR = 3600_000;
const failsWith = (code: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === code;

/** What every adapter of the blob port must do. */
export function blobSuite(title: string, open: () => Promise<OpenedBlobs>): void {
  describe(title, () => {
    let opened: OpenedBlobs;
    before(async () => {
      opened = await open();
    });
    after(() => opened.close());
    const name = (): string => `tails/${randomUUID()}`;

    it('gives back what was put, whole and in parts, at every size around a row', async () => {
      const { blobs, second, tenants } = opened;
      for (const size of [0, 1, 262_143, 262_144, 262_145, 3_000_000]) {
        const bytes = randomBytes(size);
        const id = name();
        await blobs.put(tenants[0], id, bytes);
        assert.ok(bytes.equals((await second.read(tenants[0], id))!), String(size));
        const stat = await second.stat(tenants[0], id);
        assert.deepEqual([stat?.name, stat?.size, stat?.sha256], [id, size, createHash('sha256').update(bytes).digest('hex')]);
        assert.ok(Math.abs(stat!.written - Date.now()) < 60_000);
        for (const [offset, length] of [
          [0, 10],
          [size - 5, 100],
          [262_140, 8],
          [size, 1],
          [size + 7, 5],
          [100_000, 600_000],
        ] as const) {
          const part = await blobs.read(tenants[0], id, { offset, length });
          const from = Math.min(Math.max(0, offset), size);
          assert.ok(bytes.subarray(from, from + length).equals(part!), `${size} ${offset} ${length}`);
        }
      }
    });

    it('has nothing under a name that nobody put, or that was removed, or that is another tenant’s', async () => {
      const { blobs, tenants } = opened;
      const id = name();
      assert.equal(await blobs.read(tenants[0], id), undefined);
      assert.equal(await blobs.stat(tenants[0], id), undefined);
      await blobs.remove(tenants[0], id);
      await blobs.put(tenants[0], id, Buffer.from('a'));
      assert.equal(await blobs.read(tenants[1], id), undefined);
      await blobs.remove(tenants[1], id);
      assert.equal(String(await blobs.read(tenants[0], id)), 'a');
      await blobs.remove(tenants[0], id);
      assert.equal(await blobs.read(tenants[0], id), undefined);
    });

    it('replaces a value whole: readers have one or the other, of writers at once one stays', async () => {
      const { blobs, second, tenants } = opened;
      const id = name();
      const values = Array.from({ length: 6 }, (_, i) => Buffer.alloc(700_000, i));
      await blobs.put(tenants[0], id, values[0]!);
      const written = Promise.all(values.map((bytes, i) => (i % 2 ? blobs : second).put(tenants[0], id, bytes)));
      const whole = (bytes: Uint8Array | undefined): boolean => values.some((one) => one.equals(bytes!));
      for (let i = 0; i < 10; i++) assert.ok(whole(await second.read(tenants[0], id)));
      await written;
      assert.ok(whole(await blobs.read(tenants[0], id)));
      assert.equal((await blobs.list(tenants[0], { after: id.slice(0, -1) })).filter((one) => one.name === id).length, 1);
    });

    it('frees the room of what was replaced, removed or never finished, after an hour and not before', async () => {
      const { blobs, tenants } = opened;
      await blobs.clear(tenants[1]);
      const id = name();
      await blobs.put(tenants[1], id, randomBytes(2_000_000));
      await blobs.put(tenants[1], id, randomBytes(1000));
      await blobs.remove(tenants[1], id);
      await blobs.expire(Date.now() + HOUR + 60_000);
      const before = await opened.stored();
      await blobs.put(tenants[1], id, randomBytes(2_000_000));
      assert.equal(await blobs.expire(Date.now()), 0);
      await blobs.clear(tenants[1]);
      assert.deepEqual(await blobs.list(tenants[1], {}), []);
      await blobs.expire(Date.now() + HOUR + 60_000);
      assert.equal(await opened.stored(), before);
    });

    it('lists in the order of names, by pages', async () => {
      const { blobs, tenants } = opened;
      await blobs.clear(tenants[1]);
      const names = ['Z', 'a', 'a-b', 'a/b', 'a:b', 'a.b', '..', '_x', '0'];
      for (const one of names) await blobs.put(tenants[1], one, Buffer.from(one));
      const sorted = [...names].sort();
      assert.deepEqual(
        (await blobs.list(tenants[1], {})).map((one) => one.name),
        sorted,
      );
      const first = await blobs.list(tenants[1], { limit: 4 });
      const rest = await blobs.list(tenants[1], { after: first.at(-1)!.name });
      assert.deepEqual(
        [...first, ...rest].map((one) => one.name),
        sorted,
      );
      for (const one of names) assert.equal(String(await blobs.read(tenants[1], one)), one);
    });

    it('refuses names and sizes out of bounds, and changes nothing', async () => {
      const { blobs, tenants } = opened;
      for (const bad of ['', 'a b', 'ä', 'a\0b', 'a\\b', 'a,b', 'x'.repeat(201)]) {
        await assert.rejects(blobs.put(tenants[0], bad, Buffer.from('x')), failsWith('bad-request'), bad);
        await assert.rejects(blobs.read(tenants[0], bad), failsWith('bad-request'), bad);
      }
      const id = name();
      await assert.rejects(blobs.put(tenants[0], id, new Uint8Array(MAX_BLOB_BYTES + 1)), failsWith('too-large'));
      assert.equal(await blobs.stat(tenants[0], id), undefined);
    });
  });
}
