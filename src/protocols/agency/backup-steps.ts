import { AppError } from '../../errors.ts';
import type { Change, Effects, WorkOrder } from '../../kernel/effects.ts';
import { checkedAs, jsonOf } from '../../kernel/json.ts';
import { changed, type Incoming, type StepContext } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import type { BackupTransferValue } from '../../records/backup-transfer.ts';
import { type Backups, type BackupUpload, type CloudAgentValue, cloudAgent, type KeptBackup } from '../../records/cloud-agent.ts';
import { described, isProven, type Part } from './backup-parts.ts';
import type { ClearOrder, KeepOrder, Kept, ReadOrder } from './backup-work.ts';

/** Steps of an agency that keeps backups. They are added: nothing is overwritten, and an old one goes when enough newer ones are whole. */

type Ctx = StepContext<BackupTransferValue>;
type Cloud = LoadedRecord<CloudAgentValue>;

/** The bounds of a cloud agent, unless the configuration has others. */
const MAX_BYTES = 100 << 20;
const GENERATIONS = 5;
/** The record of a cloud agent names each backup. */
const MAX_GENERATIONS = 100;
/** Wallets with backups of one owner: as many as devices. */
const MAX_WALLETS = 16;
/** Backups that a wallet may have made elsewhere since its last one here. */
const MAX_JUMP = 100_000;

const NONE: Backups = { controllers: [], kept: [], uploads: [] };

const maxBytes = ({ settings }: Ctx): number => settings.agencyBackupBytes ?? MAX_BYTES;
const generations = ({ settings }: Ctx): number => Math.min(Math.max(1, settings.agencyBackupGenerations ?? GENERATIONS), MAX_GENERATIONS);

const refusal = (code: string, text: string): Effects => ({ problem: { code, text } });
/** The same whatever is there: whether anybody has backups here is nobody else's business. */
const unauthorized = (): Effects => refusal('unauthorized', 'These backups are not open to this connection');

const backupsChanged = (base: Cloud, backups: Backups): Change => changed({ def: cloudAgent, base, patch: { backups } });

const clearing = (uploads: ClearOrder['uploads']): WorkOrder => ({
  op: 'wallet-backup/clear',
  input: jsonOf({ uploads: uploads.map(({ upload, parts }) => ({ upload, parts })) }),
  result: 'cleared',
});

/** An `open`: the devices of the sender's cloud agent may add backups for these words from now on. */
export function opened(ctx: Ctx, message: Incoming): Effects {
  const cloud = cloudAgent.of(ctx.loaded.cloud);
  if (!ctx.settings.agency || !cloud || maxBytes(ctx) === 0) return refusal('request-not-accepted', 'This agent keeps no backups for you');
  if (!isProven(message)) return unauthorized();
  const controller = message.body.controller as string;
  const backups = cloud.value.backups ?? NONE;
  const quota = { bytes: maxBytes(ctx), generations: generations(ctx) };
  const answer: Effects = { send: [{ type: 'opened', body: { quota } }] };
  if (backups.controllers.includes(controller)) return answer;
  if (backups.controllers.length >= MAX_WALLETS) return refusal('over-quota', `There are backups of ${MAX_WALLETS} wallets already`);
  return { ...answer, others: [backupsChanged(cloud, { ...backups, controllers: [...backups.controllers, controller] })] };
}

const stored = ({ generation, part }: Part, complete: boolean): NonNullable<Effects['send']>[number] => ({
  type: 'stored',
  body: { generation, part, complete },
});

/** Why a part cannot be taken; undefined where it can. */
function partRefused(ctx: Ctx, backups: Backups, given: Part, upload: BackupUpload | undefined): Effects | undefined {
  const { controller, part, parts, bytes, generation } = given;
  if (part > parts) return refusal('out-of-order', `There is no part ${part} of ${parts}`);
  if (upload) {
    if (part !== upload.accepted + 1 || upload.accepted !== upload.written)
      return refusal('out-of-order', `Part ${upload.written + 1} is next, once the one before is stored`);
    return undefined;
  }
  if (part > 1) return refusal('out-of-order', 'Part 1 is next');
  const own = backups.kept.filter((one) => one.controller === controller);
  const newest = Math.max(0, ...own.map((one) => one.generation));
  // whoever has a device without the words must not use up the numbers
  if (generation > newest + MAX_JUMP) return refusal('out-of-order', `Backup ${newest} is here: the number of a new one is close to it`);
  if (generation <= newest) return refusal('out-of-order', `Backup ${newest} is here: a new one has a higher number`);
  const going = gone(own, generations(ctx) - 1);
  const left = [...backups.kept.filter((one) => !going.includes(one)), ...backups.uploads.filter((one) => one.controller !== controller)];
  const held = left.reduce((sum, one) => sum + one.bytes, 0);
  if (held + bytes > maxBytes(ctx)) return refusal('over-quota', `The bound is ${maxBytes(ctx)} bytes, and ${held} are taken`);
  return undefined;
}

/** The backups of a wallet beyond the newest ones. */
const gone = (own: readonly KeptBackup[], stays: number): readonly KeptBackup[] =>
  [...own].sort((a, b) => b.generation - a.generation).slice(stays);

const isSame = (one: KeptBackup | BackupUpload, given: Part): boolean =>
  one.controller === given.controller &&
  one.generation === given.generation &&
  one.sha256 === given.sha256 &&
  one.bytes === given.bytes &&
  one.parts === given.parts;

/** A `put`: takes the next part of a backup. It is answered once its bytes are stored; a part that is stored has the same answer again. */
export function partPut(ctx: Ctx, message: Incoming): Effects {
  const given = checkedAs<Part>(message.body);
  const cloud = cloudAgent.of(ctx.loaded.cloud);
  const backups = cloud?.value.backups;
  if (!cloud || !backups?.controllers.includes(given.controller)) return unauthorized();
  if (backups.kept.some((one) => isSame(one, given))) return { send: [stored(given, true)] };
  const former = backups.uploads.find((one) => one.controller === given.controller);
  const upload = former && isSame(former, given) ? former : undefined;
  if (upload && given.part <= upload.written) return { send: [stored(given, false)] };
  const refused = partRefused(ctx, backups, given, upload);
  if (refused) return refused;
  const received = (upload?.received ?? 0) + Buffer.byteLength(given.data, 'base64');
  if (given.part === given.parts ? received !== given.bytes : received >= given.bytes)
    return refusal('over-long', `The parts have another length than the ${given.bytes} bytes that were announced`);
  const { controller, part, data } = given;
  const name = upload?.upload ?? ctx.newToken();
  const next = { controller, ...described(given), upload: name, accepted: part, written: part - 1, received };
  const order: KeepOrder = { cloud: cloud.id, upload: name, part, parts: given.parts, sha256: given.sha256, data };
  const others = backups.uploads.filter((one) => one !== former);
  return {
    record: { role: 'agency', connection: ctx.connection!.id, states: ['storing'], patch: { thread_id: message.thid } },
    others: [backupsChanged(cloud, { ...backups, uploads: [...others, next] })],
    work: [...(former && !upload ? [clearing([former])] : []), { op: 'wallet-backup/keep', input: jsonOf(order), result: 'kept' }],
  };
}

/** The end of a transfer at the agency, with bytes to remove. */
const ended = (uploads: ClearOrder['uploads']): Pick<Effects, 'record' | 'work'> =>
  uploads.length > 0 ? { record: { states: ['clearing'] }, work: [clearing(uploads)] } : { record: { remove: true } };

/** Messages to the one who asked, where the connection is still there. */
const reply = (ctx: Ctx, effects: Pick<Effects, 'send' | 'problem'>): Pick<Effects, 'send' | 'problem'> => (ctx.connection ? effects : {});

/** The bytes of a part are stored. With the last one the backup is there, and the oldest goes. */
export function partKept(ctx: Ctx, output: unknown): Effects {
  const { upload: name, part, parts, isWhole } = output as Kept;
  const cloud = cloudAgent.of(ctx.loaded.cloud);
  const backups = cloud?.value.backups;
  const upload = backups?.uploads.find((one) => one.upload === name);
  if (!cloud || !backups || !upload)
    return {
      ...ended([{ upload: name, parts }]),
      ...reply(ctx, refusal('out-of-order', 'Another backup has taken the place of this one')),
    };
  const others = backups.uploads.filter((one) => one !== upload);
  const body = { generation: upload.generation, part, complete: part === parts };
  if (part < parts)
    return {
      ...ended([]),
      others: [backupsChanged(cloud, { ...backups, uploads: [...others, { ...upload, written: part }] })],
      ...reply(ctx, { send: [{ type: 'stored', body }] }),
    };
  if (!isWhole)
    return {
      ...ended([upload]),
      others: [backupsChanged(cloud, { ...backups, uploads: others })],
      ...reply(ctx, refusal('damaged', 'The bytes have another digest than the one that was announced')),
    };
  const { controller } = upload;
  const added: KeptBackup = { controller, ...described(upload), upload: name, stored: ctx.now };
  const all = [...backups.kept, added];
  const going = gone(
    all.filter((one) => one.controller === controller),
    generations(ctx),
  );
  return {
    ...ended(going),
    others: [backupsChanged(cloud, { ...backups, kept: all.filter((one) => !going.includes(one)), uploads: others })],
    ...reply(ctx, { send: [{ type: 'stored', body }] }),
  };
}

/** The backups of a controller that a message may see: by its signature all of this agency, else those of the sender's cloud agent. */
function visible(ctx: Ctx, message: Incoming): readonly KeptBackup[] | undefined {
  const controller = message.body.controller as string;
  const own = cloudAgent.of(ctx.loaded.cloud);
  const { stores } = ctx.pages;
  if (!stores && !own?.value.backups?.controllers.includes(controller)) return undefined;
  const clouds = stores ? stores.rows.map((row) => cloudAgent.of(row)) : [own!];
  return clouds
    .flatMap(({ value }) => value.backups?.kept ?? [])
    .filter((one) => one.controller === controller)
    .sort((a, b) => b.generation - a.generation);
}

/** A `list`. */
export function listed(ctx: Ctx, message: Incoming): Effects {
  const all = message.body.signature !== undefined && !ctx.pages.stores ? undefined : visible(ctx, message);
  if (!all) return unauthorized();
  const backups = all.map((one) => ({ ...described(one), stored: new Date(one.stored).toISOString() }));
  return { send: [{ type: 'backups', body: { backups } }] };
}

/** A `get`: by the signature alone, so that a device without the words reads nothing. */
export function partAsked(ctx: Ctx, message: Incoming): Effects {
  const { sha256, part } = message.body as { sha256: string; part: number };
  const all = ctx.pages.stores && visible(ctx, message);
  if (!all) return unauthorized();
  const found = all.find((one) => one.sha256 === sha256);
  if (!found || part > found.parts) return refusal('not-found', 'There is no such part of a backup');
  const order: ReadOrder = { upload: found.upload, part };
  return {
    record: { role: 'agency', connection: ctx.connection!.id, states: ['reading'], patch: { thread_id: message.thid } },
    work: [{ op: 'wallet-backup/read', input: jsonOf(order), result: 'read' }],
  };
}

export const partRead = (ctx: Ctx, output: unknown): Effects => ({
  record: { remove: true },
  ...reply(ctx, { send: [{ type: 'part', body: { data: (output as { data: string }).data } }] }),
});

/** A transfer whose bytes could not be stored or read for good. */
export const transferFailed = (ctx: Ctx, { text }: { text: string }): Effects => ({
  record: { remove: true },
  ...reply(ctx, refusal('not-found', text)),
});

/** The removal of the bytes of a cloud agent that is gone, once nobody has joined it again. */
export function forgotten(ctx: Ctx): Effects {
  const cloud = cloudAgent.of(ctx.loaded.cloud);
  if (!cloud || cloud.value.devices.length > 0) return {};
  const { kept, uploads } = cloud.value.backups ?? NONE;
  return {
    record: { role: 'agency', states: ['clearing'], patch: { thread_id: ctx.newId() } },
    others: [changed({ def: cloudAgent, base: cloud, remove: true, silent: true })],
    work: [clearing([...kept, ...uploads])],
  };
}

/** The answer of the agency to what this agent has asked. */
export function answered(type: string): (ctx: Ctx, message: Incoming) => Effects {
  return (ctx, { body }) => {
    if (ctx.record!.value.asked !== type) throw new AppError('wrong-state', 'it answers something else');
    return { record: { states: ['answered'], patch: { answer: { ...body } } } };
  };
}
