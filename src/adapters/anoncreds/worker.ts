/**
 * The worker's side of the AnonCreds engine: the library is synchronous and slow, so it runs here. One message in, one out; nothing is kept between messages.
 * Handles of native objects are freed as soon as their JSON is taken: the wrapper leaves that to us.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { standBack } from '../../background.ts';
import type { JsonObject } from '../../ports/json.ts';

type Library = typeof import('@hyperledger/anoncreds-nodejs');

/** A message of the main thread. */
export interface Call {
  id: number;
  operation: string;
  input: Record<string, unknown>;
}

/** A message to the main thread: `ready` once after the start, then an answer for each call. */
export type Reply = { ready: true } | { ready: false; reason: string } | { id: number; value: unknown } | { id: number; error: string };

interface Native {
  handle: { clear(): void };
  toJson(): Record<string, unknown>;
}

/** The JSON of a native object, which is freed. */
function take(native: Native): Record<string, unknown> {
  try {
    return native.toJson();
  } finally {
    native.handle.clear();
  }
}

/** Runs with native objects, which are freed afterwards. */
function using<Value>(run: (open: <One extends { handle: { clear(): void } }>(one: One) => One) => Value): Value {
  const opened: { handle: { clear(): void } }[] = [];
  try {
    return run((one) => {
      opened.push(one);
      return one;
    });
  } finally {
    for (const { handle } of opened) handle.clear();
  }
}

const operations: Record<string, (library: Library, input: never) => unknown> = {
  createSchema: (library, input: { name: string; version: string; issuerId: string; attributeNames: string[] }) =>
    take(library.Schema.create(input)),

  createCredentialDefinition(
    library,
    input: { schemaId: string; schema: JsonObject; signatureType: string; tag: string; issuerId: string; supportRevocation: boolean },
  ) {
    const made = library.CredentialDefinition.create(input);
    return {
      credentialDefinition: take(made.credentialDefinition),
      private: take(made.credentialDefinitionPrivate),
      keyCorrectnessProof: take(made.keyCorrectnessProof),
    };
  },

  createOffer: (library, input: { schemaId: string; credentialDefinitionId: string; keyCorrectnessProof: JsonObject }) =>
    take(library.CredentialOffer.create(input)),

  createLinkSecret: (library) => library.LinkSecret.create(),

  createRequest(
    library,
    input: {
      entropy?: string;
      proverDid?: string;
      credentialDefinition: JsonObject;
      linkSecret: string;
      linkSecretId: string;
      credentialOffer: JsonObject;
    },
  ) {
    const made = library.CredentialRequest.create(input);
    return { request: take(made.credentialRequest), metadata: take(made.credentialRequestMetadata) };
  },

  createCredential(
    library,
    {
      revocation,
      ...input
    }: {
      credentialDefinition: JsonObject;
      credentialDefinitionPrivate: JsonObject;
      credentialOffer: JsonObject;
      credentialRequest: JsonObject;
      attributeRawValues: Record<string, string>;
      attributeEncodedValues: Record<string, string>;
      revocation?: { definition: JsonObject; definitionId: string; private: JsonObject; list: JsonObject; index: number };
    },
  ) {
    if (!revocation) return take(library.Credential.create(input));
    const { definition, definitionId, private: key, list, index } = revocation;
    return using((open) => {
      const statusList = open(library.RevocationStatusList.fromJson(list));
      const revocationConfiguration = new library.CredentialRevocationConfig({
        registryDefinition: open(library.RevocationRegistryDefinition.fromJson(definition)),
        registryDefinitionPrivate: open(library.RevocationRegistryDefinitionPrivate.fromJson(key)),
        statusList,
        registryIndex: index,
      });
      const options = { ...input, revocationRegistryId: definitionId, revocationStatusList: statusList, revocationConfiguration };
      return take(library.Credential.create(options));
    });
  },

  createRevocationRegistry(
    library,
    input: {
      credentialDefinition: JsonObject;
      credentialDefinitionId: string;
      issuerId: string;
      tag: string;
      revocationRegistryType: string;
      maximumCredentialNumber: number;
    },
  ) {
    // the library writes the tails into a folder, under their hash
    const tailsDirectoryPath = mkdtempSync(join(tmpdir(), 'flexid-tails-'));
    try {
      const made = library.RevocationRegistryDefinition.create({ ...input, tailsDirectoryPath });
      const key = take(made.revocationRegistryDefinitionPrivate);
      const definition = take(made.revocationRegistryDefinition) as { value: { tailsLocation: string; tailsHash: string } };
      const tails = new Uint8Array(readFileSync(definition.value.tailsLocation));
      definition.value.tailsLocation = '';
      return { definition, private: key, tails };
    } finally {
      rmSync(tailsDirectoryPath, { recursive: true, force: true });
    }
  },

  createStatusList: (library, input: Parameters<Library['RevocationStatusList']['create']>[0]) =>
    take(library.RevocationStatusList.create(input)),

  updateStatusList(
    library,
    { list, ...input }: { list: JsonObject } & Parameters<InstanceType<Library['RevocationStatusList']>['update']>[0],
  ) {
    const statusList = library.RevocationStatusList.fromJson(list);
    // an update replaces the handle and leaves the former one to us
    const { handle: former } = statusList;
    try {
      statusList.update(input);
      return statusList.toJson();
    } finally {
      if (statusList.handle !== former) statusList.handle.clear();
      former.clear();
    }
  },

  createRevocationState(
    library,
    input: { definition: JsonObject; list: JsonObject; index: number; tails: string; former?: { state: JsonObject; list: JsonObject } },
  ) {
    return using((open) => {
      const options = {
        revocationRegistryDefinition: open(library.RevocationRegistryDefinition.fromJson(input.definition)),
        revocationStatusList: open(library.RevocationStatusList.fromJson(input.list)),
        revocationRegistryIndex: input.index,
        tailsPath: input.tails,
      };
      if (!input.former) return take(library.CredentialRevocationState.create(options));
      const oldRevocationState = open(library.CredentialRevocationState.fromJson(input.former.state));
      const oldRevocationStatusList = open(library.RevocationStatusList.fromJson(input.former.list));
      const state = library.CredentialRevocationState.fromJson(input.former.state);
      const { handle } = state;
      try {
        state.update({ ...options, oldRevocationState, oldRevocationStatusList });
        return take(state);
      } finally {
        handle.clear();
      }
    });
  },

  processCredential(
    library,
    input: {
      credential: JsonObject;
      credentialRequestMetadata: JsonObject;
      linkSecret: string;
      credentialDefinition: JsonObject;
      revocationRegistryDefinition?: JsonObject;
    },
  ) {
    const credential = library.Credential.fromJson(input.credential);
    try {
      credential.process(input);
      return credential.toJson();
    } finally {
      credential.handle.clear();
    }
  },

  createPresentation: (library, input: Parameters<Library['Presentation']['create']>[0]) => take(library.Presentation.create(input)),

  verifyPresentation(
    library,
    input: {
      presentation: JsonObject;
      presentationRequest: JsonObject;
      schemas: Record<string, JsonObject>;
      credentialDefinitions: Record<string, JsonObject>;
      revocationRegistryDefinitions?: Record<string, JsonObject>;
      revocationStatusLists?: JsonObject[];
    },
  ) {
    const presentation = library.Presentation.fromJson(input.presentation);
    try {
      return presentation.verify(input);
    } finally {
      presentation.handle.clear();
    }
  },
};

const post = (reply: Reply): void => parentPort?.postMessage(reply);

let library: Library | undefined;
try {
  const module = (await import('@hyperledger/anoncreds-nodejs')) as Library & { default?: Library };
  const loaded = module.default ?? module;
  // The library is looked for at the first call, not at the import.
  loaded.anoncreds.generateNonce();
  library = loaded;
  post({ ready: true });
} catch (error) {
  post({ ready: false, reason: error instanceof Error ? error.message : 'it could not be loaded' });
}

parentPort?.on('message', ({ id, operation, input }: Call) => {
  try {
    const run = Object.hasOwn(operations, operation) ? operations[operation] : undefined;
    if (!run || !library) throw new Error('no such operation');
    post({ id, value: run(library, input as never) });
  } catch (error) {
    post({ id, error: error instanceof Error ? error.message : 'unknown error' });
  }
});

if ((workerData as { background?: boolean } | null)?.background) standBack();
