import Type from '../../kernel/type.ts';

/** The shapes of encrypted data vaults (EDV 0.10), as their clients send them. No member is let in that could hold clear text. */

const CLOSED = { additionalProperties: false };
const Base64url = (maxLength: number) => Type.String({ maxLength, pattern: '^[A-Za-z0-9_-]*$' });
const Sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER - 1 });
const Key = Type.Object({ id: Type.String({ minLength: 1, maxLength: 500 }), type: Type.String({ minLength: 1, maxLength: 100 }) });
const Blinded = Base64url(200);

/** Ed25519 alone: the keys that invoke and delegate. */
export const Did = Type.String({ maxLength: 60, pattern: '^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$' });
/** A base58 id of 128 bits. */
export const EdvId = Type.String({ maxLength: 30, pattern: '^z1[1-9A-HJ-NP-Za-km-z]{20,24}$' });

const Jwe = Type.Object(
  {
    protected: Base64url(2000),
    recipients: Type.Array(
      Type.Object(
        {
          header: Type.Object(
            {
              kid: Type.String({ minLength: 1, maxLength: 500, pattern: '^[!-~]+$' }),
              alg: Type.String({ maxLength: 50 }),
              epk: Type.Optional(
                Type.Object(
                  {
                    kty: Type.String({ maxLength: 10 }),
                    crv: Type.String({ maxLength: 20 }),
                    x: Base64url(100),
                    y: Type.Optional(Base64url(100)),
                  },
                  CLOSED,
                ),
              ),
              apu: Type.Optional(Base64url(200)),
              apv: Type.Optional(Base64url(1000)),
            },
            CLOSED,
          ),
          encrypted_key: Base64url(200),
        },
        CLOSED,
      ),
      { minItems: 1, maxItems: 100 },
    ),
    iv: Base64url(100),
    ciphertext: Base64url(2 << 20),
    tag: Base64url(100),
  },
  CLOSED,
);

export const IndexEntry = Type.Object(
  {
    hmac: Key,
    sequence: Sequence,
    attributes: Type.Array(Type.Object({ name: Blinded, value: Blinded, unique: Type.Optional(Type.Boolean()) }, CLOSED), {
      maxItems: 100,
    }),
  },
  CLOSED,
);

export const Document = Type.Object(
  {
    id: EdvId,
    sequence: Sequence,
    indexed: Type.Optional(Type.Array(IndexEntry, { maxItems: 4 })),
    jwe: Jwe,
    stream: Type.Optional(
      Type.Object({ sequence: Type.Optional(Sequence), chunks: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })) }, CLOSED),
    ),
  },
  CLOSED,
);

export const Chunk = Type.Object(
  {
    sequence: Sequence,
    index: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    offset: Type.Optional(Type.Integer({ minimum: 0 })),
    jwe: Jwe,
  },
  CLOSED,
);

export const Config = Type.Object({
  controller: Did,
  referenceId: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  keyAgreementKey: Key,
  hmac: Key,
  sequence: Sequence,
});

const Pairs = Type.Unsafe<Record<string, string>>(Type.Object({}, { additionalProperties: Blinded, minProperties: 1, maxProperties: 20 }));

export const Query = Type.Object(
  {
    index: Type.String({ minLength: 1, maxLength: 500 }),
    equals: Type.Optional(Type.Array(Pairs, { minItems: 1, maxItems: 20 })),
    has: Type.Optional(Type.Array(Blinded, { minItems: 1, maxItems: 20 })),
    count: Type.Optional(Type.Boolean()),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    returnDocuments: Type.Optional(Type.Boolean()),
  },
  CLOSED,
);
