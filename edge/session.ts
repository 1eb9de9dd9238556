import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, type Body, Refused } from './api.ts';
import { FAMILIES } from './cards.ts';
import { nameOf, nameOfCredential } from './names.ts';
import { proofCard } from './proved.ts';
import { createQuestions, type Questions } from './questions.ts';
import type { Terminal } from './terminal.ts';
import { plain } from './text.ts';

/** The kinds of places where mail waits. */
export type Mailbox = 'mediator' | 'agency';

/** The means of a verb. */
export interface Session {
  readonly api: Api;
  readonly terminal: Terminal;
  readonly questions: Questions;
  /** Whether the program goes on after a verb, and prints results as they come. */
  readonly stays: boolean;
  /** Waits until the mediator or agency has granted mediation. @throws Error where there is none, or it refused */
  mailbox(): Promise<void>;
  /** Waits for the end of the exchange that a verb began, and prints it, where the program ends with the verb. @param over the record at its end; undefined before */
  finish(topic: string, over: () => Promise<Body | undefined>): Promise<void>;
}

const ASK_MS = 50;
const ASK_AT_MOST_MS = 2000;
const SLOW_MS = 3000;
const SLOW: Readonly<Record<Mailbox, string>> = {
  mediator: 'Waiting for the mediator, which keeps your mail …',
  agency: 'Waiting for the agency, which keeps your mail … (for a plain mediator, --mediator-invitation is the flag)',
};
const SUPERSEDED =
  'a newer copy of this wallet, which was restored from a backup, is in use: the agency keeps no mail for this one any more';
const MOST_PRINTED = 10_000;
/** The reason of an exchange that the person has declined. */
const OWN_REPORT = /^created problem report/;

export function createSession(
  api: Api,
  terminal: Terminal,
  { mailbox: place, stays }: { mailbox: Mailbox | undefined; stays: boolean },
): Session {
  let isReady = place === undefined;
  const ready = place === undefined ? Promise.resolve() : waitForMailbox(api, place === 'agency');
  ready.then(
    () => {
      isReady = true;
    },
    () => {},
  );
  // no notice of the connection with the mailbox, which no verb made
  const notice = notices(api, terminal, () => isReady);
  // without the ledger, exchanges wait after the decision
  api.get('/status/ledger').catch((error) => {
    if (error instanceof Refused && error.status === 503) terminal.print(`${plain(error.message, 500)}. What needs it waits.`);
  });
  return {
    api,
    terminal,
    questions: createQuestions(api, terminal),
    stays,
    async mailbox() {
      if (place === undefined)
        throw new Error(
          'this wallet has no place where mail waits for it: start it once with --agency URL or --mediator-invitation URL, which is kept',
        );
      const slow = setTimeout(() => terminal.print(SLOW[place]), SLOW_MS);
      await ready.finally(() => clearTimeout(slow));
    },
    async finish(topic, over) {
      if (!stays) await notice(topic, await api.until([topic], over));
    },
  };
}

/** Whether the agency has given a cloud agent: before that the wallet has no address in the 2018 Agent Protocol. */
const hasCloudAgent = async (api: Api): Promise<boolean> =>
  (await api.get('/agency/devices?role=edge&state=provisioned')).results.length > 0;

/** Whether the agency serves a copy of the wallet that was restored later. */
const isSuperseded = async (api: Api): Promise<boolean> => (await api.get('/agency/devices?role=edge&state=superseded')).results.length > 0;

async function waitForMailbox(api: Api, isAgency: boolean): Promise<void> {
  for (let wait = ASK_MS; ; wait = Math.min(wait * 1.5, ASK_AT_MOST_MS)) {
    const { state } = await api.get('/mediation/default-mediator').catch((error) => {
      if (error instanceof Refused) return {};
      throw error;
    });
    if (state === 'granted' && (!isAgency || (await hasCloudAgent(api)))) return;
    const { results } = await api.get('/mediation/requests');
    if (results.length > 0 && results.every((one: Body) => one.state === 'denied')) {
      if (await isSuperseded(api)) throw new Error(SUPERSEDED);
      throw new Error(
        'the mediator has refused to keep mail for this wallet: start it once with another --agency or --mediator-invitation',
      );
    }
    await sleep(wait, undefined, { ref: false });
  }
}

/** Prints events that need no decision: connections, credentials and proofs at their end, messages. */
function notices(api: Api, terminal: Terminal, isReady: () => boolean): (topic: string, payload: Body) => Promise<void> {
  const printed = new Set<string>();
  const once = (key: string): boolean => {
    if (printed.has(key)) return false;
    if (printed.size >= MOST_PRINTED) printed.clear();
    printed.add(key);
    return true;
  };
  const partner = async (id: string | undefined): Promise<string> =>
    id === undefined ? 'Somebody' : await api.get(`/connections/${id}`).then(nameOf, () => 'Somebody');
  const notice = async (topic: string, payload: Body): Promise<void> => {
    if (topic === 'connections') {
      if (payload.state === 'active' && isReady() && once(payload.connection_id)) terminal.print(`Connected with ${nameOf(payload)}.`);
      return;
    }
    if (topic === 'cloud_agent') {
      if (payload.role === 'edge' && payload.state === 'superseded' && once(`${payload.device_id} superseded`))
        terminal.print(`${SUPERSEDED.charAt(0).toUpperCase()}${SUPERSEDED.slice(1)}.`);
      return;
    }
    if (topic === 'basicmessages') {
      if (once(payload.message_id)) terminal.print(`${await partner(payload.connection_id)} writes: ${plain(payload.content)}`);
      return;
    }
    const family = FAMILIES.find((one) => one.topic === topic);
    if (!family) return;
    const { state, role, connection_id: connection, error_msg: reason } = payload;
    const id = payload[family.id];
    if (state === 'abandoned') {
      if (OWN_REPORT.test(String(reason))) return;
      if (once(`${id} ${state}`))
        terminal.print(`An exchange with ${await partner(connection)} has ended: ${plain(reason ?? 'no reason given')}`);
      return;
    }
    const isOver = ['done', 'credential_acked', 'presentation_acked'].includes(state);
    if (!isOver || !once(`${id} ${state}`)) return;
    if (role === 'holder') terminal.print(`${await nameOfExchange(api, family.path, id)} is in your wallet.`);
    if (role === 'issuer') terminal.print(`${await partner(connection)} has taken ${await nameOfExchange(api, family.path, id)}.`);
    if (role === 'verifier') terminal.print(await proofCard(api, id, await partner(connection), terminal.columns));
    if (role === 'prover') terminal.print(`${await partner(connection)} has what you shared.`);
  };
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (topic: string, payload: Body): Promise<void> => {
    turn = turn.then(() => notice(topic, payload)).catch(() => {});
    return turn;
  };
  api.on((topic, payload) => {
    if (topic !== undefined) void inTurn(topic, payload);
  });
  return inTurn;
}

/** The name of the credential of an exchange. */
export async function nameOfExchange(api: Api, path: string, id: string): Promise<string> {
  const given = await api.get(`${path}/${id}`).catch(() => undefined);
  return await nameOfIssued(api, given);
}

/** The same for the record of the exchange. */
export async function nameOfIssued(api: Api, given: Body): Promise<string> {
  const record = given?.cred_ex_record ?? given;
  const offered = record?.by_format?.cred_offer;
  const id = (offered?.anoncreds ?? offered?.indy ?? record?.credential_offer)?.cred_def_id;
  return id === undefined ? 'A credential' : (await nameOfCredential(api, id)).name;
}
