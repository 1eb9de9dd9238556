import { type Answer, call } from '../../lib/api.ts';
import { Fragment, h, useEffect, useRef, type VNode } from '../../lib/h.ts';
import { Connection, definitionOf } from '../../lib/held.ts';
import { t } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { Attributes, CardFace, DefinitionName, Description } from '../../lib/look.ts';
import { go, to } from '../../lib/router.ts';
import { Theirs } from '../../lib/theirs.ts';
import { complain, tell } from '../../lib/toast.ts';
import { Button, Facts, ForSupport, Heading, Shown, State } from '../../lib/ui.ts';
import { IssuedBy } from './card.ts';

const TOPICS = ['issue_credential_v2_0'];

/** The values of the credential that came; undefined before. */
function valuesIn({ by_format: formats = {} }: Answer): Record<string, string> | undefined {
  const [issued] = Object.values((formats.cred_issue ?? {}) as Record<string, Answer>);
  if (!issued?.values) return undefined;
  return Object.fromEntries(Object.entries(issued.values as Record<string, Answer>).map(([name, { raw }]) => [name, String(raw)]));
}

/** Values that are others than those of the offer. */
function changed(offered: readonly Answer[], came: Readonly<Record<string, string>>): string[] {
  const wanted = new Map(offered.map(({ name, value }) => [name, String(value)]));
  return [...new Set([...wanted.keys(), ...Object.keys(came)])].filter((name) => wanted.get(name) !== came[name]);
}

/** An offer of a credential, from the decision until it is among the cards. */
export function Offer({ id }: { id: string }): VNode {
  const params = { cred_ex_id: id };
  const loaded = useLoad(() => call('get_issue_credential_2_0_records_cred_ex_id', { params }), TOPICS, [id]);
  const stored = useRef(false);
  const store = async (): Promise<void> => {
    await call('post_issue_credential_2_0_records_cred_ex_id_store', { params, body: {} });
    await loaded.reload();
  };
  const record = loaded.data?.cred_ex_record;
  const came = record && valuesIn(record);
  const others = came ? changed(record.cred_preview?.attributes ?? [], came) : [];
  const asOffered = record?.state === 'credential-received' && came !== undefined && others.length === 0;
  useEffect(() => {
    // it was accepted, and is what was accepted
    if (!asOffered || stored.current) return;
    stored.current = true;
    store().catch(complain);
  }, [asOffered]);
  const accept = async (): Promise<void> => {
    await call('post_issue_credential_2_0_records_cred_ex_id_send_request', { params, body: { auto_remove: false } });
    await loaded.reload();
  };
  const decline = async (): Promise<void> => {
    await call('post_issue_credential_2_0_records_cred_ex_id_problem_report', { params, body: { description: 'declined' } });
    tell(t('wallet.declined'));
    go('home');
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (found) => {
      const { state, connection_id: connection, cred_preview: preview, error_msg: error } = found.cred_ex_record;
      return h(
        Fragment,
        null,
        h(Heading, null, t('wallet.offer'), ' ', h(DefinitionName, { id: definitionOf(found) })),
        h('p', null, t('wallet.from'), ' ', h(Connection, { id: connection }), ' ', h(State, { state })),
        error ? h('p', { class: 'bad' }, h(Theirs, { text: error })) : null,
        h(Facts, { of: [[t('wallet.issuer'), h(IssuedBy, { id: definitionOf(found) })]] }),
        h(CardFace, { id: definitionOf(found), attributes: preview?.attributes ?? [] }),
        h(Description, { id: definitionOf(found) }),
        state === 'offer-received'
          ? h(
              Fragment,
              null,
              h('p', null, t('wallet.offer.text')),
              h(
                'p',
                { class: 'actions' },
                h(Button, { kind: 'main', onClick: accept }, t('wallet.accept')),
                h(Button, { onClick: decline }, t('wallet.decline')),
              ),
            )
          : null,
        state === 'request-sent' ? h('p', { role: 'status' }, t('wallet.offer.waiting')) : null,
        state === 'credential-received' && others.length > 0
          ? h(
              Fragment,
              null,
              h('p', { class: 'bad', role: 'alert' }, '✗ ', t('wallet.offer.changed')),
              h(Attributes, { of: others.map((name) => ({ name, value: came?.[name] })), by: definitionOf(found) }),
              h(
                'p',
                { class: 'actions' },
                h(Button, { onClick: store }, t('wallet.offer.keep')),
                h(Button, { onClick: decline }, t('wallet.decline')),
              ),
            )
          : null,
        state === 'done' ? h('p', { role: 'status', class: 'good' }, '✓ ', t('wallet.offer.done')) : null,
        h('p', null, h('a', { href: to('home') }, t('wallet.home'))),
        h(ForSupport, { record: found.cred_ex_record }),
      );
    },
  });
}
