import { openAnonCreds } from '../src/adapters/anoncreds/anoncreds.ts';
import { checkPresentation } from '../src/formats/anoncreds-checks.ts';
import { encodeValues, newNonce } from '../src/formats/anoncreds-values.ts';
import type { AnonCreds, PresentationRequest } from '../src/ports/anoncreds.ts';
import { median } from './reference.ts';

/** One line of the table: CPU milliseconds of one operation by the bare library in this thread, and through the engine with its checks and its worker. */
export interface Row {
  name: string;
  bare: number;
  engine: number;
}

const ROUNDS = 21;

/** What is issued and proved, here and between agents: one attribute shown, one predicate. */
export const BENCH_ROW = { full_name: 'Amara Okafor', degree: 'BSc Computer Science', faculty: 'Engineering', graduation_year: '2021' };

/** CPU milliseconds of this process that `work` takes, which others on the machine do not lengthen, and its result. */
async function timed<Value>(times: number[], work: () => Value | Promise<Value>): Promise<Value> {
  const start = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(start);
  times.push((user + system) / 1000);
  return value;
}

/** Times issuing, holding, presenting and verifying under a fresh key; needs the folder of the library. */
export async function run(libraryPath: string): Promise<Row[]> {
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  const issuerId = `did:algo:custom:app:1001:${'ab'.repeat(32)}`;
  const schemaId = `${issuerId}/anoncreds/v1/SCHEMA/${'x'.repeat(32)}`;
  const credentialDefinitionId = `${issuerId}/anoncreds/v1/CLAIM_DEF/${'x'.repeat(32)}`;
  const schema = await engine.createSchema('bench', { name: 'bench', version: '1.0', issuerId, attrNames: Object.keys(BENCH_ROW) });
  const made = await engine.createCredentialDefinition('bench', { schemaId, schema, issuerId, tag: 'bench' });
  const { credentialDefinition, keyCorrectnessProof, private: secret } = made;
  const request: PresentationRequest = {
    name: 'bench',
    version: '1.0',
    nonce: newNonce(),
    requested_attributes: { shown: { name: 'full_name' } },
    requested_predicates: { enough: { name: 'graduation_year', p_type: '>=', p_value: 2000 } },
  };
  const values = encodeValues(BENCH_ROW);
  const objects = { schemas: { [schemaId]: schema }, credentialDefinitions: { [credentialDefinitionId]: credentialDefinition } };
  const prove = { attributes: [{ referent: 'shown', reveal: true }], predicates: ['enough'] };

  const names = [
    'createOffer',
    'createRequest',
    'createCredential',
    'processCredential',
    'createPresentation',
    'verifyPresentation',
  ] as const;
  const fresh = (): Record<(typeof names)[number], number[]> => ({
    createOffer: [],
    createRequest: [],
    createCredential: [],
    processCredential: [],
    createPresentation: [],
    verifyPresentation: [],
  });

  const through = async (engine: AnonCreds, times: ReturnType<typeof fresh>): Promise<void> => {
    const t = 'bench';
    const linkSecret = await engine.createLinkSecret(t);
    const offer = await timed(times.createOffer, () => engine.createOffer(t, { schemaId, credentialDefinitionId, keyCorrectnessProof }));
    const asked = { offer, credentialDefinition, linkSecret, linkSecretId: 'x', entropy: 'e' };
    const made = await timed(times.createRequest, () => engine.createRequest(t, asked));
    const input = { credentialDefinition, private: secret, offer, request: made.request, values };
    const issued = await timed(times.createCredential, () => engine.createCredential(t, input));
    const held = { credential: issued, metadata: made.metadata, linkSecret, credentialDefinition };
    const credential = await timed(times.processCredential, () => engine.processCredential(t, held));
    const shown = { request, credentials: [{ credential, ...prove }], selfAttested: {}, linkSecret, ...objects };
    const presentation = await timed(times.createPresentation, () => engine.createPresentation(t, shown));
    const { verified } = await timed(times.verifyPresentation, () => engine.verifyPresentation(t, { request, presentation, ...objects }));
    if (!verified) throw new Error('the presentation does not verify');
  };

  // The wrapper finds its library by this variable alone.
  process.env.LIB_ANONCREDS_PATH = libraryPath;
  const { CredentialOffer, CredentialRequest, Credential, LinkSecret, Presentation } = await import('@hyperledger/anoncreds-nodejs');
  const definition = { ...credentialDefinition };
  const bareRequest = { ...request };
  const bare = async (times: ReturnType<typeof fresh>): Promise<void> => {
    const linkSecret = LinkSecret.create();
    const offer = await timed(times.createOffer, () => CredentialOffer.create({ schemaId, credentialDefinitionId, keyCorrectnessProof }));
    const asked = { credentialOffer: offer, credentialDefinition: definition, linkSecret, linkSecretId: 'x', entropy: 'e' };
    const made = await timed(times.createRequest, () => CredentialRequest.create(asked));
    const input = {
      credentialDefinition: definition,
      credentialDefinitionPrivate: secret,
      credentialOffer: offer,
      credentialRequest: made.credentialRequest,
      attributeRawValues: Object.fromEntries(Object.entries(values).map(([name, { raw }]) => [name, raw])),
      attributeEncodedValues: Object.fromEntries(Object.entries(values).map(([name, { encoded }]) => [name, encoded])),
    };
    const credential = await timed(times.createCredential, () => Credential.create(input));
    const held = { credentialRequestMetadata: made.credentialRequestMetadata, linkSecret, credentialDefinition: definition };
    await timed(times.processCredential, () => credential.process(held));
    const shown = {
      presentationRequest: bareRequest,
      credentials: [{ credential }],
      credentialsProve: [
        ...prove.attributes.map(({ referent }) => ({ entryIndex: 0, referent, isPredicate: false, reveal: true })),
        ...prove.predicates.map((referent) => ({ entryIndex: 0, referent, isPredicate: true, reveal: true })),
      ],
      selfAttest: {},
      linkSecret,
      schemas: { [schemaId]: { ...schema } },
      credentialDefinitions: { [credentialDefinitionId]: definition },
    };
    const presentation = await timed(times.createPresentation, () => Presentation.create(shown));
    const { schemas, credentialDefinitions } = shown;
    await timed(times.verifyPresentation, () => presentation.verify({ presentationRequest: bareRequest, schemas, credentialDefinitions }));
    for (const native of [offer, made.credentialRequest, made.credentialRequestMetadata, credential, presentation]) native.handle.clear();
  };

  const [direct, checked] = [fresh(), fresh()];
  try {
    // Once for each, unmeasured; then by turns.
    await bare(fresh());
    await through(engine, fresh());
    for (let round = 0; round < ROUNDS; round++) {
      await bare(direct);
      await through(engine, checked);
    }
  } finally {
    await engine.close();
  }
  return names.map((name) => ({ name, bare: median(direct[name]), engine: median(checked[name]) }));
}
