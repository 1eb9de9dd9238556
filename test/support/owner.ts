import assert from 'node:assert/strict';
import type { Body, TestAgent } from './agents.ts';
import { message, type Stranger, startStranger } from './stranger.ts';

/** Support for tests: the owner of an agent, who talks to it by encrypted messages on a static connection with grants. */

export const CONFIG = 'https://flexid.dev/didcomm/agent-config/1.0';

export interface Owner extends Stranger {
  /** The agent's id of its connection. */
  readonly id: string;
  /** Sends a message of the Config API and waits for its answer: the message. */
  ask(name: string, body?: object): Promise<Body>;
  /** Sends any message on its connection. */
  sendOwn(message: object): Promise<unknown>;
  /** The next decision that it is asked for of which this holds. */
  asked(matches: (body: Body) => boolean, what: string): Promise<Body>;
}

/** An owner of an agent. @param grants of its connection */
export async function startOwner(agent: Pick<TestAgent, 'post' | 'call'>, grants: readonly string[] = ['agent-config']): Promise<Owner> {
  const stranger = await startStranger();
  const made = await agent.post('/connections/create-static', {
    their_verkey: stranger.pair.verkey,
    their_did: stranger.did,
    their_endpoint: stranger.url,
    alias: 'owner',
  });
  const id = made.record.connection_id as string;
  await grant(agent, id, grants);
  const to = { verkey: made.my_verkey as string, url: made.my_endpoint as string };
  return Object.assign(stranger, {
    id,
    sendOwn: (own: object) => stranger.send(to, own),
    async ask(name: string, body: object = {}) {
      const sent = message(`${CONFIG}/${name}`, body);
      await stranger.send(to, sent);
      return (await stranger.inbox.first((mail) => mail.message['~thread']?.thid === sent['@id'], `an answer to ${name}`)).message;
    },
    async asked(matches: (body: Body) => boolean, what: string) {
      const mail = await stranger.inbox.first(
        (one) => one.message['@type'] === `${CONFIG}/decision-request` && matches(one.message),
        `a decision-request: ${what}`,
      );
      return mail.message;
    },
  });
}

/** Sets the grants of a connection. */
export async function grant(agent: Pick<TestAgent, 'call'>, id: string, grants: readonly string[]): Promise<void> {
  const answer = await agent.call('PUT', `/connections/${id}/grants`, { grants });
  assert.equal(answer.status, 200, answer.text);
}

export const PROOF = {
  name: 'p',
  version: '1.0',
  nonce: '1234567890',
  requested_attributes: { a: { name: 'name' } },
  requested_predicates: {},
};
/** Sends a proof request. @returns its thread */
export async function askProof(send: (message: object) => Promise<unknown>): Promise<string> {
  const data = { base64: Buffer.from(JSON.stringify(PROOF)).toString('base64') };
  const asked = message('present-proof/2.0/request-presentation', {
    formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
    'request_presentations~attach': [{ '@id': 'a', 'mime-type': 'application/json', data }],
  });
  await send(asked);
  return asked['@id'];
}
/** A handler that is asked of proof requests. */
export const proofs = (more: object = {}): object => ({
  match: { types: ['*/request-presentation'] },
  mode: 'consult',
  deliver: 'didcomm',
  ...more,
});
