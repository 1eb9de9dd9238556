import { type Body, connect, type TestAgent, until } from './agents.ts';
import { type Shapes, shapeOf } from './golden.ts';

/** Support for tests: which keys, of which JSON types, an admin API and its webhooks show while a credential is issued and proved, in whichever format. */

type Controller = Pick<TestAgent, 'hooks' | 'get' | 'post' | 'event' | 'call' | 'name'>;

/** What the format of a story says where formats differ. */
export interface Story {
  /** The name of the format in filters and requests of credentials, and of presentations. */
  readonly issue: string;
  readonly prove: string;
  readonly filter: object;
  readonly preview?: object;
  /** Of a holder's request, such as the DID that the credential is for. */
  readonly request?: object;
  readonly presentation: object;
  /** What the holder answers, given the credentials that fit. */
  choose(fitting: Body, request: Body): object;
}

const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';

/** Members that are named after the format have one name for all. */
const neutral = (text: string, { issue, prove }: Story): string => text.replaceAll(issue, '<format>').replaceAll(prove, '<format>');

export async function exchangeShapes(issuer: Controller, holder: Controller, story: Story): Promise<Shapes> {
  const shapes: Shapes = {};
  const see = (where: string, value: Body): void => {
    if (typeof value !== 'object' || value === null) return;
    const shape = Object.entries(shapeOf(value)).map(([key, type]): [string, string] => [neutral(key, story), type]);
    // members of other formats are there as null or not at all, as an agent happens to know the format
    shapes[neutral(where, story)] ??= Object.fromEntries(shape.filter(([key, type]) => type !== 'null' || key === '<format>'));
  };
  const seeRecord = (where: string, record: Body): void => {
    see(where, record);
    see(`${where} by_format`, record.by_format);
    for (const [name, formats] of Object.entries(record.by_format ?? {})) see(`${where} by_format ${name}`, formats);
  };
  const seeDetail = (where: string, detail: Body): void => {
    see(where, detail);
    seeRecord(`${where} cred_ex_record`, detail.cred_ex_record);
    see(`${where} ${story.issue}`, detail[story.issue]);
  };

  const { inviter, invitee } = await connect(issuer as TestAgent, holder as TestAgent);
  const topicState = (topic: string, thread: string, state: string) =>
    [topic, (one: Body) => one.thread_id === thread && one.state === state, state] as const;
  const preview = story.preview ? { credential_preview: story.preview } : {};

  // a proposal that is answered by an offer, and so on until the credential is stored
  const proposed = await holder.post('/issue-credential-2.0/send-proposal', { connection_id: invitee, filter: story.filter, ...preview });
  seeRecord('answer send-proposal', proposed);
  const asked = await issuer.event(...topicState(ISSUE, proposed.thread_id, 'proposal-received'));
  const issuing = `/issue-credential-2.0/records/${asked.cred_ex_id}`;
  const holding = `/issue-credential-2.0/records/${proposed.cred_ex_id}`;
  seeRecord('answer records send-offer', await issuer.post(`${issuing}/send-offer`));
  await holder.event(...topicState(ISSUE, proposed.thread_id, 'offer-received'));
  seeDetail('answer record of the holder, offer-received', await holder.get(holding));
  seeRecord('answer send-request', await holder.post(`${holding}/send-request`, story.request));
  await issuer.event(...topicState(ISSUE, proposed.thread_id, 'request-received'));
  seeDetail('answer record of the issuer, request-received', await issuer.get(issuing));
  seeDetail('answer issue', await issuer.post(`${issuing}/issue`));
  await holder.event(...topicState(ISSUE, proposed.thread_id, 'credential-received'));
  seeDetail('answer store', await holder.post(`${holding}/store`));
  await issuer.event(...topicState(ISSUE, proposed.thread_id, 'done'));
  seeDetail('answer record of the issuer, done', await issuer.get(issuing));
  see('answer list of credential exchanges', await issuer.get('/issue-credential-2.0/records'));

  // offers of their own: one that is refused, one that is attached to nothing
  const offered = await issuer.post('/issue-credential-2.0/send-offer', { connection_id: inviter, filter: story.filter, ...preview });
  seeRecord('answer send-offer', offered);
  const refusing = await holder.event(...topicState(ISSUE, offered.thread_id, 'offer-received'));
  see(
    'answer problem-report',
    await holder.post(`/issue-credential-2.0/records/${refusing.cred_ex_id}/problem-report`, { description: 'no' }),
  );
  await issuer.event(...topicState(ISSUE, offered.thread_id, 'abandoned'));
  await holder.event(...topicState(ISSUE, offered.thread_id, 'abandoned'));
  seeRecord('answer create-offer', await issuer.post('/issue-credential-2.0/create-offer', { filter: story.filter, ...preview }));
  see('answer delete', (await issuer.call('DELETE', `/issue-credential-2.0/records/${offered.cred_ex_id}`)).body);

  // a presentation
  const presentation_request = { [story.prove]: story.presentation };
  const wanted = await issuer.post('/present-proof-2.0/send-request', { connection_id: inviter, presentation_request });
  seeRecord('answer proof send-request', wanted);
  const notified = await holder.event(...topicState(PROVE, wanted.thread_id, 'request-received'));
  const proving = `/present-proof-2.0/records/${notified.pres_ex_id}`;
  const request = await holder.get(proving);
  seeRecord('answer record of the prover, request-received', request);
  const fitting = await holder.get(`${proving}/credentials`);
  const spec = story.choose(fitting, request.by_format.pres_request[story.prove]);
  seeRecord('answer send-presentation', await holder.post(`${proving}/send-presentation`, { [story.prove]: spec }));
  await issuer.event(...topicState(PROVE, wanted.thread_id, 'presentation-received'));
  const verified = await issuer.post(`/present-proof-2.0/records/${wanted.pres_ex_id}/verify-presentation`);
  if (verified.verified !== 'true') throw new Error(`not verified: ${JSON.stringify(verified.verified_msgs)}`);
  seeRecord('answer verify-presentation', verified);
  await holder.event(...topicState(PROVE, wanted.thread_id, 'done'));
  seeRecord('answer record of the prover, done', await holder.get(proving));
  see('answer list of presentation exchanges', await issuer.get('/present-proof-2.0/records'));

  const dropped = await issuer.post('/present-proof-2.0/send-request', { connection_id: inviter, presentation_request });
  const unwanted = await holder.event(...topicState(PROVE, dropped.thread_id, 'request-received'));
  const no = { description: 'no' };
  see('answer proof problem-report', await holder.post(`/present-proof-2.0/records/${unwanted.pres_ex_id}/problem-report`, no));
  await issuer.event(...topicState(PROVE, dropped.thread_id, 'abandoned'));
  await holder.event(...topicState(PROVE, dropped.thread_id, 'abandoned'));
  seeRecord('answer proof create-request', await issuer.post('/present-proof-2.0/create-request', { presentation_request }));
  see('answer proof delete', (await issuer.call('DELETE', `/present-proof-2.0/records/${dropped.pres_ex_id}`)).body);

  const ends = [
    [issuer, ISSUE, 'deleted'],
    [issuer, PROVE, 'deleted'],
    [issuer, PROVE, 'done'],
    [holder, ISSUE, 'done'],
    [holder, `${ISSUE}_${story.issue}`, undefined],
  ] as const;
  await until(
    () => ends.every(([{ hooks }, topic, state]) => hooks.list.some((hook) => hook.topic === topic && hook.payload.state === state)),
    'the last webhooks',
  );
  for (const [name, { hooks }] of Object.entries({ issuer, holder }))
    for (const { topic, payload } of hooks.list)
      if (topic.startsWith(ISSUE) || topic.startsWith(PROVE))
        see(['webhook', topic, name, payload.state].filter(Boolean).join(' '), payload);
  return shapes;
}
