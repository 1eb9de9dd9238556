import { Buffer } from 'node:buffer';
import type { Contact, Offer } from '../../support/peer-2018.ts';

/** Constants of the upgrade's test data, for its maker and its test. */

/** The address of the agent, which the stored documents name: below the ports that systems choose by themselves. */
export const PORT = 23_923;
export const INBOUND = `http://127.0.0.1:${PORT}`;
/** The peer of the 2018 Agent Protocol: its key, and its port. */
export const PEER_2018 = { seed: Buffer.alloc(32, 18), port: 23_925 };
export const ADMIN_KEY = 'an admin key';
/** Of the wallet whose owner keeps the key. */
export const LOCKED_KEY = 'a key that its owner keeps';

/** The facts about a store that its test needs: ids at Alice and at Bob (or Carol, whose wallet is locked). */
export interface Facts {
  /** ms since 1970. */
  readonly made: number;
  readonly wallets: Readonly<Record<'alice' | 'bob' | 'carol', string>>;
  readonly connection: readonly [string, string];
  readonly ofLocked: readonly [string, string];
  readonly request: readonly [string, string];
  readonly request160: readonly [string, string];
  /** Alice's with a peer of the 2018 Agent Protocol. */
  readonly connection2018: string;
  /** The same, where the peer waits for the response. */
  readonly request2018: {
    readonly connection: string;
    readonly key: { readonly did: string; readonly verkey: string; readonly secret: string };
    readonly nonce: string;
    readonly offer: Offer;
    readonly to: Contact;
  };
  /**
   * Exchanges of credentials in the middle, by version and kind: Bob has proposed a credential to Alice, and Alice has requested a proof of Bob. Neither reads the
   * ledger: the earlier version's registry is another contract, whose objects this version does not read.
   */
  readonly exchanges: Readonly<Record<'issue20' | 'issue10' | 'prove20' | 'prove10', readonly [string, string]>>;
  readonly mailbox: {
    readonly connection: string;
    /** The mediator's key on the connection. */
    readonly to: string;
    readonly peer: { readonly verkey: string; readonly secret: string };
    readonly key: { readonly verkey: string; readonly secret: string };
    readonly texts: readonly string[];
  };
}

/** The schema that the exchanges name, and the attributes of the proposed credentials. */
export const SCHEMA_NAME = 'graduate';
export const ATTRIBUTES = { name: 'Alice Example', year: '2024' };

/** Of both versions. @param ledger the flags of a ledger; the earlier version has none */
export const flagsOf = (adminPort: number, ledger: readonly string[] = ['--no-ledger']): string[] => [
  ...['--label', 'base', '--admin', '127.0.0.1', String(adminPort), '--admin-api-key', ADMIN_KEY],
  ...['--inbound-transport', 'http', '127.0.0.1', String(PORT), '--endpoint', INBOUND, '--egress-allow', '127.0.0.0/8'],
  ...['--multitenant', '--multitenant-admin', '--open-mediation', '--legacy', 'on', '--anoncreds-workers', '1'],
  ...[...ledger, '--log-level', 'warn'],
];

export const SECRETS: Readonly<Record<string, string>> = {
  ACAPY_WALLET_KEY: 'a wallet key of this test alone',
  ACAPY_MULTITENANT_JWT_SECRET: 'a secret of this test alone, which signs tokens',
};
