import { ProofRequest } from '../formats/proof-request.ts';
import { composeFormatted } from '../kernel/format-attachments.ts';
import { defineProtocol, type StepContext } from '../kernel/protocol.ts';
import { validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { acknowledged, type ConnectionValue, connection } from '../records/connection.ts';
import { bodyOf2018, URI_2018 } from './format.ts';
import { entryOf, objectOf } from './objects.ts';

const PROVE = 'https://didcomm.org/present-proof/2.0';
/** The records belong to present-proof 2.0: its steps, commands and webhooks serve both. */
const MODERN = { uris: [PROVE] };

const Nonce = Type.String({ pattern: '^[0-9]{1,40}$' });
const Any = Type.Object({});
const Request = validator(
  Type.Object({
    nonce: Nonce,
    requested_attributes: ProofRequest.properties.requested_attributes,
    requested_predicates: ProofRequest.properties.requested_predicates,
  }),
);
const Proof = validator(
  Type.Object({ nonce: Type.Optional(Nonce), proof: Any, requested_proof: Any, identifiers: Type.Array(Any, { maxItems: 100 }) }),
);

/** The exchange that a proof answers, and the format that it was asked for in. */
type Found = { readonly thid: string; readonly format: string };

/** Proofs of the 2018 Agent Protocol: the request's nonce is its name, and comes back beside the presentation. */
export const proof2018 = defineProtocol<ConnectionValue>({
  name: 'proof-2018',
  uris: [URI_2018],
  binds: connection,
  stateless: true,
  messages: {
    proof_request: {
      schema: Any,
      from: '*',
      step(ctx, message) {
        const request = bodyOf2018(message.body, Request);
        const modern = composeFormatted(MODERN, {
          type: 'request-presentation',
          id: ctx.newId(),
          thid: `${request.nonce}`,
          body: {},
          field: 'request_presentations',
          entries: [entryOf('anoncreds', 'proof-request', request)],
        });
        return { others: acknowledged(ctx), dispatch: [{ connection: ctx.connection!.id, message: modern }] };
      },
    },
    proof: {
      schema: Any,
      from: '*',
      step(ctx, message) {
        const { nonce, ...presentation } = bodyOf2018(message.body, Proof);
        const input = { connection: ctx.connection!.id, nonce: nonce ?? null, echo: { object: presentation } };
        return { others: acknowledged(ctx), work: [{ op: 'agent-2018/match-proof', input, result: 'matched' }] };
      },
    },
  },
  results: {
    matched: {
      from: '*',
      step(ctx: StepContext<ConnectionValue>, { found, echo }: { found: Found | null; echo: { object: JsonObject } }) {
        if (found === null) return { problem: { code: 'out-of-order', text: 'No exchange of this connection waits for this proof' } };
        const modern = composeFormatted(MODERN, {
          type: 'presentation',
          id: ctx.newId(),
          thid: found.thid,
          field: 'presentations',
          entries: [entryOf(found.format, 'proof', echo.object)],
        });
        return { dispatch: [{ connection: ctx.connection!.id, continues: true, message: modern }] };
      },
    },
  },
  translate: {
    [`${PROVE}/request-presentation`]: (message) => ({ type: 'proof_request', body: objectOf(message) }),
    [`${PROVE}/presentation`]: (message) => ({
      type: 'proof',
      // the exchange's thread is the nonce of the request that began it
      body: { ...objectOf(message), nonce: (message['~thread'] as { thid?: string } | undefined)?.thid ?? null },
    }),
    [`${PROVE}/ack`]: null,
    [`${PROVE}/problem-report`]: null,
  },
});
