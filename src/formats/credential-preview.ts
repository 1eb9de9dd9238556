import type { Static } from 'typebox';
import { AppError, type ErrorCode } from '../errors.ts';
import Type from '../kernel/type.ts';
import { canonicalName } from './anoncreds-values.ts';

/** The offered attributes, and the names that they may have: alike in both versions of issue-credential. */

/** Attributes of a schema (AnonCreds specification, "Schema"): Indy's limit, which everybody's keys and proofs are made for. */
export const MAX_ATTRIBUTES = 125;

const Attribute = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 256 }),
  // as long as the message is: pictures are put into credentials as text
  value: Type.String(),
  'mime-type': Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

/** A credential preview, as a message carries it and a controller gives it (RFC 0036, RFC 0453). */
export const Preview = Type.Object({
  '@type': Type.Optional(Type.String()),
  attributes: Type.Array(Attribute, { maxItems: MAX_ATTRIBUTES }),
});
export type Preview = Static<typeof Preview>;

/** Names that mean something else to what works with credentials: the hidden link secret, and a member that JSON here never has. */
const RESERVED: ReadonlySet<string> = new Set(['master_secret', '__proto__']);

/**
 * Why these names cannot be those of one credential; undefined where they can. Names become members of JSON objects and go to native code, so that some are
 * refused by what comes later: it is refused here, before anything is written.
 */
export function namesFault(names: readonly string[]): string | undefined {
  const seen = new Map<string, string>();
  for (const name of names) {
    const one = canonicalName(name);
    const quoted = JSON.stringify(name.slice(0, 64));
    if (one === '') return 'an attribute name is empty';
    if (name.length > 256) return `the attribute name ${quoted} is longer than 256 characters`;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (/[\u0000-\u001f\u007f\\"]/.test(name) || !name.isWellFormed())
      return `the attribute name ${quoted} has a control character, a quotation mark, a backslash or half a character`;
    if (RESERVED.has(one)) return `the attribute name ${quoted} is reserved`;
    const other = seen.get(one);
    if (other !== undefined) return `the attribute names ${JSON.stringify(other.slice(0, 64))} and ${quoted} differ only in blanks or case`;
    seen.set(one, name);
  }
  return undefined;
}

/** A preview that a credential can be made of. @throws AppError `code` with what is wrong */
export function checkPreview(preview: Preview | null | undefined, code: ErrorCode): void {
  if (!preview) return;
  const fault = namesFault(preview.attributes.map(({ name }) => name));
  if (fault) throw new AppError(code, `credential_preview: ${fault}`);
  for (const { name, value } of preview.attributes) {
    if (value.includes('\0') || !value.isWellFormed())
      throw new AppError(code, `credential_preview: the value of ${name} has U+0000 or half a character, which cannot be signed`);
  }
}
