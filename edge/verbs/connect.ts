import type { Api, Body } from '../api.ts';
import type { Session } from '../session.ts';

/** `connect`: takes an invitation, as a URL or as the text of a QR code. */

/** More than any QR code holds. */
const LONGEST = 65_536;
const NONE = 'this is no invitation: connect takes the URL of one, or the text that its QR code has';

export async function connect({ api, terminal, mailbox, finish }: Session, args: readonly string[]): Promise<void> {
  const text = args.join(' ').trim();
  if (text === '') throw new Error('connect takes an invitation: its URL, or the text that its QR code has');
  if (text.length > LONGEST) throw new Error(NONE);
  await mailbox();
  const id = await receive(api, text);
  if (id === undefined) {
    terminal.print('Taken: what it asks comes as a question.');
    return;
  }
  terminal.print('Connecting …');
  await finish('connections', async () => {
    const contact = await api.get(`/connections/${id}`);
    const { state, error_msg: reason } = contact;
    if (state === 'error' || state === 'abandoned') throw new Error(`they did not connect${reason ? `: ${reason}` : ''}`);
    return state === 'active' ? contact : undefined;
  });
}

/** @returns the connection that follows from the invitation, if one does. @throws Error for a text that is no invitation */
async function receive(api: Api, text: string): Promise<string | undefined> {
  const object = text.startsWith('{') ? parsed(text) : undefined;
  const url = object === undefined && URL.canParse(text) ? new URL(text) : undefined;
  const old = url?.searchParams.get('c_i');
  if (old) return (await api.post('/connections/receive-invitation?auto_accept=true', parsed(decoded(old)))).connection_id;
  if (url && !url.searchParams.has('c_o')) {
    const taken = await api.post('/out-of-band/receive-invitation?auto_accept=true', { invitation_url: text });
    return taken.connection_id;
  }
  const type = String(object?.['@type'] ?? '');
  if (type.includes('/out-of-band/')) return (await api.post('/out-of-band/receive-invitation?auto_accept=true', object)).connection_id;
  if (type.includes('/connections/')) return (await api.post('/connections/receive-invitation?auto_accept=true', object)).connection_id;
  // an offer of the 2018 Agent Protocol: an object, a text or a URL
  if (object === undefined && !url && !/^[A-Za-z0-9_-]{40,}={0,2}$/.test(text)) throw new Error(NONE);
  return (await api.post('/legacy/connections/receive-offer', { offer: object ?? text, auto_accept: true })).connection_id;
}

const decoded = (text: string): string => Buffer.from(text, 'base64url').toString('utf8');

function parsed(text: string): Body {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(NONE);
  }
}
