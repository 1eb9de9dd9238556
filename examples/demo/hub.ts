import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type Commanded, CommandFailed, startCommanded } from '../../harness/lines.ts';
import type { StoreOf } from '../../harness/network.ts';
import { bringPackages } from '../../harness/packages.ts';
import { answers, freePort, type Program, program } from '../../harness/processes.ts';
import type { Open } from '../lib/stage.ts';
import { type Body, type Controller, startWebhooks } from './controller.ts';
import { stepsOn, type Watcher } from './flow.ts';

const SERVICE = fileURLToPath(new URL('../music-service/', import.meta.url));
const PLAYLIST = { kind: 'playlist', title: 'For a long train ride', songs: ['Autobahn', 'Marooned', 'Clair de lune'] };

export interface Shared {
  readonly right: boolean;
  readonly facts: readonly (readonly [string, string])[];
}

interface Opened {
  readonly agent: Program;
  readonly controller: Controller;
  readonly admin: string;
  readonly key: string;
}

/**
 * A person's playlist in a vault of the person's cloud agent, and a music service that reads it while the person's device is off. Four processes: the cloud agent, the
 * service's agent, the device, and the program that plays.
 */
export async function runHub(folder: string, stores: StoreOf, watcher: Watcher, open: Open): Promise<Shared> {
  const step = stepsOn(watcher);
  await step('install the client of vaults', async () => [await bringPackages(SERVICE), '@digitalbazaar/edv-client and ezcap, from npm']);
  const hooks = await startWebhooks();
  await open(Promise.resolve({ stop: () => hooks.close() }));

  async function agent(name: string, role: 'holder' | 'verifier', flags: readonly string[]): Promise<Opened> {
    const [adminPort, port, key] = [await freePort(), await freePort(), randomBytes(16).toString('hex')];
    const admin = `http://127.0.0.1:${adminPort}`;
    const { args, env = {} } = stores(role);
    const secrets = { ACAPY_ADMIN_API_KEY: key, ACAPY_WALLET_KEY: randomBytes(16).toString('hex'), ...env };
    const told = ['--webhook-url', `http://127.0.0.1:${hooks.port}/${name}`, '--egress-allow', '127.0.0.0/8', '--no-ledger'];
    const reached = ['--inbound-transport', 'http', '127.0.0.1', String(port), '--endpoint', `http://127.0.0.1:${port}`];
    const line = ['start', '--label', name, '--admin', '127.0.0.1', String(adminPort), ...reached, ...told, ...args, ...flags];
    const one = program(name, folder, 'src/main.ts', line, () => answers(`${admin}/status/ready`), secrets);
    await open(one.start().then(() => one));
    return { agent: one, controller: hooks.controller(name, admin, { 'x-api-key': key }), admin, key };
  }

  const commanded = (name: string): Promise<Commanded> => open(startCommanded(`${SERVICE}${name}.mjs`));
  const hub = await step('start the cloud agent, with --hub', async () => {
    const one = await agent('cloud-agent', 'holder', ['--hub', '--auto-accept-requests']);
    return [one, `pid ${one.agent.pid}`];
  });
  const other = await step("start the service's agent", async () => {
    const one = await agent('music-service', 'verifier', ['--auto-accept-requests']);
    return [one, `pid ${one.agent.pid}`];
  });
  const device = await commanded('owner');
  const player = await commanded('service');

  const id = await step('keep a playlist, encrypted', async () => {
    const vault = await device.ask('create', { url: `${hub.admin}/hub/vaults`, headers: { 'x-api-key': hub.key } });
    const made = await device.ask('insert', { content: PLAYLIST });
    await device.ask('insert', { content: { kind: 'diary', title: 'Nobody reads this' } });
    return [made.id as string, vault.id as string];
  });
  const request = await step('connect, and ask for it', async () => {
    const { invitation, invi_msg_id } = await hub.controller.post('/out-of-band/create-invitation?auto_accept=true', {
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    });
    await other.controller.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
    const isActive = (one: Body): boolean => one.state === 'active' && one.invitation_msg_id === invi_msg_id;
    const { connection_id } = await other.controller.event('connections', isActive, 'a connection');
    const who = await player.ask('who');
    const wanted = { controller: who.did, recipient: who.key.id, types: ['playlist'], purpose: 'to play it', duration: 3600 };
    await other.controller.post('/hub/grants/request', { connection_id, ...wanted });
    const asked = await hub.controller.event('hub_grant', ({ state }) => state === 'request-received', 'the request');
    return [{ ...asked, who }, `"${asked.purpose}", for ${asked.duration} s`];
  });
  const capability = await step('the owner grants it', async () => {
    const given = await device.ask('grant', { id, service: request.who });
    await hub.controller.post(`/hub/grants/${request.grant_id}/accept`, { capabilities: [given] });
    const granted = await other.controller.event('hub_grant', ({ state }) => state === 'granted', 'the grant');
    return [granted.capabilities[0], `to read one document until ${granted.expires_at}`];
  });
  await step("the owner's device is switched off", async () => [await device.stop(), `pid ${device.pid} is gone`]);
  const played = await step('the service plays', async () => {
    const content = await player.ask('play', { capability });
    return [content, (content.songs as string[]).join(', ')];
  });
  await step('the owner ends it', async () => {
    const ended = await fetch(`${hub.admin}/hub/grants/${request.grant_id}`, { method: 'DELETE', headers: { 'x-api-key': hub.key } });
    if (!ended.ok) throw new Error(`the grant could not be ended: ${ended.status} ${await ended.text()}`);
    await other.controller.event('hub_grant', ({ state }) => state === 'revoked', 'the end');
    return [undefined, 'by the cloud agent, and the service is told'];
  });
  const status = await step('the service plays again', async () => {
    const failed = await player.ask('play', { capability }).catch((error: unknown) => error);
    const code = failed instanceof CommandFailed ? failed.status : undefined;
    return [code, `the hub answers ${code}`];
  });
  const right = JSON.stringify(played) === JSON.stringify(PLAYLIST) && status === 403;
  return {
    right,
    facts: [
      ['read with the device off', JSON.stringify(played)],
      ['read after the end', `${status}`],
    ],
  };
}
