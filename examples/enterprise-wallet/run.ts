import type { Started } from '../../harness/network.ts';
import { createOwner, type Owner } from '../../harness/owner.ts';
import type { Body, Controller } from '../demo/controller.ts';
import { anchor, connect, connectBoth, issueOne } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';
import { until } from '../lib/until.ts';

export const LICENCE = { company: 'Sail and Rope Ltd', number: 'L-4711', turnover: '820000' };
const CONFIG = 'https://flexid.dev/didcomm/agent-config/1.0';

/** Somebody who may decide, with a key and nothing else. */
export interface Person {
  readonly name: string;
  /** The firm's connection with them, by which the agent knows them. */
  readonly id: string;
  readonly owner: Owner;
}

export interface Firm {
  readonly firm: Started;
  readonly town: Started;
  readonly ann: Person;
  readonly ben: Person;
  readonly credDefId: string;
  /** The town's connection with the firm, and another one, of which the firm knows nothing. */
  readonly known: string;
  readonly stranger: string;
}

/** A firm whose wallet shows nothing unless two people agree, and nothing at all to those whom it does not know; and a town that issues a licence and asks for it. */
export async function prepare(kit: Kit): Promise<Firm> {
  const { step } = kit;
  const [town, firm] = await Promise.all([
    kit.agent('town', {
      ledger: 'writes',
      flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
    }),
    kit.agent('firm', {
      ledger: 'reads',
      flags: ['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential', '--preserve-exchange-records'],
    }),
  ]);
  const { credDefId } = await anchor(town.controller, Object.keys(LICENCE), step, false, 'trade licence');
  const [known, mine] = await step('the firm gets its licence', async () => {
    const { inviter, invitee } = await connectBoth(town.controller, firm.controller);
    await issueOne({ issuer: town.controller, holder: firm.controller }, { issuerConnection: inviter, credDefId }, LICENCE);
    return [[inviter, invitee] as const, JSON.stringify(LICENCE)];
  });
  const stranger = await connect(town.controller, firm.controller);
  const [ann, ben] = [await person(firm.controller, 'Ann'), await person(firm.controller, 'Ben')];
  await step('the firm sets its rules', async () => {
    await firm.controller.post('/agent-config/handlers', {
      match: { types: ['presentation-request'], connections: [mine] },
      mode: 'consult',
      deliver: 'didcomm',
      approvers: [ann.id, ben.id],
      approvals: 2,
      on_timeout: 'reject',
    });
    const value = { action: 'reject' };
    await firm.controller.put('/agent-config/policies/nobody-else', { value, scope: { types: ['presentation-request'] } });
    return [undefined, 'the town may ask, and both Ann and Ben have to agree; everybody else is refused'];
  });
  return { firm, town, ann, ben, credDefId, known, stranger };
}

/** A person whose key is given to the firm's agent: nobody can reach them, they fetch their mail from it. */
async function person(firm: Controller, name: string): Promise<Person> {
  const owner = createOwner();
  const made = await firm.post('/connections/create-static', { alias: name, their_verkey: owner.pair.verkey, grants: ['agent-config'] });
  owner.to = { verkey: made.my_verkey, url: made.my_endpoint };
  return { name, id: made.record.connection_id, owner };
}

/** The town asks for the licence's number, and that the turnover is enough. @returns its exchange */
export async function ask({ town, credDefId }: Firm, connection_id: string): Promise<{ pres_ex_id: string; thread_id: string }> {
  const restrictions = [{ cred_def_id: credDefId }];
  return await town.controller.post('/present-proof-2.0/send-request', {
    connection_id,
    presentation_request: {
      anoncreds: {
        name: 'for a tender',
        version: '1.0',
        requested_attributes: { licence: { names: ['company', 'number'], restrictions } },
        requested_predicates: { size: { name: 'turnover', p_type: '>=', p_value: 500_000, restrictions } },
      },
    },
  });
}

/** Waits until a person is asked about an exchange. @returns the decision's id */
export const asked = ({ owner, name }: Person, thread_id: string): Promise<string> =>
  until(async () => {
    const mail = await owner.fetch();
    const found = mail.find(({ message }) => message['@type'] === `${CONFIG}/decision-request` && message.thread_id === thread_id);
    if (found) await owner.acknowledge([found.id]);
    return found?.message.decision_id as string | undefined;
  }, `the question to ${name}`);

/** A person's answer. @returns the state of the decision after it */
export async function decide({ owner, name }: Person, decision_id: string, action: 'continue' | 'reject'): Promise<string> {
  const recorded = await owner.ask(`${CONFIG}/decision`, { decision_id, action });
  if (recorded['@type'] !== `${CONFIG}/decision-recorded`) throw new Error(`the answer of ${name} is refused: ${JSON.stringify(recorded)}`);
  return recorded.state;
}

/** The end of an exchange, for the town. */
export const outcome = ({ town }: Firm, pres_ex_id: string): Promise<Body> =>
  town.controller.event(
    'present_proof_v2_0',
    (one) => one.pres_ex_id === pres_ex_id && (one.state === 'done' || one.state === 'abandoned'),
    'an outcome',
  );

export interface AuditLine {
  readonly state: string;
  readonly thread_id: string;
  /** Names, actions and times. */
  readonly decided: readonly string[];
}

/** Who decided what, and when. */
export async function audit({ firm, ann, ben }: Firm): Promise<AuditLine[]> {
  const names = new Map([ann, ben].map(({ id, name }) => [`connection ${id}`, name]));
  const { results } = await firm.controller.get('/agent-config/decisions');
  return results.map(({ state, thread_id, decided }: Body) => ({
    state,
    thread_id,
    decided: decided.map(({ by, action, at }: Body) => `${names.get(by) ?? by}: ${action}, ${at}`),
  }));
}

export async function run(kit: Kit): Promise<void> {
  const firm = await prepare(kit);
  const { step } = kit;
  for (const answer of ['continue', 'reject'] as const) {
    const { pres_ex_id, thread_id } = await step('the town asks', async () => [
      await ask(firm, firm.known),
      'number and size, for a tender',
    ]);
    const id = await step('Ann agrees', async () => {
      const decision = await asked(firm.ann, thread_id);
      return [decision, `the decision is still ${await decide(firm.ann, decision, 'continue')}`];
    });
    await step(answer === 'continue' ? 'Ben agrees too' : 'Ben does not', async () => [
      undefined,
      await decide(firm.ben, await asked(firm.ben, thread_id).then(() => id), answer),
    ]);
    await step('the town has', async () => {
      const { state, verified } = await outcome(firm, pres_ex_id);
      return [undefined, verified === 'true' ? 'a presentation, verified' : `nothing: the exchange is ${state}`];
    });
  }
  for (const { state, decided } of await audit(firm)) kit.line(`audit: ${state}`, decided.join('; '));
}
