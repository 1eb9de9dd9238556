/** Messages and records that the step tables of credential exchanges have in common. */

/**
 * The members of a 2.0 message with one attachment, by the field that holds it.
 * @param ids the format identifier of each field, without the name of the format
 */
export function formattedBy<F extends string>(ids: Readonly<Record<F, string>>) {
  const formatted = (field: F, value: object, format = `anoncreds/${ids[field]}`) => ({
    formats: [{ attach_id: 'a', format }],
    [`${field}~attach`]: [
      { '@id': 'a', 'mime-type': 'application/json', data: { base64: Buffer.from(JSON.stringify(value)).toString('base64') } },
    ],
  });
  return {
    formatted,
    /** Its body, and what is sent beside the body. */
    body: (field: F, value: object, format?: string) => ({ formats: formatted(field, value, format).formats }),
    raw: (field: F, value: object) => ({ [`${field}~attach`]: formatted(field, value)[`${field}~attach`] }),
  };
}

/** An exchange on the connection `c1`. @param base members that all have */
export const exchangeOf =
  (base: object) =>
  (role: string, state: string, value: object = {}) => ({ id: 'x1', role, state, connection: 'c1', value: { ...base, ...value } });
