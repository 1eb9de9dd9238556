import { type Cable, startCable } from '../../harness/cable.ts';
import { granted, invitationOf, type Started } from '../../harness/network.ts';
import { type Body, type Controller, pause } from '../demo/controller.ts';
import { anchor, connect, issueOne } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';

/** A heap for 256 MiB of memory in all; the rest is the runtime's and the AnonCreds library's. */
const SMALL = { NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=4' };
const DEVICE = { model: 'TH-2', serial: '7F31' };
const CALIBRATED = '2025';

export interface Plan {
  readonly readings: number;
  /** Between two readings. */
  readonly everyMs: number;
  /** The network is cut before one reading, and whole again before another. */
  readonly cutAt: number;
  readonly mendAt: number;
  /** The agent of the sensor gets SIGKILL before this reading, and is started again. */
  readonly killAt: number;
}

export interface Sensing {
  readonly sensor: Started;
  readonly collector: Started;
  readonly cable: Cable;
  /** The DID that the maker's credential names, whose key signs the readings. */
  readonly did: string;
  /** The collector's connection with the sensor. */
  readonly connection: string;
  /** Readings in the order in which the collector had them. */
  readonly received: readonly Reading[];
  /** How many readings the collector had when the network was whole again. */
  readonly before: number;
}

export interface Reading {
  readonly jwt: string;
  readonly n: number;
  readonly celsius: number;
}

/** A thermometer in the field whose readings are wanted: its maker's word for it, its readings, a network that is cut, an agent that is killed. */
export async function sense(kit: Kit, plan: Plan): Promise<Sensing> {
  const { step } = kit;
  let cable: Cable | undefined;
  const [maker, collector] = await Promise.all([
    kit.agent('maker', { ledger: 'writes', flags: ['--auto-accept-requests', '--auto-respond-credential-request'] }),
    kit.agent('collector', {
      ledger: 'reads',
      sockets: true,
      flags: ['--open-mediation', '--auto-verify-presentation', '--preserve-exchange-records'],
      through: async (port) => {
        cable = await kit.open(startCable(port));
        return cable.address;
      },
    }),
  ]);
  const sensor = await kit.agent('sensor', {
    ledger: 'reads',
    reachable: false,
    env: SMALL,
    flags: [
      ...['--mediator-invitation', await invitationOf(collector.controller), '--anoncreds-workers', '1', '--preserve-exchange-records'],
      ...['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'],
    ],
  });
  const connection = await step('the sensor joins the collector', async () => {
    await granted(sensor.controller);
    const active = await collector.controller.event('connections', ({ state }) => state === 'active', 'the sensor');
    return [active.connection_id as string, 'which takes mail for it: nobody can reach the sensor'];
  });
  const { did, credDefId } = await certify(kit, maker.controller, sensor.controller);
  await step("the sensor shows its maker's credential", async () => {
    const shown = await ask(collector.controller, connection, credDefId);
    if (shown.did !== did || shown.serial !== DEVICE.serial) throw new Error(`it shows ${JSON.stringify(shown)}`);
    return [undefined, `${shown.model}, serial ${shown.serial}, calibrated ${CALIBRATED} or later, signs as ${did.slice(0, 20)}…`];
  });
  const { received, before } = await readAll(kit, plan, { sensor, collector, cable: cable!, did });
  return { sensor, collector, cable: cable!, did, connection, received, before };
}

/** The maker gives the sensor a credential that names the DID of its readings. @returns that DID, and the maker's definition */
async function certify(kit: Kit, maker: Controller, sensor: Controller): Promise<{ did: string; credDefId: string }> {
  const { result } = await sensor.post('/wallet/did/create', { method: 'key', options: { key_type: 'ed25519' } });
  const row = { ...DEVICE, did: result.did, calibrated: CALIBRATED };
  const { credDefId } = await anchor(maker, Object.keys(row), kit.step, false, 'thermometer');
  await kit.step('the maker certifies the sensor', async () => {
    const issuerConnection = await connect(maker, sensor);
    return [await issueOne({ issuer: maker, holder: sensor }, { issuerConnection, credDefId }, row), JSON.stringify(DEVICE)];
  });
  return { did: result.did, credDefId };
}

/** Asks the sensor for the maker's credential. @returns its revealed attributes @throws Error where it is not verified */
async function ask(collector: Controller, connection_id: string, cred_def_id: string): Promise<Record<string, string>> {
  const restrictions = [{ cred_def_id }];
  const request = await collector.post('/present-proof-2.0/send-request', {
    connection_id,
    presentation_request: {
      anoncreds: {
        name: 'a thermometer',
        version: '1.0',
        requested_attributes: { device: { names: ['model', 'serial', 'did'], restrictions } },
        requested_predicates: { calibrated: { name: 'calibrated', p_type: '>=', p_value: Number(CALIBRATED), restrictions } },
      },
    },
  });
  const over = (one: Body): boolean => one.pres_ex_id === request.pres_ex_id && (one.state === 'done' || one.state === 'abandoned');
  const { verified } = await collector.event('present_proof_v2_0', over, 'a checked presentation');
  if (verified !== 'true') throw new Error('the presentation is not verified');
  const { by_format } = await collector.get(`/present-proof-2.0/records/${request.pres_ex_id}`);
  const { values } = by_format.pres.anoncreds.requested_proof.revealed_attr_groups.device;
  return Object.fromEntries(Object.entries(values as Record<string, { raw: string }>).map(([name, { raw }]) => [name, raw]));
}

/** The readings, each signed by the sensor's DID and sent as a message; the network is cut and the agent killed among them. */
async function readAll(
  { step, line }: Kit,
  { readings, everyMs, cutAt, mendAt, killAt }: Plan,
  { sensor, collector, cable, did }: Pick<Sensing, 'sensor' | 'collector' | 'cable' | 'did'>,
): Promise<Pick<Sensing, 'received' | 'before'>> {
  const { connection_id } = await sensor.controller.get('/mediation/default-mediator');
  const messages = (): Body[] =>
    collector.controller.received.filter(({ topic }) => topic === 'basicmessages').map(({ payload }) => payload);
  let before = 0;
  await step(`take ${readings} readings`, async () => {
    for (let n = 1; n <= readings; n++) {
      if (n === cutAt) {
        cable.cut();
        line('the network is cut', `before reading ${n}`);
      }
      if (n === killAt) {
        await sensor.program.kill();
        await sensor.program.start();
        line('SIGKILL sensor', `started again as pid ${sensor.program.pid}`);
      }
      if (n === mendAt) {
        before = messages().length;
        cable.mend();
        line('the network is whole again', `the collector has ${before} readings`);
      }
      const payload = { iss: did, n, celsius: Math.round(200 + 15 * Math.sin(n)) / 10, taken: new Date().toISOString() };
      const jwt: string = await sensor.controller.post('/wallet/jwt/sign', { did, payload });
      await sensor.controller.post(`/connections/${connection_id}/send-message`, { content: jwt });
      await pause(everyMs);
    }
    return [undefined, 'each signed by the sensor, and with its agent from then on'];
  });
  const received = await step('the collector has them', async () => {
    await collector.controller.event('basicmessages', () => messages().length >= readings, 'all readings');
    const checked = await Promise.all(messages().map(({ content }) => verified(collector.controller, content, did)));
    return [checked, checked.map(({ n }) => n).join(' ')];
  });
  return { received, before };
}

/** A reading, checked by the collector's agent. @throws Error for one that the sensor has not signed */
export async function verified(collector: Controller, jwt: string, did: string): Promise<Reading> {
  const { valid, payload } = await collector.post('/wallet/jwt/verify', { jwt });
  if (!valid || payload.iss !== did) throw new Error('a reading is not signed by the sensor');
  return { jwt, n: payload.n, celsius: payload.celsius };
}

/** The sizes of the README: the network is cut for half a minute. */
export const README: Plan = { readings: 60, everyMs: 1000, cutAt: 16, mendAt: 46, killAt: 31 };

export async function run(kit: Kit): Promise<void> {
  const { received, sensor } = await sense(kit, README);
  kit.line(
    'done',
    `${received.length} readings, the last one ${received.at(-1)?.celsius} °C; the sensor's agent is pid ${sensor.program.pid}`,
  );
}
