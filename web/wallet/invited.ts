/**
 * What brought somebody here, in the fragment of the address, which no server sees: an invitation, which waits until the wallet is open, or the link that opens a wallet
 * on this device.
 */
const waiting = { invitation: '', device: '' };

/** Takes it out of the address, so that it is in no history. */
export function takeInvitation(): void {
  const [, what, given] = /^#(invitation|device)=(.+)$/s.exec(location.hash) ?? [];
  if (given === undefined) return;
  let text = '';
  try {
    text = decodeURIComponent(given);
  } catch {
    // nothing waits
  }
  waiting[what as keyof typeof waiting] = text;
  history.replaceState(null, '', what === 'invitation' && text ? '#/receive' : '#/');
}

export const invited = (): string => waiting.invitation;
export function invitationDone(): void {
  waiting.invitation = '';
}

/** The secret of a link for this device: 32 bytes, base64url; empty where none was opened. */
export const deviceLink = (): string => (/^[\w-]{43}$/.test(waiting.device) ? waiting.device : '');
export function deviceDone(): void {
  waiting.device = '';
}
