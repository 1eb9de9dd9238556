import { h, type VNode } from './h.ts';
import { t } from './i18n.ts';
import { Check, SelectField, TextField } from './ui.ts';

/** Forms from the schemas of operations: texts, numbers, flags, choices and lists of texts; everything else is JSON. */

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema, and values that follow it
type Json = any;

const choicesOf = (schema: Json): string[] | undefined =>
  schema.enum ??
  (schema.anyOf?.every((one: Json) => typeof one.const === 'string') ? schema.anyOf.map((one: Json) => one.const) : undefined);

type Kind = 'choice' | 'flag' | 'number' | 'text' | 'list' | 'json';

export function kindOf(schema: Json): Kind {
  if (choicesOf(schema)) return 'choice';
  if (schema.type === 'boolean') return 'flag';
  if (schema.type === 'integer' || schema.type === 'number') return 'number';
  if (schema.type === 'string') return 'text';
  if (schema.type === 'array' && schema.items?.type === 'string') return 'list';
  return 'json';
}

/** What was typed, as the schema wants it; undefined where nothing was. @throws Error in words for JSON that is none */
export function typedValue(schema: Json, text: string): unknown {
  if (text === '') return undefined;
  const kind = kindOf(schema);
  if (kind === 'number') return Number(text);
  if (kind === 'flag') return text === 'true';
  if (kind === 'list') return text.split('\n').filter(Boolean);
  if (kind !== 'json') return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(t('receive.bad-json'));
  }
}

export function SchemaField({
  name,
  schema,
  required,
  value,
  onInput,
}: {
  name: string;
  schema: Json;
  required: boolean;
  value: string;
  onInput: (value: string) => void;
}): VNode {
  const kind = kindOf(schema);
  const hint = schema.description;
  if (kind === 'flag') return h(Check, { label: name, hint, checked: value === 'true', onChange: (on) => onInput(on ? 'true' : '') });
  if (kind === 'choice')
    return h(SelectField, {
      label: name,
      hint,
      value,
      options: [['', '–'], ...choicesOf(schema)!.map((one) => [one, one] as const)],
      onChange: onInput,
    });
  const hints = { list: t('form.list'), json: t('form.json') };
  return h(TextField, {
    label: name,
    hint: hint ?? hints[kind as 'list' | 'json'],
    type: kind === 'number' ? 'number' : 'text',
    rows: kind === 'json' ? 6 : kind === 'list' ? 3 : undefined,
    required,
    value,
    onInput,
  });
}
