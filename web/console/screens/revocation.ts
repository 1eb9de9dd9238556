import { type Answer, call, may } from '../../lib/api.ts';
import { type Definition, nameOf, ownDefinitions } from '../../lib/definitions.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { ShortId, Theirs } from '../../lib/theirs.ts';
import { tell } from '../../lib/toast.ts';
import { Button, Check, Confirm, Empty, Facts, Form, ForSupport, Heading, Shown, State, Table, TextField } from '../../lib/ui.ts';

const TOPICS = ['revocation_registry', 'issuer_cred_rev'];

/** Revocation: registries of each definition, their credentials, and taking back one or many. */
export const revocation = screen({
  path: 'revocation',
  title: 'revocation.title',
  needs: ['get_anoncreds_revocation_registries'],
  view: ({ parts: [what, id], query }: Place) => {
    if (what === 'revoke' && query.get('exchange')) return h(RevokeOne, { exchange: query.get('exchange')! });
    if (what === 'registry' && id) return h(Registry, { id });
    return h(All, null);
  },
});

interface Row {
  readonly definition: Definition;
  readonly registries: string[];
}

function All(): VNode {
  const loaded = useLoad(async (): Promise<Row[]> => {
    const own = (await ownDefinitions()).filter(({ revocable }) => revocable);
    return await Promise.all(
      own.map(async (definition) => ({
        definition,
        registries: (await call('get_anoncreds_revocation_registries', { query: { cred_def_id: definition.id } })).rev_reg_ids,
      })),
    );
  }, TOPICS);
  const publish = async (): Promise<string> => {
    await call('post_anoncreds_revocation_publish_revocations', { body: {} });
    return t('revocation.published');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('revocation.title')),
    may('post_anoncreds_revocation_publish_revocations')
      ? h('p', { class: 'actions' }, h(Button, { onClick: publish }, t('revocation.publish')))
      : null,
    h(Shown<Row[]>, {
      of: loaded,
      children: (rows) =>
        rows.length === 0
          ? h(Empty, { text: t('revocation.none') })
          : h(
              Fragment,
              null,
              ...rows.map(({ definition, registries }) =>
                h(
                  'section',
                  { class: 'card', key: definition.id },
                  h('h2', null, h(Theirs, { text: nameOf(definition) })),
                  h(
                    'ul',
                    null,
                    ...registries.map((id) =>
                      h(
                        'li',
                        { key: id },
                        h('a', { href: to('revocation', ['registry', id]) }, t('revocation.registry'), ' ', h(ShortId, { id })),
                      ),
                    ),
                  ),
                  may('post_anoncreds_revocation_active_registry_cred_def_id_rotate')
                    ? h(
                        Button,
                        {
                          onClick: () =>
                            call('post_anoncreds_revocation_active_registry_cred_def_id_rotate', {
                              params: { cred_def_id: definition.id },
                            }).then(loaded.reload),
                        },
                        t('revocation.rotate'),
                      )
                    : null,
                ),
              ),
            ),
    }),
  );
}

function Registry({ id }: { id: string }): VNode {
  const params = { rev_reg_id: id };
  const [chosen, choose] = useState<readonly string[]>([]);
  const [asking, ask] = useState(false);
  const loaded = useLoad(
    async () => {
      const [{ result: registry }, details] = await Promise.all([
        call('get_anoncreds_revocation_registry_rev_reg_id', { params }),
        call('get_anoncreds_revocation_registry_rev_reg_id_issued_details', { params }),
      ]);
      return { registry, issued: (Array.isArray(details) ? details : (details.results ?? [])) as Answer[] };
    },
    TOPICS,
    [id],
  );
  const revoke = async (): Promise<void> => {
    // the last one publishes all that is pending with it, in one record
    for (const [at, index] of chosen.entries())
      await call('post_anoncreds_revocation_revoke', { body: { rev_reg_id: id, cred_rev_id: index, publish: at === chosen.length - 1 } });
    tell(t('revocation.revoked', { count: chosen.length }));
    choose([]);
    loaded.reload();
  };
  return h(Shown<{ registry: Answer; issued: Answer[] }>, {
    of: loaded,
    children: ({ registry, issued }) =>
      h(
        Fragment,
        null,
        h(Heading, null, t('revocation.registry')),
        h('p', null, h(State, { state: registry.state })),
        h(Facts, {
          of: [
            [t('column.id'), h('code', null, id)],
            [t('revocation.issued-of'), t('revocation.of', { issued: issued.length, size: registry.max_cred_num - 1 })],
          ],
        }),
        may('post_anoncreds_revocation_revoke')
          ? h(
              'p',
              { class: 'actions' },
              h(Button, { kind: 'danger', onClick: () => ask(chosen.length > 0) }, t('revocation.revoke-chosen', { count: chosen.length })),
            )
          : null,
        issued.length === 0
          ? h(Empty, { text: t('revocation.no-credentials') })
          : h(Table<Answer>, {
              caption: t('revocation.issued'),
              rows: issued,
              id: (row) => row.record_id ?? row.cred_rev_id,
              columns: [
                {
                  title: t('revocation.index'),
                  cell: (row) =>
                    row.state === 'issued'
                      ? h(Check, {
                          label: row.cred_rev_id,
                          checked: chosen.includes(row.cred_rev_id),
                          onChange: (on) => choose(on ? [...chosen, row.cred_rev_id] : chosen.filter((one) => one !== row.cred_rev_id)),
                        })
                      : row.cred_rev_id,
                },
                { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
                {
                  title: t('revocation.exchange'),
                  cell: (row) =>
                    row.cred_ex_id ? h('a', { href: to('issue', ['one', row.cred_ex_id]) }, h(ShortId, { id: row.cred_ex_id })) : '',
                },
                { title: t('column.changed'), cell: (row) => h('time', { dateTime: row.updated_at }, time(row.updated_at)) },
              ],
            }),
        h(ForSupport, { record: registry }),
        asking
          ? h(Confirm, {
              title: t('revocation.revoke-chosen', { count: chosen.length }),
              text: t('revocation.text'),
              action: t('revocation.revoke'),
              onDo: revoke,
              onClose: () => ask(false),
            })
          : null,
      ),
  });
}

function RevokeOne({ exchange }: { exchange: string }): VNode {
  const [comment, setComment] = useState('');
  const [publish, setPublish] = useState(true);
  const submit = async (): Promise<void> => {
    await call('post_anoncreds_revocation_revoke', { body: { cred_ex_id: exchange, publish, ...(comment && { comment }) } });
    tell(t('revocation.revoked', { count: 1 }));
    go('issue', ['one', exchange]);
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('revocation.revoke')),
    h('p', null, t('revocation.text')),
    h(
      Form,
      { onSubmit: submit, action: t('revocation.revoke'), kind: 'danger' },
      h(TextField, { label: t('revocation.comment'), hint: t('revocation.comment.hint'), value: comment, onInput: setComment, max: 500 }),
      h(Check, { label: t('revocation.at-once'), hint: t('revocation.at-once.hint'), checked: publish, onChange: setPublish }),
    ),
  );
}
