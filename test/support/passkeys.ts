import type { CDPSession, Page } from 'playwright-core';

/** A virtual authenticator in a page's browser: it has passkeys, and its person always agrees. */
export interface Authenticator {
  readonly session: CDPSession;
  readonly id: string;
}

/** @param prf - whether its passkeys have a secret for each page */
export async function addAuthenticator(page: Page, prf = true): Promise<Authenticator> {
  const session = await page.context().newCDPSession(page);
  await session.send('WebAuthn.enable');
  const { authenticatorId: id } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      hasPrf: prf,
    },
  });
  return { session, id };
}

/** All its passkeys are lost. */
export const forgetPasskeys = ({ session, id }: Authenticator): Promise<unknown> =>
  session.send('WebAuthn.clearCredentials', { authenticatorId: id });
