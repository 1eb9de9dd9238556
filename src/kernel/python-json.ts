/**
 * JSON as Python's `json.dumps` writes it: `", "` between members, `": "` after names, everything beyond ASCII escaped. Controllers of ACA-Py exist that read
 * answers and webhooks as text, and test harnesses replace `"state": "x"` in them.
 */
export function pythonJson(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  const parts: string[] = [];
  for (const [name, member] of Object.entries(value as object))
    if (member !== undefined) parts.push(`${quote(name)}: ${pythonJson(member)}`);
  return `{${parts.join(', ')}}`;
}

const quote = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
