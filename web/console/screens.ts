import type { Screen } from '../lib/screen.ts';
import { audit } from './screens/audit.ts';
import { batches } from './screens/batches.ts';
import { connections } from './screens/connections.ts';
import { credentials } from './screens/credentials.ts';
import { decisions } from './screens/decisions.ts';
import { definitions } from './screens/definitions.ts';
import { events } from './screens/events.ts';
import { home } from './screens/home.ts';
import { issue } from './screens/issue.ts';
import { mediation } from './screens/mediation.ts';
import { operations } from './screens/operations.ts';
import { records } from './screens/records.ts';
import { reservations } from './screens/reservations.ts';
import { revocation } from './screens/revocation.ts';
import { settings } from './screens/settings.ts';
import { tenants } from './screens/tenants.ts';
import { verify } from './screens/verify.ts';

/** The screens, in the order of the navigation: a line for each. */
export const SCREENS: readonly Screen[] = [
  home,
  connections,
  definitions,
  issue,
  batches,
  verify,
  credentials,
  revocation,
  tenants,
  reservations,
  decisions,
  mediation,
  events,
  audit,
  settings,
  records,
  operations,
];
