import { join } from 'node:path';
import { type Body, HANDSHAKE, type World } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';
import { type Controller, startAcapy } from './acapy.ts';
import { type Credo, startCredo } from './credo.ts';

/** Wallets of any agent, as holders and verifiers of AnonCreds credentials: ours, ACA-Py's and Credo's, the last two with their plug-ins for did:algo. */

/** Attribute values by their names. */
export type Values = Readonly<Record<string, string>>;

export interface Wallet {
  readonly name: string;
  /** Whether it leaves invitations to the other: ACA-Py does not complete a did-exchange that it began by an invitation of Credo's. */
  readonly invited?: boolean;
  /** Invites; `connected` is this side's id of the connection. */
  invite(): Promise<{ invitation: Body; connected(): Promise<string> }>;
  /** Accepts an invitation. @returns this side's id of the connection */
  accept(invitation: Body): Promise<string>;
  /** Asks for a proof. `verdict` is `true`, `false`, or the reason why there is none. */
  ask(connection: string, request: Body): Promise<{ thread: string; verdict(): Promise<string> }>;
  /** Shows the credential that has these values, revoked or not, to who asked in a thread. @throws Error where the agent refuses */
  present(thread: string, values: Values): Promise<void>;
}

/** Connects two wallets. @returns the id of the connection at the first of them */
export async function connectWallets(one: Wallet, other: Wallet): Promise<string> {
  const [inviter, invitee] = one.invited ? [other, one] : [one, other];
  const { invitation, connected } = await inviter.invite();
  const accepted = await invitee.accept(invitation);
  const invited = await connected();
  return inviter === one ? invited : accepted;
}

/** Flags of a holder that takes every credential, and a verifier that verifies by itself. */
const ACCEPTING = [
  '--preserve-exchange-records',
  '--auto-respond-credential-offer',
  '--auto-store-credential',
  '--auto-verify-presentation',
  '--monitor-revocation-notification',
];
export const ISSUING = ['--preserve-exchange-records', '--auto-respond-credential-request', '--auto-verify-presentation'];

const TOPIC = 'present_proof_v2_0';

/** A wallet behind ACA-Py's admin API. */
export function controlled(name: string, controller: Controller): Wallet {
  return {
    name,
    async invite() {
      const made = await controller.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
      const isActive = (one: Body): boolean => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id;
      return {
        invitation: made.invitation,
        connected: async () => (await controller.event('connections', isActive, 'an active connection')).connection_id,
      };
    },
    async accept(invitation) {
      const query = 'auto_accept=true&use_existing_connection=false';
      const { connection_id } = await controller.post(`/out-of-band/receive-invitation?${query}`, invitation);
      const isActive = (one: Body): boolean => one.state === 'active' && one.connection_id === connection_id;
      await controller.event('connections', isActive, 'an active connection');
      return connection_id;
    },
    async ask(connection, request) {
      const { pres_ex_id, thread_id } = await controller.post('/present-proof-2.0/send-request', {
        connection_id: connection,
        presentation_request: { anoncreds: request },
        auto_verify: true,
        auto_remove: false,
      });
      const isOver = (one: Body): boolean => one.pres_ex_id === pres_ex_id && (one.state === 'done' || one.state === 'abandoned');
      return {
        thread: thread_id,
        async verdict() {
          const { state, verified, error_msg } = await controller.event(TOPIC, isOver, 'the end of the exchange');
          return state === 'done' ? verified : `${state}: ${error_msg}`;
        },
      };
    },
    async present(thread, values) {
      const isAsked = (one: Body): boolean => one.thread_id === thread && one.state === 'request-received';
      const { pres_ex_id } = await controller.event(TOPIC, isAsked, 'the request');
      const { by_format } = await controller.get(`/present-proof-2.0/records/${pres_ex_id}`);
      const { anoncreds: request } = by_format.pres_request as Body;
      const found: Body[] = await controller.get(`/present-proof-2.0/records/${pres_ex_id}/credentials?count=100`);
      const chosen = found.find(({ cred_info }) =>
        Object.entries(values).every(([attribute, value]) => cred_info.attrs[attribute] === value),
      );
      if (!chosen) throw new Error(`${name} has no such credential among ${JSON.stringify(found)}`);
      const cred_id = chosen.cred_info.referent;
      const shown = (referents: object, more: object): object =>
        Object.fromEntries(Object.keys(referents).map((referent) => [referent, { cred_id, ...more }]));
      await controller.post(`/present-proof-2.0/records/${pres_ex_id}/send-presentation`, {
        anoncreds: {
          requested_attributes: shown(request.requested_attributes, { revealed: true }),
          requested_predicates: shown(request.requested_predicates, {}),
          self_attested_attributes: {},
        },
      });
    },
  };
}

/** A wallet of Credo's. */
export function driven(name: string, credo: Credo): Wallet {
  return {
    name,
    invited: true,
    async invite() {
      const made = await credo.ask('invite');
      const isOver = (one: Body): boolean => one.state === 'completed' && one.outOfBandId === made.id;
      return { invitation: made.invitation, connected: async () => (await credo.event('connection', isOver, 'a connection')).id };
    },
    async accept(invitation) {
      const { connection } = await credo.ask('receive', { invitation });
      return (await credo.ask('connected', { connection: connection.id })).id;
    },
    async ask(connection, request) {
      const { id, thread } = await credo.ask('requestProof', { connection, request });
      const isOver = (one: Body): boolean => one.id === id && (one.state === 'presentation-received' || one.state === 'abandoned');
      return {
        thread,
        async verdict() {
          const { verified, errorMessage } = await credo.event('proof', isOver, 'the presentation');
          return verified === undefined ? `abandoned: ${errorMessage}` : String(verified);
        },
      };
    },
    async present(thread, values) {
      const { id } = await credo.event('proof', (one) => one.thread === thread && one.state === 'request-received', 'the request');
      await credo.ask('present', { proof: id, values });
    },
  };
}

/** Starts an ACA-Py with its plug-in, which reads from a dev ledger. */
export const startAcapyWallet = async (world: World, name: string, devnet: Devnet): Promise<Wallet & { controller: Controller }> => {
  const { url, token, genesisHash } = devnet;
  const node = JSON.stringify({ url, token, genesis_hash: genesisHash });
  const plugin = ['--plugin', 'acapy_did_algo', '--plugin-config-value', `acapy_did_algo.networks.custom=${node}`];
  const controller = await startAcapy(world, name, [...plugin, ...ACCEPTING]);
  return { ...controlled(name, controller), controller };
};

/** Starts a Credo with its plug-in, which reads from a dev ledger. */
export const startCredoWallet = async (world: World, name: string, devnet: Devnet, plugin: string): Promise<Wallet & { credo: Credo }> => {
  const { url, token, genesisHash } = devnet;
  const anonCreds = { plugin, options: { networks: { custom: { url, token, genesisHash } } }, folder: join(world.folder, name) };
  const credo = await startCredo(world, name, undefined, {}, anonCreds);
  return { ...driven(name, credo), credo };
};

/** Starts one of ours as a holder and verifier that writes nothing. */
export const startOurWallet = async (world: World, name: string, devnet: Devnet): Promise<Wallet> =>
  controlled(name, await world.start(name, { devnet, flags: ACCEPTING }));

/** Issues a credential, which its holder keeps by itself. @returns the issuer's record at its end */
export async function issueTo(issuer: Controller, connection: string, credDefId: string, values: Values): Promise<Body> {
  const { cred_ex_id } = await issuer.post('/issue-credential-2.0/send', {
    connection_id: connection,
    filter: { anoncreds: { cred_def_id: credDefId } },
    auto_remove: false,
    credential_preview: {
      '@type': 'issue-credential/2.0/credential-preview',
      attributes: Object.entries(values).map(([name, value]) => ({ name, value })),
    },
  });
  const isOver = (one: Body): boolean => one.cred_ex_id === cred_ex_id && (one.state === 'done' || one.state === 'abandoned');
  const ended = await issuer.event('issue_credential_v2_0', isOver, 'the holder to have the credential');
  if (ended.state !== 'done') throw new Error(`the credential was not stored: ${ended.error_msg}`);
  return (await issuer.get(`/issue-credential-2.0/records/${cred_ex_id}`)) as Body;
}
