import { type Configuration, type Presentation, proofRequest } from './configurations.ts';

/** The agent that verifies, by its admin API. */

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers is as free as JSON
type Body = any;

export interface Asked {
  readonly pres_ex_id: string;
  readonly invi_msg_id: string;
  readonly short: string;
  readonly invitation: string;
}

export type Answer = { readonly presentation: Presentation } | { readonly why: string };

export interface Verifier {
  /** A proof request that the first wallet answers which has its link. */
  ask(configuration: Configuration): Promise<Asked>;
  /** The outcome of an exchange that is over, of which nothing is left at the agent then; undefined while it is not over, or is gone already. */
  take(asked: Asked): Promise<Answer | undefined>;
  /** Removes an exchange and its invitation. */
  drop(asked: Asked): Promise<void>;
}

export function createVerifier({ url, key }: { readonly url: string; readonly key: string }): Verifier {
  async function call(method: string, path: string, body?: unknown): Promise<Body> {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}`);
    return await answer.json();
  }
  const drop = async ({ pres_ex_id, invi_msg_id }: Asked): Promise<void> => {
    await call('DELETE', `/present-proof-2.0/records/${pres_ex_id}`);
    await call('DELETE', `/out-of-band/invitations/${invi_msg_id}`);
  };

  return {
    async ask(configuration) {
      const { pres_ex_id } = await call('POST', '/present-proof-2.0/create-request', {
        presentation_request: { anoncreds: proofRequest(configuration, new Date()) },
        auto_verify: true,
      });
      const made = await call('POST', '/out-of-band/create-invitation', { attachments: [{ id: pres_ex_id, type: 'present-proof' }] });
      return { pres_ex_id, invi_msg_id: made.invi_msg_id, short: made.short_url, invitation: made.invitation_url };
    },
    drop,
    async take(asked) {
      const record = await call('GET', `/present-proof-2.0/records/${asked.pres_ex_id}`);
      if (record?.state !== 'done' && record?.state !== 'abandoned') return undefined;
      await drop(asked);
      if (record.state === 'abandoned') return { why: 'Your wallet did not share what was asked for.' };
      if (record.verified !== 'true') return { why: reasonOf(record.verified_msgs ?? []) };
      return { presentation: record.by_format.pres.anoncreds };
    },
  };
}

/** Why a proof was not verified, for people: the agent's codes are for programs. */
const reasonOf = (codes: readonly string[]): string =>
  codes.some((one) => /revoked/i.test(one))
    ? 'What your wallet showed has been revoked. Please ask its issuer for a new one.'
    : 'What your wallet showed does not hold: it is not of an issuer that is accepted here, or not as it was asked for.';
