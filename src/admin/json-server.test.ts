import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import { jsonServer, listen } from './json-server.ts';
import type { LargeBodies } from './large-bodies.ts';

test('a server at localhost has one address, and one server that knows all bounds', async () => {
  const app = jsonServer({ kernel: {} as never }, { maxBytes: 1000 });
  try {
    const port = await listen(app, 'localhost', 0);
    assert.deepEqual(app.addresses(), [app.server.address()]);
    assert.equal((await fetch(`http://localhost:${port}/`)).status, 404);
  } finally {
    await app.close();
  }
});

test("of a body to an address that is nobody's nothing is parsed", async () => {
  const turns: string[] = [];
  const large: LargeBodies = {
    async read(sender, _bytes, read) {
      turns.push(sender);
      return read();
    },
  };
  const app = jsonServer({ kernel: {} as never }, { maxBytes: 1 << 20, large });
  try {
    for (const payload of [JSON.stringify({ long: 'x'.repeat(100_000) }), 'not JSON']) {
      const { statusCode, body } = await app.inject({ method: 'POST', url: '/nowhere', payload });
      assert.deepEqual([statusCode, body], [404, '404: Not Found']);
    }
    assert.deepEqual(turns, []);
  } finally {
    await app.close();
  }
});

test('a large body waits for its turn by sender, and is told where too many do; a small one does not', async () => {
  const turns: string[] = [];
  let room = 2;
  const large: LargeBodies = {
    async read(sender, bytes, read) {
      if (room-- === 0) throw new AppError('busy');
      turns.push(`${sender} ${bytes >= 65_536}`);
      return read();
    },
  };
  const app = jsonServer({ kernel: {} as never }, { maxBytes: 1 << 20, senderOf: ({ headers }) => String(headers.sender), large });
  app.post('/', async ({ body }) => Object.keys(body as object).length);
  const send = (sender: string, payload: string) => app.inject({ method: 'POST', url: '/', headers: { sender }, payload });
  try {
    const members = JSON.stringify(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`n${i}`, i])));
    assert.equal((await send('a', members)).body, '10000');
    assert.equal((await send('b', '{"one":1}')).body, '1');
    assert.equal((await send('b', members.slice(1))).statusCode, 400);
    const refused = await send('b', members);
    assert.deepEqual([refused.statusCode, typeof refused.headers['retry-after']], [429, 'string']);
    assert.deepEqual(turns, ['a true', 'b true']);
  } finally {
    await app.close();
  }
});

test('a large body whose sender has gone while it waited is not parsed, and its call is not made', async () => {
  const [waits, turn, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<string>()];
  const large: LargeBodies = {
    async read(_sender, _bytes, read) {
      waits.resolve();
      await turn.promise;
      try {
        const value = read();
        asked.resolve('parsed');
        return value;
      } catch (error) {
        asked.resolve((error as AppError).code);
        throw error;
      }
    },
  };
  const app = jsonServer({ kernel: {} as never }, { maxBytes: 1 << 20, large });
  let calls = 0;
  app.post('/', async () => ++calls);
  const gone = new Promise<void>((resolve) => app.server.on('connection', (socket) => socket.on('close', () => resolve())));
  try {
    const port = await listen(app, 'localhost', 0);
    const leaving = new AbortController();
    const body = JSON.stringify({ long: 'x'.repeat(100_000) });
    const call = fetch(`http://localhost:${port}/`, { method: 'POST', body, signal: leaving.signal });
    await waits.promise;
    leaving.abort();
    await assert.rejects(call);
    await gone;
    turn.resolve();
    assert.equal(await asked.promise, 'busy');
    assert.equal(calls, 0);
  } finally {
    await app.close();
  }
});
