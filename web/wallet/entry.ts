import { refreshSession, type SessionFacts } from '../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../lib/h.ts';
import { t } from '../lib/i18n.ts';
import { go } from '../lib/router.ts';
import { complain, tell } from '../lib/toast.ts';
import { Button, Form, Heading, TextField } from '../lib/ui.ts';
import { deviceDone, deviceLink, invited } from './invited.ts';
import { type Begun, beginSignUp, passkeysWork, signInByDevice, signInByPasskey, signInByWords, signUp } from './keys.ts';

/** A browser keeps the cookie on TLS and on this machine alone. */
async function entered(going: Promise<SessionFacts>): Promise<void> {
  await going;
  if (!(await refreshSession()).signed_in) complain(new Error(t('login.no-cookie')));
}

/** The way in: a passkey; for a first time a name; for a lost passkey the words. */
export function Entry({ session }: { session: SessionFacts }): VNode {
  const [way, choose] = useState<'start' | 'new' | 'words'>('start');
  const [begun, begin] = useState<Begun>();
  if (!passkeysWork())
    return h(Fragment, null, h(Heading, null, t('wallet.title')), h('p', { class: 'bad' }, '✗ ', t('wallet.passkey.none')));
  if (begun) return h(Kept, { begun, onBack: () => begin(undefined) });
  if (deviceLink()) return h(OnDevice, null);
  const back = h('p', null, h(Button, { kind: 'plain', onClick: () => choose('start') }, t('wallet.back')));
  if (way === 'new') return h(Fragment, null, h(SignUp, { needsCode: session.code === true, onKept: begin }), back);
  if (way === 'words') return h(Fragment, null, h(Words, null), back);
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.title')),
    h('p', null, t('wallet.what')),
    invited() ? h('p', { role: 'status' }, t('wallet.invited')) : null,
    h(
      'div',
      { class: 'actions column' },
      h(Button, { kind: 'main', onClick: () => entered(signInByPasskey()) }, t('wallet.open')),
      h(Button, { onClick: () => choose('new') }, t('wallet.new')),
      h(Button, { kind: 'plain', onClick: () => choose('words') }, t('wallet.lost')),
    ),
    h('p', null, h('small', null, t('wallet.protected'))),
  );
}

function SignUp({ needsCode, onKept }: { needsCode: boolean; onKept: (begun: Begun) => void }): VNode {
  const [name, setName] = useState('');
  const [code, setCode] = useState('');
  const submit = async (): Promise<void> => {
    const begun = await beginSignUp(name.trim(), code.trim());
    if (begun.seals) await entered(signUp(begun));
    else onKept(begun);
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.new')),
    h('p', null, t('wallet.new.text')),
    h(
      Form,
      { onSubmit: submit, action: t('wallet.new.action') },
      h(TextField, {
        label: t('wallet.name'),
        hint: t('wallet.name.hint'),
        value: name,
        onInput: setName,
        required: true,
        max: 60,
        autocomplete: 'name',
      }),
      needsCode
        ? h(TextField, { label: t('wallet.code'), hint: t('wallet.code.hint'), value: code, onInput: setCode, required: true, max: 200 })
        : null,
    ),
  );
}

/** The passkey seals nothing: the other way is named, and chosen by the person. */
function Kept({ begun, onBack }: { begun: Begun; onBack: () => void }): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.kept.title')),
    h('p', null, t('wallet.kept.why')),
    h('p', null, t('wallet.phrase.text')),
    h('p', null, t('wallet.mode.kept.text')),
    h(
      'p',
      { class: 'actions' },
      h(Button, { kind: 'main', onClick: () => entered(signUp(begun, true)) }, t('wallet.phrase.protect')),
      h(Button, { onClick: () => entered(signUp(begun)) }, t('wallet.kept.action')),
      h(Button, { onClick: onBack }, t('wallet.kept.another')),
    ),
  );
}

/** Whoever opens the link of another device says so: a page that is looked at ahead uses up nothing. */
function OnDevice(): VNode {
  const end = (): void => {
    deviceDone();
    // the page is drawn again
    dispatchEvent(new HashChangeEvent('hashchange'));
  };
  const open = async (): Promise<void> => {
    await entered(signInByDevice(deviceLink()));
    deviceDone();
    tell(t('wallet.device.add'));
    go('settings');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.device')),
    h('p', null, t('wallet.device.here')),
    h(
      'p',
      { class: 'actions' },
      h(Button, { kind: 'main', onClick: open }, t('wallet.open')),
      h(Button, { onClick: end }, t('wallet.back')),
    ),
  );
}

function Words(): VNode {
  const [words, setWords] = useState('');
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.lost')),
    h('p', null, t('wallet.words.use')),
    h(
      Form,
      { onSubmit: () => entered(signInByWords(words)), action: t('wallet.open') },
      h(TextField, { label: t('wallet.words.label'), value: words, onInput: setWords, rows: 4, required: true }),
    ),
  );
}
