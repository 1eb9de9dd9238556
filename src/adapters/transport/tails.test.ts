import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { base58 } from '@scure/base';
import { CALL_MS } from '../../../test/support/waiting.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { Log } from '../../ports/log.ts';
import type { Database } from '../../ports/store.ts';
import type { TailsReference } from '../../ports/tails.ts';
import { openSqlite } from '../sqlite/sqlite.ts';
import { egressGuard } from './egress.ts';
import { createTails, type TailsOptions, tailsSize } from './tails.ts';
import { tailsUpload } from './tails-upload.ts';
import { webDocuments } from './web-documents.ts';

/** Tails files with a real store, real servers and the egress guard. */

const SIZE = 4;
let files = 0;
/** A new file of the length that a registry of four credentials has, and its hash. */
const newFile = (): { bytes: Uint8Array; hash: string } => {
  const seed = createHash('sha512').update(`file ${files++}`).digest();
  const bytes = Uint8Array.from({ length: tailsSize(SIZE) }, (_none, i) => (seed[i % 64] as number) ^ (i & 0xff));
  return { bytes, hash: base58.encode(createHash('sha256').update(bytes).digest()) };
};
const reference = (tailsHash: string, tailsLocation: string, maxCredNum = SIZE): TailsReference => ({
  value: { maxCredNum, tailsHash, tailsLocation },
});

const folder = mkdtempSync(join(tmpdir(), 'flexid-tails-test-'));
const closing: (() => Promise<unknown> | unknown)[] = [];
let db: Database;
before(async () => {
  db = await openSqlite({ path: join(folder, 'tails.db'), masterKey: 'a key of the tests', report: () => {} });
  for (const tenant of ['one', 'two']) await db.admin.ensureTenant(tenant, tenant);
});
after(async () => {
  for (const close of closing) await close();
  await db.admin.close();
  rmSync(folder, { recursive: true });
});

/** A server of others: what it was asked, and by what. */
const server = async (answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void) => {
  const asked: string[] = [];
  const made = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`);
      answer(request, response, Buffer.concat(chunks));
    });
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    made.closeAllConnections();
    made.close();
  });
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, asked };
};

const warnings: string[] = [];
const log = { warn: (_what: object, text: string) => warnings.push(text) } as unknown as Log;
let services = 0;
/** The service of one process, with a folder of its own. */
const service = (change: Partial<TailsOptions> & { allow?: string[]; ms?: number } = {}) => {
  const { allow = ['127.0.0.0/8'], ms = CALL_MS, ...options } = change;
  const web = webDocuments(
    egressGuard(allow, () => undefined),
    ms,
  );
  const uploads = tailsUpload(ms);
  closing.push(
    () => web.close(),
    () => uploads.close(),
  );
  const own = join(folder, `files-${services++}`);
  const tails = createTails({
    ...{ blobs: db.blobs, store: db.store, folder: own, web, upload: uploads.put, log },
    origin: async () => 'https://agent.example',
    ...options,
  });
  return { ...tails, folder: options.folder ?? own };
};
const fails = (act: Promise<unknown>, code: ErrorCode, detail = /./): Promise<void> =>
  assert.rejects(act, (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, detail);
    return true;
  });
const gives = (bytes: Uint8Array) => server((_request, response) => response.end(bytes));

describe('a tails file that is published', () => {
  test('is a blob of its tenant that the public face finds, and needs no fetching', async () => {
    const { bytes, hash } = newFile();
    const { publish, file } = service();
    assert.deepEqual(await publish('one', bytes), { hash, location: `https://agent.example/tails/${hash}` });
    assert.deepEqual(await publish('one', bytes), { hash, location: `https://agent.example/tails/${hash}` }, 'again is harmless');
    assert.equal((await db.blobs.stat('one', `tails/${hash}`))?.size, bytes.length);
    assert.deepEqual(await db.store.keyOwner(`tails ${hash}`), { kid: `tails ${hash}`, tenant: 'one', kind: 'tails', target: hash });
    const path = await file('one', reference(hash, 'https://nobody.example/x'));
    assert.deepEqual(Uint8Array.from(readFileSync(path)), bytes);
    await publish('two', bytes);
    assert.equal((await db.store.keyOwner(`tails ${hash}`))?.tenant, 'one');
  });

  test('has nowhere to go where nobody can reach the agent', async () => {
    const { bytes, hash } = newFile();
    await fails(service({ origin: async () => undefined }).publish('one', bytes), 'unavailable', /--tails-public-url/);
    assert.equal(await db.store.keyOwner(`tails ${hash}`), undefined);
  });

  test('at an address of this machine or without TLS is warned of, once', async () => {
    warnings.length = 0;
    const { publish } = service({ origin: async () => 'http://127.0.0.1:8020/' });
    const { bytes, hash } = newFile();
    assert.equal((await publish('one', bytes)).location, `http://127.0.0.1:8020/tails/${hash}`);
    await publish('one', newFile().bytes);
    await service({ origin: async () => 'http://agent.example' }).publish('one', newFile().bytes);
    await service().publish('one', newFile().bytes);
    assert.deepEqual(
      warnings.map((text) => text.split(':')[0]),
      ['tails files are published at an address of this machine', 'tails files are published without TLS'],
    );
  });

  test('goes to a foreign server as a part of a form, which may have it already', async () => {
    const { bytes, hash } = newFile();
    let body: Buffer = Buffer.alloc(0);
    let type = '';
    let status = 200;
    const foreign = await server((request, response, given) => {
      [body, type] = [given, String(request.headers['content-type'])];
      response.writeHead(status).end();
    });
    const { publish, file } = service({ server: { base: 'https://tails.example/', upload: `${foreign.url}/` } });
    assert.deepEqual(await publish('one', bytes), { hash, location: `https://tails.example/hash/${hash}` });
    assert.deepEqual(foreign.asked, [`PUT /hash/${hash}`]);
    assert.match(type, /^multipart\/form-data; boundary=/);
    assert.match(body.toString('latin1'), /name="tails"/);
    assert.ok(body.includes(Buffer.from(bytes)), 'the file is in the form as it is');
    status = 409;
    await publish('one', bytes);
    for (status of [302, 404, 500]) await fails(publish('one', bytes), 'tails-unavailable', new RegExp(`answered ${status}`));
    assert.ok(await file('one', reference(hash, 'https://nobody.example')));
  });

  test('of a foreign server that is down is not published, and is once the server is back', async () => {
    const { bytes, hash } = newFile();
    const gone = service({ server: { base: 'http://127.0.0.1:1', upload: 'http://127.0.0.1:1' } });
    await fails(gone.publish('one', bytes), 'tails-unavailable', /could not be reached/);
    const silent = await server(() => {});
    await fails(
      service({ ms: 200, server: { base: silent.url, upload: silent.url } }).publish('one', bytes),
      'tails-unavailable',
      /did not answer/,
    );
    const back = await server((_request, response) => response.end());
    const { location } = await service({ server: { base: back.url, upload: back.url } }).publish('one', bytes);
    assert.equal(location, `${back.url}/hash/${hash}`);
  });
});

describe('a tails file of another', () => {
  test('[P11] is fetched once for all who ask at the same time, and becomes a blob of each', async () => {
    const { bytes, hash } = newFile();
    const issuer = await gives(bytes);
    const { file } = service();
    const asked = reference(hash, `${issuer.url}/tails/${hash}`);
    const paths = await Promise.all(Array.from({ length: 20 }, (_none, i) => file(i % 2 === 0 ? 'one' : 'two', asked)));
    assert.equal(new Set(paths).size, 1);
    assert.deepEqual(Uint8Array.from(readFileSync(paths[0]!)), bytes);
    assert.deepEqual(issuer.asked, [`GET /tails/${hash}`]);
    for (const tenant of ['one', 'two']) assert.equal((await db.blobs.stat(tenant, `tails/${hash}`))?.size, bytes.length);
    assert.equal(await db.store.keyOwner(`tails ${hash}`), undefined, 'a holder does not serve it');
  });

  test('is there again without its issuer when the files of this machine are gone', async () => {
    const { bytes, hash } = newFile();
    const issuer = await gives(bytes);
    const asked = reference(hash, issuer.url);
    const first = service();
    await first.file('one', asked);
    rmSync(first.folder, { recursive: true });
    for (const { file } of [first, service()]) assert.deepEqual(Uint8Array.from(readFileSync(await file('one', asked))), bytes);
    assert.equal(issuer.asked.length, 1);
    await db.blobs.remove('one', `tails/${hash}`);
    await service().file('one', asked);
    assert.equal(issuer.asked.length, 2);
    assert.equal((await db.blobs.stat('one', `tails/${hash}`))?.size, bytes.length);
  });

  test('that was damaged on this machine is never handed out', async () => {
    const { bytes, hash } = newFile();
    const issuer = await gives(bytes);
    const { file } = service();
    const path = await file('one', reference(hash, issuer.url));
    for (const damaged of [Uint8Array.from(bytes, (byte, i) => (i === 700 ? byte ^ 1 : byte)), bytes.subarray(1), new Uint8Array()]) {
      assert.equal(await file('one', reference(hash, issuer.url)), path, 'it is whole');
      writeFileSync(path, damaged);
      assert.deepEqual(Uint8Array.from(readFileSync(await file('one', reference(hash, issuer.url)))), bytes);
    }
    const wrong = Uint8Array.from(bytes, (byte) => byte ^ 1);
    await db.blobs.put('one', `tails/${hash}`, wrong);
    rmSync(path);
    assert.deepEqual(Uint8Array.from(readFileSync(await file('one', reference(hash, issuer.url)))), bytes, 'nor a damaged blob');
  });

  test('is fetched along redirects within its host', async () => {
    const { bytes, hash } = newFile();
    const issuer = await server((request, response) =>
      request.url === '/b' ? response.end(bytes) : response.writeHead(302, { location: '/b' }).end(),
    );
    await service().file('one', reference(hash, `${issuer.url}/a`));
    assert.deepEqual(issuer.asked, ['GET /a', 'GET /b']);
  });

  test('is fetched from the mirror where its issuer does not give it', async () => {
    const { bytes, hash } = newFile();
    const [issuer, mirror] = [await server((_request, response) => response.writeHead(503).end()), await gives(bytes)];
    await service({ mirror: `${mirror.url}/hash/` }).file('one', reference(hash, issuer.url));
    assert.deepEqual(mirror.asked, [`GET /hash/${hash}`]);
    const lost = newFile();
    const neither = service({ mirror: mirror.url });
    await fails(neither.file('one', reference(lost.hash, issuer.url)), 'tails-unavailable', /answered 503/);
  });

  const { bytes: other } = newFile();
  for (const [what, answer, detail] of [
    ['is not there', (_: IncomingMessage, response: ServerResponse) => response.writeHead(404).end(), /answered 404/],
    ['is short', (_: IncomingMessage, response: ServerResponse) => response.end(other.subarray(1)), /a file of 1153 bytes, not of 1154/],
    ['is another', (_: IncomingMessage, response: ServerResponse) => response.end(other), /a file of another hash/],
    [
      'is endless',
      (_: IncomingMessage, response: ServerResponse) => {
        const more = (): void => {
          if (response.destroyed) return;
          response.write(Buffer.alloc(65_536));
          setImmediate(more);
        };
        more();
      },
      /more than 1154 bytes/,
    ],
    ['is slow', (_: IncomingMessage, response: ServerResponse) => void response.write('a'), /did not answer in 0.3 s/],
    [
      'is at another host',
      (_: IncomingMessage, response: ServerResponse) => response.writeHead(302, { location: 'http://127.0.0.2:1/' }).end(),
      /sends to another host/,
    ],
    ['goes in a circle', (_: IncomingMessage, response: ServerResponse) => response.writeHead(302, { location: '/' }).end(), /in a circle/],
  ] as const)
    test(`that ${what} is refused, and nothing is kept`, async () => {
      const { hash } = newFile();
      const issuer = await server(answer);
      const { file, folder: own } = service(what === 'is slow' ? { ms: 300 } : {});
      await fails(file('one', reference(hash, issuer.url)), 'tails-unavailable', detail);
      assert.equal(await db.blobs.stat('one', `tails/${hash}`), undefined);
      assert.throws(() => readFileSync(join(own, hash)), /ENOENT/);
    });

  test('at a private address, or at what is no address, is refused', async () => {
    const { bytes, hash } = newFile();
    const issuer = await gives(bytes);
    const { file } = service({ allow: [] });
    await fails(file('one', reference(hash, issuer.url)), 'egress-refused');
    assert.deepEqual(issuer.asked, []);
    for (const location of ['file:///etc/passwd', 'tails', '']) await fails(file('one', reference(hash, location)), 'egress-refused');
  });

  test('needs a reference that can be one', async () => {
    const { hash } = newFile();
    const { file } = service();
    for (const [name, size] of [
      ['../../etc/passwd', SIZE],
      [`${hash}/x`, SIZE],
      ['', SIZE],
      [hash, 0],
      [hash, 40_000],
      [hash, 1.5],
    ] as const)
      await fails(file('one', reference(name, 'https://a.example', size)), 'bad-request');
    await fails(file('one', {} as TailsReference), 'bad-request');
  });

  test('waits where this machine cannot keep it', async () => {
    const { bytes, hash } = newFile();
    const issuer = await gives(bytes);
    const blocked = join(folder, 'a file');
    writeFileSync(blocked, '');
    await fails(service({ folder: join(blocked, 'tails') }).file('one', reference(hash, issuer.url)), 'store-unavailable');
  });
});
