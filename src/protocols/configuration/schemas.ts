import type { TSchema } from 'typebox';
import { POINTS } from '../../kernel/decisions.ts';
import { checkedAs } from '../../kernel/json.ts';
import { AnyObject } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';

/** Bodies of the Config API, by message and by HTTP alike. */

const Id = Type.String({ minLength: 1, maxLength: 100 });
const Name = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' });
/** A message type or a point, `*` for any text. */
const Glob = Type.String({ minLength: 1, maxLength: 200 });
const Globs = Type.Array(Glob, { minItems: 1, maxItems: 20 });
const Role = Type.Unsafe<string>(Type.Union([...new Set(Object.values(POINTS).map(({ role }) => role))].map((role) => Type.Literal(role))));
const Named = Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { maxItems: 1000 }));
const LISTS = { issuers: Named, credential_definitions: Named, verifiers: Named };
const closed = { additionalProperties: false };
/** From a tenth of a second to 90 days. */
const Timeout = Type.Optional(Type.Integer({ minimum: 100, maximum: 90 * 24 * 3600_000 }));
const OnTimeout = Type.Optional(Type.Union([Type.Literal('default'), Type.Literal('reject'), Type.Literal('hold')]));
const Choices = {
  connections: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: 100 })),
  roles: Type.Optional(Type.Array(Role, { minItems: 1, maxItems: 20 })),
};

export const HandlerBody = Type.Object(
  {
    match: Type.Object({ types: Globs, ...Choices }, closed),
    mode: Type.Union([Type.Literal('consult'), Type.Literal('notify')]),
    deliver: Type.Union([Type.Literal('didcomm'), Type.Literal('webhook')]),
    approvers: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: 10, uniqueItems: true })),
    approvals: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
    timeout_ms: Timeout,
    on_timeout: OnTimeout,
  },
  closed,
);

export const HandlerName = Type.Object({ handler_id: Id });
export const PolicyName = Type.Object({ name: Name });

const PolicyValue = Type.Object(
  { action: Type.Union([Type.Literal('accept'), Type.Literal('reject'), Type.Literal('hold')]), ...LISTS },
  closed,
);

export const PolicyBody = Type.Object(
  {
    name: Name,
    value: Type.Union([PolicyValue, Type.Null()]),
    scope: Type.Optional(Type.Object({ types: Type.Optional(Globs), ...Choices }, closed)),
  },
  closed,
);

export const DefaultsBody = Type.Object(
  {
    auto: Type.Optional(
      Type.Object(Object.fromEntries(Object.keys(POINTS).map((point) => [point, Type.Optional(Type.Boolean())])), closed),
    ),
    types: Type.Optional(Type.Array(Glob, { maxItems: 100 })),
    ...LISTS,
    label: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    timeout_ms: Timeout,
    on_timeout: OnTimeout,
  },
  closed,
);

export const DecisionBody = Type.Object({
  decision_id: Id,
  action: Type.Union([Type.Literal('continue'), Type.Literal('replace'), Type.Literal('reject'), Type.Literal('hold')]),
  values: Type.Optional(AnyObject),
  /** The name of the decider, by its controller; a message has the connection in its place. */
  decider: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
});

/** The same without the members that stand in a path. */
export const without = (schema: TSchema, names: readonly string[]): TSchema => {
  const { properties } = checkedAs<{ properties: Record<string, TSchema> }>(schema);
  return Type.Object(
    Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name))),
    (schema as { additionalProperties?: boolean }).additionalProperties === false ? closed : {},
  );
};
