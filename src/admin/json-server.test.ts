import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonServer, listen } from './json-server.ts';

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
