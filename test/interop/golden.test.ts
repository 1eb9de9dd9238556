import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createWorld } from '../support/agents.ts';
import { type Shapes, shapesOf } from '../support/golden.ts';
import { exchangeShapes } from '../support/golden-exchanges.ts';
import { acapyVersions, bringAcapy, startAcapy } from './acapy.ts';
import { ROOT } from './processes.ts';

/** Whether the golden shapes are still those of a running ACA-Py. With FLEXID_RECORD=1 they are written anew. */

const FOLDER = join(ROOT, 'test/vectors/acapy-golden');
const reason = await bringAcapy();
const world = createWorld();
after(() => world.close());

async function held(name: string, shapes: Shapes, how: string): Promise<void> {
  const file = join(FOLDER, `${name}.json`);
  if (process.env.FLEXID_RECORD === '1') {
    const version = (await acapyVersions()).acapy_agent;
    const origin = `acapy-agent ${version} from PyPI: two agents on loopback, wallet type askar-anoncreds, no ledger${how} (test/interop/golden.test.ts)`;
    writeFileSync(file, `${JSON.stringify({ origin, version, shapes }, undefined, 2)}\n`);
    return;
  }
  assert.deepEqual(shapes, JSON.parse(readFileSync(file, 'utf8')).shapes);
}

test('two ACA-Py agents show what the golden file of connections says', { skip: reason }, async () => {
  const [inviter, invitee] = await Promise.all([startAcapy(world, 'inviter'), startAcapy(world, 'invitee')]);
  await held('connections', await shapesOf(inviter, invitee), '');
});

/** Contexts that ACA-Py has in itself: nothing is fetched. */
const CONTEXTS = ['https://www.w3.org/2018/credentials/v1', 'https://w3id.org/citizenship/v1'];

for (const [name, flags] of [
  ['exchanges', []],
  ['exchanges-debug', ['--debug-webhooks']],
] as const) {
  test(`two ACA-Py agents show what the golden file of ${name} says`, { skip: reason }, async () => {
    const [issuer, holder] = await Promise.all([startAcapy(world, `issuer-${name}`, flags), startAcapy(world, `holder-${name}`, flags)]);
    const didOf = async (agent: typeof issuer): Promise<string> =>
      (await agent.post('/wallet/did/create', { method: 'key', options: { key_type: 'ed25519' } })).result.did;
    const [from, to] = [await didOf(issuer), await didOf(holder)];
    const credential = {
      '@context': CONTEXTS,
      id: 'urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6',
      type: ['VerifiableCredential', 'PermanentResidentCard'],
      issuer: from,
      issuanceDate: '2026-01-01T00:00:00Z',
      identifier: '1',
      name: 'a card',
      description: 'of a resident',
      credentialSubject: { id: to, type: ['PermanentResident'], givenName: 'Eva' },
    };
    const shapes = await exchangeShapes(issuer, holder, {
      issue: 'ld_proof',
      prove: 'dif',
      filter: { ld_proof: { credential, options: { proofType: 'Ed25519Signature2018' } } },
      request: { holder_did: to },
      presentation: {
        options: { challenge: '3fa85f64-5717-4562-b3fc-2c963f66afa7', domain: 'golden' },
        presentation_definition: {
          id: '32f54163-7166-48f1-93d8-ff217bdb0654',
          format: { ldp_vp: { proof_type: ['Ed25519Signature2018'] } },
          input_descriptors: [
            {
              id: 'card',
              name: 'card',
              schema: [{ uri: 'https://www.w3.org/2018/credentials#VerifiableCredential' }],
              constraints: { fields: [{ path: ['$.credentialSubject.givenName'], purpose: 'a name' }] },
            },
          ],
        },
      },
      choose: (_fitting, request) => ({ presentation_definition: request.presentation_definition }),
    });
    await held(name, shapes, `, ld_proof over did:key and dif${flags.map((flag) => `, ${flag}`).join('')}`);
  });
}
