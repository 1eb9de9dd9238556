import type { Effects, Translation } from '../kernel/effects.ts';
import { composeFormatted } from '../kernel/format-attachments.ts';
import { defineProtocol, type StepContext } from '../kernel/protocol.ts';
import { Members, validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { acknowledged, type ConnectionValue, connection } from '../records/connection.ts';
import { bodyOf2018, URI_2018 } from './format.ts';
import { entryOf, objectOf } from './objects.ts';

const ISSUE = 'https://didcomm.org/issue-credential/2.0';
/** The records that these messages go on with belong to issue-credential 2.0: its steps, commands and webhooks serve both. */
const MODERN = { uris: [ISSUE] };

const Id = Type.String({ minLength: 1, maxLength: 1000 });
const Any = Type.Object({});
const Offer = validator(
  Type.Object({
    schema_id: Id,
    cred_def_id: Id,
    key_correctness_proof: Any,
    nonce: Type.String({ pattern: '^[0-9]{1,40}$' }),
    data: Type.Optional(Members(Type.String())),
    comment: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  }),
);
const Request = validator(Type.Object({ cred_def_id: Id, blinded_ms: Any }));
const Credential = validator(Type.Object({ cred_def_id: Id, values: Any, signature: Any }));

type Ctx = StepContext<ConnectionValue>;

/** Credentials of the 2018 Agent Protocol: AnonCreds objects, without a thread. The exchange of a message follows from the objects that it holds. */
export const credential2018 = defineProtocol<ConnectionValue>({
  name: 'credential-2018',
  uris: [URI_2018],
  binds: connection,
  stateless: true,
  messages: {
    credential_offer: {
      schema: Any,
      from: '*',
      step(ctx, message) {
        const { data, comment, ...offer } = bodyOf2018(message.body, Offer);
        const attributes = Object.entries((data ?? {}) as Record<string, string>).map(([name, value]) => ({ name, value }));
        const modern = composeFormatted(MODERN, {
          type: 'offer-credential',
          id: ctx.newId(),
          // the issuer's nonce is the only name that the exchange has
          thid: `${offer.nonce}`,
          body: {
            comment: comment ?? undefined,
            credential_preview: data && { '@type': `${ISSUE}/credential-preview`, attributes },
          },
          field: 'offers',
          entries: [entryOf('anoncreds', 'offer', offer)],
        });
        return { others: acknowledged(ctx), dispatch: [{ connection: ctx.connection!.id, message: modern }] };
      },
    },
    credential_request: {
      schema: Any,
      from: '*',
      step: (ctx, message) => match(ctx, 'credential_request', bodyOf2018(message.body, Request)),
    },
    credential: {
      schema: Any,
      from: '*',
      step: (ctx, message) => match(ctx, 'credential', bodyOf2018(message.body, Credential)),
    },
  },
  results: {
    matched: {
      from: '*',
      step: (ctx, { found, echo }: { found: Found | null; echo: { name: keyof typeof KINDS; object: JsonObject } }) =>
        goOn(ctx, found, echo),
    },
  },
  translate: {
    [`${ISSUE}/offer-credential`](message): Translation {
      const preview = message.credential_preview as { attributes?: { name: string; value: string }[] } | undefined;
      return {
        type: 'credential_offer',
        body: {
          ...objectOf(message),
          ...(preview?.attributes && { data: Object.fromEntries(preview.attributes.map(({ name, value }) => [name, value])) }),
          ...(typeof message.comment === 'string' && { comment: message.comment }),
        },
      };
    },
    [`${ISSUE}/request-credential`]: (message) => ({ type: 'credential_request', body: objectOf(message) }),
    [`${ISSUE}/issue-credential`]: (message) => ({ type: 'credential', body: objectOf(message) }),
    [`${ISSUE}/ack`]: null,
    [`${ISSUE}/problem-report`]: null,
  },
});

const KINDS = {
  credential_request: { type: 'request-credential', field: 'requests', step: 'request' },
  credential: { type: 'issue-credential', field: 'credentials', step: 'issue' },
} as const;

/** The exchange that an object belongs to, and the format that it was begun in. */
type Found = { readonly thid: string; readonly format: string };

function match(ctx: Ctx, name: keyof typeof KINDS, object: JsonObject): Effects {
  const input = { connection: ctx.connection!.id, echo: { name, object } };
  return { others: acknowledged(ctx), work: [{ op: `agent-2018/match-${name}`, input, result: 'matched' }] };
}

/** The object belongs to the exchange with this thread: handed on as its next message. */
function goOn(ctx: Ctx, found: Found | null, { name, object }: { name: keyof typeof KINDS; object: JsonObject }): Effects {
  if (found === null) return { problem: { code: 'out-of-order', text: `No exchange of this connection waits for this ${name}` } };
  const { type, field, step } = KINDS[name];
  const entries = [entryOf(found.format, step, object)];
  const modern = composeFormatted(MODERN, { type, id: ctx.newId(), thid: found.thid, field, entries });
  return { dispatch: [{ connection: ctx.connection!.id, continues: true, message: modern }] };
}
