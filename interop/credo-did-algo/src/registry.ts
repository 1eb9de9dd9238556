import type {
  AnonCredsCredentialDefinition,
  AnonCredsRegistry,
  AnonCredsResolutionMetadata,
  AnonCredsRevocationRegistryDefinition,
  AnonCredsSchema,
} from '@credo-ts/anoncreds';
import type { AgentContext } from '@credo-ts/core';
import { type NodeOptions, nodesOf } from './algod.ts';
import { DidAlgoError } from './errors.ts';
import { createReader } from './reader.ts';

const FAILURES: Partial<Record<DidAlgoError['code'], string>> = {
  'identifier-invalid': 'invalid',
  'object-invalid': 'invalid',
  'object-not-found': 'notFound',
  'status-none': 'notFound',
  'status-pruned': 'notFound',
};

const fetchOf = (context: AgentContext): typeof globalThis.fetch => context.config.agentDependencies.fetch;

/** What reading gave, or why it failed, in the form of Credo's resolution metadata: nothing is thrown. */
const resolved = async <T>(read: Promise<T>): Promise<{ value?: T; resolutionMetadata: AnonCredsResolutionMetadata }> => {
  try {
    return { value: await read, resolutionMetadata: {} };
  } catch (error) {
    if (!(error instanceof DidAlgoError)) return { resolutionMetadata: { error: 'internal', message: String(error) } };
    return {
      resolutionMetadata: { error: FAILURES[error.code] ?? error.code, message: `${error.message} (${error.code})`, code: error.code },
    };
  }
};

const FAILED = { state: 'failed' as const, reason: 'did:algo objects are written by the issuing agent; this registry reads only' };

/**
 * A registry that resolves AnonCreds objects and status lists of did:algo issuers, for `AnonCredsModule({ registries: [...] })`.
 * @throws Error with the reason, where the options cannot be used
 */
export const didAlgoRegistry = (options: NodeOptions): AnonCredsRegistry => {
  const reader = createReader(nodesOf(options));
  return {
    methodName: 'algo',
    supportedIdentifier: /^did:algo:/,
    // Objects are remembered here. A status list of the last seconds may still change, so that none is to be remembered.
    allowsCaching: false,
    allowsLocalRecord: false,

    getSchema: async (context, schemaId) => {
      const { value, resolutionMetadata } = await resolved(reader.object(schemaId, 'SCHEMA', fetchOf(context)));
      return { schema: value as AnonCredsSchema | undefined, schemaId, resolutionMetadata, schemaMetadata: {} };
    },

    getCredentialDefinition: async (context, credentialDefinitionId) => {
      const { value, resolutionMetadata } = await resolved(reader.object(credentialDefinitionId, 'CLAIM_DEF', fetchOf(context)));
      const credentialDefinition = value as AnonCredsCredentialDefinition | undefined;
      return { credentialDefinition, credentialDefinitionId, resolutionMetadata, credentialDefinitionMetadata: {} };
    },

    getRevocationRegistryDefinition: async (context, revocationRegistryDefinitionId) => {
      const { value, resolutionMetadata } = await resolved(reader.object(revocationRegistryDefinitionId, 'REV_REG_DEF', fetchOf(context)));
      const revocationRegistryDefinition = value as AnonCredsRevocationRegistryDefinition | undefined;
      return { revocationRegistryDefinition, revocationRegistryDefinitionId, resolutionMetadata, revocationRegistryDefinitionMetadata: {} };
    },

    /** The list in force at `timestamp`; its own timestamp is the time of its record, which may be earlier. */
    getRevocationStatusList: async (context, revocationRegistryId, timestamp) => {
      const { value, resolutionMetadata } = await resolved(reader.statusList(revocationRegistryId, timestamp, fetchOf(context)));
      return { revocationStatusList: value, resolutionMetadata, revocationStatusListMetadata: {} };
    },

    registerSchema: async (_context, { schema }) => ({ schemaState: { ...FAILED, schema }, registrationMetadata: {}, schemaMetadata: {} }),

    registerCredentialDefinition: async (_context, { credentialDefinition }) => ({
      credentialDefinitionState: { ...FAILED, credentialDefinition },
      registrationMetadata: {},
      credentialDefinitionMetadata: {},
    }),

    registerRevocationRegistryDefinition: async (_context, { revocationRegistryDefinition }) => ({
      revocationRegistryDefinitionState: { ...FAILED, revocationRegistryDefinition },
      registrationMetadata: {},
      revocationRegistryDefinitionMetadata: {},
    }),

    registerRevocationStatusList: async (_context, { revocationStatusList }) => ({
      revocationStatusListState: { ...FAILED, revocationStatusList },
      registrationMetadata: {},
      revocationStatusListMetadata: {},
    }),
  };
};
