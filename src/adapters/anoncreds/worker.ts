/**
 * The worker's side of the AnonCreds engine: the library is synchronous and slow, so it runs here. One message in, one out; nothing is kept between messages.
 * Handles of native objects are freed as soon as their JSON is taken: the wrapper leaves that to us.
 */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { JsonObject } from '../../ports/json.ts';

type Library = typeof import('@hyperledger/anoncreds-nodejs');

/** What the main thread sends. */
export interface Call {
  id: number;
  operation: string;
  input: Record<string, unknown>;
}

/** What it gets: `ready` once after the start, then an answer for each call. */
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

  createCredential: (
    library,
    input: {
      credentialDefinition: JsonObject;
      credentialDefinitionPrivate: JsonObject;
      credentialOffer: JsonObject;
      credentialRequest: JsonObject;
      attributeRawValues: Record<string, string>;
      attributeEncodedValues: Record<string, string>;
    },
  ) => take(library.Credential.create(input)),

  processCredential(
    library,
    input: { credential: JsonObject; credentialRequestMetadata: JsonObject; linkSecret: string; credentialDefinition: JsonObject },
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

const say = (reply: Reply): void => parentPort?.postMessage(reply);

let library: Library | undefined;
try {
  const module = (await import('@hyperledger/anoncreds-nodejs')) as Library & { default?: Library };
  const loaded = module.default ?? module;
  // The library is looked for at the first call, not at the import.
  loaded.anoncreds.generateNonce();
  library = loaded;
  say({ ready: true });
} catch (error) {
  say({ ready: false, reason: error instanceof Error ? error.message : 'it could not be loaded' });
}

parentPort?.on('message', ({ id, operation, input }: Call) => {
  try {
    const run = Object.hasOwn(operations, operation) ? operations[operation] : undefined;
    if (!run || !library) throw new Error('no such operation');
    say({ id, value: run(library, input as never) });
  } catch (error) {
    say({ id, error: error instanceof Error ? error.message : 'unknown error' });
  }
});

/** Lets this thread, and those that the library starts from it, wait for others: on Linux alone, where a thread has a priority of its own. */
function standBack(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), 5);
  } catch {
    // then it is like the others
  }
}
if ((workerData as { background?: boolean } | null)?.background) standBack();
