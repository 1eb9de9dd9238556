import { type Answer, currentSession, refreshSession, request, signOut, take } from '../../lib/api.ts';
import { download } from '../../lib/files.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { Qr } from '../../lib/qr.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { tell } from '../../lib/toast.ts';
import { Button, Confirm, CopyBox, Form, Heading, Shown, TextField } from '../../lib/ui.ts';
import { addPasskey, newDeviceLink, newWords, takeAway } from '../keys.ts';

/** How many of the words are asked back. */
const ASKED = 3;

/** Who can open the wallet, passkeys, words, and the end of it. */
export const settings = screen({
  path: 'settings',
  title: 'wallet.settings',
  needs: [],
  view: ({ parts: [what] }: Place) => (what === 'words' ? h(Words, null) : h(Settings, null)),
});

function Settings(): VNode {
  const loaded = useLoad(() => request('/account'));
  const [deleting, setDeleting] = useState(false);
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.settings')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ name, mode, passkeys, has_words: hasWords, can_leave: canLeave }) =>
        h(
          Fragment,
          null,
          h('h2', null, mode === 'own' ? t('wallet.mode.own') : t('wallet.mode.kept')),
          h('p', null, mode === 'own' ? t('wallet.mode.own.text') : t('wallet.mode.kept.text')),
          h('h2', null, t('wallet.passkeys')),
          h('p', null, t('wallet.passkeys.text')),
          h(
            'ul',
            null,
            ...passkeys.map((one: Answer) =>
              h(
                'li',
                { key: one.id },
                t('wallet.passkey.since', { when: time(one.made) }),
                ' ',
                one.phrase ? h('small', null, t('wallet.passkey.phrase'), ' ') : null,
                passkeys.length > 1
                  ? h(
                      Button,
                      { onClick: () => request('/account/passkeys/remove', { id: one.id }).then(loaded.reload) },
                      t('wallet.passkey.remove'),
                    )
                  : null,
              ),
            ),
          ),
          h(Button, { onClick: () => addPasskey().then(loaded.reload) }, t('wallet.passkey.add')),
          h('h2', null, t('wallet.device.another')),
          h(AnotherDevice, null),
          h('h2', null, t('wallet.words')),
          h('p', null, hasWords ? t('wallet.words.there') : t('wallet.words.missing')),
          h(
            'p',
            null,
            h('a', { class: 'button', href: to('settings', ['words']) }, hasWords ? t('wallet.words.again') : t('wallet.words.write')),
          ),
          h('h2', null, t('wallet.leave')),
          h('p', null, t('wallet.leave.text')),
          canLeave
            ? h(Button, { onClick: async () => download(fileName(), await takeAway()) }, t('wallet.leave.action'))
            : h('p', null, hasWords ? t('wallet.leave.old-words') : t('wallet.leave.no-words')),
          h('h2', null, t('wallet.lock-all')),
          h('p', null, t('wallet.lock-all.text')),
          h(Button, { onClick: () => signOut(true) }, t('wallet.lock-all')),
          h('h2', null, t('wallet.erase')),
          h('p', null, t('wallet.erase.text')),
          h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('wallet.erase')),
          deleting
            ? h(Confirm, {
                title: t('wallet.erase'),
                text: t('wallet.erase.text'),
                action: t('wallet.erase'),
                typed: name,
                onDo: async () => void take(await request('/account/erase', { name })),
                onClose: () => setDeleting(false),
              })
            : null,
        ),
    }),
  );
}

/** A link for another device, as a code to scan and a text to copy. */
function AnotherDevice(): VNode {
  const [link, setLink] = useState('');
  const make = async (): Promise<void> => setLink(await newDeviceLink());
  if (!link) return h(Fragment, null, h('p', null, t('wallet.device.text')), h(Button, { onClick: make }, t('wallet.device.make')));
  return h(
    'div',
    { class: 'card' },
    h('p', { class: 'bad' }, t('wallet.device.secret')),
    h(Qr, { text: link, label: t('wallet.device.link') }),
    h(CopyBox, { label: t('wallet.device.link'), text: link }),
    h(Button, { onClick: () => setLink('') }, t('wallet.device.hide')),
  );
}

/** As in `wallet-2026-11-30.flexid-backup`. */
const fileName = (): string => `wallet-${new Date().toISOString().slice(0, 10)}.flexid-backup`;

/** Makes the words, shows them once, and asks some of them back before they count. */
function Words(): VNode {
  const [made, make] = useState<{ words: string; keep(): Promise<Answer> }>();
  const [written, write] = useState(false);
  if (!made)
    return h(
      Fragment,
      null,
      h(Heading, null, t('wallet.words')),
      h('p', null, t('wallet.words.text')),
      currentSession().has_words ? h('p', null, t('wallet.words.void')) : null,
      h(Button, { kind: 'main', onClick: async () => make(await newWords()) }, t('wallet.words.make')),
    );
  const words = made.words.split(' ');
  if (!written)
    return h(
      Fragment,
      null,
      h(Heading, null, t('wallet.words')),
      h('p', null, t('wallet.words.paper')),
      h('ol', { class: 'words', dir: 'ltr', lang: 'en' }, ...words.map((word) => h('li', { key: word }, word))),
      h(
        'p',
        { class: 'actions' },
        h(Button, { kind: 'main', onClick: () => write(true) }, t('wallet.words.written')),
        h(Button, { onClick: () => print() }, t('wallet.words.print')),
      ),
    );
  return h(AskedBack, { words, onBack: () => write(false), onKeep: made.keep });
}

function AskedBack({ words, onBack, onKeep }: { words: readonly string[]; onBack: () => void; onKeep: () => Promise<Answer> }): VNode {
  const [places] = useState(() => {
    const all = words.map((_word, n) => n);
    return Array.from({ length: ASKED }, () => all.splice(Math.floor(Math.random() * all.length), 1)[0]!).sort((a, b) => a - b);
  });
  const [given, give] = useState<Readonly<Record<number, string>>>({});
  const submit = async (): Promise<void> => {
    if (places.some((n) => given[n]?.trim().toLowerCase() !== words[n])) throw new Error(t('wallet.words.not-these'));
    await onKeep();
    await refreshSession();
    tell(t('wallet.words.kept'));
    go('settings');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.words')),
    h('p', null, t('wallet.words.ask')),
    h(
      Form,
      { onSubmit: submit, action: t('wallet.words.check') },
      ...places.map((n) =>
        h(TextField, {
          key: n,
          label: t('wallet.words.nth', { n: n + 1 }),
          value: given[n] ?? '',
          required: true,
          onInput: (text) => give({ ...given, [n]: text }),
        }),
      ),
    ),
    h('p', null, h(Button, { kind: 'plain', onClick: onBack }, t('wallet.words.look'))),
  );
}
