import { connection2018 } from './agent-2018/connection.ts';
import { credential2018 } from './agent-2018/credential.ts';
import { agent2018Endpoints } from './agent-2018/endpoint.ts';
import type { Endpoints } from './agent-2018/endpoints.ts';
import { agent2018 } from './agent-2018/format.ts';
import { proof2018 } from './agent-2018/proof.ts';
import { anoncreds } from './formats/anoncreds.ts';
import { indy } from './formats/indy.ts';
import type { CredentialFormat } from './kernel/format.ts';
import { didcommV1 } from './message-formats/didcomm-v1.ts';
import { actionMenu } from './protocols/action-menu.ts';
import { agency } from './protocols/agency/agency.ts';
import { walletBackups } from './protocols/agency/wallet-backup.ts';
import { basicMessage } from './protocols/basic-message.ts';
import { agentConfigProtocol } from './protocols/configuration/agent-config.ts';
import { decisions } from './protocols/configuration/decisions.ts';
import { questions } from './protocols/configuration/questions.ts';
import { connections } from './protocols/connecting/connections.ts';
import { didExchange } from './protocols/connecting/did-exchange.ts';
import { outOfBandProtocol } from './protocols/connecting/out-of-band.ts';
import { credentialBatches } from './protocols/credentials/batch.ts';
import { issueCredential } from './protocols/credentials/issue-credential.ts';
import { issueCredentialV1 } from './protocols/credentials/issue-credential-v1.ts';
import { presentProof } from './protocols/credentials/present-proof.ts';
import { presentProofV1 } from './protocols/credentials/present-proof-v1.ts';
import { didRotate } from './protocols/did-rotate.ts';
import { discoverFeatures1, discoverFeatures2 } from './protocols/discover-features.ts';
import { drpc } from './protocols/drpc.ts';
import { endorseTransaction } from './protocols/endorsement/endorse-transaction.ts';
import { hubGrants } from './protocols/hub-grant.ts';
import { introduction } from './protocols/introduction.ts';
import { coordinateMediation } from './protocols/mediation/coordinate-mediation.ts';
import { messagePickup1 } from './protocols/mediation/message-pickup-1.ts';
import { messagePickup2 } from './protocols/mediation/message-pickup-2.ts';
import { pushNotificationsFcm } from './protocols/mediation/push-notifications-fcm.ts';
import { routing } from './protocols/mediation/routing.ts';
import { notification } from './protocols/notification.ts';
import { adminConnections } from './protocols/owner/admin-connections.ts';
import { adminCredentialDefinitions } from './protocols/owner/admin-credential-definitions.ts';
import { adminInvitations } from './protocols/owner/admin-invitations.ts';
import { adminIssuer } from './protocols/owner/admin-issuer.ts';
import { adminRevocation } from './protocols/owner/admin-revocation.ts';
import { adminSchemas } from './protocols/owner/admin-schemas.ts';
import { recoveryShares } from './protocols/recovery-share.ts';
import { revocationNotification1, revocationNotification2 } from './protocols/revocation-notification.ts';
import { trustPing } from './protocols/trust-ping.ts';
import { actionMenuRecord } from './records/action-menu.ts';
import { agencyRelay } from './records/agency-relay.ts';
import { agencyRoute } from './records/agency-route.ts';
import { agentConfig } from './records/agent-config.ts';
import { audit } from './records/audit.ts';
import { storedMessage } from './records/basic-message.ts';
import { cloudAgent } from './records/cloud-agent.ts';
import { credential } from './records/credential.ts';
import { batchRow } from './records/credential-batch.ts';
import { credentialRevocation } from './records/credential-revocation.ts';
import { edvChunk } from './records/edv-chunk.ts';
import { edvDocument } from './records/edv-document.ts';
import { keylist } from './records/keylist.ts';
import { routingKey } from './records/mediation.ts';
import { pickup } from './records/pickup.ts';
import { restored } from './records/restored.ts';
import { endorsementSpent } from './records/transaction.ts';
import { walletBackup } from './records/wallet-backup.ts';
import { connectionCommands } from './resources/connection.ts';
import { anoncredsCredentialDefinition } from './resources/credential-definition.ts';
import { didKeys } from './resources/did-keys.ts';
import { hubControllers, hubRevocations, hubVaults } from './resources/hub/vault.ts';
import { multitenancy } from './resources/multitenancy.ts';
import { ocaBundles } from './resources/oca-bundle.ts';
import { reservations } from './resources/reservation.ts';
import { revocationRegistries } from './resources/revocation/registry.ts';
import { anoncredsSchema } from './resources/schema.ts';
import { shortLinks } from './resources/short-link.ts';
import { tailsFiles } from './resources/tails.ts';
import { walletDid } from './resources/wallet-did.ts';
import { walletKeys } from './resources/wallet-key.ts';
import { webhookCommands } from './resources/webhook.ts';

/** Message formats, the default first: a new envelope is its file and a line here. */
export const messageFormats = (endpoints: Pick<Endpoints, 'all'>) => [didcommV1, agent2018(endpoints)];

/** All protocols of this agent: a new protocol is its file and a line here. */
export const PROTOCOLS = [
  outOfBandProtocol,
  didExchange,
  connections,
  trustPing,
  basicMessage,
  notification,
  discoverFeatures1,
  discoverFeatures2,
  actionMenu,
  didRotate,
  drpc,
  coordinateMediation,
  agency,
  walletBackups,
  routing,
  messagePickup1,
  messagePickup2,
  pushNotificationsFcm,
  introduction,
  revocationNotification1,
  revocationNotification2,
  recoveryShares,
  issueCredential,
  presentProof,
  connectionCommands,
  issueCredentialV1,
  presentProofV1,
  credentialBatches,
  endorseTransaction,
  adminSchemas,
  adminCredentialDefinitions,
  adminIssuer,
  adminRevocation,
  adminInvitations,
  adminConnections,
  agentConfigProtocol,
  questions,
  decisions,
  walletDid,
  didKeys,
  walletKeys,
  anoncredsSchema,
  anoncredsCredentialDefinition,
  revocationRegistries,
  agent2018Endpoints,
  connection2018,
  credential2018,
  proof2018,
  multitenancy,
  reservations,
  shortLinks,
  ocaBundles,
  tailsFiles,
  webhookCommands,
  hubGrants,
  hubVaults,
  hubRevocations,
  hubControllers,
];

/** The credential formats, in the order of preference: a new format is its file and a line here. */
export const FORMATS: readonly CredentialFormat[] = [anoncreds, indy];

/** Records that no protocol binds. */
export const UNBOUND_RECORDS = [
  actionMenuRecord,
  agentConfig,
  audit,
  agencyRelay,
  agencyRoute,
  cloudAgent,
  credential,
  batchRow,
  credentialRevocation,
  edvChunk,
  edvDocument,
  endorsementSpent,
  keylist,
  pickup,
  restored,
  routingKey,
  storedMessage,
  walletBackup,
];
