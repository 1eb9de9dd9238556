import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { algo, t } from '../../lib/i18n.ts';
import { type Loaded, useLoad } from '../../lib/live.ts';
import { Facts, Form, Shown, TextField } from '../../lib/ui.ts';

/** What a wallet has written to the ledger today, of what it may, and its own bounds. */
export function Usage({ id }: { id: string }): VNode {
  const loaded = useLoad(() => call('get_multitenancy_wallet_wallet_id_usage', { params: { wallet_id: id } }), [], [id]);
  return h(
    Fragment,
    null,
    h('h2', null, t('quota.title')),
    h(Shown<Answer>, {
      of: loaded,
      children: (found) =>
        h(
          Fragment,
          null,
          h(Facts, {
            of: [
              [t('quota.day'), found.day],
              [t('quota.writes'), spent(found.ledger_writes.toLocaleString(), found.quota.ledger_writes)],
              [t('quota.algo'), spent(algo(found.ledger_microalgo), found.quota.ledger_algo)],
            ],
          }),
          may('put_multitenancy_wallet_wallet_id_quota') ? h(Bounds, { id, loaded }) : null,
        ),
    }),
  );
}

const spent = (used: string, most: number): string => (most === 0 ? t('quota.unbounded', { used }) : t('quota.of', { used, most }));

function Bounds({ id, loaded }: { id: string; loaded: Loaded<Answer> }): VNode {
  const [writes, setWrites] = useState('');
  const [most, setMost] = useState('');
  const bound = (text: string): number | null => (text.trim() === '' ? null : Number(text));
  const submit = async (): Promise<string> => {
    await call('put_multitenancy_wallet_wallet_id_quota', {
      params: { wallet_id: id },
      body: { ledger_writes: bound(writes), ledger_algo: bound(most) },
    });
    await loaded.reload();
    return t('settings.saved');
  };
  return h(
    Form,
    { onSubmit: submit, action: t('quota.set'), kind: 'ordinary' },
    h(TextField, { label: t('quota.most-writes'), hint: t('quota.hint'), type: 'number', value: writes, onInput: setWrites }),
    h(TextField, { label: t('quota.most-algo'), hint: t('quota.hint'), type: 'number', value: most, onInput: setMost }),
  );
}
