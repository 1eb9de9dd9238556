import Type from 'typebox';

/** What a controller says of proofs, whichever version of present-proof carries it. */

const Restrictions = Type.Optional(Type.Union([Type.Array(Type.Object({})), Type.Object({})]));
const Interval = Type.Optional(
  Type.Union([Type.Object({ from: Type.Optional(Type.Integer()), to: Type.Optional(Type.Integer()) }), Type.Null()]),
);
const Referents = <S extends Type.TSchema>(schema: S) => Type.Record(Type.String({ maxLength: 256 }), schema);

/** An AnonCreds proof request, as ACA-Py takes it from a controller. */
export const ProofRequest = Type.Object({
  name: Type.Optional(Type.String({ maxLength: 1000 })),
  version: Type.Optional(Type.String({ maxLength: 100 })),
  nonce: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,24}$' })),
  requested_attributes: Referents(
    Type.Object({
      name: Type.Optional(Type.String()),
      names: Type.Optional(Type.Array(Type.String(), { maxItems: 125 })),
      restrictions: Restrictions,
      non_revoked: Interval,
    }),
  ),
  requested_predicates: Referents(
    Type.Object({
      name: Type.String(),
      p_type: Type.Union([Type.Literal('<'), Type.Literal('<='), Type.Literal('>='), Type.Literal('>')]),
      p_value: Type.Integer({ minimum: -2147483648, maximum: 2147483647 }),
      restrictions: Restrictions,
      non_revoked: Interval,
    }),
  ),
  non_revoked: Interval,
});
const Chosen = Type.Object({ cred_id: Type.String(), revealed: Type.Optional(Type.Boolean()), timestamp: Type.Optional(Type.Integer()) });
/** Which credential answers which referent. */
export const Presentation = Type.Object({
  requested_attributes: Referents(Chosen),
  requested_predicates: Referents(Chosen),
  self_attested_attributes: Referents(Type.String({ maxLength: 65_536 })),
});
