import { type Answer, call, may } from '../../lib/api.ts';
import { type Definition, finished, nameOf, ownDefinitions } from '../../lib/definitions.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { algo, t } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { tell } from '../../lib/toast.ts';
import { Button, Check, Empty, Facts, Form, Heading, Shown, Table, TextField } from '../../lib/ui.ts';
import { LookOf } from '../look.ts';

/** The most that a schema holds (AnonCreds). */
const MOST = 125;
/** How often it is looked whether a DID is public, which takes a block of the ledger. */
const AGAIN_MS = 1000;
const TRIES = 60;

/** Schemas and credential definitions: those of this wallet, and a wizard that makes both. */
export const definitions = screen({
  path: 'definitions',
  title: 'definitions.title',
  needs: ['get_anoncreds_credential_definitions'],
  view: ({ parts: [what], query }: Place) => {
    const of = query.get('of');
    if (what === 'look' && of) return h(LookOf, { id: of });
    return what === 'new' ? h(Wizard, null) : h(All, null);
  },
});

function All(): VNode {
  const loaded = useLoad(ownDefinitions);
  return h(
    Fragment,
    null,
    h(Heading, null, t('definitions.title')),
    h(
      'p',
      { class: 'actions' },
      may('post_anoncreds_credential_definition')
        ? h('a', { class: 'button main', href: to('definitions', ['new']) }, t('definitions.new'))
        : null,
      h(Button, { onClick: loaded.reload }, t('action.refresh')),
    ),
    h(Shown<Definition[]>, {
      of: loaded,
      children: (rows) =>
        rows.length === 0
          ? h(Empty, { text: t('definitions.none') })
          : h(Table<Definition>, {
              caption: t('definitions.title'),
              rows,
              id: ({ id }) => id,
              columns: [
                { title: t('definitions.name'), cell: (row) => h('b', null, h(Theirs, { text: nameOf(row) })) },
                { title: t('definitions.attributes'), cell: ({ attributes }) => h(Theirs, { text: attributes.join(', ') }) },
                { title: t('definitions.revocable'), cell: ({ revocable }) => (revocable ? t('yes') : t('no')) },
                { title: t('column.id'), cell: ({ id }) => h('code', null, id) },
                {
                  title: t('column.do'),
                  cell: ({ id }) =>
                    h(
                      'span',
                      { class: 'actions' },
                      may('post_issue_credential_2_0_send_offer')
                        ? h('a', { href: to('issue', ['new'], { with: id }) }, t('definitions.issue'))
                        : null,
                      may('get_oca_bundles') ? h('a', { href: to('definitions', ['look'], { of: id }) }, t('look.title')) : null,
                    ),
                },
              ],
            }),
    }),
  );
}

/** What is wrong with attribute names, before anything is written; undefined where nothing is. */
function fault(names: readonly string[]): string | undefined {
  if (names.length === 0) return t('definitions.no-attributes');
  if (names.length > MOST) return t('definitions.too-many', { most: MOST, count: names.length });
  const twice = names.find(
    (name, i) => names.findIndex((other) => other.toLowerCase().replace(/\s/g, '') === name.toLowerCase().replace(/\s/g, '')) !== i,
  );
  return twice === undefined ? undefined : t('definitions.twice', { name: twice });
}

function Wizard(): VNode {
  const did = useLoad(() => call('get_wallet_did_public'));
  return h(
    Fragment,
    null,
    h(Heading, null, t('definitions.new')),
    h(Shown<Answer>, {
      of: did,
      children: ({ result }) =>
        result || may('post_wallet_did_create', 'post_wallet_did_public')
          ? h(Making, { known: result?.did })
          : h('div', { class: 'card' }, h('h2', null, t('did.title')), h('p', null, t('did.text')), h('p', null, t('did.ask'))),
    }),
  );
}

/** The first step of an issuer: a DID that the ledger knows. */
async function makePublicDid(): Promise<string> {
  const { result } = await call('post_wallet_did_create', { body: { method: 'algo' } });
  await call('post_wallet_did_public', { query: { did: result.did } });
  for (let tries = 0; tries < TRIES && !(await call('get_wallet_did_public')).result; tries++)
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  return result.did;
}

/** @param known - the public DID; a wallet without one gets it with its first definition */
function Making({ known }: { known: string | undefined }): VNode {
  const [own, setOwn] = useState(known);
  const [name, setName] = useState('');
  const [version, setVersion] = useState('1.0');
  const [text, setText] = useState('');
  const [tag, setTag] = useState('default');
  const [revocable, setRevocable] = useState(true);
  const [size, setSize] = useState('100');
  const [at, setAt] = useState('');
  const [cost, setCost] = useState('');
  const names = text
    .split(/[\n,]/)
    .map((one) => one.trim())
    .filter(Boolean);
  const estimate = async (): Promise<void> => {
    const wrong = fault(names);
    if (wrong) throw new Error(wrong);
    const writes = [
      { type: 'schema', attributes: names, name, version },
      { type: 'credential_definition', attributes: names, support_revocation: revocable, tag },
      // one issues, and one stands by
      ...(revocable ? Array.from({ length: 2 }, () => ({ type: 'revocation_registry', max_cred_num: Number(size) })) : []),
    ];
    const { total } = await call('post_ledger_estimate', { body: { writes } });
    setCost(t('definitions.cost', { algo: algo(total) }));
  };
  const submit = async (): Promise<void> => {
    const wrong = fault(names);
    if (wrong) throw new Error(wrong);
    try {
      if (!own) setAt(t('did.at'));
      const did = own ?? (await makePublicDid());
      setOwn(did);
      setAt(t('definitions.at-schema'));
      const { schema_id: schemaId } = await finished(
        'post_anoncreds_schema',
        { schema: { issuerId: did, name, version, attrNames: names } },
        'schema_state',
      );
      setAt(t('definitions.at-keys'));
      const options = revocable ? { support_revocation: true, revocation_registry_size: Number(size) } : { support_revocation: false };
      await finished(
        'post_anoncreds_credential_definition',
        { credential_definition: { issuerId: did, schemaId, tag }, options },
        'credential_definition_state',
      );
      tell(t('definitions.made'));
      go('definitions');
    } finally {
      setAt('');
    }
  };
  return h(
    Form,
    { onSubmit: submit, action: t('definitions.make') },
    own
      ? h(Facts, { of: [[t('definitions.issuer'), h('code', null, own)]] })
      : h('p', null, h('b', null, t('did.title')), ' ', t('did.first')),
    h(TextField, {
      label: t('definitions.schema-name'),
      hint: t('definitions.schema-name.hint'),
      value: name,
      onInput: setName,
      required: true,
      max: 256,
    }),
    h(TextField, { label: t('definitions.version'), value: version, onInput: setVersion, required: true, max: 256 }),
    h(TextField, {
      label: t('definitions.attributes'),
      hint: t('definitions.attributes.hint', { most: MOST }),
      error: names.length > 0 ? fault(names) : undefined,
      value: text,
      onInput: setText,
      rows: 6,
      required: true,
    }),
    h(TextField, { label: t('definitions.tag'), hint: t('definitions.tag.hint'), value: tag, onInput: setTag, required: true, max: 256 }),
    h(Check, { label: t('definitions.revocable'), hint: t('definitions.revocable.hint'), checked: revocable, onChange: setRevocable }),
    revocable
      ? h(TextField, {
          label: t('definitions.size'),
          hint: t('definitions.size.hint'),
          type: 'number',
          value: size,
          onInput: setSize,
          required: true,
        })
      : null,
    h('p', null, h('small', null, t('definitions.public'))),
    may('post_ledger_estimate')
      ? h(
          'p',
          { class: 'actions' },
          h(Button, { onClick: estimate }, t('definitions.show-cost')),
          cost ? h('span', { role: 'status' }, cost) : null,
        )
      : null,
    at ? h('p', { role: 'status' }, at) : null,
  );
}
