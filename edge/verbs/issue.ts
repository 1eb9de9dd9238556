import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../api.ts';
import { contactOf, nameOf } from '../names.ts';
import type { Session } from '../session.ts';

/** `issue`: a person issues a credential, as for somebody who acts in their place. The wallet must be allowed to write to the ledger. */

const AGAIN_MS = 300;
const TAG = 'edge';

export async function issue({ api, terminal, mailbox, finish }: Session, args: readonly string[]): Promise<void> {
  const [kind, contact, ...pairs] = args;
  const attributes = pairs.map((pair) => /^([^=]+)=(.*)$/s.exec(pair)).map((found) => found && { name: found[1]!, value: found[2]! });
  if (kind === undefined || contact === undefined || attributes.length === 0 || attributes.some((one) => one === null))
    throw new Error('issue takes what it is called, a contact and values, as in: issue delegation bob task=signing until=2027');
  await mailbox();
  const to = await contactOf(api, contact);
  const did = await ownDid(api, terminal);
  const attrNames = attributes.map((one) => one!.name).sort();
  const schema = { issuerId: did, name: kind, version: '1.0', attrNames };
  const schemaId = await finished(api, '/anoncreds/schema', { schema }, 'schema');
  const credential_definition = { issuerId: did, schemaId, tag: TAG };
  const credDefId = await finished(
    api,
    '/anoncreds/credential-definition',
    { credential_definition, options: {} },
    'credential_definition',
  );
  const made = await api.post('/issue-credential-2.0/send-offer', {
    connection_id: to.connection_id,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes },
    auto_issue: true,
  });
  terminal.print(`Offered to ${nameOf(to)}.`);
  await finish('issue_credential_v2_0', async () => {
    const { cred_ex_record: record } = await api.get(`/issue-credential-2.0/records/${made.cred_ex_id}`);
    if (record.state === 'abandoned') throw new Error('they did not take it');
    return record.state === 'done' ? record : undefined;
  });
}

/** The public DID of the wallet; a new one is made and published where there is none. */
async function ownDid(api: Api, terminal: Session['terminal']): Promise<string> {
  const published = async (): Promise<string | undefined> => (await api.get('/wallet/did/public')).result?.did;
  const there = await published();
  if (there) return there;
  terminal.print('Making a DID that others can know you by …');
  const { result } = await api.post('/wallet/did/create', { method: 'algo' });
  await api.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  for (;;) {
    const did = await published();
    if (did) return did;
    await sleep(AGAIN_MS);
  }
}

/** Repeats the call until the ledger has the object, whose id is the same each time. @returns its id */
async function finished(api: Api, path: string, body: object, what: 'schema' | 'credential_definition'): Promise<string> {
  for (;;) {
    const answer = await api.post(path, body);
    const state = answer[`${what}_state`];
    if (state.state === 'finished') return state[`${what}_id`];
    if (state.state === 'failed') throw new Error(`the ledger did not take it: ${state.reason ?? 'no reason given'}`);
    await sleep(AGAIN_MS);
  }
}
