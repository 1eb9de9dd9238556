import { call } from '../../lib/api.ts';
import { Fragment, h, useEffect, useState, type VNode } from '../../lib/h.ts';
import { t } from '../../lib/i18n.ts';
import { pasted } from '../../lib/pasted.ts';
import { go } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { tell } from '../../lib/toast.ts';
import { Form, Heading, TextField } from '../../lib/ui.ts';
import { invitationDone, invited } from '../invited.ts';
import { Scan } from '../scan.ts';

/** An invitation: pasted, scanned, from a picture, or the one whose link led here. */
export const receive = screen({
  path: 'receive',
  title: 'wallet.receive',
  needs: ['post_out_of_band_receive_invitation'],
  view: () => h(Receive, null),
});

function Receive(): VNode {
  const [text, setText] = useState(invited());
  useEffect(() => {
    const came = (): void => void (invited() && setText(invited()));
    addEventListener('hashchange', came);
    return () => removeEventListener('hashchange', came);
  }, []);
  const submit = async (): Promise<void> => {
    await call('post_out_of_band_receive_invitation', { query: { auto_accept: true }, body: pasted(text) });
    invitationDone();
    tell(t('receive.done'));
    go('home');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.receive')),
    h('p', null, t('wallet.receive.text')),
    h(
      Form,
      { onSubmit: submit, action: t('receive.action') },
      h(TextField, { label: t('receive.label'), hint: t('receive.hint'), value: text, onInput: setText, rows: 5, required: true }),
    ),
    h(Scan, { onText: setText }),
  );
}
