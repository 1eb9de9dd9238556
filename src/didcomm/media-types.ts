/** Media types of DIDComm v1 (RFC 0044). */
export const ENVELOPE_V1 = 'application/didcomm-envelope-enc';
/** The name that came before RFC 0044; sent when the operator asks for it, accepted always. */
const ENVELOPE_OLD = 'application/ssi-agent-wire';

const ACCEPTED: ReadonlySet<string> = new Set([
  ENVELOPE_V1,
  ENVELOPE_OLD,
  'application/jwe',
  'application/json',
  'application/didcomm-enc-env',
  'application/didcomm-encrypted+json',
]);

/** The bare, lower-case media type of a Content-Type header, without parameters; '' when absent. */
export function bareMediaType(header: string | undefined): string {
  if (!header || header.length > 256) return '';
  const semicolon = header.indexOf(';');
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
}

/** Under which payloads of the 2018 Agent Protocol come, beside `application/json`. */
const PLAIN: ReadonlySet<string> = new Set(['text/plain', 'application/octet-stream']);

/**
 * Whether a body with this Content-Type may hold an envelope; `plain` where those of the 2018 Agent Protocol are taken too. A missing type is accepted, as
 * ACA-Py and Credo do: the body shows its form.
 */
export function mayHoldEnvelope(header: string | undefined, plain = false): boolean {
  const type = bareMediaType(header);
  return type === '' ? !header : ACCEPTED.has(type) || (plain && PLAIN.has(type));
}

/** The Content-Type to send. `old` is ACA-Py's default without `--emit-new-didcomm-mime-type`. */
export const sendMediaType = (old = false): string => (old ? ENVELOPE_OLD : ENVELOPE_V1);
