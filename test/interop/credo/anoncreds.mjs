import { createHash, randomUUID } from 'node:crypto';
import { access, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AnonCredsDidCommCredentialFormatService, AnonCredsDidCommProofFormatService, AnonCredsModule } from '@credo-ts/anoncreds';
import {
  DidCommAutoAcceptCredential,
  DidCommAutoAcceptProof,
  DidCommCredentialEventTypes,
  DidCommCredentialV2Protocol,
  DidCommProofEventTypes,
  DidCommProofV2Protocol,
} from '@credo-ts/didcomm';

/**
 * AnonCreds for a Credo agent: `{ plugin, options, folder }`, where `plugin` is the built module of the registry, `options` are its own, and `folder` is where
 * tails files go; and the library. Offers are accepted by themselves; which credential is shown is what a command says.
 */

/** Files in one folder, with Credo's check of what is downloaded. */
const fileSystemIn = (folder) =>
  class {
    dataPath = join(folder, 'data');
    cachePath = join(folder, 'cache');
    tempPath = join(folder, 'temp');
    exists = (path) =>
      access(path).then(
        () => true,
        () => false,
      );
    createDirectory = async (path) => void (await mkdir(dirname(path), { recursive: true }));
    copyFile = (from, to) => copyFile(from, to);
    write = (path, data) => writeFile(path, data);
    read = (path) => readFile(path, 'utf8');
    delete = (path) => rm(path, { recursive: true, force: true });
    async downloadToFile(url, path, { verifyHash } = {}) {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${url} answered ${response.status}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      if (verifyHash && Buffer.compare(createHash(verifyHash.algorithm).update(bytes).digest(), verifyHash.hash) !== 0)
        throw new Error(`${url} has another hash`);
      await mkdir(dirname(path), { recursive: true });
      // Credo downloads the same file for each referent at the same time
      const part = `${path}.${randomUUID()}`;
      await writeFile(part, bytes);
      await rename(part, path);
    }
  };

export async function anonCreds({ plugin, options, folder }, anoncreds) {
  const { didAlgoRegistry } = await import(plugin);
  return {
    FileSystem: fileSystemIn(folder),
    modules: { anoncreds: new AnonCredsModule({ registries: [didAlgoRegistry(options)], anoncreds }) },
    didcomm: {
      credentials: {
        autoAcceptCredentials: DidCommAutoAcceptCredential.Always,
        credentialProtocols: [new DidCommCredentialV2Protocol({ credentialFormats: [new AnonCredsDidCommCredentialFormatService()] })],
      },
      proofs: {
        autoAcceptProofs: DidCommAutoAcceptProof.Never,
        proofProtocols: [new DidCommProofV2Protocol({ proofFormats: [new AnonCredsDidCommProofFormatService()] })],
      },
    },
  };
}

const matching =
  (values) =>
  ({ credentialInfo: { attributes } }) =>
    Object.entries(values).every(([name, value]) => String(attributes[name]) === value);

/** What a test may ask of the agent. */
export const anonCredsCommands = (agent) => ({
  /** Asks for a proof. */
  async requestProof({ connection, request }) {
    const { id, threadId } = await agent.didcomm.proofs.requestProof({
      connectionId: connection,
      protocolVersion: 'v2',
      proofFormats: { anoncreds: request },
    });
    return { id, thread: threadId };
  },
  /** Shows the credential that has these values, whether it is revoked or not. */
  async present({ proof, values }) {
    const { proofFormats } = await agent.didcomm.proofs.getCredentialsForRequest({
      proofExchangeRecordId: proof,
      proofFormats: { anoncreds: { filterByNonRevocationRequirements: false } },
    });
    const chosen = (matches) =>
      Object.fromEntries(
        Object.entries(matches).map(([referent, found]) => {
          const match = found.find(matching(values));
          if (!match) throw new Error(`there is no such credential for ${referent} among ${JSON.stringify(found)}`);
          return [referent, match];
        }),
      );
    const { attributes, predicates } = proofFormats.anoncreds;
    await agent.didcomm.proofs.acceptRequest({
      proofExchangeRecordId: proof,
      proofFormats: { anoncreds: { attributes: chosen(attributes), predicates: chosen(predicates), selfAttestedAttributes: {} } },
    });
    return {};
  },
});

/** Writes what becomes of exchanges. */
export function watchAnonCreds(agent, tell) {
  agent.events.on(DidCommCredentialEventTypes.DidCommCredentialStateChanged, ({ payload: { credentialExchangeRecord: one } }) =>
    tell({ event: 'credential', id: one.id, thread: one.threadId, state: one.state, errorMessage: one.errorMessage }),
  );
  agent.events.on(DidCommCredentialEventTypes.DidCommRevocationNotificationReceived, ({ payload: { credentialExchangeRecord: one } }) =>
    tell({ event: 'revocation', id: one.id, thread: one.threadId, comment: one.revocationNotification?.comment }),
  );
  agent.events.on(DidCommProofEventTypes.ProofStateChanged, ({ payload: { proofRecord: one } }) =>
    tell({ event: 'proof', id: one.id, thread: one.threadId, state: one.state, verified: one.isVerified, errorMessage: one.errorMessage }),
  );
}
