import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Started } from '../../harness/network.ts';
import { freePort } from '../../harness/processes.ts';
import type { Body } from '../demo/controller.ts';
import { anchor } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';

/** The look of its cards: an OCA bundle. */
export const LOOK = JSON.parse(readFileSync(new URL('look.json', import.meta.url), 'utf8')) as Body;
export const CARD = { name: 'Ada Lovelace', member: 'L-4711', year: '2021' };

/** A library that issues cards and asks for them, and an agent with a web wallet for whoever comes. */
export interface Town {
  readonly library: Started;
  readonly wallets: Started;
  /** Where people open the web wallet. */
  readonly origin: string;
  readonly credDefId: string;
}

/** @param flags - more of them for the agent with the web wallet */
export async function prepare(kit: Kit, flags: readonly string[] = []): Promise<Town> {
  const port = await freePort();
  const [library, wallets] = await Promise.all([
    kit.agent('library', {
      ledger: 'writes',
      flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
    }),
    kit.agent('wallets', {
      ledger: 'reads',
      flags: ['--multitenant', '--wallet', '127.0.0.1', String(port), ...flags],
      env: { ACAPY_MULTITENANT_JWT_SECRET: randomBytes(32).toString('hex') },
    }),
  ]);
  const { credDefId } = await anchor(library.controller, Object.keys(CARD), kit.step, false, 'library card');
  await library.controller.post('/oca-bundles', { cred_def_id: credDefId, bundle: LOOK });
  return { library, wallets, origin: `http://localhost:${port}`, credDefId };
}

/** The link of an invitation, with an offer or a request behind it. */
async function linkTo({ library }: Town, attachment: object): Promise<string> {
  const made: Body = await library.controller.post('/out-of-band/create-invitation?auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    attachments: [attachment],
  });
  return made.short_url;
}

/** A card is offered to whoever opens the link. */
export async function offer(town: Town): Promise<{ id: string; link: string }> {
  const { cred_ex_id: id } = await town.library.controller.post('/issue-credential-2.0/create', {
    auto_remove: false,
    filter: { anoncreds: { cred_def_id: town.credDefId } },
    credential_preview: {
      '@type': 'issue-credential/2.0/credential-preview',
      attributes: Object.entries(CARD).map(([name, value]) => ({ name, value })),
    },
  });
  return { id, link: await linkTo(town, { id, type: 'credential-offer' }) };
}

/** The library asks whoever opens the link for a name, and whether the card is of 2020 or later. */
export async function ask(town: Town): Promise<{ id: string; link: string }> {
  const restrictions = [{ cred_def_id: town.credDefId }];
  const { pres_ex_id: id } = await town.library.controller.post('/present-proof-2.0/create-request', {
    auto_remove: false,
    presentation_request: {
      anoncreds: {
        name: 'Reading room',
        version: '1.0',
        requested_attributes: { who: { names: ['name'], restrictions } },
        requested_predicates: { since: { name: 'year', p_type: '>=', p_value: 2020, restrictions } },
      },
    },
  });
  return { id, link: await linkTo(town, { id, type: 'present-proof' }) };
}

/** The wallet for people, until it is interrupted. */
export async function run(kit: Kit): Promise<void> {
  const town = await prepare(kit);
  const [card, room] = [await offer(town), await ask(town)];
  process.stdout.write(`
Open the wallet in a browser on this machine, and make one with a passkey:

  the wallet            ${town.origin}/

Then open these links, or paste them at "Scan or paste". Each is for one person:

  a library card        ${card.link}
  the reading room      ${room.link}

Ctrl-C ends it.
`);
  await new Promise<never>(() => {});
}
