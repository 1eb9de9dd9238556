/** The shapes of AnonCreds objects, checked before they enter native code and when they leave it: the library trusts more than it should of what it is given. */

/** Answers what is wrong at which place, or undefined. */
export type Shape = (value: unknown, path: string) => string | undefined;

const wrong = (path: string, what: string): string => `${path || 'the value'} is not ${what}`;

/** Text of 1 to `max` characters. Text goes to C as it is: a NUL would end it early. */
export const text =
  (max: number, min = 1): Shape =>
  (value, path) =>
    typeof value === 'string' && value.length >= min && value.length <= max && !value.includes('\0')
      ? undefined
      : wrong(path, `text of ${min} to ${max} characters`);

/** A number in decimal, as the library writes its big numbers. */
export const decimal =
  (digits: number): Shape =>
  (value, path) =>
    typeof value === 'string' && value.length <= digits + 1 && /^-?[0-9]+$/.test(value) ? undefined : wrong(path, 'a decimal number');

export const integer =
  (min: number, max: number): Shape =>
  (value, path) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? undefined : wrong(path, 'an integer in range');

export const literal =
  (...allowed: readonly unknown[]): Shape =>
  (value, path) =>
    allowed.includes(value) ? undefined : wrong(path, `one of ${allowed.join(', ')}`);

/** Absent, null, or of that shape. */
export const optional =
  (shape: Shape): Shape =>
  (value, path) =>
    value === undefined || value === null ? undefined : shape(value, path);

export const list =
  (shape: Shape, max: number, min = 0): Shape =>
  (value, path) => {
    if (!Array.isArray(value) || value.length > max || value.length < min) return wrong(path, `a list of ${min} to ${max}`);
    for (const [i, item] of value.entries()) {
      const fault = shape(item, `${path}[${i}]`);
      if (fault) return fault;
    }
    return undefined;
  };

/** An object with members that others name. */
export const map =
  (shape: Shape, max: number, min = 0): Shape =>
  (value, path) => {
    if (!isObject(value)) return wrong(path, 'an object');
    const entries = Object.entries(value);
    if (entries.length > max || entries.length < min) return wrong(path, `an object of ${min} to ${max} members`);
    for (const [name, item] of entries) {
      if (name.length > 512 || name.includes('\0')) return wrong(path, 'an object with such names');
      // The name is another's and may be long or personal: the place is named without it.
      const fault = shape(item, `${path}.*`);
      if (fault) return fault;
    }
    return undefined;
  };

/** An object with these members; others are let through, the library ignores them. */
export const object =
  (members: Readonly<Record<string, Shape>>): Shape =>
  (value, path) => {
    if (!isObject(value)) return wrong(path, 'an object');
    for (const [name, shape] of Object.entries(members)) {
      const fault = shape(Object.hasOwn(value, name) ? value[name] : undefined, path ? `${path}.${name}` : name);
      if (fault) return fault;
    }
    return undefined;
  };

export const any: Shape = () => undefined;

/** A shape, and at most `max` bytes of JSON. */
export const bounded =
  (shape: Shape, max = 1 << 20): Shape =>
  (value, path) =>
    shape(value, path) ?? (JSON.stringify(value).length > max ? wrong(path, `smaller than ${max} bytes`) : undefined);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

// A 3072-bit modulus has 925 digits; responses of proofs add some hundred bits to an exponent.
const number = decimal(1400);
const numbers = map(number, 200);
const id = text(512);
const attributes = 125;
/** The attribute that carries the link secret. */
const LINK_SECRET = 'master_secret';

/** Names that differ for people and for the signature: blanks and case do not count. */
const distinctNames: Shape = (value, path) =>
  new Set((value as string[]).map((name) => name.replaceAll(' ', '').toLowerCase())).size === (value as string[]).length
    ? undefined
    : wrong(path, 'a list of names that differ in more than blanks and case');

const both =
  (...shapes: readonly Shape[]): Shape =>
  (value, path) => {
    for (const shape of shapes) {
      const fault = shape(value, path);
      if (fault) return fault;
    }
    return undefined;
  };

export const schema = object({
  name: text(256),
  version: text(256),
  attrNames: both(list(text(256), attributes, 1), distinctNames),
  issuerId: id,
});

export const credentialDefinition = bounded(
  object({
    schemaId: id,
    type: literal('CL'),
    tag: text(256),
    issuerId: id,
    value: object({
      primary: object({ n: number, s: number, r: map(number, attributes + 1, 1), rctxt: number, z: number }),
      revocation: optional(map(any, 20)),
    }),
  }),
);

export const privateKey = bounded(
  object({ value: object({ p_key: object({ p: number, q: number }), r_key: optional(map(any, 4)) }) }),
  1 << 16,
);

export const keyCorrectnessProof = bounded(object({ c: number, xz_cap: number, xr_cap: list(list(text(1400), 2, 2), attributes + 1, 1) }));

export const offer = object({ schema_id: id, cred_def_id: id, key_correctness_proof: keyCorrectnessProof, nonce: decimal(100) });

export const request = bounded(
  object({
    entropy: optional(text(256)),
    prover_did: optional(text(256)),
    cred_def_id: id,
    // A holder hides the link secret and nothing else: every other attribute is the issuer's to sign.
    blinded_ms: object({ u: number, hidden_attributes: list(literal(LINK_SECRET), 1, 1), committed_attributes: optional(map(number, 0)) }),
    blinded_ms_correctness_proof: object({
      c: number,
      v_dash_cap: number,
      m_caps: both(object({ [LINK_SECRET]: number }), map(number, 1, 1)),
      r_caps: map(number, 0),
    }),
    nonce: decimal(100),
  }),
);

export const requestMetadata = bounded(
  object({ link_secret_blinding_data: object({ v_prime: number }), nonce: decimal(100), link_secret_name: id }),
);

// Pictures are put into credentials as text: what bounds them is the message around them.
export const raw = text(16 << 20, 0);
const encoded = decimal(100);
export const values = map(object({ raw, encoded }), attributes, 1);

export const credential = bounded(
  object({
    schema_id: id,
    cred_def_id: id,
    rev_reg_id: optional(id),
    values,
    signature: object({ p_credential: object({ m_2: number, a: number, e: number, v: number }) }),
    signature_correctness_proof: object({ se: number, c: number }),
  }),
  16 << 20,
);

const referents = 200;
export const presentationRequest = bounded(
  object({
    name: text(1000, 0),
    version: text(100, 0),
    nonce: decimal(100),
    requested_attributes: map(
      both(object({ name: optional(text(256)), names: optional(list(text(256), attributes, 1)) }), (value, path) =>
        ((value as { name?: unknown }).name == null) === ((value as { names?: unknown }).names == null)
          ? wrong(path, 'one of name and names')
          : undefined,
      ),
      referents,
    ),
    requested_predicates: map(
      object({ name: text(256), p_type: literal('>=', '>', '<=', '<'), p_value: integer(-(2 ** 31), 2 ** 31 - 1) }),
      referents,
    ),
  }),
);

const index = object({ sub_proof_index: integer(0, 99) });
const valueAt = object({ sub_proof_index: integer(0, 99), raw, encoded });
export const presentation = bounded(
  object({
    proof: object({
      proofs: list(
        object({
          primary_proof: object({
            eq_proof: object({ revealed_attrs: map(number, attributes), a_prime: number, e: number, v: number, m: numbers, m2: number }),
            ge_proofs: optional(
              list(
                object({
                  u: numbers,
                  r: numbers,
                  mj: number,
                  alpha: number,
                  t: numbers,
                  predicate: object({
                    attr_name: text(256),
                    p_type: literal('GE', 'GT', 'LE', 'LT'),
                    value: integer(-(2 ** 31), 2 ** 31 - 1),
                  }),
                }),
                referents,
              ),
            ),
          }),
        }),
        100,
      ),
      aggregated_proof: object({ c_hash: number, c_list: list(list(integer(0, 255), 2048), 5000) }),
    }),
    requested_proof: object({
      revealed_attrs: map(valueAt, referents),
      revealed_attr_groups: optional(map(object({ sub_proof_index: integer(0, 99), values }), referents)),
      self_attested_attrs: map(raw, referents),
      unrevealed_attrs: map(index, referents),
      predicates: map(index, referents),
    }),
    identifiers: list(object({ schema_id: id, cred_def_id: id, rev_reg_id: optional(id), timestamp: optional(integer(0, 2 ** 40)) }), 100),
  }),
  16 << 20,
);

export const linkSecret = decimal(100);
export { id };
