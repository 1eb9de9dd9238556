import encodeQR from 'qr';
import type { Api, Body } from '../api.ts';
import { FAMILIES, recordOf } from '../cards.ts';
import { contacts, nameOf, nameOfCredential, timeOf } from '../names.ts';
import { nameOfIssued, type Session } from '../session.ts';
import { framed, plain } from '../text.ts';

/** `wallet`, `who`, `history` and `show-invitation`. */

export async function wallet({ api, terminal }: Session): Promise<void> {
  const { results } = await api.get('/credentials?limit=1000');
  if (results.length === 0) terminal.print('Your wallet is empty.');
  for (const [at, one] of results.entries()) {
    const { name, issuer } = one.cred_def_id ? await nameOfCredential(api, one.cred_def_id) : { name: plain(one.format) };
    const values = Object.entries(one.attrs ?? {}).map(([key, value]) => `${plain(key, 60)}: ${plain(value)}`);
    terminal.print(framed(`${at + 1}  ${name}`, [...(issuer ? [`issued by: ${issuer}`] : []), ...values], terminal.columns));
  }
}

export async function who({ api, terminal }: Session): Promise<void> {
  const [{ label }, { result }, all] = await Promise.all([api.get('/status'), api.get('/wallet/did/public'), contacts(api)]);
  terminal.print(`You are ${nameOf({ their_label: label })}${result ? `, known on the ledger as ${plain(result.did)}` : ''}.`);
  if (all.length === 0) terminal.print('You have no contacts.');
  for (const [at, one] of all.entries()) {
    const state = one.state === 'active' ? 'connected' : one.state === 'invitation' ? 'invited, not answered yet' : plain(one.state, 30);
    terminal.print(`${String(at + 1).padStart(3)}  ${state} since ${timeOf(one.created_at)}: ${nameOf(one)}`);
  }
}

interface Past {
  readonly at: string;
  readonly text: string;
}

const OVER = new Set(['done', 'credential_acked', 'presentation_acked', 'presentation-sent', 'presentation_sent', 'abandoned', 'verified']);
const MOST_PAST = 200;

async function past(api: Api): Promise<Past[]> {
  const names = new Map<string, string>((await contacts(api)).map((one) => [one.connection_id, nameOf(one)]));
  const lists = await Promise.all(FAMILIES.map(async ({ path }) => (await api.get(`${path}?limit=1000`)).results));
  const ended = lists
    .flat()
    .map((given: Body) => ({ given, record: recordOf(given) }))
    .filter(({ record }) => OVER.has(record.state))
    .sort((a, b) => (a.record.updated_at < b.record.updated_at ? -1 : 1))
    .slice(-MOST_PAST);
  return await Promise.all(
    ended.map(async ({ given, record }) => {
      const partner = names.get(record.connection_id) ?? 'somebody';
      return { at: record.updated_at, text: await pastOf(api, given, record, partner) };
    }),
  );
}

async function pastOf(api: Api, given: Body, record: Body, partner: string): Promise<string> {
  const { role, state } = record;
  if (state === 'abandoned') return `ended without a result (${role}), with ${partner}: ${plain(record.error_msg ?? 'no reason given')}`;
  if (role === 'holder') return `took ${await nameOfIssued(api, given)} from ${partner}`;
  if (role === 'issuer') return `issued ${await nameOfIssued(api, given)} to ${partner}`;
  if (role === 'verifier') return `checked a proof of ${partner}`;
  const { pres_request: asked, pres: shown } = record.by_format ?? {};
  const request = asked?.anoncreds ?? asked?.indy ?? record.presentation_request ?? {};
  const proof = (shown?.anoncreds ?? shown?.indy ?? record.presentation)?.requested_proof ?? {};
  const seen = Object.keys({ ...proof.revealed_attrs, ...proof.revealed_attr_groups, ...proof.self_attested_attrs }).flatMap(
    (referent) => request.requested_attributes?.[referent]?.names ?? [request.requested_attributes?.[referent]?.name ?? referent],
  );
  const proved = Object.keys(proof.predicates ?? {}).map((referent) => request.requested_predicates?.[referent]?.name ?? referent);
  const list = (words: readonly string[]): string => words.map((word) => plain(word, 60)).join(', ') || 'nothing';
  return `showed ${list(seen)}${proved.length > 0 ? `, proved something of ${list(proved)}` : ''} to ${partner}`;
}

export async function history({ api, terminal }: Session): Promise<void> {
  const all = await past(api);
  if (all.length === 0) terminal.print('Nothing has happened yet.');
  for (const { at, text } of all) terminal.print(`${timeOf(at)}  ${text}`);
}

const HANDSHAKES = ['didexchange/1.1', 'didexchange/1.0', 'connections/1.0'].map((name) => `https://didcomm.org/${name}`);
/** ISO/IEC 18004: the most bytes of a code, and half of its quiet zone, which is enough on a terminal. */
const MOST_BYTES = 2953;
const BORDER = 2;

interface Shown {
  readonly url: string;
  /** The active connection that follows from it; undefined before. */
  answered(): Promise<Body | undefined>;
}

async function invitation(api: Api): Promise<Shown> {
  const made = await api.post('/out-of-band/create-invitation?auto_accept=true', { handshake_protocols: HANDSHAKES });
  return {
    url: made.invitation_url,
    async answered() {
      const { results } = await api.get(`/connections?invitation_msg_id=${encodeURIComponent(made.invi_msg_id)}`);
      return results.find((one: Body) => one.state === 'active');
    },
  };
}

/** An invitation in the 2018 Agent Protocol. */
async function offer2018(api: Api): Promise<Shown> {
  const made = await api.post('/legacy/connections/offers', { auto_accept: true });
  return {
    url: made.offer_url,
    async answered() {
      const contact = await api.get(`/connections/${made.connection_id}`);
      return contact.state === 'active' ? contact : undefined;
    },
  };
}

export async function showInvitation({ api, terminal, mailbox, finish, stays }: Session, args: readonly string[]): Promise<void> {
  if (args.length > 1 || (args.length === 1 && args[0] !== '2018')) throw new Error('show-invitation takes nothing, or 2018');
  await mailbox();
  const { url, answered } = await (args[0] === '2018' ? offer2018 : invitation)(api);
  if (url.length <= MOST_BYTES) {
    const code = encodeQR(url, 'ascii', { ecc: 'low', border: BORDER });
    const width = code.indexOf('\n');
    terminal.print(width <= terminal.columns ? code : `For its QR code the terminal must have ${width} columns.`);
  }
  terminal.print(`One person can connect with you by this:\n\n${url}\n`);
  if (!stays) terminal.print('Waiting for them; end this with Ctrl-C and it stays open.');
  await finish('connections', answered);
}
