import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, suite, test } from 'node:test';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { AppError, type ErrorCode } from '../../src/errors.ts';
import { revokedIn } from '../../src/formats/registry-index.ts';
import { revocationWork } from '../../src/formats/revocation-work.ts';
import { statusOf } from '../../src/formats/status-list.ts';
import type { WorkContext } from '../../src/kernel/work.ts';
import type { RevocationRegistryDefinition, RevocationStatusList } from '../../src/ports/anoncreds.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import type { RevocationStatus } from '../../src/ports/ledger.ts';
import type { MadeRegistry } from '../../src/resources/revocation/registry.ts';
import { revocationFixture, world } from '../support/revocation.ts';

/** The slow work of registries: nothing of one is for the ledger before its tails are served, and a log goes on from what the ledger has. */

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const skip = libraryPath !== undefined && existsSync(libraryPath) ? false : 'LIB_ANONCREDS_PATH names no folder';

suite('the making of a revocation registry', { skip }, () => {
  const engine = openAnonCreds({ libraryPath, checkPresentation: () => [], workers: 1 });
  const folder = mkdtempSync(join(tmpdir(), 'flexid-registry-work-'));
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { id: definitionId, credentialDefinition, private: key } = world.definitions.revocable;
  const input = { registry: 'reg', cred_def_id: definitionId, issuerId: world.schema.issuerId, tag: '0', max_cred_num: 4 };

  /** Keys of the wallet, by id, and the tails that are served or kept. */
  let keys: Map<string, Uint8Array>;
  let kept: Uint8Array | undefined;
  let fault: AppError | undefined;
  beforeEach(() => {
    keys = new Map([[`cred-def:${definitionId}`, Buffer.from(JSON.stringify({ private: key }))]]);
    kept = undefined;
    fault = undefined;
  });
  const context = (anoncreds = engine): WorkContext =>
    ({
      tenant: 'issuer',
      anoncreds,
      store: {
        key: async (_tenant: string, kid: string) => {
          const secret = keys.get(kid);
          return secret && { secret };
        },
      },
      ledger: () => ({
        read: async () => credentialDefinition,
        idOf: () => 'did:example:issuer/R',
      }),
      async tails() {
        if (!kept) throw new AppError('tails-unavailable', 'it is gone');
        const path = join(folder, 'tails');
        writeFileSync(path, kept);
        return path;
      },
      async publishTails(bytes: Uint8Array) {
        kept = bytes;
        if (fault) throw fault;
        return { hash: 'h', location: 'https://issuer.example/tails/h' };
      },
    }) as unknown as WorkContext;
  const make = async (ctx = context()): Promise<MadeRegistry> => (await revocationWork['anoncreds/registry']!(ctx, input)) as MadeRegistry;
  const hashOf = (definition: unknown): string => (definition as RevocationRegistryDefinition).value.tailsHash;
  const code = (wanted: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === wanted && error.row.retry === true;

  /** What the step keeps of a registry whose tails are not served. */
  const unserved = async (): Promise<string> => {
    fault = new AppError('tails-unavailable', 'the tails server is down');
    const { later, id, definition, secret } = await make();
    assert.deepEqual([later, id, definition], ['the tails server is down', undefined, undefined], 'nothing for the ledger');
    keys.set('rev-reg:reg', secret!);
    fault = undefined;
    return hashOf((JSON.parse(Buffer.from(secret!).toString()) as { definition: JsonObject }).definition);
  };

  test('[P5] whose tails are served later is the same one', async () => {
    const hash = await unserved();
    const { id, definition } = await make();
    assert.ok(id);
    assert.equal(hashOf(definition), hash);
  });

  test('[P6] whose tails were lost before they were served is made anew', async () => {
    const hash = await unserved();
    kept = undefined;
    const { id, definition, secret } = await make();
    assert.ok(id && secret);
    assert.notEqual(hashOf(definition), hash);
  });

  test('on a disk that is full, or by a worker that dies, comes to nothing, and is tried again', async () => {
    fault = new AppError('store-full');
    await assert.rejects(make(), code('store-full'));
    const dying = {
      ...engine,
      createRevocationRegistry: () => Promise.reject(new AppError('anoncreds-busy', 'The AnonCreds worker ended')),
    } as typeof engine;
    fault = undefined;
    await assert.rejects(make(context(dying)), code('anoncreds-busy'));
    assert.equal(keys.size, 1, 'no key of a registry is kept');
    assert.ok((await make()).id);
  });
});

suite('the next record of a revocation log', { skip }, () => {
  const engine = openAnonCreds({ libraryPath, checkPresentation: () => [], workers: 1 });
  const fixture = revocationFixture(engine);
  after(async () => {
    await engine.close();
    fixture.close();
  });
  const { id: definitionId, credentialDefinition } = world.definitions.revocable;
  const { id: registryId, definition, private: key } = world.registries.first;

  /** What is published where these are pending, on a list of the ledger. */
  const next = async (list: RevocationStatusList, pending: readonly number[], due: 'all' | readonly number[] = 'all') => {
    const ctx = {
      tenant: 'issuer',
      anoncreds: engine,
      store: {
        load: async () => [[{ id: 'reg', value: { rev_reg_id: registryId, cred_def_id: definitionId, definition } }]],
        key: async () => ({ secret: Buffer.from(JSON.stringify({ private: key })) }),
        find: async () => ({ rows: pending.map((index) => ({ value: { index } })) }),
      },
      ledger: () => ({
        read: async () => credentialDefinition,
        statusAt: async (_id: string, _time: undefined, { fresh }: { fresh: boolean }) => {
          assert.equal(fresh, true, 'past what was read before');
          return { status: statusOf(list), time: list.timestamp, entries: 7 };
        },
      }),
    } as unknown as WorkContext;
    const made = (await revocationWork['anoncreds/status']!(ctx, { registry: 'reg', due })) as {
      status: RevocationStatus;
      expected?: number;
    };
    const isRevoked = revokedIn(made.status);
    return { revoked: [1, 2, 3, 4, 5].filter(isRevoked), expected: made.expected };
  };

  test('[P3] goes on from what the ledger has, which this wallet may not know of', async () => {
    const [, list] = await fixture.lists('first', [[1000], [2000, 2, 4]]);
    assert.deepEqual(await next(list!, [1, 3]), { revoked: [1, 2, 3, 4], expected: 7 });
    assert.deepEqual(await next(list!, [1, 3], [3]), { revoked: [2, 3, 4], expected: 7 });
    assert.deepEqual(await next(list!, [2, 4]), { revoked: [2, 4], expected: undefined }, 'nothing to write');
  });
});
