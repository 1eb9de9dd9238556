import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { AgentContext } from '@credo-ts/core';
import canonicalize from 'canonicalize';
import { nodesOf } from '../src/algod.ts';
import { headBox, parseId, segmentBox } from '../src/identifiers.ts';
import { didAlgoRegistry } from '../src/index.ts';
import { bytes, logOf, vectors } from './vectors.ts';

/** The registry against a node on loopback that has the boxes of the vectors, and may misbehave. */

const GENESIS = 'Z2VuZXNpcw==';
const TOKEN = 'a'.repeat(64);
const context = { config: { agentDependencies: { fetch: globalThis.fetch } } } as unknown as AgentContext;
const schema = vectors.objects[0]!;
const REGISTRY = vectors.names.registry!;

const boxes = new Map<string, string>();
const put = (name: Uint8Array, value: Uint8Array): unknown =>
  boxes.set(Buffer.from(name).toString('base64'), Buffer.from(value).toString('base64'));
let asked: string[] = [];
let fault: ((response: ServerResponse, name: string) => boolean) | undefined;

const answer = (response: ServerResponse, status: number, body: unknown): true => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  return true;
};
const server = createServer((request, response) => {
  const url = new URL(request.url!, 'http://node');
  const name = url.searchParams.get('name')?.slice(4) ?? '';
  asked.push(name || 'params');
  if (url.pathname.endsWith('/params')) return answer(response, 200, { 'genesis-hash': GENESIS });
  if (request.headers['x-algo-api-token'] !== TOKEN) return answer(response, 401, { message: 'Invalid API Token' });
  if (fault?.(response, name)) return;
  if (url.pathname !== '/v2/applications/1001/box') return answer(response, 404, { message: 'application does not exist' });
  const value = boxes.get(name);
  return value === undefined ? answer(response, 404, { message: 'box not found' }) : answer(response, 200, { name, round: 9, value });
});

beforeEach(async () => {
  boxes.clear();
  asked = [];
  fault = undefined;
  for (const { box, value, parts = [], error } of vectors.objects)
    if (!error) for (const one of [{ box, value }, ...parts]) boxes.set(one.box, one.value);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const urlOf = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const make = (change: object = {}, timeoutMs?: number) =>
  didAlgoRegistry({ networks: { custom: { url: `${urlOf()}/`, token: TOKEN, genesisHash: GENESIS, ...change } }, timeoutMs });

const putLog = (what: string) => {
  const log = logOf(what);
  const id = parseId(REGISTRY);
  put(headBox(id), bytes(log.head));
  for (const [number, box] of Object.entries(log.segments)) put(segmentBox(id, Number(number)), bytes(box));
  return log;
};

describe('the registry', () => {
  test('is asked for did:algo identifiers alone', () => {
    const { supportedIdentifier, methodName } = make();
    assert.equal(methodName, 'algo');
    assert.deepEqual(
      [REGISTRY, vectors.names.did!, 'did:web:did:algo:x', 'did:algorand:x'].map((id) => supportedIdentifier.test(id)),
      [true, true, false, false],
    );
  });

  test('resolves objects, each read once', async () => {
    const registry = make();
    for (let i = 0; i < 2; i++) {
      for (const { id, type, canonical, error } of vectors.objects) {
        if (error) continue;
        if (type === 'SCHEMA') {
          const { schema: found, schemaId, resolutionMetadata } = await registry.getSchema(context, id);
          assert.deepEqual([canonicalize(found), schemaId, resolutionMetadata], [canonical, id, {}]);
          found!.name = 'changed by the caller';
        } else {
          const { revocationRegistryDefinition } = await registry.getRevocationRegistryDefinition(context, id);
          assert.equal(canonicalize(revocationRegistryDefinition), canonical);
        }
      }
    }
    assert.equal(new Set(asked).size, asked.length);
  });

  test('resolves the list in force at a time, with the time of its record', async () => {
    const registry = make();
    const { reads } = putLog('whole and toggled');
    for (const { at, error, revoked = '', accumulator, time } of reads) {
      if (at === undefined) continue;
      const { revocationStatusList, resolutionMetadata } = await registry.getRevocationStatusList(context, REGISTRY, at);
      if (error) {
        assert.equal(revocationStatusList, undefined);
        assert.deepEqual([resolutionMetadata.error, resolutionMetadata.code], ['notFound', error]);
        continue;
      }
      const bits = Buffer.from(revoked, 'base64url');
      assert.deepEqual(revocationStatusList, {
        issuerId: vectors.names.did,
        revRegDefId: REGISTRY,
        revocationList: Array.from({ length: 1000 }, (_none, i) => (bits[i >> 3]! >> (i & 7)) & 1),
        currentAccumulator: accumulator,
        timestamp: time,
      });
    }
  });

  test('reads lists each time', async () => {
    const registry = make();
    const read = async () => (await registry.getRevocationStatusList(context, REGISTRY, 2_000_000_000)).resolutionMetadata.code;
    assert.equal(await read(), 'object-not-found');
    putLog('whole and toggled');
    assert.equal(await read(), undefined);
    put(headBox(parseId(REGISTRY)), new Uint8Array(40));
    assert.equal(await read(), 'object-invalid');
  });

  test('reads again where a record came between two reads', async () => {
    const { head, reads } = putLog('whole and toggled');
    const late = bytes(head);
    put(headBox(parseId(REGISTRY)), late.with(32, late[32]! ^ 1));
    fault = (_response, name) => {
      if (name.startsWith('Z')) put(headBox(parseId(REGISTRY)), late);
      return false;
    };
    const { revocationStatusList } = await make().getRevocationStatusList(context, REGISTRY, 2_000_000_000);
    assert.equal(revocationStatusList?.timestamp, reads.at(-1)?.time);
  });

  test('answers with a reason where there is nothing, or something else', async () => {
    const registry = make();
    const because = async (id: string) => {
      const { schema: found, resolutionMetadata } = await registry.getSchema(context, id);
      assert.equal(found, undefined);
      assert.ok(resolutionMetadata.message);
      return [resolutionMetadata.error, resolutionMetadata.code];
    };
    assert.deepEqual(await because(`${schema.id.slice(0, -1)}A`), ['notFound', 'object-not-found']);
    assert.deepEqual(await because(schema.id.replace('1001', '1002')), ['notFound', 'object-not-found']);
    assert.deepEqual(await because(REGISTRY), ['invalid', 'identifier-invalid']);
    assert.deepEqual(await because('did:algo:x'), ['invalid', 'identifier-invalid']);
    assert.deepEqual(await because(schema.id.replace(':custom', ':testnet')), ['network-unknown', 'network-unknown']);
    const other = vectors.objects.find((one) => one.error === 'object-invalid')!;
    boxes.set(other.box, other.value);
    assert.deepEqual(await because(other.id), ['invalid', 'object-invalid']);
    const continued = vectors.objects.find((one) => one.parts)!;
    boxes.delete(continued.parts![1]!.box);
    assert.deepEqual(await because(continued.id), ['notFound', 'object-not-found']);
  });

  const faults: Record<string, (response: ServerResponse, name: string) => boolean> = {
    'is silent': () => true,
    'stops in the middle': (response) => {
      response.writeHead(200).write('{');
      return true;
    },
    'sends too much': (response) => {
      response.end(' '.repeat(300_000));
      return true;
    },
    'sends elsewhere': (response) => {
      response.writeHead(302, { location: `${urlOf()}/v2/transactions/params` }).end();
      return true;
    },
    'is out of order': (response) => answer(response, 500, { message: 'out of order' }),
    'answers with text': (response) => {
      response.end('<html>');
      return true;
    },
    'has another box': (response) => answer(response, 200, { name: 'AAAA', value: schema.value }),
    'has no base64': (response, name) => answer(response, 200, { name, value: 'not base64!' }),
    'does not know the path': (response) => answer(response, 404, { message: 'Not Found' }),
  };
  for (const [what, misbehave] of Object.entries(faults))
    test(`answers ledger-unavailable where the node ${what}`, async () => {
      fault = misbehave;
      const registry = make({}, 500);
      const { schema: found, resolutionMetadata } = await registry.getSchema(context, schema.id);
      assert.deepEqual([found, resolutionMetadata.error], [undefined, 'ledger-unavailable'], resolutionMetadata.message);
      fault = undefined;
      assert.ok((await registry.getSchema(context, schema.id)).schema, 'and goes on when it behaves');
    });

  test('answers ledger-unavailable for a wrong token, another network, and no node', async () => {
    for (const [change, reason] of [
      [{ token: '' }, /401/],
      [{ genesisHash: 'b3RoZXI=' }, /genesis/],
      [{ url: 'http://127.0.0.1:1' }, /reached/],
    ] as const)
      assert.match(String((await make(change).getSchema(context, schema.id)).resolutionMetadata.message), reason);
  });

  test('refuses to register, and throws nothing', async () => {
    const registry = make();
    const { schemaState } = await registry.registerSchema(context, {
      schema: { issuerId: vectors.names.did!, name: 'a', version: '1', attrNames: ['a'] },
      options: {},
    });
    assert.equal(schemaState.state, 'failed');
  });

  test('refuses options that cannot be used', () => {
    const url = 'http://node.example';
    assert.throws(() => nodesOf({ networks: { othernet: { url } } as object }), /othernet/);
    assert.throws(() => nodesOf({ networks: { custom: { url: 'ftp://x' } } }), /custom/);
    assert.throws(() => nodesOf({ networks: { custom: { url } }, timeoutMs: 0 }), /timeoutMs/);
  });
});
