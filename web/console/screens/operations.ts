import { type Answer, operations as allOperations, call, schemaOf } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { type Place, to } from '../../lib/router.ts';
import { SchemaField, typedValue } from '../../lib/schema-form.ts';
import { screen } from '../../lib/screen.ts';
import { CopyBox, Form, Heading, Shown, TextField } from '../../lib/ui.ts';

/** Every operation that this session has: its form, the same call for a terminal and for Python, and its answer. */
export const operations = screen({
  path: 'operations',
  title: 'operations.title',
  needs: [],
  view: ({ parts: [id], query }: Place) => (id ? h(One, { id, given: query }) : h(All, null)),
});

function All(): VNode {
  const [wanted, want] = useState('');
  const loaded = useLoad(allOperations);
  const search = wanted.trim().toLowerCase();
  return h(
    Fragment,
    null,
    h(Heading, null, t('operations.title')),
    h(TextField, { label: t('list.filter'), type: 'search', value: wanted, onInput: want }),
    h(Shown<Answer[]>, {
      of: loaded,
      children: (rows) => {
        const shown = rows.filter((one) => `${one.method} ${one.path} ${one.summary} ${one.tag}`.toLowerCase().includes(search));
        const byTag = Object.entries(Object.groupBy(shown, ({ tag }) => tag as string)).sort(([a], [b]) => a.localeCompare(b));
        return h(
          Fragment,
          null,
          ...byTag.map(([tag, own = []]) =>
            h(
              'section',
              { key: tag },
              h('h2', null, tag),
              h(
                'ul',
                null,
                ...own.map((one) =>
                  h(
                    'li',
                    { key: one.id },
                    h('a', { href: to('operations', [one.id]) }, h('code', null, `${one.method} ${one.path}`)),
                    ' ',
                    one.summary,
                  ),
                ),
              ),
            ),
          ),
        );
      },
    }),
  );
}

interface Given {
  readonly params: Record<string, string>;
  readonly query: Record<string, string>;
  readonly body?: object;
}

/** The same call from a terminal. The key is a variable, never its value. */
function curl({ method, path }: Answer, { params, query, body }: Given): string {
  const to = path.replace(/\{([a-z_]+)\*?\}/g, (_all: string, name: string) => encodeURIComponent(params[name] || name));
  const asked = new URLSearchParams(query).toString();
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  return [
    `curl -X ${method} "$AGENT"${quoted(`${to}${asked && `?${asked}`}`)} -H "x-api-key: $KEY"`,
    ...(body ? [`-H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`] : []),
  ].join(' \\\n  ');
}

function python({ method, path }: Answer, { params, query, body }: Given): string {
  const to = path.replace(/\{([a-z_]+)\*?\}/g, (_all: string, name: string) => encodeURIComponent(params[name] || name));
  const text = (value: unknown): string => JSON.stringify(JSON.stringify(value));
  return [
    'import json, os, requests',
    '',
    `answer = requests.request(${JSON.stringify(method)}, os.environ["AGENT"] + ${JSON.stringify(to)}, headers={"x-api-key": os.environ["KEY"]},`,
    `    params=json.loads(${text(query)})${body ? `, json=json.loads(${text(body)})` : ''})`,
    'print(answer.status_code, answer.text)',
  ].join('\n');
}

function One({ id, given }: { id: string; given: URLSearchParams }): VNode {
  const loaded = useLoad(() => schemaOf(id), [], [id]);
  return h(Shown<Answer>, { of: loaded, children: (schema) => h(Call, { id, schema, given }) });
}

/** @param given parameters of the path, to begin with */
function Call({ id, schema, given: first }: { id: string; schema: Answer; given: URLSearchParams }): VNode {
  const [values, set] = useState<Readonly<Record<string, string>>>(
    Object.fromEntries([...first].map(([name, value]) => [`path ${name}`, value])),
  );
  const [answer, show] = useState<string>();
  const names = [...schema.path.matchAll(/\{([a-z_]+)\*?\}/g)].map(([, name]) => name as string);
  const members = (part: Answer): [string, Answer][] => Object.entries(part?.properties ?? {});
  const field = (group: string, [name, own]: [string, Answer], required: boolean): VNode =>
    h(SchemaField, {
      key: `${group} ${name}`,
      name,
      schema: own,
      required,
      value: values[`${group} ${name}`] ?? '',
      onInput: (value) => set((before) => ({ ...before, [`${group} ${name}`]: value })),
    });
  const given = (): Given => {
    const read = (group: string, part: Answer): Record<string, unknown> =>
      Object.fromEntries(
        members(part).flatMap(([name, own]) => {
          const value = typedValue(own, values[`${group} ${name}`] ?? '');
          return value === undefined ? [] : [[name, value]];
        }),
      );
    const query = Object.fromEntries(Object.entries(read('query', schema.query)).map(([name, value]) => [name, String(value)]));
    return {
      params: Object.fromEntries(names.map((name) => [name, values[`path ${name}`] ?? ''])),
      query,
      ...(schema.body ? { body: read('body', schema.body) } : {}),
    };
  };
  const submit = async (): Promise<void> => {
    show(undefined);
    const found = await call(id, given());
    show(found instanceof Blob ? t('operations.bytes', { count: found.size }) : JSON.stringify(found, null, 2));
  };
  let written: Given | undefined;
  try {
    written = given();
  } catch {
    // what is typed is no JSON yet
  }
  return h(
    Fragment,
    null,
    h(Heading, null, h('code', null, `${schema.method} ${schema.path}`)),
    h('p', null, schema.summary),
    h(
      Form,
      { onSubmit: submit, action: t('operations.call') },
      ...names.map((name) => field('path', [name, { type: 'string' }], true)),
      ...members(schema.query).map((one) => field('query', one, schema.query.required?.includes(one[0]) ?? false)),
      ...members(schema.body).map((one) =>
        field('body', one, (schema.body.required?.includes(one[0]) && one[1].type === 'string') ?? false),
      ),
    ),
    answer === undefined ? null : h(CopyBox, { label: t('operations.answer'), text: answer, lines: true }),
    written
      ? h(
          'details',
          null,
          h('summary', null, t('operations.elsewhere')),
          h(CopyBox, { label: 'curl', text: curl(schema, written), lines: true }),
          h(CopyBox, { label: 'Python', text: python(schema, written), lines: true }),
        )
      : null,
    h('p', null, h('a', { href: to('operations') }, t('operations.title'))),
  );
}
