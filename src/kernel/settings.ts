import type { EndorsementSettings } from './endorsement.ts';

/** A cloud agent of ours: whose record names it, the connection with its agency, and its address for peers. */
export interface CloudAgent {
  readonly tenant: string;
  readonly id: string;
  readonly connection: string;
  /** The mediation of the same connection. */
  readonly mediation: string;
  readonly endpoint: string;
  readonly did: string;
  readonly verkey: string;
  readonly generation: number;
  /** A newer copy of this wallet has its place. */
  readonly superseded: boolean;
}

/** The configuration that steps may see: per tenant, from flags. */
export interface Settings {
  readonly label: string;
  /** Address of a picture of the agent, that invitations name. */
  readonly imageUrl?: string;
  /** The wallet type that controllers see: `askar` of those that choose the Indy family, else a type of the AnonCreds family. */
  readonly walletType: string;
  /** A DID of method `sov` that is asked for is made as one of the ledger. */
  readonly sovAsAlgo: boolean;
  readonly endpoint: string;
  /** Further endpoints of ours, for the documents of new DIDs. */
  readonly moreEndpoints: readonly string[];
  /** The origin of the web wallet, that landing pages of invitations link to. */
  readonly walletOrigin?: string;
  /** Anyone may ask for a wallet. */
  readonly reservations: boolean;
  readonly autoAcceptInvites: boolean;
  readonly autoAcceptRequests: boolean;
  readonly autoAcceptIntroInvitationRequests: boolean;
  readonly autoPingConnection: boolean;
  readonly autoRespondMessages: boolean;
  /** Basic messages are kept as records. */
  readonly storeMessages: boolean;
  readonly autoRespondCredentialProposal: boolean;
  readonly autoRespondCredentialOffer: boolean;
  readonly autoRespondCredentialRequest: boolean;
  readonly autoStoreCredential: boolean;
  readonly autoRespondPresentationProposal: boolean;
  readonly autoRespondPresentationRequest: boolean;
  readonly autoVerifyPresentation: boolean;
  readonly preserveExchangeRecords: boolean;
  readonly monitorPing: boolean;
  /** How many days a finished decision is kept; 0: for ever. Default 90. */
  readonly decisionDays?: number;
  /** Holders are notified of revocations, unless a call has `notify: false`. */
  readonly notifyRevocation: boolean;
  readonly monitorRevocationNotification: boolean;
  /** Pending revocations are published so many seconds after the first of them; 0: when a call asks for it. */
  readonly revocationPublishInterval: number;
  /** How many seconds the registration of a credential definition waits for a revocation registry. */
  readonly revocationRegistryTimeout: number;
  /** How many days the ledger keeps former states of a registry; 0: all. */
  readonly revocationHistoryDays: number;
  readonly publicInvites: boolean;
  readonly requestsThroughPublicDid: boolean;
  readonly noReceiveInvites: boolean;
  /** The beginning of a did:algo of this agent, as in `did:algo:testnet:app:1234:`; absent where no ledger is configured. */
  readonly algoPrefix?: string;
  readonly debugWebhooks: boolean;
  /** Bounds of the mailbox of a peer: messages and bytes that others sent to it, and the time that each is kept (ms). */
  readonly mailbox: { readonly messages: number; readonly bytes: number; readonly life: number };
  /** A webhook for each message that is forwarded. */
  readonly monitorForward: boolean;
  /** Grants mediation to whoever asks. */
  readonly openMediation?: boolean;
  /** How many keys one connection may have forwarded; default 10,000. */
  readonly mediatorMaxKeys?: number;
  /** Gives whoever has mediation a cloud agent too. */
  readonly agency?: boolean;
  /** How many messages a cloud agent may send through this agency in a day; default 10,000. */
  readonly agencyRelays?: number;
  /** The bounds of the backups of a cloud agent: bytes of all of them, and how many of one wallet stay. */
  readonly agencyBackupBytes?: number;
  readonly agencyBackupGenerations?: number;
  /** The cloud agent that this agent has at an agency: where peers of the 2018 Agent Protocol write to. */
  readonly cloudAgent?: CloudAgent;
  /** Mail goes out through the agency. */
  readonly relayThroughAgency?: boolean;
  /** The mediator of new keys, unless a call names another, and whose mediation it is. */
  readonly mediator?: { readonly tenant: string; readonly id: string; readonly endpoint: string; readonly routingKeys: readonly string[] };
  readonly endorsement: EndorsementSettings;
  /** How many ledger writes a tenant may make in a day, and what they may cost the sponsor, in ALGO; 0 for no limit. */
  readonly ledgerWritesPerDay: number;
  readonly ledgerAlgoPerDay: number;
  /** The 2018 Agent Protocol: `on`, `off`, or `auto`, which takes only what answers an offer or a request of ours. */
  readonly agent2018: 'on' | 'off' | 'auto';
  /** Its Endpoint DID and key, one for all tenants. */
  readonly agent2018Endpoint?: { readonly did: string; readonly verkey: string };
  /** Endpoint DIDs that the operator vouches for. */
  readonly agent2018Peers: Readonly<Record<string, { readonly verkey: string; readonly endpoint: string }>>;
  /** Of an agent that keeps vaults: where their clients reach it, without a slash at the end, and what a vault may hold, in bytes. */
  readonly hub?: { readonly endpoint: string; readonly quota: number; readonly vaults: number };
  /** Refuses connection responses without the offerer's signature. */
  readonly agent2018RequireSigned: boolean;
}
