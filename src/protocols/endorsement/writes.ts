import type { TSchema } from 'typebox';
import { type Validator, validator } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { LedgerWrite } from '../../ports/ledger.ts';

const Did = Type.String({ maxLength: 200 });
const Id = Type.String({ maxLength: 400 });
const Status = Type.Object({ accumulator: Type.String({ maxLength: 2000 }), revoked: Type.String({ maxLength: 8000 }) });

/** The parts of each kind of write that an endorser takes: a request comes from a stranger, and its write is planned as if it were one's own. */
const SCHEMAS: { readonly [Kind in Exclude<LedgerWrite['kind'], 'did-rekey'>]: TSchema } = {
  'did-put': Type.Object({ did: Did, document: Type.Object({ id: Did }) }),
  'did-deactivate': Type.Object({ did: Did }),
  'did-operator': Type.Object({ did: Did, operator: Type.Optional(Type.String({ maxLength: 100 })) }),
  'object-put': Type.Object({
    id: Id,
    did: Did,
    type: Type.Union(['SCHEMA', 'CLAIM_DEF', 'REV_REG_DEF'].map((name) => Type.Literal(name))),
    object: Type.Object({}),
  }),
  'registry-put': Type.Object({ id: Id, did: Did, object: Type.Object({}), status: Status }),
  'status-append': Type.Object({ id: Id, did: Did, expected: Type.Integer({ minimum: 0 }), status: Status }),
  'status-prune': Type.Object({ id: Id, did: Did, before: Type.Integer({ minimum: 0 }) }),
};

const VALIDATORS: ReadonlyMap<string, Validator<TSchema>> = new Map(
  Object.entries(SCHEMAS).map(([kind, schema]) => [kind, validator(schema)] as const),
);

/** The kinds of write that can be endorsed. */
export const WRITE_KINDS = [...VALIDATORS.keys()];

/** Whether a write is one of its kind; undefined for a kind that nobody knows. */
export function isWrite(write: { readonly [member: string]: unknown }): boolean | undefined {
  return VALIDATORS.get(String(write.kind))?.check(write);
}
