import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENVELOPE_V1 } from '../../didcomm/media-types.ts';
import { createDoor } from './door.ts';
import { type EnvelopeSink, httpInbound, type InboundOptions, inboundGate } from './http-inbound.ts';

const quiet = { info() {}, warn() {}, error() {} };
const OPTIONS: InboundOptions = {
  host: '127.0.0.1',
  port: 0,
  maxBytes: 1000,
  gate: inboundGate(100, 0),
  door: createDoor({ perAddress: 0, log: quiet }),
  mediaType: ENVELOPE_V1,
  log: quiet,
};

/** Runs against a port of its own and closes it, whatever happens. */
async function withPort(
  sink: EnvelopeSink,
  options: Partial<InboundOptions>,
  run: (post: (body?: string) => Promise<Response>) => Promise<void>,
): Promise<void> {
  const { port, close } = await httpInbound(sink, { ...OPTIONS, ...options });
  try {
    await run((body = '{}') => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: { 'content-type': ENVELOPE_V1 }, body }));
  } finally {
    await close();
  }
}

test('an address that sends faster than the limit is told to wait, and nothing of it is looked at', async () => {
  let seen = 0;
  const sink: EnvelopeSink = {
    receive: async () => {
      seen++;
      return { status: 202 };
    },
  };
  await withPort(sink, { gate: inboundGate(100, 0.5) }, async (post) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => post()));
    const late = answers.filter(({ status }) => status === 429);
    assert.ok(late.length >= 10, `${late.length} were refused`);
    assert.equal(late[0]!.headers.get('retry-after'), '1');
    assert.equal(seen, 20 - late.length);
  });
});

test('more than can be in hand at once are told to come back', async () => {
  const release: (() => void)[] = [];
  const sink: EnvelopeSink = {
    receive: () =>
      new Promise((resolve) => {
        release.push(() => resolve({ status: 202 }));
      }),
  };
  await withPort(sink, { gate: inboundGate(2, 0) }, async (post) => {
    const held = [post(), post()];
    while (release.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const refused = await post();
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
    for (const go of release) go();
    assert.deepEqual(
      (await Promise.all(held)).map(({ status }) => status),
      [202, 202],
    );
  });
});

test('a failure of ours is 503, so that the peer tries again; the peer learns nothing of it', async () => {
  const sink: EnvelopeSink = {
    receive: async () => {
      throw new Error('a secret reason');
    },
  };
  await withPort(sink, {}, async (post) => {
    const answer = await post();
    assert.deepEqual([answer.status, await answer.text()], [503, '']);
  });
});
