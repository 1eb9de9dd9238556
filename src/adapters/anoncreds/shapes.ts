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

export const matching =
  (pattern: RegExp, what: string): Shape =>
  (value, path) =>
    typeof value === 'string' && pattern.test(value) ? undefined : wrong(path, what);

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

/** Of one shape or the other. */
const either =
  (one: Shape, other: Shape): Shape =>
  (value, path) =>
    one(value, path) === undefined ? undefined : other(value, path);

export const any: Shape = () => undefined;

/** A shape, and at most `max` bytes of JSON. */
export const bounded =
  (shape: Shape, max = 1 << 20): Shape =>
  (value, path) =>
    shape(value, path) ?? (JSON.stringify(value).length > max ? wrong(path, `smaller than ${max} bytes`) : undefined);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

// A 3072-bit modulus has 925 digits; responses of proofs add some hundred bits to an exponent.
const number = decimal(1400);
/** Points of the curve, as the library writes them: for each number how often the modulus fits in it, and the number in hexadecimal. */
const g1 = matching(/^[0-9]{1,9} [0-9A-F]{1,70}(?: [0-9]{1,9} [0-9A-F]{1,70}){2}$/, 'a point');
const g2 = matching(/^[0-9]{1,9} [0-9A-F]{1,70}(?: [0-9]{1,9} [0-9A-F]{1,70}){5}$/, 'a point');
const numbers = map(number, 200);
/** A number modulo the order of the curve. */
const scalar = matching(/^[0-9A-F]{1,70}$/, 'a number in hexadecimal');
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
      revocation: optional(object({ g: g1, g_dash: g2, h: g1, h0: g1, h1: g1, h2: g1, htilde: g1, h_cap: g2, u: g2, pk: g1, y: g2 })),
    }),
  }),
);

export const entries = integer(4, 32_768);
/** An index at which a credential can be issued, of a registry of so many entries: the library fails at 0, or breaks the registry. */
export const index = (maxCredNum: number): Shape => integer(1, maxCredNum - 1);
/** Indices of a registry, each once. */
export const indices =
  (maxCredNum: number): Shape =>
  (value, path) =>
    list(index(maxCredNum), maxCredNum)(value, path) ??
    (new Set(value as number[]).size === (value as number[]).length ? undefined : wrong(path, 'a list of different indices'));

export const registryDefinition = bounded(
  object({
    issuerId: id,
    revocDefType: literal('CL_ACCUM'),
    credDefId: id,
    tag: text(256),
    value: object({
      publicKeys: object({ accumKey: object({ z: matching(/^[0-9A-F ]{1,1200}$/, 'the key of an accumulator') }) }),
      maxCredNum: entries,
      tailsLocation: text(2048, 0),
      tailsHash: matching(/^[1-9A-HJ-NP-Za-km-z]{32,44}$/, 'a SHA-256 in base58'),
    }),
  }),
);

export const registryKey = bounded(object({ value: object({ gamma: matching(/^[0-9A-F]{1,70}$/, 'a number in hexadecimal') }) }), 1 << 12);

export const time = integer(0, 2 ** 31 - 1);

export const statusList = object({
  issuerId: id,
  revRegDefId: id,
  revocationList: list(literal(0, 1), 32_768, 4),
  currentAccumulator: g2,
  timestamp: optional(time),
});

/** Of a list: the registry has so many entries. */
export const statusListOf =
  (maxCredNum: number): Shape =>
  (value, path) =>
    statusList(value, path) ??
    ((value as { revocationList: unknown[] }).revocationList.length === maxCredNum ? undefined : wrong(path, 'a list of this registry'));

/** The registries that a presentation names, as a verifier has read them. */
export const registries = object({
  revocationRegistryDefinitions: optional(map(registryDefinition, 100)),
  statusLists: optional(list(object({ registryId: id, timestamp: integer(0, 2 ** 40), list: statusList, next: optional(time) }), 100)),
});

export const tailsBytes =
  (maxCredNum: number): Shape =>
  (value, path) =>
    value instanceof Uint8Array && value.length === 2 + 128 * (2 * maxCredNum + 1) ? undefined : wrong(path, 'the tails of this registry');

export const revocationState = bounded(
  object({ witness: object({ omega: g2 }), rev_reg: object({ accum: g2 }), timestamp: time }),
  1 << 12,
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
    signature: object({
      p_credential: object({ m_2: number, a: number, e: number, v: number }),
      r_credential: optional(
        bounded(
          object({
            sigma: g1,
            c: scalar,
            vr_prime_prime: scalar,
            witness_signature: object({ sigma_i: g2, u_i: g2, g_i: g1 }),
            g_i: g1,
            i: integer(1, 32_767),
            m2: scalar,
          }),
          1 << 12,
        ),
      ),
    }),
    signature_correctness_proof: object({ se: number, c: number }),
  }),
  16 << 20,
);

/** A credential that is presented, with time and witness or neither. */
export const presented = both(object({ credential, timestamp: optional(time), state: optional(revocationState) }), (value, path) =>
  ((value as { timestamp?: unknown }).timestamp == null) === ((value as { state?: unknown }).state == null)
    ? undefined
    : wrong(path, 'a credential with both time and witness, or with neither'),
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

const at = object({ sub_proof_index: integer(0, 99) });
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
          non_revoc_proof: optional(object({ x_list: map(scalar, 14, 13), c_list: map(either(g1, g2), 7, 7) })),
        }),
        100,
      ),
      aggregated_proof: object({ c_hash: number, c_list: list(list(integer(0, 255), 2048), 5000) }),
    }),
    requested_proof: object({
      revealed_attrs: map(valueAt, referents),
      revealed_attr_groups: optional(map(object({ sub_proof_index: integer(0, 99), values }), referents)),
      self_attested_attrs: map(raw, referents),
      unrevealed_attrs: map(at, referents),
      predicates: map(at, referents),
    }),
    identifiers: list(object({ schema_id: id, cred_def_id: id, rev_reg_id: optional(id), timestamp: optional(integer(0, 2 ** 40)) }), 100),
  }),
  16 << 20,
);

export const linkSecret = decimal(100);
export { id };
