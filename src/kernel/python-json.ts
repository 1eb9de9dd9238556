/** Member names as they are written, with the separator behind them: the same few stand in every record. */
const names = new Map<string, string>();
const MAX_NAMES = 2000;
const MAX_NAME_LENGTH = 64;

/**
 * JSON as Python's `json.dumps` writes it: `", "` between members, `": "` after names, everything beyond ASCII escaped. Controllers of ACA-Py exist that read
 * answers and webhooks as text, and test harnesses replace `"state": "x"` in them.
 */
export function pythonJson(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return JSON.stringify(value);
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += text === '' ? pythonJson(element) : `, ${pythonJson(element)}`;
    return `[${text}]`;
  }
  for (const [name, member] of Object.entries(value as object))
    if (member !== undefined) text += (text === '' ? '' : ', ') + named(name) + pythonJson(member);
  return `{${text}}`;
}

function named(name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  const text = `${quote(name)}: `;
  // names may be a stranger's
  if (name.length <= MAX_NAME_LENGTH && names.size < MAX_NAMES) names.set(name, text);
  return text;
}

/** Beyond printable ASCII, or escaped within it. */
const ESCAPED = /[^ !#-[\]-~]/;

const quote = (text: string): string =>
  ESCAPED.test(text)
    ? JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : `"${text}"`;
