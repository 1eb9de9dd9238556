import { type Answer, call } from '../../lib/api.ts';
import { definition } from '../../lib/definitions.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { CardFace, DefinitionName, Description } from '../../lib/look.ts';
import { go, to } from '../../lib/router.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, Facts, ForSupport, Heading, Shown } from '../../lib/ui.ts';

/** Who signed: the issuer of a definition, by its DID, which the ledger has and nobody can take. */
export function IssuedBy({ id }: { id: string | undefined }): VNode | null {
  const { data } = useLoad(async () => (id === undefined ? undefined : await definition(id).catch(() => undefined)), [], [id]);
  return data ? h('code', null, data.issuer) : null;
}

/** A credential with all that it has. */
export function Card({ id }: { id: string }): VNode {
  const params = { credential_id: id };
  const loaded = useLoad(() => call('get_credential_credential_id', { params }), [], [id]);
  const [deleting, setDeleting] = useState(false);
  const [revoked, setRevoked] = useState('');
  const check = async (): Promise<void> => {
    const { revoked: is } = await call('get_credential_revoked_credential_id', { params });
    setRevoked(is ? t('credentials.is-revoked') : t('credentials.not-revoked'));
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (one) =>
      h(
        Fragment,
        null,
        h(Heading, null, one.cred_def_id ? h(DefinitionName, { id: one.cred_def_id }) : h(Theirs, { text: one.format ?? id })),
        h(CardFace, { id: one.cred_def_id, attributes: Object.entries(one.attrs ?? {}).map(([name, value]) => ({ name, value })) }),
        h(Description, { id: one.cred_def_id }),
        h(Facts, { of: [[t('wallet.issuer'), one.cred_def_id && h(IssuedBy, { id: one.cred_def_id })]] }),
        h(
          'p',
          { class: 'actions' },
          one.rev_reg_id ? h(Button, { onClick: check }, t('credentials.check')) : null,
          h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('wallet.card.delete')),
        ),
        revoked ? h('p', { role: 'status' }, revoked) : null,
        h('p', null, h('a', { href: to('home') }, t('wallet.home'))),
        h(ForSupport, { record: one }),
        deleting
          ? h(Confirm, {
              title: t('wallet.card.delete'),
              text: t('wallet.card.delete.text'),
              action: t('wallet.card.delete'),
              onDo: () => call('delete_credential_credential_id', { params }).then(() => go('home')),
              onClose: () => setDeleting(false),
            })
          : null,
      ),
  });
}
