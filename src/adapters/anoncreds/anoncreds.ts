import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import {
  type AnonCreds,
  type AnonCredsSchema,
  type Credential,
  type CredentialDefinition,
  type CredentialOffer,
  type CredentialRequest,
  KEY_MS,
  type Presentation,
  type PresentationCheck,
  type PresentationRequest,
  type Refusal,
  registryMs,
  type VerifyInput,
} from '../../ports/anoncreds.ts';
import type { JsonObject } from '../../ports/json.ts';
import { demandIssuable, revoking } from './revoking.ts';
import { demand, type Place, type Run } from './run.ts';
import * as shapes from './shapes.ts';
import { workerPool } from './worker-pool.ts';

export interface AnonCredsOptions {
  /** The folder that holds the native library; without it the usual places are searched. */
  libraryPath?: string;
  /** The checks of `formats`, which this adapter may not import: a presentation that fails them is refused before the library sees it. */
  checkPresentation: PresentationCheck;
  /** Worker threads; default: one less than the cores, at least one. */
  workers?: number;
  /** Limits in milliseconds; default 30 s, 120 s for keys. */
  timeoutMs?: number;
  keyTimeoutMs?: number;
  /** Limit of a revocation registry; default `registryMs`. */
  registryTimeoutMs?: number;
  /** Jobs that may wait in all (1,000) and of one tenant (250). */
  maxQueue?: number;
  maxPerTenant?: number;
  /** Another worker file, for tests of the pool. */
  worker?: URL;
  /** How long calls that run may go on at `close`; default 25 s. */
  closeMs?: number;
  /** After how long without a call a worker ends; default 30 s. */
  idleMs?: number;
}

/** A worker holds 20 MiB and starts in a fifth of a second. */
const IDLE_MS = 30_000;

/** The engine over the official library, in worker threads. `close` ends the workers. */
export function openAnonCreds(options: AnonCredsOptions): AnonCreds & { close(): Promise<void> } {
  const common = {
    worker: options.worker ?? new URL('./worker.ts', import.meta.url),
    env: {
      ...(options.libraryPath === undefined ? {} : { LIB_ANONCREDS_PATH: options.libraryPath }),
      // where the tails of a registry are made
      TMPDIR: tmpdir(),
    },
    closeMs: options.closeMs,
  };
  const pool = workerPool({
    ...common,
    size: Math.max(1, options.workers ?? availableParallelism() - 1),
    maxQueue: options.maxQueue ?? 1000,
    maxPerTenant: options.maxPerTenant ?? 250,
    idleMs: options.idleMs ?? IDLE_MS,
  });
  // keys take seconds to minutes of a core: they have threads of their own, of lower priority, which end when there is nothing to make
  const background = { maxQueue: 100, maxPerTenant: 4, idleMs: 10_000, background: true };
  const keys = workerPool({ ...common, ...background, size: Math.max(1, Math.floor((options.workers ?? availableParallelism() - 1) / 2)) });
  // one registry at a time, so that no key waits for one
  const registries = workerPool({ ...common, ...background, size: 1 });
  const present = options.worker !== undefined || libraryExists(options.libraryPath);

  /** Runs an operation and checks what comes out of native code. */
  const run: Run = async <Value>(
    tenant: string,
    operation: string,
    input: Record<string, unknown>,
    shape: shapes.Shape,
    place: Place = 'pool',
  ): Promise<Value> => {
    if (!present) throw new AppError('anoncreds-off');
    const value =
      place === 'pool'
        ? await pool.run(tenant, operation, input, options.timeoutMs ?? 30_000)
        : place === 'keys'
          ? await keys.run(tenant, operation, input, options.keyTimeoutMs ?? KEY_MS)
          : await registries.run(tenant, operation, input, options.registryTimeoutMs ?? registryMs(place.registryOf));
    const fault = shape(value, '');
    if (fault) throw new AppError('anoncreds-failed', `The AnonCreds library gave an unexpected result: ${fault}`);
    return value as Value;
  };

  const engine: AnonCreds & { close(): Promise<void> } = {
    ...issuing(run),
    ...revoking(run),
    ...holding(run),
    ...verifying(run, options.checkPresentation),

    status() {
      const reason = pool.off() ?? keys.off() ?? registries.off();
      if (present && reason === undefined) return { on: true, text: 'AnonCreds is on' };
      return { on: false, text: `${new AppError('anoncreds-off').message}${reason === undefined ? '' : ` (${reason.slice(0, 200)})`}` };
    },

    async close() {
      await Promise.all([pool.close(), keys.close(), registries.close()]);
    },
  };
  return Object.freeze(engine);
}

/** The issuer's calls. */
const issuing = (run: Run): Pick<AnonCreds, 'createSchema' | 'createCredentialDefinition' | 'createOffer' | 'createCredential'> => ({
  async createSchema(tenant, schema) {
    demand(shapes.schema, schema, 'schema');
    const { name, version, issuerId, attrNames } = schema;
    return run<AnonCredsSchema>(tenant, 'createSchema', { name, version, issuerId, attributeNames: [...attrNames] }, shapes.schema);
  },

  async createCredentialDefinition(tenant, { schemaId, schema, issuerId, tag, supportRevocation = false }) {
    demand(shapes.id, schemaId, 'schemaId');
    demand(shapes.schema, schema, 'schema');
    demand(shapes.id, issuerId, 'issuerId');
    demand(shapes.text(256), tag, 'tag');
    return run<{ credentialDefinition: CredentialDefinition; private: JsonObject; keyCorrectnessProof: JsonObject }>(
      tenant,
      'createCredentialDefinition',
      { schemaId, schema, issuerId, tag, signatureType: 'CL', supportRevocation },
      shapes.object({
        credentialDefinition: shapes.credentialDefinition,
        private: shapes.privateKey,
        keyCorrectnessProof: shapes.keyCorrectnessProof,
      }),
      'keys',
    );
  },

  async createOffer(tenant, { schemaId, credentialDefinitionId, keyCorrectnessProof }) {
    demand(shapes.id, schemaId, 'schemaId');
    demand(shapes.id, credentialDefinitionId, 'credentialDefinitionId');
    demand(shapes.keyCorrectnessProof, keyCorrectnessProof, 'keyCorrectnessProof');
    return run<CredentialOffer>(tenant, 'createOffer', { schemaId, credentialDefinitionId, keyCorrectnessProof }, shapes.offer);
  },

  async createCredential(tenant, input) {
    demand(shapes.credentialDefinition, input.credentialDefinition, 'credentialDefinition');
    demand(shapes.privateKey, input.private, 'private');
    demand(shapes.offer, input.offer, 'offer');
    demand(shapes.request, input.request, 'request');
    demand(shapes.values, input.values, 'values');
    const { revocation } = input;
    if ((revocation !== undefined) !== (input.credentialDefinition.value.revocation != null))
      throw new AppError('bad-request', 'A registry is needed for a credential that can be revoked, and for no other');
    if (revocation) demandIssuable(revocation);
    const entries = Object.entries(input.values);
    return run<Credential>(
      tenant,
      'createCredential',
      {
        credentialDefinition: input.credentialDefinition,
        credentialDefinitionPrivate: input.private,
        credentialOffer: input.offer,
        credentialRequest: input.request,
        attributeRawValues: Object.fromEntries(entries.map(([name, { raw }]) => [name, raw])),
        attributeEncodedValues: Object.fromEntries(entries.map(([name, { encoded }]) => [name, encoded])),
        ...(revocation && { revocation }),
      },
      shapes.credential,
    );
  },
});

/** The holder's calls. */
const holding = (run: Run): Pick<AnonCreds, 'createLinkSecret' | 'createRequest' | 'processCredential' | 'createPresentation'> => ({
  createLinkSecret: (tenant) => run<string>(tenant, 'createLinkSecret', {}, shapes.linkSecret),

  async createRequest(tenant, input) {
    const { offer, credentialDefinition, linkSecret, linkSecretId } = input;
    const entropy = 'entropy' in input ? input.entropy : undefined;
    const proverDid = 'proverDid' in input ? input.proverDid : undefined;
    demand(shapes.offer, offer, 'offer');
    demand(shapes.credentialDefinition, credentialDefinition, 'credentialDefinition');
    demand(shapes.linkSecret, linkSecret, 'linkSecret');
    demand(shapes.id, linkSecretId, 'linkSecretId');
    if ((entropy === undefined) === (proverDid === undefined)) throw new AppError('bad-request', 'One of entropy and proverDid is needed');
    demand(shapes.text(256), entropy ?? proverDid, 'entropy or proverDid');
    return run<{ request: CredentialRequest; metadata: JsonObject }>(
      tenant,
      'createRequest',
      {
        ...(entropy === undefined ? { proverDid } : { entropy }),
        credentialDefinition,
        linkSecret,
        linkSecretId,
        credentialOffer: offer,
      },
      shapes.object({ request: shapes.request, metadata: shapes.requestMetadata }),
    );
  },

  async processCredential(tenant, { credential, metadata, linkSecret, credentialDefinition, revocationRegistryDefinition: registry }) {
    demand(shapes.credential, credential, 'credential');
    demand(shapes.requestMetadata, metadata, 'metadata');
    demand(shapes.linkSecret, linkSecret, 'linkSecret');
    demand(shapes.credentialDefinition, credentialDefinition, 'credentialDefinition');
    demand(shapes.optional(shapes.registryDefinition), registry, 'revocationRegistryDefinition');
    const { r_credential: revocation } = (credential as { signature: { r_credential?: { i: number } | null } }).signature;
    const bound = credential.rev_reg_id != null;
    if (bound !== (revocation != null) || bound !== (registry !== undefined))
      throw new AppError('bad-request', 'A credential of a registry is signed for an index of it, and no other is');
    if (revocation && registry) demand(shapes.index(registry.value.maxCredNum), revocation.i, 'the index of the credential');
    return run<Credential>(
      tenant,
      'processCredential',
      {
        credential,
        credentialRequestMetadata: metadata,
        linkSecret,
        credentialDefinition,
        ...(registry && { revocationRegistryDefinition: registry }),
      },
      shapes.credential,
    );
  },

  async createPresentation(tenant, { request, credentials, selfAttested, linkSecret, schemas, credentialDefinitions }) {
    demand(shapes.presentationRequest, request, 'request');
    demand(shapes.list(shapes.presented, 100), credentials, 'credentials');
    demand(shapes.map(shapes.raw, 200), selfAttested, 'selfAttested');
    demand(shapes.linkSecret, linkSecret, 'linkSecret');
    demandObjects(schemas, credentialDefinitions);
    return run<Presentation>(
      tenant,
      'createPresentation',
      {
        presentationRequest: bare(
          request,
          credentials.some(({ state }) => state !== undefined),
        ),
        credentials: credentials.map(({ credential, timestamp, state }) =>
          state ? { credential, timestamp, revocationState: state } : { credential },
        ),
        credentialsProve: credentials.flatMap(({ attributes, predicates }, entryIndex) => [
          ...attributes.map(({ referent, reveal }) => ({ entryIndex, referent, isPredicate: false, reveal })),
          ...predicates.map((referent) => ({ entryIndex, referent, isPredicate: true, reveal: true })),
        ]),
        selfAttest: { ...selfAttested },
        linkSecret,
        schemas: { ...schemas },
        credentialDefinitions: { ...credentialDefinitions },
      },
      shapes.presentation,
    );
  },
});

/** The verifier's calls. */
const verifying = (run: Run, checkPresentation: PresentationCheck): Pick<AnonCreds, 'verifyPresentation'> => ({
  async verifyPresentation(tenant, input) {
    const { request, presentation, schemas, credentialDefinitions } = input;
    demand(shapes.presentationRequest, request, 'request');
    demandObjects(schemas, credentialDefinitions);
    // The presentation is the holder's, who also chose the registries: what is wrong with them is the answer.
    const fault = shapes.presentation(presentation, 'presentation');
    if (fault) return refused([{ reason: 'malformed', detail: fault }]);
    const strange = shapes.registries(input, '');
    if (strange) return refused([{ reason: 'object-missing', detail: strange }]);
    const refusals = checkPresentation(input);
    if (refusals.length > 0) return refused(refusals);
    if (presentation.identifiers.length === 0) return { verified: true, refusals: [] };
    try {
      const verified = await run<boolean>(
        tenant,
        'verifyPresentation',
        {
          ...normalised(input),
          schemas: { ...schemas },
          credentialDefinitions: { ...credentialDefinitions },
        },
        shapes.literal(true, false),
      );
      return verified ? { verified, refusals: [] } : refused([{ reason: 'proof-invalid' }]);
    } catch (error) {
      if (error instanceof AppError && error.code === 'anoncreds-failed')
        return refused([{ reason: 'proof-invalid', detail: error.message }]);
      throw error;
    }
  },
});

const refused = (refusals: Refusal[]): { verified: boolean; refusals: Refusal[] } => ({ verified: false, refusals });

/** An interval that every time is in. */
const ALWAYS = { from: 0, to: 2 ** 31 - 1 };

/**
 * The request without restrictions and intervals, which `checkPresentation` has judged: the library would judge them again by its own, narrower idea (it takes
 * `issuer_did` for unqualified DIDs only). Neither is bound into the proof. `revocable`: with one interval for all, so that each sub-proof of non-revocation is
 * made and computed.
 */
function bare(request: PresentationRequest, revocable: boolean): Record<string, unknown> {
  const { name, version, nonce, requested_attributes: attributes, requested_predicates: predicates } = request;
  return {
    name,
    version,
    nonce,
    requested_attributes: Object.fromEntries(
      Object.entries(attributes).map(([referent, one]) => [referent, one.names ? { names: [...one.names] } : { name: one.name ?? '' }]),
    ),
    requested_predicates: Object.fromEntries(
      Object.entries(predicates).map(([referent, one]) => [referent, { name: one.name, p_type: one.p_type, p_value: one.p_value }]),
    ),
    ...(revocable && { non_revoked: ALWAYS }),
  };
}

/**
 * The library's part in the check of a presentation that `checkPresentation` has passed. A sub-proof proves that its credential is not revoked where it had to and
 * nowhere else: only its identifier keeps registry and time, with the list that was in force then.
 */
function normalised({ request, presentation, revocationRegistryDefinitions: registries = {}, statusLists = [] }: VerifyInput) {
  const proven = presentation.proof.proofs.map(({ non_revoc_proof: proof }) => proof != null);
  const identifiers = presentation.identifiers.map(({ rev_reg_id: registry, timestamp, ...identifier }, index) =>
    proven[index] ? { ...identifier, rev_reg_id: registry, timestamp } : identifier,
  );
  const revocable = proven.includes(true);
  const lists = new Map(
    statusLists.map((one) => [JSON.stringify([one.registryId, one.timestamp]), { ...one.list, timestamp: one.timestamp }]),
  );
  return {
    presentation: { ...presentation, identifiers },
    presentationRequest: bare(request, revocable),
    ...(revocable && { revocationRegistryDefinitions: { ...registries }, revocationStatusLists: [...lists.values()] }),
  };
}

function demandObjects(schemas: unknown, credentialDefinitions: unknown): void {
  demand(shapes.map(shapes.schema, 100), schemas, 'schemas');
  demand(shapes.map(shapes.credentialDefinition, 100), credentialDefinitions, 'credentialDefinitions');
}

/** Whether the wrapper will find the library, by its own search order: given folder, its package, the system. */
function libraryExists(libraryPath: string | undefined): boolean {
  const file = process.platform === 'win32' ? 'anoncreds.dll' : process.platform === 'darwin' ? 'libanoncreds.dylib' : 'libanoncreds.so';
  const folders = libraryPath === undefined ? [] : [libraryPath];
  try {
    folders.push(join(dirname(createRequire(import.meta.url).resolve('@hyperledger/anoncreds-nodejs')), '..', 'native'));
  } catch {
    return false;
  }
  if (process.platform === 'win32') folders.push('c:\\windows\\system32');
  else folders.push('/usr/lib', '/usr/local/lib', '/opt/homebrew/opt');
  return folders.some((folder) => existsSync(join(folder, file)));
}
