import { type Answer, call, may } from '../lib/api.ts';
import { definition } from '../lib/definitions.ts';
import { FileField } from '../lib/files.ts';
import { Fragment, h, useState, type VNode } from '../lib/h.ts';
import { t } from '../lib/i18n.ts';
import { useLoad } from '../lib/live.ts';
import { CardFace, DefinitionName, Description } from '../lib/look.ts';
import { to } from '../lib/router.ts';
import { complain, tell } from '../lib/toast.ts';
import { Button, Confirm, Empty, Heading, Shown } from '../lib/ui.ts';

/** The look of a definition's cards: as a holder sees it, and the file that gives it. */
export function LookOf({ id }: { id: string }): VNode {
  const [deleting, setDeleting] = useState(false);
  const loaded = useLoad(
    async () => {
      const [{ attributes }, { results }] = await Promise.all([
        definition(id),
        call('get_oca_bundles', { query: { cred_def_id: id, limit: 1 } }),
      ]);
      return { attributes, given: results[0] };
    },
    ['oca_bundle'],
    [id],
  );
  const give = async (text: string): Promise<void> => {
    let bundle: object;
    try {
      bundle = JSON.parse(text);
    } catch {
      throw new Error(t('look.no-json'));
    }
    await call('post_oca_bundles', { body: { cred_def_id: id, bundle } });
    tell(t('look.given'));
    await loaded.reload();
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('look.of'), ' ', h(DefinitionName, { id })),
    h('p', null, t('look.text')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ attributes, given }) =>
        h(
          Fragment,
          null,
          given
            ? h(
                'div',
                { class: 'cards' },
                h(CardFace, {
                  id,
                  heading: h('h2', null, h(DefinitionName, { id })),
                  attributes: attributes.map((name: string) => ({ name, value: '…' })),
                }),
              )
            : h(Empty, { text: t('look.none') }),
          h(Description, { id }),
          may('post_oca_bundles')
            ? h(FileField, {
                label: t('look.file'),
                hint: t('look.file.hint'),
                accept: '.json,application/json',
                onText: (text) => void give(text).catch(complain),
              })
            : null,
          given && may('delete_oca_bundles_oca_bundle_id')
            ? h('p', { class: 'actions' }, h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('look.delete')))
            : null,
          deleting && given
            ? h(Confirm, {
                title: t('look.delete'),
                text: t('look.delete.text'),
                action: t('look.delete'),
                onDo: () =>
                  call('delete_oca_bundles_oca_bundle_id', { params: { oca_bundle_id: given.oca_bundle_id } }).then(loaded.reload),
                onClose: () => setDeleting(false),
              })
            : null,
        ),
    }),
    h('p', null, h('a', { href: to('definitions') }, t('definitions.title'))),
  );
}
