import type { Screen } from '../lib/screen.ts';
import { contacts } from './screens/contacts.ts';
import { history } from './screens/history.ts';
import { home } from './screens/home.ts';
import { receive } from './screens/receive.ts';
import { settings } from './screens/settings.ts';

/** The screens of the wallet, in the order of its menu. */
export const SCREENS: readonly Screen[] = [home, receive, contacts, history, settings];
