import { refreshSession, type SessionFacts, signIn } from '../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../lib/h.ts';
import { t } from '../lib/i18n.ts';
import { complain } from '../lib/toast.ts';
import { Form, Heading, SelectField, TextField } from '../lib/ui.ts';

const ROLES = {
  key: ['operator', 'auditor'],
  wallet: ['tenant-admin', 'issuer', 'verifier', 'reader'],
} as const;

/** The way in: the operator's key, a wallet's token, or a wallet's id and key. */
export function Login({ session }: { session: SessionFacts }): VNode {
  const { insecure, multitenant, wallet_keys: keys, login } = session;
  const ways = [
    ['key', t('login.key')] as const,
    ...(multitenant ? [['token', t('login.token')] as const] : []),
    ...(multitenant && keys ? [['wallet', t('login.wallet')] as const] : []),
  ];
  const [way, choose] = useState<string>('key');
  const [values, set] = useState({ key: '', token: '', wallet_id: '', wallet_key: '' });
  const [role, setRole] = useState('');
  const roles = way !== 'key' ? ROLES.wallet : multitenant ? ROLES.key : [...ROLES.key, ...ROLES.wallet.slice(1)];
  const field = (name: keyof typeof values, label: string, type: 'text' | 'password' = 'password'): VNode =>
    h(TextField, {
      label,
      type,
      value: values[name],
      required: true,
      autocomplete: type === 'password' ? 'current-password' : 'username',
      onInput: (value) => set({ ...values, [name]: value }),
    });
  const submit = async (): Promise<void> => {
    const given =
      way === 'key'
        ? insecure
          ? {}
          : { key: values.key }
        : way === 'token'
          ? { token: values.token.trim() }
          : { wallet_id: values.wallet_id.trim(), wallet_key: values.wallet_key };
    await signIn({ ...given, ...(role && { role }) });
    // a browser keeps the cookie on TLS and on this machine alone
    if (!(await refreshSession()).signed_in) complain(new Error(t('login.no-cookie')));
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('login.title')),
    new URLSearchParams(location.search).get('login') === 'failed'
      ? h('p', { class: 'bad', role: 'alert' }, '✗ ', t('login.oidc.failed'))
      : null,
    login === undefined
      ? null
      : h(
          'p',
          { class: 'actions' },
          h('a', { class: 'button main', href: `${document.body.dataset.prefix}/oidc` }, t('login.oidc', { name: login })),
        ),
    h(
      Form,
      { onSubmit: submit, action: t('login.action'), kind: login === undefined ? 'main' : 'ordinary' },
      ways.length > 1 ? h(SelectField, { label: t('login.way'), value: way, options: ways, onChange: choose }) : null,
      way === 'key' ? (insecure ? h('p', null, t('login.insecure')) : field('key', t('login.key'))) : null,
      way === 'token' ? field('token', t('login.token')) : null,
      way === 'wallet'
        ? h(Fragment, null, field('wallet_id', t('login.wallet-id'), 'text'), field('wallet_key', t('login.wallet-key')))
        : null,
      h(SelectField, {
        label: t('login.role'),
        hint: t('login.role.hint'),
        value: role,
        options: [['', t('login.role.all')], ...roles.map((one) => [one, t(`role.${one}`)] as const)],
        onChange: setRole,
      }),
    ),
  );
}
