import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Body, createWorld } from '../support/agents.ts';
import { findPython } from './acapy.ts';
import { CACHE, installOnce, ROOT, run } from './processes.ts';

/** A controller that was written against ACA-Py, acapy-controller from PyPI, unmodified, drives two of our agents (old_controller.py). */

const PACKAGE = 'acapy-controller[models]==0.3.0';
const FOLDER = join(CACHE, 'acapy-controller');
const PYTHON = join(FOLDER, 'bin', 'python');
/** What the library's models, made from ACA-Py's OpenAPI document, do not take: Indy's patterns and what they entail (docs/deviations.md). */
const pattern = (...members: string[]): string[] => members.map((member) => `${member} string_pattern_mismatch`);
const UNTYPED = {
  issuer: {
    '/issue-credential/records': [
      ...pattern(
        'results.credential.cred_def_id',
        'results.credential.schema_id',
        'results.credential_definition_id',
        'results.credential_offer.cred_def_id',
        'results.credential_offer.schema_id',
        'results.credential_proposal_dict.cred_def_id',
        'results.credential_request.cred_def_id',
      ),
      'results.credential_request.prover_did missing',
      ...pattern('results.schema_id'),
    ],
    '/schemas/created': pattern('schema_ids'),
    '/credential-definitions/created': pattern('credential_definition_ids'),
  },
  holder: { '/credentials': pattern('results.cred_def_id', 'results.schema_id') },
};
const LIMIT_MS = 180_000;

const python = await findPython();
const reason = python ? undefined : 'acapy-controller runs on Python 3.13 here: put python3.13 on the path or name it in FLEXID_PYTHON313';
if (reason) process.stdout.write(`acapy-controller is skipped: ${reason}\n`);

describe('acapy-controller', { skip: reason }, () => {
  const world = createWorld();
  let devnet: Awaited<ReturnType<typeof world.devnet>>;

  before(async () => {
    await installOnce(FOLDER, '.installed', async () => {
      rmSync(FOLDER, { recursive: true, force: true });
      const made = await run(python!.program, ['-m', 'venv', FOLDER], { env: python!.env });
      if (made.code !== 0) return made;
      return run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PACKAGE], {});
    });
    devnet = await world.devnet();
  });
  after(() => world.close());

  for (const [type, exchanges] of [
    ['askar-anoncreds', [['anoncreds v2', 'done']]],
    [
      'askar',
      [
        ['indy v2', 'done'],
        ['indy v1', 'credential_acked'],
      ],
    ],
  ] as const)
    test(`its helpers connect, issue and prove where the wallet is of type ${type}`, { timeout: LIMIT_MS }, async () => {
      // the library opens /ws without a key; like with ACA-Py it reads more of a record than the terse webhooks tell
      const flags = ['--debug-webhooks', '--public-invites', '--monitor-ping', '--wallet-type', type];
      const spec = { devnet, insecure: true, noWebhook: true, flags };
      const [issuer, holder] = await Promise.all([
        world.start(`issuer-${type}`, { ...spec, sponsor: true }),
        world.start(`holder-${type}`, spec),
      ]);
      const { code, text } = await run(PYTHON, [join(ROOT, 'test/interop/old_controller.py'), issuer.admin, holder.admin], {
        timeout: LIMIT_MS,
      });
      const steps: Body[] = text
        .split('\n')
        .filter((line) => line.startsWith('{"step"'))
        .map((line) => JSON.parse(line));
      const of = (name: string): Body => {
        const found = steps.find(({ step }) => step === name);
        assert.ok(found, `no step ${name}:\n${text}`);
        return found;
      };
      process.stdout.write(`peer: acapy-controller ${of('version').acapy_controller}\n`);
      assert.equal(code, 0, text);
      const { issuer: one, holder: two, wallet } = of('settings');
      assert.deepEqual([one, two, wallet], [`issuer-${type}`, `holder-${type}`, type]);
      for (const way of ['connection', 'connection multi_use', 'didexchange', 'didexchange public'])
        assert.deepEqual(of(way).states, ['completed', 'completed'], way);
      for (const [step, state] of exchanges) {
        const { verified, issued, held } = of(step);
        assert.deepEqual([verified, issued, held], ['true', state, state], step);
      }
      // only the Indy helpers leave exchanges of issue-credential 1.0
      const { '/issue-credential/records': v1, ...rest } = UNTYPED.issuer;
      const expected = type === 'askar' ? UNTYPED.issuer : rest;
      assert.ok(v1.length > 0);
      assert.deepEqual({ issuer: of('models').issuer, holder: of('models').holder }, { issuer: expected, holder: UNTYPED.holder });
      assert.deepEqual(of('credentials').names, exchanges.map(([step]) => `Alice of ${step}`).sort());
    });
});
