/** An invitation that brought somebody here, in the fragment of the address, which no server sees. It waits until the wallet is open. */
let waiting = '';

/** Takes it out of the address, so that it is in no history. */
export function takeInvitation(): void {
  const [, given] = /^#invitation=(.+)$/s.exec(location.hash) ?? [];
  if (given === undefined) return;
  try {
    waiting = decodeURIComponent(given);
  } catch {
    waiting = '';
  }
  history.replaceState(null, '', waiting ? '#/receive' : '#/');
}

export const invited = (): string => waiting;
export function invitationDone(): void {
  waiting = '';
}
