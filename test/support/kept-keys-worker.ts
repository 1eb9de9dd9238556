/** The AnonCreds worker with keys that are kept from run to run, in `.flexid/keys`: real ones, each made by the library for the first definition that needed it. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../../src/ports/json.ts';

type Library = typeof import('@hyperledger/anoncreds-nodejs');
type Input = Parameters<Library['CredentialDefinition']['create']>[0];

interface Key {
  readonly credentialDefinition: JsonObject;
  readonly private: JsonObject;
  readonly keyCorrectnessProof: JsonObject;
}

const { LIB_ANONCREDS_PATH = '', FLEXID_KEYS_TAKEN = '', FLEXID_WORKER = '' } = process.env;
const FOLDER = join(fileURLToPath(new URL('../../.flexid/keys', import.meta.url)), basename(LIB_ANONCREDS_PATH));

/** The file of the first key for these attributes that no definition of this test file has. */
function takeKey({ schema, supportRevocation }: Input): string {
  const { attrNames } = schema as unknown as { attrNames: string[] };
  const kind = createHash('sha256')
    .update(JSON.stringify([[...attrNames].sort(), supportRevocation === true]))
    .digest('hex')
    .slice(0, 24);
  mkdirSync(FLEXID_KEYS_TAKEN, { recursive: true });
  for (let i = 0; ; i++) {
    const name = `${kind}-${i}`;
    try {
      mkdirSync(join(FLEXID_KEYS_TAKEN, name));
      return join(FOLDER, `${name}.json`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** The key of a file; undefined where there is none yet. */
function readKey(path: string): Key | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function keepKey(path: string, key: Key): void {
  mkdirSync(FOLDER, { recursive: true });
  const part = `${path}.${process.pid}`;
  writeFileSync(part, JSON.stringify(key), { mode: 0o600 });
  renameSync(part, path);
}

function keepKeys(library: Library): void {
  const { CredentialDefinition, CredentialDefinitionPrivate, KeyCorrectnessProof } = library;
  const create = CredentialDefinition.create.bind(CredentialDefinition);
  CredentialDefinition.create = (input) => {
    const path = takeKey(input);
    const key = readKey(path);
    if (!key) {
      const made = create(input);
      keepKey(path, {
        credentialDefinition: made.credentialDefinition.toJson() as JsonObject,
        private: made.credentialDefinitionPrivate.toJson() as JsonObject,
        keyCorrectnessProof: made.keyCorrectnessProof.toJson() as JsonObject,
      });
      return made;
    }
    const { schemaId, issuerId, tag } = input;
    return {
      credentialDefinition: CredentialDefinition.fromJson({ ...key.credentialDefinition, schemaId, issuerId, tag }),
      credentialDefinitionPrivate: CredentialDefinitionPrivate.fromJson(key.private),
      keyCorrectnessProof: KeyCorrectnessProof.fromJson(key.keyCorrectnessProof),
    };
  };
}

try {
  const module = (await import('@hyperledger/anoncreds-nodejs')) as Library & { default?: Library };
  keepKeys(module.default ?? module);
} catch {
  // the worker itself finds the library missing
}
await import(FLEXID_WORKER);
