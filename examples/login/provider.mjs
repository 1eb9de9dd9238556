import { timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider, { errors, interactionPolicy } from 'oidc-provider';
import { createVerifier } from './agent.ts';
import { attributesOf, claimsOf, formerSubjectOf, personOf, readConfigurations, subjectOf } from './configurations.ts';
import { failedPage, gonePage, HEADERS, waitingPage } from './page.ts';
import { readSecrets } from './state.ts';

/**
 * An OpenID Provider whose logins are presentations of credentials: `node provider.mjs SETTINGS.json`. Its agent's webhooks go to `/webhooks`, with `agent.webhook_key`.
 * Settings: `issuer`, `port`, `agent` {url, key, webhook_key}, `configurations` (a folder), `secrets` (a file, made where there is none), `clients` (as of OpenID Connect Dynamic
 * Client Registration), `former_subjects` (subjects as acapy-vc-authn-oidc makes them).
 */

const SECONDS = 600;
/** Logins that wait for a wallet. */
const MOST = 1000;
const BODY = 1 << 20;

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { protocol, hostname } = new URL(settings.issuer);
if (protocol !== 'https:' && !['127.0.0.1', '[::1]', 'localhost'].includes(hostname))
  throw new Error(`the issuer ${settings.issuer} is not https`);
const configurations = readConfigurations(settings.configurations);
const secrets = readSecrets(settings.secrets);
const verifier = createVerifier(settings.agent);
/** Logins by the id of their interaction: {configuration, asked, outcome, until}. */
const logins = new Map();
/** Who has logged in, by account, each of one login: {person, former, claims, until}. */
const accounts = new Map();

const later = () => Date.now() + SECONDS * 1000;
setInterval(() => {
  for (const [id, { until }] of accounts) if (until < Date.now()) accounts.delete(id);
  for (const [uid, login] of logins) if (login.until < Date.now()) end(uid).catch(report);
}, 10_000).unref();
const report = (error) => process.stderr.write(`${error.message}\n`);

/** The configuration that a request names, by a parameter or, where its client cannot add one, among its `acr_values`. */
const configurationOf = ({ pres_req_conf_id, acr_values }) =>
  pres_req_conf_id === undefined
    ? configurations.get((acr_values ?? '').split(' ').find((one) => configurations.has(one)))
    : configurations.get(pres_req_conf_id);

const v1 = [...configurations.values()]
  .filter((one) => one.include_v1_attributes)
  .flatMap(({ proof_request }) => proof_request.requested_attributes.flatMap(({ names }) => names));
const { Check } = interactionPolicy;
const policy = interactionPolicy.base();
policy.remove('consent');
policy.get('login').checks.add(new Check('fresh', 'each login is a presentation', ({ oidc }) => oidc.result?.login === undefined));

const provider = new Provider(settings.issuer, {
  clients: settings.clients.map((one) => ({
    id_token_signed_response_alg: 'ES256',
    subject_type: 'pairwise',
    response_types: ['code'],
    grant_types: ['authorization_code'],
    ...one,
  })),
  jwks: { keys: [secrets.jwk] },
  cookies: { keys: [secrets.cookies] },
  subjectTypes: ['pairwise'],
  scopes: ['openid', 'vc_authn'],
  claims: {
    acr: null,
    auth_time: null,
    iss: null,
    sid: null,
    openid: ['sub'],
    vc_authn: ['pres_req_conf_id', 'acr', 'vc_presented_attributes', ...v1],
  },
  acrValues: ['vc_authn', ...configurations.keys()],
  // in the ID token too, as with acapy-vc-authn-oidc
  conformIdTokenClaims: false,
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  ttl: { Interaction: SECONDS, Session: SECONDS, Grant: SECONDS, AccessToken: SECONDS, IdToken: SECONDS, AuthorizationCode: 60 },
  interactions: { policy, url: (_ctx, { uid }) => `/interaction/${uid}` },
  extraParams: {
    pres_req_conf_id({ oidc }) {
      if (!configurationOf(oidc.params)) throw new errors.InvalidRequest('pres_req_conf_id names no configuration');
    },
  },
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid vc_authn');
    await grant.save();
    return grant;
  },
  pairwiseIdentifier(_ctx, id, client) {
    const { person, former } = accounts.get(id);
    return former ?? subjectOf(person, client.sectorIdentifier ?? client.clientId, secrets.subjects);
  },
  findAccount(_ctx, id) {
    const account = accounts.get(id);
    return account && { accountId: id, claims: async () => ({ ...account.claims, sub: id }) };
  },
});
provider.proxy = protocol === 'https:';

/** Forgets a login, and has its exchange removed at the agent. */
async function end(uid) {
  const login = logins.get(uid);
  logins.delete(uid);
  if (!login || login.outcome) return;
  const asked = await login.asking.catch(() => undefined);
  if (asked) await verifier.drop(asked);
}

/** The outcome of an exchange: the account of one login, or why there is none. */
function outcomeOf(configuration, answer) {
  if ('why' in answer) return answer;
  const attributes = attributesOf(configuration, answer.presentation);
  const person = personOf(configuration, attributes, secrets.subjects);
  const id = `${person}.${crypto.randomUUID()}`;
  const former = settings.former_subjects ? formerSubjectOf(configuration, attributes) : undefined;
  accounts.set(id, { person, former, claims: claimsOf(configuration, attributes), until: later() });
  return { id };
}

async function webhook({ pres_ex_id, state }) {
  if (state !== 'done' && state !== 'abandoned') return;
  const login = [...logins.values()].find(({ asked }) => asked?.pres_ex_id === pres_ex_id);
  if (!login || login.outcome) return;
  const answer = await verifier.take(login.asked);
  if (answer) login.outcome = outcomeOf(login.configuration, answer);
}

/** Ends who has logged in before in this browser: the next presentation may be of somebody else, and each is a login of its own. */
async function forget(request, response) {
  const session = await provider.Session.get(provider.createContext(request, response));
  if (session.accountId === undefined) return;
  session.accountId = undefined;
  session.authorizations = undefined;
  await session.save(SECONDS);
}

async function interaction(request, response, action) {
  const details = await provider.interactionDetails(request, response);
  const { uid, params } = details;
  if (request.method === 'POST' && action === 'cancel') {
    await end(uid);
    return await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'the login was cancelled' });
  }
  if (request.method === 'POST' && action === 'again') {
    await end(uid);
    response.writeHead(303, { location: `/interaction/${uid}` }).end();
    return;
  }
  if (request.method !== 'GET' || action !== undefined) {
    response.writeHead(405).end();
    return;
  }
  let login = logins.get(uid);
  if (!login) {
    if (logins.size >= MOST) {
      response.writeHead(503, { 'retry-after': '30' }).end();
      return;
    }
    const configuration = configurationOf(params);
    login = { configuration, until: details.exp * 1000, asking: verifier.ask(configuration) };
    logins.set(uid, login);
  }
  login.asked ??= await login.asking.catch((error) => {
    logins.delete(uid);
    throw error;
  });
  const { outcome, asked } = login;
  if (outcome?.id) {
    logins.delete(uid);
    const done = { login: { accountId: outcome.id, acr: 'vc_authn', remember: false } };
    const location = await provider.interactionResult(request, response, done, { mergeWithLastSubmission: false });
    await forget(request, response);
    response.writeHead(303, { location, 'cache-control': 'no-store' }).end();
    return;
  }
  const { clientName, clientId } = await provider.Client.find(params.client_id);
  const wants = login.configuration.proof_request.requested_attributes.flatMap(({ names }) => names);
  const shown = { action: `/interaction/${uid}`, client: clientName ?? clientId, link: asked.short, invitation: asked.invitation, wants };
  response.writeHead(200, HEADERS).end(outcome ? failedPage(shown.action, outcome.why) : waitingPage(shown));
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY) throw new Error('a webhook is too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

const same = (given, wanted) => {
  const [a, b] = [Buffer.from(String(given)), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
};
const rest = provider.callback();

const server = createServer(async (request, response) => {
  const [, first, , action] = (URL.parse(request.url, settings.issuer)?.pathname ?? '/').split('/');
  try {
    if (first === 'interaction') await interaction(request, response, action);
    else if (first === 'webhooks') {
      if (!same(request.headers['x-api-key'], settings.agent.webhook_key)) return response.writeHead(401).end();
      const event = await bodyOf(request);
      if (request.url.includes('/topic/present_proof_v2_0')) await webhook(event);
      response.writeHead(200).end();
    } else rest(request, response);
  } catch (error) {
    const gone = error instanceof errors.SessionNotFound;
    if (!gone) report(error);
    if (response.headersSent) response.destroy();
    else if (first === 'interaction') response.writeHead(gone ? 400 : 502, HEADERS).end(gonePage());
    else response.writeHead(500).end();
  }
});
server.listen(settings.port, '127.0.0.1', () => process.stdout.write(`${JSON.stringify({ ready: true, issuer: settings.issuer })}\n`));
process.once('SIGTERM', () => process.exit(0));
